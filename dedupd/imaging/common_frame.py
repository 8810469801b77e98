"""Two aligned pictures brought to the coarser one's pixels, and the alignment refined there.

Does not judge agreement (`residual` does). Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.alignment import Alignment, affine_of_flow, compose, flow_between, invert, locally_normalised
from dedupd.imaging.prepared_side import Doubles, Floats, PreparedSide

Mask = npt.NDArray[np.bool_]

MIN_OVERLAP_PX = 24  # a shorter overlap cannot be judged (and optical flow needs 12 at half size)
CONVERGED_PX = 0.1  # at the far corner
# Structure agreement before refinement, below which refining has never led to a pair (unrelated: -0.1 ... 0.15).
HOPELESS_GUESS = 0.12  # of frames laid on each other; the few edits below it are found by their keypoints
HOPELESS_MATCH = 0.35  # of matched keypoints; true pairs start at 0.54 or more
STAYS_PX = 0.1  # frames that lie on each other are not moved for less
NO_BETTER = 0.0004  # of agreement: moving a plain copy gains up to 0.0003, a camera's shift of 0.2 px 0.0008 and more
EDGE_PX = 2.5  # warping and resampling smear the rim of a picture


@dataclass(frozen=True, slots=True)
class CommonFrame:
    """Both pictures in the pixels of the one whose content is the coarser, cut to their overlap."""

    reference: Floats  # [h, w, 3], 0 … 255: the coarser picture
    moved: Floats  # [h, w, 3]: the finer one, low-passed and warped
    valid: Mask  # [h, w], True where both have pixels
    alignment: Alignment
    reference_is_a: bool
    origin: tuple[int, int]  # left, top of this cut in the reference's small image


def make_common_frame(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> CommonFrame | None:
    """Warp the finer picture onto the coarser; None when too little overlaps."""
    reference_is_a = alignment.scale <= 1
    reference, finer = (a, b) if reference_is_a else (b, a)
    to_reference = alignment.b_to_a if reference_is_a else invert(alignment.b_to_a)
    shrink = min(1.0, float(np.sqrt(abs(np.linalg.det(to_reference[:, :2])))))
    source = finer.colour
    if shrink < 0.9:
        size = (max(2, round(source.shape[1] * shrink)), max(2, round(source.shape[0] * shrink)))
        fx, fy = size[0] / source.shape[1], size[1] / source.shape[0]
        source = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA), np.float32)
        to_reference = compose(to_reference, invert(np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])))
    left, top, right, bottom = _cut(to_reference, source.shape[1], source.shape[0], reference)
    if right - left < MIN_OVERLAP_PX or bottom - top < MIN_OVERLAP_PX:
        return None
    into_cut = compose(np.array([[1.0, 0, -left], [0, 1, -top]]), to_reference)
    size = (right - left, bottom - top)
    moved = cv2.warpAffine(source, into_cut, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return CommonFrame(
        reference=np.ascontiguousarray(reference.colour[top:bottom, left:right]),
        moved=np.clip(moved, 0, 255).astype(np.float32),
        valid=_inside(invert(into_cut), size, source.shape[1], source.shape[0]),
        alignment=alignment,
        reference_is_a=reference_is_a,
        origin=(left, top),
    )


def _cut(to_reference: Doubles, width: int, height: int, reference: PreparedSide) -> tuple[int, int, int, int]:
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    moved = corners @ to_reference[:, :2].T + to_reference[:, 2]
    left, top = np.floor(moved.min(axis=0) + 0.5)
    right, bottom = np.ceil(moved.max(axis=0) + 0.5)
    return (
        max(0, int(left)),
        max(0, int(top)),
        min(reference.small_width_px, int(right)),
        min(reference.small_height_px, int(bottom)),
    )


def _inside(to_source: Doubles, size: tuple[int, int], width: int, height: int) -> Mask:
    """Where the inverse map lands inside the source, away from its rim."""
    xs, ys = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    m = to_source.astype(np.float32)
    u, v = m[0, 0] * xs + m[0, 1] * ys + m[0, 2], m[1, 0] * xs + m[1, 1] * ys + m[1, 2]
    rim = EDGE_PX - 0.5
    inside = (u >= rim) & (v >= rim) & (u <= width - 1 - rim) & (v <= height - 1 - rim)
    return np.asarray(inside, np.bool_)


def half_size_flow(x: Floats, y: Floats, valid: Mask) -> tuple[Floats, Floats]:
    """Optical flow from x to y at half size and how well it can be seen.

    Half size costs a quarter and hides noise.

    Returns:
        Flow, float32 [h/2, w/2, 2], in half-size px, and its weight, float32 [h/2, w/2], 0 … 1.
    """
    half_x, half_y = np.asarray(cv2.pyrDown(x), np.float32), np.asarray(cv2.pyrDown(y), np.float32)
    return weighted_flow(half_x, half_y, valid[::2, ::2])


def weighted_flow(x: Floats, y: Floats, valid: Mask) -> tuple[Floats, Floats]:
    """Optical flow from x to y, px, and how well it can be seen, 0 … 1."""
    return flow_between(x, y), _texture_weight(x, valid)


def _texture_weight(luma: Floats, valid: Mask) -> Floats:
    """How well motion can be seen at a place: gradient energy in its weaker direction, 0 … 1."""
    gx, gy = cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125)
    xx, yy, xy = (cv2.blur(p, (7, 7)) for p in (gx * gx, gy * gy, gx * gy))
    weaker = 0.5 * (xx + yy - np.sqrt((xx - yy) ** 2 + 4 * xy * xy))  # smaller eigenvalue of the structure tensor
    weight = weaker / (weaker + 1.0)  # 1.0: gradients of 1 level a px are what compression leaves in a preview
    return np.where(valid, weight, 0).astype(np.float32)


def structure_agreement(frame: CommonFrame) -> float:
    """Correlation of the locally normalised lumas, -1 … 1: whether an alignment makes sense at all."""
    # At half size: noise and compression say nothing about whether the pictures lie on each other.
    half = frame.valid[::2, ::2]
    first = _half_normalised(frame.reference)[: half.shape[0], : half.shape[1]][half]
    second = _half_normalised(frame.moved)[: half.shape[0], : half.shape[1]][half]
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else 0.0


def _half_normalised(colour: Floats) -> Floats:
    return locally_normalised(np.asarray(cv2.pyrDown(grey(colour)), np.float32)).astype(np.float32) - 128


def grey(colour: Floats) -> Floats:
    """float32 [h, w] luma of float32 [h, w, 3]."""
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.float32)


def refine(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> CommonFrame | None:
    """The common frame after the alignment was corrected by the affine part of the remaining optical flow.

    None when the pictures agree so little where they start that following the flow would be in vain.

    Whole frames stay exactly on each other unless moving them makes them agree better: optical flow follows the
    compression of a poor copy by a few tenths of a pixel, and a camera that moved as little shows in the agreement.
    """
    start = make_common_frame(a, b, alignment)
    if start is None:
        return None
    agreement = structure_agreement(start)
    if agreement < (HOPELESS_GUESS if alignment.method == "dense" else HOPELESS_MATCH):
        return None
    frame = _follow_flow(a, b, start)
    if frame is None or frame is start or not alignment.is_frame_on_frame:
        return frame
    return start if agreement >= structure_agreement(frame) - NO_BETTER else frame


def _follow_flow(a: PreparedSide, b: PreparedSide, start: CommonFrame) -> CommonFrame | None:
    frame: CommonFrame | None = start
    for is_coarse in (True, False, False):
        if frame is None:
            return None
        reference, moved = grey(frame.reference), grey(frame.moved)
        if is_coarse:
            correction = affine_of_flow(*half_size_flow(reference, moved, frame.valid))
        else:
            correction = affine_of_flow(*weighted_flow(reference, moved, frame.valid))
        if correction is None:
            return frame
        if is_coarse:
            correction[:, 2] *= 2  # from half-size px; pyrDown keeps pixel 0 at pixel 0
        better = _corrected(frame, correction)
        if not 0.05 < better.scale < 20:
            return frame
        step = correction - np.array([[1.0, 0, 0], [0, 1, 0]])
        size = frame.valid.shape
        moved_px = float((abs(step[:, :2]) @ [size[1], size[0]] + abs(step[:, 2])).max())
        if frame.alignment.is_frame_on_frame and moved_px < STAYS_PX:
            return frame
        frame = make_common_frame(a, b, better)
        if moved_px < CONVERGED_PX:
            break
    return frame


def _corrected(frame: CommonFrame, correction: Doubles) -> Alignment:
    """Put a map that was found in the cut frame (reference x ↔ moved at correction(x)) into the alignment."""
    left, top = frame.origin
    shift = np.array([[1.0, 0, left], [0, 1, top]])
    in_reference = compose(shift, compose(correction, invert(shift)))
    old = frame.alignment.b_to_a
    # Reference A: A at x shows B at old⁻¹(correction(x)). Reference B: B at x shows A at old(correction(x)).
    new = compose(invert(in_reference), old) if frame.reference_is_a else compose(old, in_reference)
    return replace(frame.alignment, b_to_a=new, is_frame_on_frame=False)
