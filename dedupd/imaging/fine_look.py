"""A third look, at the full pictures, for what small images cannot show: a changed digit, noise of another exposure.

Starts from the alignment of the small images. Decides nothing (`core.relation` does), keeps no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.core.records import Box, Evidence
from dedupd.imaging.alignment import Alignment, compose, invert
from dedupd.imaging.common_frame import CommonFrame, make_common_frame, refine
from dedupd.imaging.evidence import aligned
from dedupd.imaging.grain import grain_correlation
from dedupd.imaging.prepared_side import BoxPx, Doubles, PreparedSide
from dedupd.imaging.residual import measure_locally

MAX_SIDE_PX = 1200  # long side of the shared part when local change is looked for: 13 MB as floats
SAME_NOISE = 0.3  # correlation of grain from which two frames lie well enough as they do


def look_closely(a: PreparedSide, full_a: Pixels, b: PreparedSide, full_b: Pixels, evidence: Evidence) -> Evidence:
    """Compare two full pictures. Swapping a and b gives the same evidence seen from the other side.

    Args:
        a: the small image, made ready.
        full_a: the full picture, uint8 [h, w, 3], upright.
        b: the other's small image.
        full_b: the other.
        evidence: what `compare_images(a, b)` found.

    Returns:
        The evidence with `fine_px` and the other `fine_…` fields. Where the full pictures disagree by
        more than compression explains, `excess`, `worst_region` and `differences` are theirs. Unchanged where the
        pictures cannot be laid on each other.
    """
    is_swapped = a.order_key > b.order_key
    first, second = ((b, full_b), (a, full_a)) if is_swapped else ((a, full_a), (b, full_b))
    start = _start(*first, *second)
    if start is None:
        return evidence
    found = evidence
    for frame in start.frames():
        found = _seen(start.placed(frame), first[1], second[1], evidence, a_is_second=is_swapped)
        noise = found.fine_noise_correlation
        if found.differences == evidence.differences and (noise is None or noise >= SAME_NOISE):
            break  # aligning them better could only find less
    return found


def _seen(
    placed: _Placed, full_first: Pixels, full_second: Pixels, evidence: Evidence, *, a_is_second: bool
) -> Evidence:
    residual = measure_locally(placed.frame)
    found = replace(
        evidence,
        fine_px=min(placed.frame.valid.shape),
        fine_errors=residual.bands.errors,
        fine_foreign=residual.bands.foreign,
        fine_noise_correlation=grain_correlation(full_first, full_second, placed.second_to_first),
    )
    regions = residual.regions
    # Added text that small images explained is no finding: its strokes are too thick here to be known as text.
    if not regions.areas or evidence.overlay_share > 0:
        return found
    full_a, to_a = (full_second, placed.to_second) if a_is_second else (full_first, placed.to_first)
    return replace(
        found,
        excess=max(evidence.excess, regions.excess),
        usual_excess=regions.usual if regions.excess > evidence.excess else evidence.usual_excess,
        worst_region=max(evidence.worst_region, regions.areas[0] / residual.area_px),
        differences=tuple(_box_in(box, to_a, full_a) for box in residual.boxes),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is shared of one full picture, brought to the common resolution."""

    side: PreparedSide
    from_full: Doubles  # [2, 3], from the full picture's pixels
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Placed:
    """Two full pictures laid on each other."""

    frame: CommonFrame
    second_to_first: Doubles  # [2, 3], full pixels
    to_first: Doubles  # [2, 3], the frame's pixels to the first picture's full pixels
    to_second: Doubles


@dataclass(frozen=True, slots=True)
class _Start:
    """The shared parts of two full pictures, and how the small images say that they lie."""

    x: _Part
    y: _Part
    alignment: Alignment

    def frames(self) -> Iterator[CommonFrame]:
        """Both as they lie, where they are whole frames, as most copies are; then aligned anew."""
        if self.alignment.is_frame_on_frame:
            frame = make_common_frame(self.x.side, self.y.side, self.alignment)
            if frame is not None:
                yield frame
        refined = refine(self.x.side, self.y.side, self.alignment)
        if refined is not None:
            yield refined.frame(self.x.side, self.y.side)

    def placed(self, frame: CommonFrame) -> _Placed:
        """The frame with its maps to the full pictures."""
        to_x, to_y = invert(self.x.from_full), invert(self.y.from_full)
        second_to_first = compose(to_x, compose(frame.alignment.b_to_a, self.y.from_full))
        left, top = frame.origin
        cut = np.array([[1.0, 0, left], [0, 1, top]])
        if frame.reference_is_a:
            to_first = compose(to_x, cut)
            return _Placed(frame, second_to_first, to_first, compose(invert(second_to_first), to_first))
        to_second = compose(to_y, cut)
        return _Placed(frame, second_to_first, compose(second_to_first, to_second), to_second)


