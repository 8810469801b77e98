"""One picture made ready to be compared: its small image and what comparing derives from it, computed once.

Does not compare and decides nothing. A worker owns its prepared sides; they are not shared between threads.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

BLOCK_SIDE_PX = 24  # side of the grey block that whole frames are correlated by
MAX_KEYPOINTS = 500  # enough for a third of a frame to keep ~50 (measured on crops and screenshots)
DETECT_SIDE_PX = 288  # long side at which keypoints are looked for: half the cost of 384, and refining follows anyway
MIN_DETECT_SIDE_PX = 200  # smaller pictures are enlarged before keypoints are looked for
GLANCE_SIDE_PX = 144  # long side at which keypoints are looked for at a glance: a third of the cost of 288
MAX_GLANCE_KEYPOINTS = 128  # a picture has about a hundred at that size
MAX_ENLARGED = 8.0  # times, before keypoints are looked for
MAX_TRIM = 0.42  # never take more than this share off one side (notes: pillar boxes of portrait screenshots)
FLAT_RANGE_LEVELS = 25  # a line this even, 0 … 255, may be border
SAME_BORDER_LEVELS = 10  # and within this of the outermost line
_FIRST_LINES = 4

BoxPx = tuple[int, int, int, int]  # left, top, right, bottom in small-image pixels, right and bottom exclusive


@dataclass(frozen=True, slots=True)
class Keypoints:
    """SIFT keypoints of one picture."""

    points: Floats  # [n, 2], small-image pixels
    descriptors: Floats  # [n, 128], RootSIFT, unit length


def is_tiny(small_width_px: int, small_height_px: int) -> bool:
    """Whether a small image is smaller than a glance looks at it."""
    return max(small_width_px, small_height_px) < GLANCE_SIDE_PX


class PreparedSide:
    """A small image with lazily derived features.

    Args:
        small: RGB, orientation applied, long side ≤ 384.
        width_px: width of the full picture.
        height_px: height of the full picture.
    """

    def __init__(self, small: Pixels, width_px: int, height_px: int) -> None:
        self.small = np.ascontiguousarray(small)
        self.width_px = width_px
        self.height_px = height_px

    @property
    def small_width_px(self) -> int:
        return int(self.small.shape[1])

    @property
    def small_height_px(self) -> int:
        return int(self.small.shape[0])

    @cached_property
    def order_key(self) -> tuple[int, int, int]:
        """Orders the two sides of a pair, so that comparing does not depend on who is called A."""
        return (self.width_px * self.height_px, self.width_px, zlib.crc32(self.small.tobytes()))

    @cached_property
    def colour(self) -> Floats:
        """float32 [h, w, 3], 0 … 255."""
        return self.small.astype(np.float32)

    @cached_property
    def luma(self) -> Floats:
        """float32 [h, w], 0 … 255, Rec. 601 weights as JPEG uses them."""
        return np.asarray(cv2.cvtColor(self.colour, cv2.COLOR_RGB2GRAY), dtype=np.float32)

    @cached_property
    def boxes(self) -> tuple[BoxPx, ...]:
        """The whole frame, then without its even border, then trimmed tolerating text; only those that differ."""
        whole = (0, 0, self.small_width_px, self.small_height_px)
        found = [whole]
        for box in (self.content_box, _trim(self.luma, 0.25)):
            if all(_differs(box, other) for other in found):
                found.append(box)
        return tuple(found)

    @cached_property
    def content_box(self) -> BoxPx:
        """The frame without its even border; lines with anything on them are content, be it a few stars."""
        return _trim(self.luma, 0.0)

    @cached_property
    def blocks(self) -> Floats:
        """float32 [boxes, 24 * 24]: each box squashed to a square, mean removed, unit length (zero when flat)."""
        rows = []
        for left, top, right, bottom in self.boxes:
            part = self.luma[top:bottom, left:right]
            block = cv2.resize(part, (BLOCK_SIDE_PX, BLOCK_SIDE_PX), interpolation=cv2.INTER_AREA)
            rows.append(_unit(block))
        return np.stack(rows)

    @cached_property
    def keypoints(self) -> Keypoints:
        """SIFT keypoints, for laying one picture on another."""
        height, width = self.luma.shape
        factor = 1.0
        while min(height, width) * factor < MIN_DETECT_SIDE_PX and max(height, width) * factor < DETECT_SIDE_PX:
            factor *= 2
        factor = min(factor, max(DETECT_SIDE_PX / max(height, width), MIN_DETECT_SIDE_PX / min(height, width)))
        return _detected(self.luma, min(factor, MAX_ENLARGED), MAX_KEYPOINTS)

    @cached_property
    def glance(self) -> Keypoints:
        """The coarser of them, for telling cheaply that two pictures have nothing in common."""
        return _detected(self.luma, min(GLANCE_SIDE_PX / max(self.luma.shape), MAX_ENLARGED), MAX_GLANCE_KEYPOINTS)


def _detected(luma: Floats, factor: float, most: int) -> Keypoints:
    """SIFT keypoints of the scaled picture, in the pixels of the unscaled one.

    RootSIFT (Arandjelović and Zisserman, 2012).
    """
    grey = luma.astype(np.uint8)
    full_height, full_width = height, width = grey.shape
    if factor != 1:
        width, height = max(1, round(width * factor)), max(1, round(height * factor))
        way = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        grey = np.asarray(cv2.resize(grey, (width, height), interpolation=way))
    sift = cv2.SIFT.create(nfeatures=most, contrastThreshold=0.02, enable_precise_upscale=True)
    found, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None or not len(found):
        return Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    scale = np.array([full_width / width, full_height / height], np.float32)
    places = np.asarray(cv2.KeyPoint.convert(found), np.float32)
    points = (places + np.float32(0.5)) * scale - np.float32(0.5)
    sums = np.maximum(np.abs(descriptors).sum(axis=1, keepdims=True), 1e-6)
    return Keypoints(points.astype(np.float32), np.sqrt(descriptors / sums).astype(np.float32))


def _unit(block: npt.NDArray[np.generic]) -> Floats:
    flat = np.asarray(block, np.float32).ravel()
    flat = flat - flat.mean()
    norm = float(np.linalg.norm(flat))
    # Below ~0.5 levels of contrast what is left is rounding: such a block resembles nothing.
    return flat / norm if norm > 0.5 * BLOCK_SIDE_PX else np.zeros_like(flat)


def _differs(box: BoxPx, other: BoxPx) -> bool:
    return max(abs(x - y) for x, y in zip(box, other, strict=True)) > 1


def _trim(luma: Floats, tolerated: float) -> BoxPx:
    """Take even lines off all four sides, twice, because a pillar box can hide a letter box.

    Args:
        luma: float32 [h, w].
        tolerated: share of a line's pixels that may be something else (text on the border).
    """
    left, top, right, bottom = 0, 0, luma.shape[1], luma.shape[0]
    for _ in range(2):
        before = (left, top, right, bottom)
        part = luma[top:bottom, left:right]
        upper, lower = _even_lines(part, tolerated), _even_lines(part[::-1], tolerated)
        if part.shape[0] - upper - lower >= (1 - 2 * MAX_TRIM) * part.shape[0]:
            top, bottom = top + upper, bottom - lower
        part = luma[top:bottom, left:right].T
        first, last = _even_lines(part, tolerated), _even_lines(part[::-1], tolerated)
        if part.shape[0] - first - last >= (1 - 2 * MAX_TRIM) * part.shape[0]:
            left, right = left + first, right - last
        if before == (left, top, right, bottom):
            break  # nothing else would come of a second look
    return (left, top, right, bottom)


def _even_lines(lines: Floats, tolerated: float) -> int:
    """How many first rows are border: even, and like the first row."""
    limit = int(len(lines) * MAX_TRIM)
    if limit < 1:
        return 0
    border = _median(lines[0])
    if not _is_border(lines[:1], border, tolerated)[0]:
        return 0  # as for most photographs
    first, count = 1, _FIRST_LINES
    while first < limit:
        part = lines[first : min(first + count, limit)]
        stops = np.flatnonzero(~_is_border(part, border, tolerated))
        if len(stops):
            return first + int(stops[0])
        first, count = first + count, 2 * count
    return limit


def _median(line: Floats) -> float:
    """As `np.median` gives it, at a tenth of the cost."""
    ordered = np.sort(line)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else float((ordered[middle - 1] + ordered[middle]) / 2)


def _is_border(lines: Floats, border: float, tolerated: float) -> npt.NDArray[np.bool_]:
    away = np.abs(lines - border)
    if tolerated:
        return np.asarray(np.count_nonzero(away > SAME_BORDER_LEVELS, axis=1) / lines.shape[1] <= tolerated)
    return np.asarray((np.ptp(lines, axis=1) <= FLAT_RANGE_LEVELS) & (away.mean(axis=1) <= SAME_BORDER_LEVELS))
