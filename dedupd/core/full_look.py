"""When a duplicate by the small images deserves a look at the full pictures, and what that may object.

Pure; a full look only ever lowers a verdict. Looking is `imaging.fine_look`'s.
"""

from __future__ import annotations

import math

from dedupd.core.capture_notes import are_one_capture
from dedupd.core.records import ContentRecord, Evidence, Relation
from dedupd.core.relation import SAME_FRAME_PX, Verdict

FULL_LOOK_GAIN = 1.8  # full pixels for one small pixel of the shared part, from which they can show more
FULL_LOOK_PX = 700  # long side of the shared part
SURE = (
    0.98  # probability from which a plain copy needs no full look; with nothing unusual about it a pair reaches 0.975
)
OWN_NOISE = 0.15  # correlation of grain; copies that still have grain stay above 0.21
# Copies saved at quality 90 … 95 have up to 0.02, at 60 up to 0.04; tripod brackets 0.05 … 0.07, hand-held bursts 0.3.
FOREIGN_BASE = 0.03
FOREIGN_PER_LOSS = 0.13  # more, for each step of `_loss`
LOSSY = frozenset({"WEBP", "AVIF", "HEIF"})
UNKNOWN_LOSS = 0.6  # of formats that do not tell their quality
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
    if are_one_capture(a.capture, b.capture):
        return False
    geometry = evidence.geometry
    shown_by_a = _shared_sides(a, geometry.overlap_of_a, min(1.0, geometry.scale))
    shown_by_b = _shared_sides(b, geometry.overlap_of_b, min(1.0, 1 / max(geometry.scale, 1e-6)))
    return any(
        long_px >= FULL_LOOK_PX and short_px >= FULL_LOOK_GAIN * evidence.compared_px
        for long_px, short_px in (shown_by_a, shown_by_b)
    )


def _shared_sides(content: ContentRecord, overlap: float, scale: float) -> tuple[float, float]:
    """Long and short side of the shared part, estimated from one picture, in pixels of the coarser."""
    part = math.sqrt(overlap) * scale
    return max(content.width_px, content.height_px) * part, min(content.width_px, content.height_px) * part


def contradicted_by_full_look(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> str | None:
    """Why the full pictures show two shots where the small images showed a copy; None when they do not.

    Only ever lowers a verdict: noise that compression or denoising took away says nothing.

    Args:
        a: one content.
        b: the other.
        evidence: what the full look left of the pair's evidence.
    """
    if not evidence.fine_px:
        return None
    if evidence.fine_noise_correlation is not None and evidence.fine_noise_correlation < OWN_NOISE:
        return "each has noise of its own"
    if _lie_pixel_on_pixel(a, b, evidence) and evidence.fine_foreign > _explained_by_saving(a, b):
        return "each has fine detail that the other lacks"
    if evidence.excess > CHANGED_EXCESS and evidence.overlay_share == 0:  # added text is a difference, but explained
        return "in full size something in it is different"
    return None


def _lie_pixel_on_pixel(a: ContentRecord, b: ContentRecord, evidence: Evidence) -> bool:
    """Whether no resampling lies between the two: the same frame, perhaps turned by quarters or mirrored."""
    sizes = [sorted((c.width_px, c.height_px)) for c in (a, b)]
    return sizes[0] == sizes[1] and evidence.frame_offset_px <= SAME_FRAME_PX


def _explained_by_saving(a: ContentRecord, b: ContentRecord) -> float:
    """How much foreign detail the worse compression of two pictures leaves at most."""
    return FOREIGN_BASE + FOREIGN_PER_LOSS * max(_loss(a), _loss(b))


def _loss(content: ContentRecord) -> float:
    """0 … 1, how much a picture's compression took: 0 none, 1 JPEG of quality 30 or less."""
    qualities = (content.quality.jpeg_quality, content.quality.earlier_jpeg_quality)
    known = [min(1.0, (100 - q) / 70) for q in qualities if q is not None]
    if content.format in LOSSY:
        known.append(UNKNOWN_LOSS)
    return max(known, default=0.0)