def _start(first: PreparedSide, full_first: Pixels, second: PreparedSide, full_second: Pixels) -> _Start | None:
    """Cut two full pictures to what they share; None where that is too little, or nothing agrees."""
    small = aligned(first, second)
    if small is None:
        return None
    guess = compose(
        invert(_to_small(first, full_first)), compose(small.alignment.b_to_a, _to_small(second, full_second))
    )
    scale = _scale(guess)  # the first picture's pixels for one of the second's
    box_first, box_second = _shared(full_first, full_second, guess), _shared(full_second, full_first, invert(guess))
    longest = max(_long_side(box_first) * min(1.0, 1 / scale), _long_side(box_second) * min(1.0, scale), 1.0)
    bound = min(1.0, MAX_SIDE_PX / longest)
    x = _part(full_first, box_first, bound * min(1.0, 1 / scale))
    y = _part(full_second, box_second, bound * min(1.0, scale))
    if x is None or y is None:
        return None
    alignment = replace(
        small.alignment,
        b_to_a=compose(x.from_full, compose(guess, invert(y.from_full))),
        is_frame_on_frame=small.alignment.is_frame_on_frame and x.is_whole and y.is_whole,
    )
    return _Start(x, y, alignment)


def _scale(m: Doubles) -> float:
    return float(np.sqrt(abs(np.linalg.det(m[:, :2]))))


def _resizing(fx: float, fy: float) -> Doubles:
    """The map of pixel centres when a picture is resized."""
    return np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])


def _to_small(side: PreparedSide, full: Pixels) -> Doubles:
    return _resizing(side.small_width_px / full.shape[1], side.small_height_px / full.shape[0])


def _shared(full: Pixels, other: Pixels, other_to_full: Doubles) -> BoxPx:
    """The rectangle of a picture that the other one covers."""
    height, width = other.shape[:2]
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    moved = corners @ other_to_full[:, :2].T + other_to_full[:, 2] + 0.5
    left, top = (max(0, int(v)) for v in np.floor(moved.min(axis=0) + 0.01))
    right, bottom = (int(v) for v in np.ceil(moved.max(axis=0) - 0.01))
    return left, top, min(full.shape[1], right), min(full.shape[0], bottom)


def _long_side(box: BoxPx) -> int:
    left, top, right, bottom = box
    return max(right - left, bottom - top)


def _part(full: Pixels, box: BoxPx, scale: float) -> _Part | None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if min(width, height) < 1:
        return None
    cut, from_full = full[top:bottom, left:right], np.array([[1.0, 0, -left], [0, 1, -top]])
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    while 2 * size[0] <= width and 2 * size[1] <= height:  # halving is ten times as fast as any other reduction
        width, height = width // 2, height // 2
        cut = np.asarray(cv2.resize(cut[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))
        from_full = compose(_resizing(0.5, 0.5), from_full)
    if size != (width, height):
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA))
        from_full = compose(_resizing(size[0] / width, size[1] / height), from_full)
    return _Part(
        PreparedSide(cut, full.shape[1], full.shape[0]), from_full, box == (0, 0, full.shape[1], full.shape[0])
    )


def _box_in(box: BoxPx, to_full: Doubles, full: Pixels) -> Box:
    """A box of the frame, in fractions of a full picture."""
    left, top, right, bottom = (edge - 0.5 for edge in box)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    moved = corners @ to_full[:, :2].T + to_full[:, 2] + 0.5
    size = np.array([full.shape[1], full.shape[0]])
    low, high = np.clip(moved.min(axis=0) / size, 0, 1), np.clip(moved.max(axis=0) / size, 0, 1)
    return Box(left=float(low[0]), top=float(low[1]), right=float(high[0]), bottom=float(high[1]))
