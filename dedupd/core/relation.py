"""Decides what a pair of pictures is, from what is known of both and what a second look at the pixels found.

Does not look at pixels itself. Keeps no state. The rules ask for precision first: what no rule explains is `similar`,
a class that is never cleaned up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dedupd.core.records import Capture, ContentRecord, Evidence, Geometry, Relation
from dedupd.core.wording import percent_text

VERIFIER_TAG = "pixels-2"
"""Names these rules; stored with every edge, so that a later rule set knows which pairs to look at again."""

SAME_FRAME_PX = 0.25  # corners of two whole frames; copies stay below 0.2, hand-held shots of one scene above 1
CONTAINED_PX = 0.25  # how far an inner picture may stick out; copies stay below 0.1
MIN_CROP = 0.01  # of the short side; nobody crops less, the next shot and a lens that breathes differ by less
HAND_HELD_MIN_DEG = 0.12  # a crop is off a quarter turn by less than 0.1°, somebody's hand by more …
HAND_HELD_MAX_DEG = 1.2  # … and an edit that straightens a picture is worth more than this
TONE_CHANGED = 0.02  # mean change of all values; re-encoding stays below 0.012
EXPOSURE_RATIO = 1.02  # rounding of rationals; a third of a stop is 1.26
F_NUMBER_STEP = 0.06  # cameras count in tenths
MIN_WINDOWS = 25  # places with texture below which a picture says too little to be sure


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision and the sentence that explains it to a person."""

    relation: Relation
    reason: str
    probability: float = 0.0  # 0 … 1, that both come from one shot


@dataclass(frozen=True, slots=True)
class _Limits:
    """How much disagreement an explanation may leave; every step away from a plain copy is held to less."""

    octaves: tuple[float, ...]  # 1 - correlation, the finest octave first
    worst_places: tuple[float, ...]
    excess: float
    error_levels: float
    worst_region: float

    def are_kept_by(self, evidence: Evidence) -> bool:
        return (
            all(e <= m for e, m in zip(evidence.band_errors, self.octaves, strict=False))
            and all(e <= m for e, m in zip(evidence.band_lows, self.worst_places, strict=False))
            and evidence.excess <= self.excess
            and evidence.error_levels <= self.error_levels
            and evidence.worst_region <= self.worst_region
        )


# From 450 edited copies against 190 pairs of real brackets, focus stacks and hand-held series, and made ones: parallax
# of one pixel, a thing of 2 % of the side moved, a number on a sign changed.
# Copies stay below an excess of 0.8 and errors of 1.0 levels; real brackets have 0.7 … 5 and 1.3 … 3.
PLAIN = _Limits((0.40, 0.042, 0.012, 0.004), (1.1, 0.85, 0.06, 0.015), 0.87, 1.8, 0.0001)
RETONED = _Limits((0.16, 0.010, 0.0017, 0.0011), (0.5, 0.10, 0.014, 0.006), 0.9, 1.2, 0.0002)
REFRAMED = _Limits((0.17, 0.013, 0.0018, 0.0006), (0.6, 0.10, 0.018, 0.006), 0.85, 1.1, 0.0001)
REFRAMED_RETONED = _Limits((0.17, 0.008, 0.0016, 0.0006), (0.5, 0.07, 0.018, 0.006), 0.85, 1.0, 0.0001)
NEARLY_EQUAL = _Limits((0.3, 0.05, 0.02, 0.01), (1.1, 0.5, 0.1, 0.05), 0.5, 0.9, 0.0)


