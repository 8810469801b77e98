"""What the evidence of a pair says, in words: how B lies on A, what differs and where, what was added.

Pure, for people; decides nothing. The pictures are called A and B, as those who ask named them.
"""

from __future__ import annotations

from dedupd.core.records import Box, Evidence, Geometry
from dedupd.core.wording import percent_text

SAME_SIZE = 0.005  # of the scale: rounding of sizes to whole pixels
SMALL_TURN_DEG = 0.1  # alignment finds less in copies that were not turned
WHOLE = 0.995  # a share from which people say "all"; a frame's rim is a few tenths of a per cent
TONE_CHANGED = 0.02  # mean change of all values, 0 … 1, that re-encoding does not reach
GREY = 0.05  # saturation over the other's, below which a picture has no colour
SOFTER = 0.7  # finest detail over the other's, below which an eye notices
MOST_BOXES = 8  # evidence lists no more
LEAST_OVERLAY = 0.001  # of the overlap
_ACROSS = ("left", "middle", "right")
_DOWN = ("top", "middle", "bottom")


def pair_words(evidence: Evidence) -> tuple[str, ...]:
    """Sentences about a pair; empty where nothing was looked at because the bytes are equal."""
    if evidence.method == "digest":
        return ()
    if evidence.geometry is None:
        return ("Nothing of one was found in the other.",)
    return (
        *geometry_words(evidence.geometry),
        *_tone_words(evidence),
        *_detail_words(evidence),
        *overlay_words(evidence),
        difference_words(evidence),
    )


def geometry_words(geometry: Geometry) -> tuple[str, ...]:
    """How B lies on A: size, turn, and what share of each the other shows."""
    words = [_size_words(geometry.scale)]
    turned = turn_words(geometry)
    if turned:
        words.append(f"B lies on A when it is {turned}.")
    words.append(_share_words(geometry.overlap_of_a, geometry.overlap_of_b))
    return tuple(words)


def turn_words(geometry: Geometry) -> str:
    """What has to be done to B so that it lies on A: mirrored and turned by 90° clockwise; "" for nothing."""
    words = ["mirrored"] if geometry.is_mirrored else []
    degrees = abs(geometry.rotation_deg)
    if degrees >= SMALL_TURN_DEG:
        exact = f"{degrees:.0f}" if abs(degrees - round(degrees)) < SMALL_TURN_DEG else f"{degrees:.1f}"
        way = "" if exact == "180" else " clockwise" if geometry.rotation_deg > 0 else " counter-clockwise"
        words.append(f"turned by {exact}°{way}")
    return " and ".join(words)


def overlay_words(evidence: Evidence) -> tuple[str, ...]:
    """What was added to one of them; empty where nothing was found."""
    if evidence.overlay_share < LEAST_OVERLAY:
        return ()
    bearer = "B" if evidence.overlay_is_on_b else "A"
    return (f"Text or a watermark on {bearer} covers {_share_text(evidence.overlay_share)} of what both show.",)


def difference_words(evidence: Evidence) -> str:
    """How many places differ, and where."""
    boxes = evidence.differences
    if not boxes:
        return "No place differs by more than saving again explains."
    places = list(dict.fromkeys(place_words(box) for box in boxes))
    if len(places) > 1:
        places = [", ".join(places[:-1]) + f" and {places[-1]}"]
    if len(boxes) == 1:
        return f"One place differs, {places[0]} of A."
    more = " or more" if len(boxes) >= MOST_BOXES else ""
    return f"{len(boxes)} places{more} differ: {places[0]} of A."


def place_words(box: Box) -> str:
    """Where the middle of a box lies: at the top left, in the middle; everywhere for what spans the picture."""
    if box.right - box.left > 0.8 and box.bottom - box.top > 0.8:
        return "nearly all"
    across = _ACROSS[min(2, int((box.left + box.right) / 2 * 3))]
    down = _DOWN[min(2, int((box.top + box.bottom) / 2 * 3))]
    if across == down == "middle":
        return "in the middle"
    if across == "middle":
        return f"at the {down}"
    if down == "middle":
        return f"on the {across}"
    return f"at the {down} {across}"


def _size_words(scale: float) -> str:
    if abs(scale - 1) <= SAME_SIZE:
        return "Both show the subject at the same size."
    if scale < 1:
        return f"B shows the subject at {percent_text(scale)} of A's size."
    return f"B shows the subject at {scale:.2f} times A's size."


def _share_words(of_a: float, of_b: float) -> str:
    if of_a >= WHOLE and of_b >= WHOLE:
        return "Each shows all of the other."
    shown_a = "all" if of_a >= WHOLE else percent_text(of_a)
    shown_b = "all" if of_b >= WHOLE else percent_text(of_b)
    return f"B shows {shown_a} of A; A shows {shown_b} of B."


def _tone_words(evidence: Evidence) -> tuple[str, ...]:
    words = []
    if evidence.tone_change > TONE_CHANGED:
        words.append(f"Brightness or colours were changed, by {percent_text(evidence.tone_change)} on average.")
    if evidence.chroma_gain < GREY:
        words.append("B has no colour.")
    elif evidence.chroma_gain > 1 / GREY:
        words.append("A has no colour.")
    return tuple(words)


def _detail_words(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.band_gains:
        return ()
    finest = evidence.band_gains[0]
    if finest < SOFTER:
        return ("B is softer than A where they are compared.",)
    return ("B is sharper than A where they are compared.",) if finest > 1 / SOFTER else ()


def _share_text(share: float) -> str:
    return "less than 1 %" if share < 0.01 else percent_text(share)
