"""Two aligned pictures brought to the coarser one's pixels, and the alignment refined there.

Does not judge agreement (`residual` does). Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.alignment import Alignment, affine_of_flow, compose, flow_between, invert, locally_normalised
from dedupd.imaging.prepared_side import BoxPx, Doubles, Floats, PreparedSide

Mask = npt.NDArray[np.bool_]

MIN_OVERLAP_PX = 24  # a shorter overlap cannot be judged (and optical flow needs 12 at half size)
CONVERGED_PX = 0.1  # at the far corner
# Structure agreement before refinement, below which refining has never led to a pair (unrelated: -0.1 ... 0.15).
HOPELESS_GUESS = 0.12  # of frames laid on each other; the few edits below it are found by their keypoints
HOPELESS_MATCH = 0.35  # of matched keypoints; true pairs start at 0.54 or more
STAYS_PX = 0.1  # frames that lie on each other are not moved for less
NO_BETTER = 0.0004  # of agreement: moving a plain copy gains up to 0.0003, a camera's shift of 0.2 px 0.0008 and more
MIN_SEEN = 0.15  # mean texture weight from which motion in a window can be believed
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


@dataclass(frozen=True, slots=True)
class _GreyFrame:
    """As CommonFrame, of lumas: what refining needs."""

    reference: Floats  # [h, w]
    moved: Floats
    valid: Mask
    place: _Place

    @property
    def alignment(self) -> Alignment:
        return self.place.alignment


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the overlap lies and how the finer picture gets there."""

    alignment: Alignment
    reference_is_a: bool
    box: BoxPx  # of the reference's small image
    source_size: tuple[int, int]  # width and height that the finer picture is brought to first
    into_cut: Doubles  # [2, 3], from there into the box


def make_common_frame(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> CommonFrame | None:
    """Warp the finer picture onto the coarser; None when too little overlaps."""
    place = _place(a, b, alignment)
    return None if place is None else _in_colour(a, b, place)


def _in_colour(a: PreparedSide, b: PreparedSide, place: _Place) -> CommonFrame:
    reference, finer = (a, b) if place.reference_is_a else (b, a)
    left, top, right, bottom = place.box
    return CommonFrame(
        reference=reference.small[top:bottom, left:right].astype(np.float32),
        moved=_warped(finer.colour, place),
        valid=_valid(place),
        alignment=place.alignment,
        reference_is_a=place.reference_is_a,
        origin=(left, top),
    )


def _in_grey(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> _GreyFrame | None:
    place = _place(a, b, alignment)
    if place is None:
        return None
    reference, finer = (a, b) if place.reference_is_a else (b, a)
    left, top, right, bottom = place.box
    return _GreyFrame(
        np.ascontiguousarray(reference.luma[top:bottom, left:right]), _warped(finer.luma, place), _valid(place), place
    )


def _place(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> _Place | None:
    reference_is_a = alignment.scale <= 1
    reference, finer = (a, b) if reference_is_a else (b, a)
    to_reference = alignment.b_to_a if reference_is_a else invert(alignment.b_to_a)
    shrink = min(1.0, float(np.sqrt(abs(np.linalg.det(to_reference[:, :2])))))
    width, height = finer.small_width_px, finer.small_height_px
    if shrink < 0.9:
        size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
        fx, fy = size[0] / width, size[1] / height
        width, height = size
        to_reference = compose(to_reference, invert(np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])))
    left, top, right, bottom = box = _cut(to_reference, width, height, reference)
    if right - left < MIN_OVERLAP_PX or bottom - top < MIN_OVERLAP_PX:
        return None
    into_cut = compose(np.array([[1.0, 0, -left], [0, 1, -top]]), to_reference)
    return _Place(alignment, reference_is_a, box, (width, height), into_cut)


def _warped(source: Floats, place: _Place) -> Floats:
    left, top, right, bottom = place.box
    if (source.shape[1], source.shape[0]) != place.source_size:
        source = np.asarray(cv2.resize(source, place.source_size, interpolation=cv2.INTER_AREA), np.float32)
    size = (right - left, bottom - top)
    if size == place.source_size and np.allclose(place.into_cut, [[1, 0, 0], [0, 1, 0]], atol=1e-6):
        return source
    moved = cv2.warpAffine(source, place.into_cut, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(moved, 0, 255, out=moved), np.float32)


def _valid(place: _Place) -> Mask:
    """Where the inverse map lands inside the source, away from its rim."""
    left, top, right, bottom = place.box
    width, height = place.source_size
    inside = np.zeros((bottom - top, right - left), np.uint8)
    rim = EDGE_PX - 0.5
    x0, y0, x1, y1 = rim, rim, width - 1 - rim, height - 1 - rim
    if x1 > x0 and y1 > y0:
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ place.into_cut[:, :2].T + place.into_cut[:, 2]
        cv2.fillConvexPoly(inside, np.round(corners * 16).astype(np.int32), 1, shift=4)
    return inside.view(np.bool_)


def _cut(to_reference: Doubles, width: int, height: int, reference: PreparedSide) -> BoxPx:
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


def _structure_agreement(frame: _GreyFrame) -> float:
    """Correlation of the locally normalised lumas, -1 … 1: whether an alignment makes sense at all."""
    # At half size: noise and compression say nothing about whether the pictures lie on each other.
    half = frame.valid[::2, ::2]
    first, second = _half_normalised(frame.reference, half), _half_normalised(frame.moved, half)
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else 0.0


def _half_normalised(luma: Floats, valid: Mask) -> Floats:
    return locally_normalised(np.asarray(cv2.pyrDown(luma), np.float32))[valid].astype(np.float32) - 128


def grey(colour: Floats) -> Floats:
    """float32 [h, w] luma of float32 [h, w, 3]."""
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.float32)


