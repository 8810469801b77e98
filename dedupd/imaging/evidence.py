"""A second look at a candidate pair: what the pixels of two small images say about each other.

Aligns them, explains a global tone change and measures what is left. Decides nothing (`core.relation` does). Keeps no
state beyond the prepared sides, which belong to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.core.records import NOTHING_FOUND, Box, Evidence, Geometry
from dedupd.imaging.alignment import (
    Alignment,
    frame_hypotheses,
    invert,
    keypoint_hypotheses,
    whole_frame_hypothesis,
)
from dedupd.imaging.common_frame import CommonFrame, Refined, refine
from dedupd.imaging.prepared_side import BoxPx, Doubles, Floats, PreparedSide
from dedupd.imaging.residual import Residual, measure

GOOD_STRUCTURE = 0.90  # agreement from which no other hypothesis needs to be tried (copies reach 0.9 … 1)
HOPELESS_STRUCTURE = 0.35  # below it the alignment is chance (unrelated pairs: 0 … 0.3)


def prepare(small: Pixels, width_px: int, height_px: int) -> PreparedSide:
    """Make one side of a comparison ready.

    Args:
        small: uint8 [h, w, 3] RGB, orientation applied, long side ≤ 384, as decoded from the stored preview.
        width_px: width of the full picture, orientation applied.
        height_px: height of the full picture.
    """
    return PreparedSide(small, width_px, height_px)


def compare_images(a: PreparedSide, b: PreparedSide) -> Evidence:
    """Compare two pictures. `compare_images(b, a)` is the same evidence seen from the other side.

    Never raises for what the pictures show; tiny or empty pictures give evidence of method "none".
    """
    if min(*a.small.shape[:2], *b.small.shape[:2]) < 1:
        return NOTHING_FOUND
    is_swapped = a.order_key > b.order_key
    first, second = (b, a) if is_swapped else (a, b)
    refined = _best_alignment(first, second)
    if refined is None:
        return NOTHING_FOUND
    frame = refined.frame(first, second)
    residual = measure(frame)
    to_first = frame.alignment.b_to_a
    b_to_a = invert(to_first) if is_swapped else to_first
    found = _evidence(a, b, b_to_a, frame, residual, b_is_moved=frame.reference_is_a != is_swapped)
    return replace(found, motion_px=refined.motion_px)


def aligned(a: PreparedSide, b: PreparedSide) -> CommonFrame | None:
    """Both pictures on each other, as `compare_images` looks at them; None when no alignment was found."""
    refined = _best_alignment(a, b)
    return None if refined is None else refined.frame(a, b)


@dataclass(slots=True)
class _Best:
    refined: Refined | None = None
    agreement: float = HOPELESS_STRUCTURE

    def offer(self, a: PreparedSide, b: PreparedSide, alignment: Alignment) -> bool:
        """Refine a hypothesis and keep it if it is the best so far; whether it is good enough to stop."""
        refined = refine(a, b, alignment)
        if refined is not None and refined.agreement > self.agreement:
            self.refined, self.agreement = refined, refined.agreement
        return self.agreement >= GOOD_STRUCTURE


def _best_alignment(a: PreparedSide, b: PreparedSide) -> Refined | None:
    best = _Best()
    for alignment in frame_hypotheses(a, b):
        if best.offer(a, b, alignment):
            return best.refined
    for alignment in keypoint_hypotheses(a, b):
        if best.offer(a, b, alignment):
            return best.refined
    if best.refined is None:
        plain = whole_frame_hypothesis(a, b)
        if plain is not None:
            best.offer(a, b, plain)
    return best.refined


def _evidence(
    a: PreparedSide, b: PreparedSide, b_to_a: Doubles, frame: CommonFrame, residual: Residual, *, b_is_moved: bool
) -> Evidence:
    offset, protrusion = _frame_relation(a, b, b_to_a)
    to_a = np.array([[1.0, 0, 0], [0, 1, 0]]) if b_is_moved else b_to_a
    regions, bands, overlay = residual.regions, residual.bands, residual.overlay
    sign = 1 if b_is_moved else -1
    return Evidence(
        method=frame.alignment.method,
        similarity=residual.similarity,
        geometry=_geometry(a, b, b_to_a, frame.alignment.inliers),
        residual_low=residual.low,
        worst_region=regions.areas[0] / residual.area_px if regions.areas else 0.0,
        motion_px=0.0,
        tone_change=residual.tone_change,
        differences=tuple(_box_in_a(box, frame.origin, to_a, a) for box in residual.boxes),
        band_errors=bands.errors,
        band_lows=bands.lows,
        excess=regions.excess,
        bad_share=sum(regions.areas) / residual.area_px,
        error_levels=regions.typical,
        textured_windows=residual.textured_windows,
        compared_px=min(frame.valid.shape),
        frame_offset_px=offset,
        protrusion_px=protrusion,
        band_gains=tuple(g**sign for g in bands.gains),
        usual_excess=regions.usual,
        chroma_gain=residual.chroma_gain**sign,
        overlay_share=overlay.share if overlay else 0.0,
        overlay_is_on_b=overlay is not None and residual.overlay_is_on_moved == b_is_moved,
    )


def _corners(box: BoxPx) -> Doubles:
    left, top, right, bottom = (x - 0.5 for x in box)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _apply(m: Doubles, points: Doubles) -> Doubles:
    return np.asarray(points @ m[:, :2].T + m[:, 2])


def _frame_relation(a: PreparedSide, b: PreparedSide, b_to_a: Doubles) -> tuple[float, float]:
    """Offset of the whole frames' corners and protrusion of the inner content, in px of the coarser small image."""
    scale = float(np.sqrt(abs(np.linalg.det(b_to_a[:, :2]))))
    a_px, b_px = (1.0, scale) if scale <= 1 else (1 / scale, 1.0)  # one px of A, of B, in px of the coarser
    corners_a = _corners(a.boxes[0])
    moved = _apply(b_to_a, _corners(b.boxes[0]))
    offset = float(np.linalg.norm(moved[:, None] - corners_a[None], axis=2).min(axis=1).max()) * a_px
    b_outside_a = _outside(_apply(b_to_a, _corners(b.content_box)), a) * a_px
    a_outside_b = _outside(_apply(invert(b_to_a), _corners(a.content_box)), b) * b_px
    return offset, min(b_outside_a, a_outside_b)


