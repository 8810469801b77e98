"""Decides what a pair of pictures is, from what is known of both and what a second look at the pixels found.

Does not look at pixels itself. Keeps no state. The rules ask for precision first: what no rule explains is `similar`,
a class that is never cleaned up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dedupd.core.calibration import Account, measures
from dedupd.core.capture_notes import capture_contradiction
from dedupd.core.records import ContentRecord, Evidence, Geometry, Relation
from dedupd.core.relation_model import MODEL
from dedupd.core.wording import percent_text

VERIFIER_TAG = "pixels-3"
"""Names these rules; stored with every edge, so that a later rule set knows which pairs to look at again."""

SAME_FRAME_PX = 0.25  # corners of two whole frames; copies stay below 0.2, hand-held shots of one scene above 1
CONTAINED_PX = 0.25  # how far an inner picture may stick out; copies stay below 0.1
MIN_CROP = 0.01  # of the short side; nobody crops less, the next shot and a lens that breathes differ by less
HAND_HELD_MIN_DEG = 0.12  # a crop is off a quarter turn by less than 0.1°, somebody's hand by more …
HAND_HELD_MAX_DEG = 1.2  # … and an edit that straightens a picture is worth more than this
RECOLOURED = 0.006  # mean change of all values; re-encoding stays below 0.0045
MIN_OCTAVES = 3  # compared; an overlap of less than 48 px has fewer
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


DUPLICATE = 0.5  # probability from which a pair is called a duplicate; the full pictures may still object
SURELY_PLAIN = 0.9  # probability from which a copy may be called re-encoded; nine of ten plain copies have more
BEYOND_PROBABILITY = 0.2  # of a pair beyond what copies show, at most
# Beyond this it is another picture, whatever else agrees. Of the labelled copies 98.5 % stay within, of real exposure
# brackets a quarter; the model looks at how even the disagreement is, and cannot tell a bracket's even one.
_OCTAVES, _WORST = (0.60, 0.07, 0.02, 0.008), (1.2, 1.0, 0.15, 0.05)
BEYOND = {
    Account.PLAIN: _Limits(_OCTAVES, _WORST, 1.5, 2.0, 0.002),
    Account.RETONED: _Limits(_OCTAVES, _WORST, 1.0, 1.1, 0.002),
    Account.REFRAMED: _Limits(_OCTAVES, _WORST, 1.3, 1.3, 0.002),
    Account.REFRAMED_RETONED: _Limits(_OCTAVES, _WORST, 1.0, 1.1, 0.002),
}
NEARLY_EQUAL = _Limits((0.3, 0.05, 0.02, 0.01), (1.1, 0.5, 0.1, 0.05), 0.5, 0.9, 0.0)
# A plain copy: nothing but size, quality and format differ. What is beyond may still be one, but is called edited.
PLAIN_GAINS = (0.18, 0.045, 0.012)  # |ln| of one's detail over the other's by octave; a blur of 0.7 px has 0.19, 0.05
PLAIN_SATURATION = 0.05  # |ln| of one's saturation over the other's; 0.3 is a light edit
PLAIN_FOREIGN = 0.08  # see `calibration.measures`
PLAIN_LEVELS = 0.75
PLAIN_CRISPNESS = 0.22  # difference, of pictures of one size; compression to quality 50 has 0.2
# A factor and grey levels that one may have more noise than the other: of one size; the larger, where scaling takes it
# out (resized copies stay below 1.4, with 5 levels of noise added 2.4 and more); the smaller, at `SMALL_PX`.
PLAIN_NOISE, SHRUNK_NOISE, ENLARGED_NOISE = (1.25, 0.05), (1.8, 0.3), (2.5, 0.3)
SMALL_PX = 384  # long side that noise is measured at


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
    if _says_too_little(evidence):
        return _decide_plain_picture(a, b, evidence)
    return _calibrated(a, b, evidence, geometry)


def _calibrated(a: ContentRecord, b: ContentRecord, evidence: Evidence, geometry: Geometry) -> Verdict:
    """The verdict on a pair that shows enough: by its framing, then by the model."""
    framing = _framed_by_another_shot(evidence, geometry)
    if framing is not None:
        return Verdict(relation=Relation.SIMILAR, reason=framing)
    account = _account(evidence)
    probability = MODEL.probability(evidence, account)
    if not BEYOND[account].are_kept_by(evidence):
        return _similar(evidence, min(probability, BEYOND_PROBABILITY))
    if probability < DUPLICATE:
        return _similar(evidence, probability)
    changes = _changes(evidence, geometry) or _filters(a, b, evidence)
    if changes:
        reason = f"The same picture: {', '.join(changes)}."
        return Verdict(relation=Relation.EDITED, reason=reason, probability=probability)
    if probability < SURELY_PLAIN:
        reason = "The same picture, but it cannot be told whether it was edited a little."
        return Verdict(relation=Relation.EDITED, reason=reason, probability=probability)
    return Verdict(relation=Relation.RE_ENCODED, reason=_re_encoded(a, b), probability=probability)


def account_of(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> Account | None:
    """What the calibrated model has to explain of a pair; None when rules decide without it."""
    geometry = evidence.geometry
    if geometry is None or not _is_same_scene(evidence, geometry) or _says_too_little(evidence):
        return None
    if capture_contradiction(a.capture, b.capture) or _framed_by_another_shot(evidence, geometry):
        return None
    return _account(evidence)


def _account(evidence: Evidence) -> Account:
    is_retoned = evidence.tone_change > RECOLOURED
    if evidence.frame_offset_px <= SAME_FRAME_PX:
        return Account.RETONED if is_retoned else Account.PLAIN
    return Account.REFRAMED_RETONED if is_retoned else Account.REFRAMED


def _identical(a: ContentRecord, b: ContentRecord) -> Verdict | None:
    """Equal digests prove what no comparing can; a changed date is then an edit of the metadata, not another shot."""
    if a.digest == b.digest:
        return Verdict(relation=Relation.SAME_BYTES, reason="The files are equal byte for byte.", probability=1.0)
    if a.image_digest is not None and a.image_digest == b.image_digest:
        reason = "The same compressed picture; only metadata differ."
        return Verdict(relation=Relation.SAME_PIXELS, reason=reason, probability=1.0)
    if a.pixel_digest is not None and a.pixel_digest == b.pixel_digest:
        reason = "Every pixel is equal; only the container differs."
        return Verdict(relation=Relation.SAME_PIXELS, reason=reason, probability=1.0)
    return None


def _is_same_scene(evidence: Evidence, geometry: Geometry) -> bool:
    """Whether the alignment is no accident."""
    if geometry.inliers >= 15 and evidence.similarity >= 0.5:
        return True
    if evidence.similarity >= 0.9 and evidence.band_errors and evidence.band_errors[-1] <= 0.05:
        return True  # noise hides the detail, not the large forms
    return evidence.similarity >= 0.75 and evidence.residual_low >= 0.02


def _says_too_little(evidence: Evidence) -> bool:
    """Whether too few places or octaves were compared to weigh what they say: what is not measured is no agreement."""
    return evidence.textured_windows < MIN_WINDOWS or len(evidence.band_errors) < MIN_OCTAVES


def _decide_plain_picture(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> Verdict:
    """Too little texture (a sky, a blank scan, a black frame): only what is nearly equal as it stands is a copy."""
    same_frame = evidence.frame_offset_px <= SAME_FRAME_PX and evidence.tone_change <= RECOLOURED
    is_measured = evidence.textured_windows >= 3 and bool(evidence.band_errors)
    if is_measured and same_frame and NEARLY_EQUAL.are_kept_by(evidence):
        probability = MODEL.probability(evidence, Account.PLAIN)
        if probability >= DUPLICATE and _is_plain_copy(a, b, evidence):
            return Verdict(relation=Relation.RE_ENCODED, reason=_re_encoded(a, b), probability=probability)
    return Verdict(relation=Relation.SIMILAR, reason="Alike, but there is too little in the pictures to be sure.")


def _framed_by_another_shot(evidence: Evidence, geometry: Geometry) -> str | None:
    """Why the frames lie on each other as those of two shots do; None when one could be cut from the other."""
    if evidence.frame_offset_px <= SAME_FRAME_PX:
        return None
    off_quarter = _off_quarter_deg(geometry)
    if evidence.protrusion_px > CONTAINED_PX:
        return "The same scene, but each shows something that the other does not."
    if evidence.frame_offset_px < MIN_CROP * evidence.compared_px and not _turned(geometry):
        return "The same scene, framed a hair's breadth apart."
    if HAND_HELD_MIN_DEG < off_quarter < HAND_HELD_MAX_DEG:
        return f"The same scene, the camera held {off_quarter:.1f}° askew."
    return None


def _changes(evidence: Evidence, geometry: Geometry) -> list[str]:
    """What was done to one of the pictures beyond saving it in another size, quality or format; [] when nothing."""
    changes = []
    off_quarter = _off_quarter_deg(geometry)
    if evidence.frame_offset_px > SAME_FRAME_PX:
        changes.append(f"one shows {percent_text(min(geometry.overlap_of_a, geometry.overlap_of_b))} of the other")
    if off_quarter >= HAND_HELD_MAX_DEG:
        changes.append(f"rotated by {off_quarter:.0f}°")
    elif _turned(geometry):
        changes.append(_turned(geometry))
    if evidence.tone_change > RECOLOURED or not _is_near_one(evidence.chroma_gain, PLAIN_SATURATION):
        changes.append("recoloured")
    if evidence.overlay_share > 0:
        changes.append("text or a watermark added")
    return changes


def _filters(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> list[str]:
    """What a whole picture went through that saving it again does not explain; [] when nothing."""
    if _is_plain_copy(a, b, evidence):
        return []
    if not _has_like_noise(a, b):
        return ["noise added or taken out"]
    coarser = zip(evidence.band_gains[1:], PLAIN_GAINS[1:], strict=False)
    if not all(_is_near_one(gain, limit) for gain, limit in coarser) or not _is_as_crisp(a, b):
        return ["blurred or sharpened"]
    return ["compressed so strongly that it might have been edited"]


def _is_plain_copy(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> bool:
    gains = zip(evidence.band_gains, PLAIN_GAINS, strict=False)
    return (
        all(_is_near_one(gain, limit) for gain, limit in gains)
        and measures(evidence).get("foreign", 0.0) <= PLAIN_FOREIGN
        and evidence.error_levels <= PLAIN_LEVELS
        and _has_like_noise(a, b)
        and _is_as_crisp(a, b)
    )


def _is_near_one(ratio: float, limit: float) -> bool:
    return abs(math.log(max(ratio, 1e-6))) <= limit


def _has_like_noise(a: ContentRecord, b: ContentRecord) -> bool:
    """Whether neither has more noise than saving again leaves, or, in another size, than scaling does."""
    less, more = sorted((a, b), key=lambda c: c.quality.noise)
    if less.quality.noise == 0:
        return True
    if sorted(_size(a)) == sorted(_size(b)):
        factor, levels = PLAIN_NOISE
    elif max(_size(more)) > max(_size(less)):
        factor, levels = SHRUNK_NOISE
    else:
        factor, levels = ENLARGED_NOISE
        factor *= SMALL_PX / min(max(_size(less)), SMALL_PX)
    return more.quality.noise <= factor * less.quality.noise + levels


def _is_as_crisp(a: ContentRecord, b: ContentRecord) -> bool:
    """Whether nobody blurred or sharpened one; pictures of different sizes say nothing."""
    if a.quality.crispness is None or b.quality.crispness is None or sorted(_size(a)) != sorted(_size(b)):
        return True
    return abs(a.quality.crispness - b.quality.crispness) <= PLAIN_CRISPNESS


def _size(content: ContentRecord) -> tuple[int, int]:
    return (content.width_px, content.height_px)


def _similar(evidence: Evidence, probability: float) -> Verdict:
    reason = "The same scene, probably another exposure."
    if evidence.worst_region > 0.001:
        reason = "The same scene, but something in it is different."
    return Verdict(relation=Relation.SIMILAR, reason=reason, probability=probability)


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