@dataclass(frozen=True, slots=True)
class _Flow:
    """Optical flow between two pictures, and its affine part where that was taken out."""

    flow: Floats  # [h, w, 2]
    weight: Floats  # [h, w], 0 … 1
    affine: Doubles  # [2, 3]
    px: float  # length of its px in those of the common frame

    def remaining_px(self) -> float:
        height, width = self.weight.shape
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        m = self.affine.astype(np.float32)
        du = self.flow[..., 0] - ((m[0, 0] - 1) * x + (m[0, 1] * y + m[0, 2]))
        dv = self.flow[..., 1] - (m[1, 0] * x + ((m[1, 1] - 1) * y + m[1, 2]))
        side = int(np.clip(min(height, width) // 16, 3, 9)) | 1
        total = cv2.blur(self.weight, (side, side)) + np.float32(1e-6)
        seen = total > MIN_SEEN
        if not seen.any():
            return 0.0
        du, dv = (np.asarray(cv2.blur(d * self.weight, (side, side)) / total)[seen] for d in (du, dv))
        return self.px * float(np.percentile(np.hypot(du, dv), 95))


@dataclass(frozen=True, slots=True)
class Refined:
    """An alignment that was corrected, and how well the structures of the pictures agree then."""

    alignment: Alignment
    agreement: float  # -1 … 1
    _place: _Place
    _flow: _Flow | None

    @property
    def motion_px(self) -> float:
        """95th percentile of the motion that the alignment leaves, averaged in windows where it can be seen, px."""
        return 0.0 if self._flow is None else self._flow.remaining_px()

    def frame(self, a: PreparedSide, b: PreparedSide) -> CommonFrame:
        """Both pictures, in colour."""
        return _in_colour(a, b, self._place)


def refine(a: PreparedSide, b: PreparedSide, alignment: Alignment) -> Refined | None:
    """The alignment corrected by the affine part of the remaining optical flow.

    None when the pictures agree so little where they start that following the flow would be in vain.

    Whole frames stay exactly on each other unless moving them makes them agree better: optical flow follows the
    compression of a poor copy by a few tenths of a pixel, and a camera that moved as little shows in the agreement.
    """
    start = _in_grey(a, b, alignment)
    if start is None:
        return None
    agreement = _structure_agreement(start)
    if agreement < (HOPELESS_GUESS if alignment.method == "dense" else HOPELESS_MATCH):
        return None
    frame, flow = _follow_flow(a, b, start)
    if frame is None:
        return None
    if frame is start:
        return Refined(alignment, agreement, start.place, flow)
    after = _structure_agreement(frame)
    if alignment.is_frame_on_frame and agreement >= after - NO_BETTER:
        return Refined(alignment, agreement, start.place, flow)
    return Refined(frame.alignment, after, frame.place, flow)


def _follow_flow(a: PreparedSide, b: PreparedSide, start: _GreyFrame) -> tuple[_GreyFrame | None, _Flow | None]:
    frame: _GreyFrame | None = start
    seen: _Flow | None = None
    for is_coarse in (True, False, False):
        if frame is None:
            return None, None
        field, weight = (half_size_flow if is_coarse else weighted_flow)(frame.reference, frame.moved, frame.valid)
        correction = affine_of_flow(field, weight)
        if correction is None:
            return frame, seen
        seen = _Flow(field, weight, correction.copy(), 2.0 if is_coarse else 1.0)
        if is_coarse:
            correction[:, 2] *= 2  # from half-size px; pyrDown keeps pixel 0 at pixel 0
        better = _corrected(frame, correction)
        if not 0.05 < better.scale < 20:
            return frame, seen
        step = correction - np.array([[1.0, 0, 0], [0, 1, 0]])
        size = frame.valid.shape
        moved_px = float((abs(step[:, :2]) @ [size[1], size[0]] + abs(step[:, 2])).max())
        if frame.alignment.is_frame_on_frame and moved_px < STAYS_PX:
            return frame, seen
        frame = _in_grey(a, b, better)
        if moved_px < CONVERGED_PX:
            break
    return frame, seen


def _corrected(frame: _GreyFrame, correction: Doubles) -> Alignment:
    """Put a map that was found in the cut frame (reference x ↔ moved at correction(x)) into the alignment."""
    left, top, _, _ = frame.place.box
    shift = np.array([[1.0, 0, left], [0, 1, top]])
    in_reference = compose(shift, compose(correction, invert(shift)))
    old = frame.alignment.b_to_a
    # Reference A: A at x shows B at old⁻¹(correction(x)). Reference B: B at x shows A at old(correction(x)).
    new = compose(invert(in_reference), old) if frame.place.reference_is_a else compose(old, in_reference)
    return replace(frame.alignment, b_to_a=new, is_frame_on_frame=False)