def _outside(points: Doubles, side: PreparedSide) -> float:
    limits = np.array([side.small_width_px - 0.5, side.small_height_px - 0.5])
    return float(max(0.0, (-0.5 - points).max(), (points - limits).max()))


def _geometry(a: PreparedSide, b: PreparedSide, b_to_a: Doubles, inliers: int) -> Geometry:
    linear = b_to_a[:, :2]
    determinant = float(np.linalg.det(linear))
    is_mirrored = determinant < 0
    full_a, full_b = a.width_px / a.small_width_px, b.width_px / b.small_width_px
    moved = _apply(b_to_a, _corners(b.boxes[0])).astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(_corners(a.boxes[0]).astype(np.float32), moved)
    area_a = float(a.small_width_px * a.small_height_px)
    area_b = float(b.small_width_px * b.small_height_px) * abs(determinant)
    return Geometry(
        scale=full_b / (full_a * float(np.sqrt(abs(determinant)))),
        rotation_deg=_turn_deg(-linear[:, 0] if is_mirrored else linear[:, 0], linear[:, 1]),
        is_mirrored=is_mirrored,
        overlap_of_a=float(np.clip(shared / area_a, 0, 1)),
        overlap_of_b=float(np.clip(shared / max(area_b, 1e-9), 0, 1)),
        inliers=inliers,
        corners=tuple((float(x), float(y)) for x, y in (moved + 0.5) / [a.small_width_px, a.small_height_px]),
    )


def _turn_deg(x_axis: Doubles, y_axis: Doubles) -> float:
    """Angle of the rotation nearest to a linear map (its polar part), so that the inverse map turns exactly back."""
    return float(np.degrees(np.arctan2(x_axis[1] - y_axis[0], x_axis[0] + y_axis[1])))


def _box_in_a(box: BoxPx, origin: tuple[int, int], to_a: Doubles, a: PreparedSide) -> Box:
    left, top = origin
    points = _apply(to_a, _corners(box) + np.array([left, top]))
    size = np.array([a.small_width_px, a.small_height_px])
    low: Floats = np.clip((points.min(axis=0) + 0.5) / size, 0, 1)
    high: Floats = np.clip((points.max(axis=0) + 0.5) / size, 0, 1)
    return Box(left=float(low[0]), top=float(low[1]), right=float(high[0]), bottom=float(high[1]))
