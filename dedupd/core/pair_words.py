"""What the evidence of a pair says, in words: how B lies on A, what differs and where, what was added.

Pure, for people; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from dedupd.core.records import Box, Evidence, Geometry
from dedupd.core.verdicts import NotDuplicate
from dedupd.core.wording import date_text, percent_text

SAME_SIZE = 0.005  # of the scale: rounding of sizes to whole pixels
SMALL_TURN_DEG = 0.1  # alignment finds less in copies that were not turned
WHOLE = 0.995  # a share from which people say "all"; a frame's rim is a few tenths of a per cent
TONE_CHANGED = 0.02  # mean change of all values, 0 … 1, that re-encoding does not reach
GREY = 0.05  # saturation over the other's, below which a picture has no colour
SOFTER = 0.7  # finest detail over the other's, below which an eye notices
MOST_BOXES = 8  # evidence lists no more
MOST_PLACES = 4  # a longer list says no more
LEAST_OVERLAY = 0.001  # of the overlap
_ACROSS = ("left", "middle", "right")
_DOWN = ("top", "middle", "bottom")


def pair_words(evidence: Evidence, a: str = "A", b: str = "B") -> tuple[str, ...]:
    """Sentences about a pair; empty where nothing was looked at because the bytes are equal.

    Args:
        evidence: what was found.
        a: what A is called.
        b: what B is called.
    """
    if evidence.method == "digest":
        return ()
    if evidence.geometry is None:
        return ("Nothing of one was found in the other.",)
    sentences = (
        *_geometry_words(evidence.geometry, a, b),
        *_tone_words(evidence, a, b),
        *_detail_words(evidence, a, b),
        *_overlay_words(evidence, a, b),
        _difference_words(evidence, a),
    )
    return tuple(sentence[0].upper() + sentence[1:] for sentence in sentences)


def verdict_words(verdict: NotDuplicate | None) -> tuple[str, ...]:
    """What a person said of a pair, which counts before all that was found; empty where nothing was said."""
    if verdict is None:
        return ()
    return (f"You said on {date_text(verdict.said_at_ns)} that these are no duplicates: they are kept apart.",)


def turn_words(geometry: Geometry) -> str:
    """What has to be done to B so that it lies on A: mirrored and turned by 90° clockwise; "" for nothing."""
    words = ["mirrored"] if geometry.is_mirrored else []
    degrees = abs(geometry.rotation_deg)
    if degrees >= SMALL_TURN_DEG:
        exact = f"{degrees:.0f}" if abs(degrees - round(degrees)) < SMALL_TURN_DEG else f"{degrees:.1f}"
        way = "" if exact == "180" else " clockwise" if geometry.rotation_deg > 0 else " counter-clockwise"
        words.append(f"turned by {exact}°{way}")
    return " and ".join(words)


def _geometry_words(geometry: Geometry, a: str, b: str) -> Iterator[str]:
    """How B lies on A: size, turn, and what share of each the other shows."""
    yield _size_words(geometry.scale, a, b)
    turned = turn_words(geometry)
    if turned:
        yield f"{b} lies on {a} when it is {turned}."
    yield _share_words(geometry.overlap_of_a, geometry.overlap_of_b, a, b)


def _overlay_words(evidence: Evidence, a: str, b: str) -> tuple[str, ...]:
    """What was added to one of them; empty where nothing was found."""
    if evidence.overlay_share < LEAST_OVERLAY:
        return ()
    bearer = b if evidence.overlay_is_on_b else a
    return (f"text or a watermark on {bearer} covers {_share_text(evidence.overlay_share)} of what both show.",)


def _difference_words(evidence: Evidence, a: str) -> str:
    """How many places differ, and where."""
    boxes = evidence.differences
    if not boxes:
        return "no place differs by more than saving again explains."
    places = list(dict.fromkeys(place_words(box) for box in boxes))
    if len(places) > MOST_PLACES:
        places = ["in many parts"]
    where = places[0] if len(places) == 1 else ", ".join(places[:-1]) + f" and {places[-1]}"
    if len(boxes) == 1:
        return f"one place differs, {where} of {a}."
    more = " or more" if len(boxes) >= MOST_BOXES else ""
    return f"{len(boxes)} places{more} differ: {where} of {a}."


def place_words(box: Box) -> str:
    """Where the middle of a box lies: at the top left, in the middle; nearly all where it spans the picture."""
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


def _size_words(scale: float, a: str, b: str) -> str:
    if abs(scale - 1) <= SAME_SIZE:
        return "both show the subject at the same size."
    if scale < 1:
        return f"{b} shows the subject at {percent_text(scale)} of {a}'s size."
    return f"{b} shows the subject at {scale:.2f} times {a}'s size."


def _share_words(of_a: float, of_b: float, a: str, b: str) -> str:
    if of_a >= WHOLE and of_b >= WHOLE:
        return "each shows all of the other."
    shown_a = "all" if of_a >= WHOLE else percent_text(of_a)
    shown_b = "all" if of_b >= WHOLE else percent_text(of_b)
    return f"{b} shows {shown_a} of {a}; {a} shows {shown_b} of {b}."


def _tone_words(evidence: Evidence, a: str, b: str) -> Iterator[str]:
    if evidence.tone_change > TONE_CHANGED:
        yield f"brightness or colours were changed, by {percent_text(evidence.tone_change)} on average."
    if evidence.chroma_gain < GREY:
        yield f"{b} has no colour."
    elif evidence.chroma_gain > 1 / GREY:
        yield f"{a} has no colour."


def _detail_words(evidence: Evidence, a: str, b: str) -> tuple[str, ...]:
    if not evidence.band_gains:
        return ()
    finest = evidence.band_gains[0]
    if finest < SOFTER:
        return (f"{b} is softer than {a} where they are compared.",)
    return (f"{b} is sharper than {a} where they are compared.",) if finest > 1 / SOFTER else ()


def _share_text(share: float) -> str:
    return "less than 1 %" if share < 0.01 else percent_text(share)