def decide(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> Verdict:
    """What the pair is. `decide(b, a, …)` with the evidence of (b, a) is the same relation.

    Args:
        a: one content.
        b: the other.
        evidence: what comparing their small images found.
    """
    identical = _identical(a, b)
    if identical is not None:
        return identical
    geometry = evidence.geometry
    if geometry is None or not _is_same_scene(evidence, geometry):
        return Verdict(relation=Relation.DIFFERENT, reason="The pictures show different things.")
    contradiction = capture_contradiction(a.capture, b.capture)
    if contradiction is not None:
        return Verdict(relation=Relation.SIMILAR, reason=f"Two shots: {contradiction}.")
    if evidence.textured_windows < MIN_WINDOWS:
        return _decide_plain_picture(a, b, evidence)
    if evidence.frame_offset_px <= SAME_FRAME_PX:
        return _decide_same_frame(a, b, evidence, geometry)
    return _decide_reframed(evidence, geometry)


def _identical(a: ContentRecord, b: ContentRecord) -> Verdict | None:
    """Equal digests prove what no comparing can; a changed date is then an edit of the metadata, not another shot."""
    if a.digest == b.digest:
        return Verdict(relation=Relation.SAME_BYTES, reason="The files are equal byte for byte.")
    if a.image_digest is not None and a.image_digest == b.image_digest:
        return Verdict(relation=Relation.SAME_PIXELS, reason="The same compressed picture; only metadata differ.")
    if a.pixel_digest is not None and a.pixel_digest == b.pixel_digest:
        return Verdict(relation=Relation.SAME_PIXELS, reason="Every pixel is equal; only the container differs.")
    return None


def _is_same_scene(evidence: Evidence, geometry: Geometry) -> bool:
    """Whether the alignment is no accident."""
    if geometry.inliers >= 15 and evidence.similarity >= 0.5:
        return True
    if evidence.similarity >= 0.9 and evidence.band_errors and evidence.band_errors[-1] <= 0.05:
        return True  # noise hides the detail, not the large forms
    return evidence.similarity >= 0.75 and evidence.residual_low >= 0.02


def _decide_plain_picture(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> Verdict:
    """Too little texture (a sky, a blank scan, a black frame): only what is nearly equal as it stands is a copy."""
    same_frame = evidence.frame_offset_px <= SAME_FRAME_PX and evidence.tone_change <= TONE_CHANGED / 2
    if evidence.textured_windows >= 3 and same_frame and NEARLY_EQUAL.are_kept_by(evidence):
        return Verdict(relation=Relation.RE_ENCODED, reason=_re_encoded(a, b))
    return Verdict(relation=Relation.SIMILAR, reason="Alike, but there is too little in the pictures to be sure.")


def _decide_same_frame(a: ContentRecord, b: ContentRecord, evidence: Evidence, geometry: Geometry) -> Verdict:
    turned = _turned(geometry)
    is_retoned = evidence.tone_change > TONE_CHANGED
    limits = RETONED if is_retoned else PLAIN
    if not limits.are_kept_by(evidence):
        return _similar(evidence)
    if turned or is_retoned:
        changes = [turned] if turned else []
        changes += ["recoloured"] if is_retoned else []
        return Verdict(relation=Relation.EDITED, reason=f"The same picture, {' and '.join(changes)}.")
    return Verdict(relation=Relation.RE_ENCODED, reason=_re_encoded(a, b))


def _decide_reframed(evidence: Evidence, geometry: Geometry) -> Verdict:
    off_quarter = _off_quarter_deg(geometry)
    if evidence.protrusion_px > CONTAINED_PX:
        return Verdict(
            relation=Relation.SIMILAR, reason="The same scene, but each shows something that the other does not."
        )
    if evidence.frame_offset_px < MIN_CROP * evidence.compared_px and not _turned(geometry):
        return Verdict(relation=Relation.SIMILAR, reason="The same scene, framed a hair's breadth apart.")
    if HAND_HELD_MIN_DEG < off_quarter < HAND_HELD_MAX_DEG:
        return Verdict(relation=Relation.SIMILAR, reason=f"The same scene, the camera held {off_quarter:.1f}° askew.")
    is_retoned = evidence.tone_change > TONE_CHANGED
    limits = REFRAMED_RETONED if is_retoned else REFRAMED
    if not limits.are_kept_by(evidence):
        return _similar(evidence)
    inner = min(geometry.overlap_of_a, geometry.overlap_of_b)
    changes = [f"one shows {percent_text(inner)} of the other"]
    if off_quarter >= HAND_HELD_MAX_DEG:
        changes.append(f"rotated by {off_quarter:.0f}°")
    elif _turned(geometry):
        changes.append(_turned(geometry))
    if is_retoned:
        changes.append("recoloured")
    return Verdict(relation=Relation.EDITED, reason=f"The same picture: {', '.join(changes)}.")


def _similar(evidence: Evidence) -> Verdict:
    if evidence.worst_region > 0.001:
        return Verdict(relation=Relation.SIMILAR, reason="The same scene, but something in it is different.")
    return Verdict(relation=Relation.SIMILAR, reason="The same scene, probably another exposure.")


def _off_quarter_deg(geometry: Geometry) -> float:
    return abs(geometry.rotation_deg - 90 * round(geometry.rotation_deg / 90))


def _turned(geometry: Geometry) -> str:
    """How the pictures are turned against each other, "" when not."""
    quarters = round(geometry.rotation_deg / 90) % 4
    words = ["mirrored"] if geometry.is_mirrored else []
    words += [f"rotated by {(0, 90, 180, 90)[quarters]}°"] if quarters else []
    return " and ".join(words)


def _re_encoded(a: ContentRecord, b: ContentRecord) -> str:
    if (a.width_px, a.height_px) != (b.width_px, b.height_px):
        large, small = sorted((a, b), key=lambda c: -c.width_px * c.height_px)
        sizes = f"{large.width_px}×{large.height_px} and {small.width_px}×{small.height_px}"
        return f"The same whole picture in two sizes, {sizes}."
    if a.format != b.format:
        return f"The same whole picture as {a.format} and {b.format}."
    return "The same whole picture, saved again."


def capture_contradiction(a: Capture, b: Capture) -> str | None:
    """Why the cameras' own notes say that these are two shots; None when they do not.

    What is missing on either side says nothing, because many programs drop fields when they save.
    """
    checks = (_other_camera, _other_moment, _other_exposure)
    return next((reason for check in checks if (reason := check(a, b)) is not None), None)


def _other_camera(a: Capture, b: Capture) -> str | None:
    if _differ(a.make, b.make) or _differ(a.model, b.model):
        return f"one is by {a.model or a.make}, one by {b.model or b.make}"
    if _differ(a.serial, b.serial):
        return "the cameras' serial numbers differ"
    return None


def _other_moment(a: Capture, b: Capture) -> str | None:
    if _differ(a.image_id, b.image_id):
        return "the camera's image numbers differ"
    if a.taken_at_ms is None or b.taken_at_ms is None:
        return None
    unit_ms = 1 if a.has_subseconds and b.has_subseconds else 1000
    return "the capture times differ" if a.taken_at_ms // unit_ms != b.taken_at_ms // unit_ms else None


def _other_exposure(a: Capture, b: Capture) -> str | None:
    if (
        a.exposure_s
        and b.exposure_s
        and max(a.exposure_s, b.exposure_s) > EXPOSURE_RATIO * min(a.exposure_s, b.exposure_s)
    ):
        return "the exposure times differ"
    if a.f_number and b.f_number and abs(a.f_number - b.f_number) > F_NUMBER_STEP:
        return "the apertures differ"
    return "the sensitivities (ISO) differ" if _differ(a.iso, b.iso) else None


def _differ(a: object | None, b: object | None) -> bool:
    return a is not None and b is not None and a != b


# ----------------------------------------------------------------------------------------------- the full pictures

FULL_LOOK_GAIN = 1.8  # full pixels for one small pixel of the shared part, from which they can show more
FULL_LOOK_PX = 700  # long side of the shared part
SURE = 0.999  # probability from which a plain copy needs no full look
OWN_NOISE = 0.15  # correlation of grain; copies that still have grain stay above 0.21
CHANGED_EXCESS = 1.2  # of the full pictures; copies stay below 1.0, a digit of three small pixels has 1.8 and more


def needs_full_look(a: ContentRecord, b: ContentRecord, evidence: Evidence, verdict: Verdict) -> bool:
    """Whether a duplicate by the small images is worth a look at the full pictures.

    Args:
        a: one content.
        b: the other.
        evidence: what comparing their small images found.
        verdict: what `decide` made of it.
    """
    if verdict.relation not in {Relation.RE_ENCODED, Relation.EDITED} or evidence.geometry is None:
        return False
    if verdict.relation is Relation.RE_ENCODED and verdict.probability >= SURE:
        return False
    if _are_one_capture(a.capture, b.capture):
        return False
    part = math.sqrt(evidence.geometry.overlap_of_a) * min(
        1.0, evidence.geometry.scale
    )  # of a's side, in the coarser's pixels
    long_px, short_px = (side(a.width_px, a.height_px) * part for side in (max, min))
    return long_px >= FULL_LOOK_PX and short_px >= FULL_LOOK_GAIN * evidence.compared_px


def contradicted_by_full_look(evidence: Evidence) -> str | None:
    """Why the full pictures show two shots where the small images showed a copy; None when they do not.

    Only ever lowers a verdict: noise that compression or denoising took away says nothing.

    Args:
        evidence: what the full look left of the pair's evidence.
    """
    if not evidence.fine_px:
        return None
    if evidence.fine_noise_correlation is not None and evidence.fine_noise_correlation < OWN_NOISE:
        return "each has noise of its own"
    if evidence.excess > CHANGED_EXCESS and evidence.overlay_share == 0:  # added text is a difference, but explained
        return "in full size something in it is different"
    return None


def _are_one_capture(a: Capture, b: Capture) -> bool:
    """Whether both carry the same capture time to the fraction of a second, or the same image number."""
    if a.image_id is not None and a.image_id == b.image_id:
        return True
    has_fractions = a.has_subseconds and b.has_subseconds
    return has_fractions and a.taken_at_ms is not None and a.taken_at_ms == b.taken_at_ms
