"""Estimates how good and how telling a picture is, from its small image, its decoded pixels and what a JPEG says.

The figures rank pictures and mark those that say nothing; they decide nothing by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels
from dedupd.core.records import Quality
from dedupd.imaging.jpeg_traces import earlier_quality, table_at

Luma = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Lines = np.ndarray[tuple[int, ...], np.dtype[Any]]

_CELL_PX = 8  # of the halved luma: 16 px of the small image
_TEXTURED_STD = 4.0  # grey levels within a cell after halving; sensor noise stays under 3, a sky's gradient under 2
_TELLING_SHARE = 0.05  # of the picture; texture in less of it counts in proportion (a dot on a page)

# A line is border if it is flat and close to the outermost line (measured on letterboxed copies, matching notes).
_FRAME_RANGE = 25  # of 255, over the channels of a line
_FRAME_DISTANCE = 10

_CALM_QUARTER = 25  # percentile of the cells' noise: where there is little else
_NOISE_KERNEL = np.array([1, -2, 1], np.float32)  # down and across: Immerkær 1996 …
_NOISE_GAIN = 6.0  # … makes this of a deviation of 1
_DRAWN_RANGE = 1  # grey levels within a cell; a camera's noise and JPEG leave more, a program's background less
_CLIPPED_LOW, _CLIPPED_HIGH = 1, 254
_LEAST_DETAIL = 0.5  # grey levels; below it is rounding

# What a JPEG of each quality takes against one of quality 75, as a logarithm: the mean of twelve camera photos scaled
# down sixfold, saved with libjpeg at 4:2:0; their standard deviation is 0.08 at quality 90.
_QUALITIES = (10, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92, 95, 97, 100)
_LOG_SIZES = (-1.4, -0.65, -0.50, -0.36, -0.25, -0.09, 0.0, 0.12, 0.27, 0.49, 0.59, 0.88, 1.13, 1.6)
_DETAIL_QUALITY = 75
_HEADER_BYTES = 330  # of a grey JPEG
_COLOUR = 1.15  # times as many bytes as for brightness alone
_FULL_CHROMA = 1.2  # times as many bytes as at 4:2:0; from the same photos, 1.05 … 1.29


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedJpeg:
    """What a JPEG file says of itself."""

    quantization: Mapping[int, Sequence[int]]  # its tables by number
    coded_bytes: int | None  # of its picture, without metadata and what is appended; None where it breaks off
    has_full_chroma: bool  # brightness and colour at the same resolution


def measure(small: Pixels, middle: Pixels | None, coded: CodedJpeg | None, pixels: int) -> Quality:
    """Estimate a picture's quality.

    Args:
        small: the small image.
        middle: the decoded pixels before they were made small, from the corner of an 8 px block on; the whole picture
            or a good part of it. None: they were scaled while decoding.
        coded: what a JPEG says of itself, None for other formats.
        pixels: how many the whole picture has.
    """
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    quality = jpeg_quality(coded.quantization) if coded else None
    luma = None if middle is None else cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    from_pixels = None if luma is None or min(luma.shape) < 2 * _CELL_PX else _pixel_bytes(luma, pixels)
    from_file = _coded_bytes(coded, quality) if coded else None
    return Quality(
        sharpness=_spread(cv2.Laplacian(grey, cv2.CV_16S, ksize=1)) ** 2,
        information=information(grey),
        jpeg_quality=quality,
        frame_share=frame_share(small),
        detail_bytes=round(from_pixels or from_file or 0),
        fullness=from_file / from_pixels if from_file and from_pixels else 1.0,
        earlier_jpeg_quality=None if luma is None else earlier_quality(luma, quality),
        has_full_chroma=coded is not None and coded.has_full_chroma,
        fine_colour=0.0 if middle is None else fine_colour(middle),
        crispness=None if luma is None else crispness(luma),
        noise=noise(grey),
        clipped_share=clipped_share(small),
        drawn_share=drawn_share(grey),
        colour=colour(small),
    )


def _pixel_bytes(luma: Luma, pixels: int) -> float:
    """What a JPEG of quality 75 would take that is made of these pixels."""
    # Off the grid of any compression so far, which would make it smaller than its detail deserves.
    moved = luma[_CELL_PX // 2 :, _CELL_PX // 2 :]
    _, saved = cv2.imencode(".jpg", moved, (cv2.IMWRITE_JPEG_QUALITY, _DETAIL_QUALITY))
    return max(1, saved.size - _HEADER_BYTES) * _COLOUR * pixels / moved.size


def _coded_bytes(coded: CodedJpeg, quality: int | None) -> float | None:
    """What a JPEG's own data would take at quality 75, were they a first save."""
    if coded.coded_bytes is None or quality is None:
        return None
    size = coded.coded_bytes * math.exp(-float(np.interp(quality, _QUALITIES, _LOG_SIZES)))
    return size / _FULL_CHROMA if coded.has_full_chroma else size


def fine_colour(pixels: Pixels) -> float:
    """Mean square of the Laplacian of red minus blue, grey levels²: what each further JPEG smoothes away.

    At 4:2:0 colour is halved and enlarged again with every compression, whatever the quality.
    """
    difference = cv2.subtract(pixels[:, :, 0], pixels[:, :, 2], dtype=cv2.CV_16S)
    return cv2.norm(cv2.Laplacian(difference, cv2.CV_16S, ksize=1), cv2.NORM_L2SQR) / difference.size


def crispness(luma: Luma) -> float | None:
    """Logarithm of the finest detail over that of the picture at half its size; None where there is none.

    About -0.2 for a photo at its own resolution (from -0.7 to 0.4), -0.9 for one that was enlarged twofold, and lower
    after a blur.
    """
    height, width = luma.shape[0] // 2, luma.shape[1] // 2
    if height < _CELL_PX or width < _CELL_PX:
        return None
    half = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    spreads = [_spread(cv2.Laplacian(at, cv2.CV_16S, ksize=1)) for at in (luma, half)]
    return math.log(spreads[0] / spreads[1]) if min(spreads) > _LEAST_DETAIL else None


def noise(luma: Luma) -> float:
    """Standard deviation of the noise in the calmest quarter of the picture, grey levels."""
    rows, columns = luma.shape[0] // _CELL_PX, luma.shape[1] // _CELL_PX
    if not rows or not columns:
        return 0.0
    # Whole numbers: exact, and a quarter of the time that a filter of floats takes.
    whole = cv2.sepFilter2D(luma, cv2.CV_16S, _NOISE_KERNEL, _NOISE_KERNEL)
    fine = whole[: rows * _CELL_PX, : columns * _CELL_PX].astype(np.float32)
    power = cv2.resize(fine * fine, (columns, rows), interpolation=cv2.INTER_AREA)
    return float(np.sqrt(np.percentile(power, _CALM_QUARTER))) / _NOISE_GAIN


def _spread(values: npt.NDArray[Any]) -> float:
    """Standard deviation."""
    # cv2.meanStdDev takes fifteen times as long for 16 bits.
    mean = cv2.sumElems(values)[0] / values.size
    return math.sqrt(max(0.0, cv2.norm(values, cv2.NORM_L2SQR) / values.size - mean * mean))


def clipped_share(small: Pixels) -> float:
    """Share of the channels' values that are black or white, 0 … 1."""
    # Two comparisons take a tenth of the time of a histogram.
    return float(np.count_nonzero(small <= _CLIPPED_LOW) + np.count_nonzero(small >= _CLIPPED_HIGH)) / small.size


def drawn_share(luma: Luma) -> float:
    """Share of the picture's cells that hold one value, 0 … 1: what programs draw, cameras hardly ever take."""
    rows, columns = luma.shape[0] // _CELL_PX, luma.shape[1] // _CELL_PX
    if not rows or not columns:
        return 0.0
    high = cv2.dilate(luma, np.ones((_CELL_PX, _CELL_PX), np.uint8), anchor=(0, 0))[::_CELL_PX, ::_CELL_PX]
    low = cv2.erode(luma, np.ones((_CELL_PX, _CELL_PX), np.uint8), anchor=(0, 0))[::_CELL_PX, ::_CELL_PX]
    return float(np.mean((high - low)[:rows, :columns] <= _DRAWN_RANGE))


def colour(small: Pixels) -> float:
    """Mean difference between a pixel's strongest and weakest channel, grey levels; 0 for a grey picture."""
    # numpy's extremes over interleaved channels take ten times as long.
    red, green, blue = cv2.split(small)
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return float(cv2.mean(cv2.subtract(high, low))[0])


def information(luma: Luma) -> float:
    """Bits of luma entropy in textured cells, 0 … 8.

    Halved first, so that noise and JPEG's ringing do not pass for texture.
    """
    height, width = luma.shape
    if height < 2 * _CELL_PX or width < 2 * _CELL_PX:
        return 0.0
    rows, columns = height // (2 * _CELL_PX), width // (2 * _CELL_PX)
    half = cv2.resize(luma, (columns * _CELL_PX, rows * _CELL_PX), interpolation=cv2.INTER_AREA)
    values = half.astype(np.float32)
    mean = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    mean_of_squares = cv2.resize(values * values, (columns, rows), interpolation=cv2.INTER_AREA)
    is_textured = mean_of_squares - mean * mean > _TEXTURED_STD**2
    textured = half.reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2)[is_textured]
    if not len(textured):
        return 0.0
    counts = np.bincount(textured.ravel(), minlength=256)
    share = counts[counts > 0] / textured.size
    entropy = float(-(share * np.log2(share)).sum())
    return entropy * min(1.0, len(textured) / (_TELLING_SHARE * rows * columns))


def frame_share(small: Pixels) -> float:
    """Share of the picture that is a uniform border, 0 … 1; a picture of one colour has none."""
    outermost = (small[0], small[-1], small[:, 0], small[:, -1])
    if not any((np.ptp(line, axis=0) <= _FRAME_RANGE).all() for line in outermost):
        return 0.0  # as for most photographs
    # numpy's minimum down the columns is 100 times faster than along the rows of interleaved pixels.
    turned = cv2.transpose(small)
    rows = _flat_ends(turned.min(axis=0), turned.max(axis=0))
    columns = _flat_ends(small.min(axis=0), small.max(axis=0))
    if rows is None or columns is None:
        return 0.0
    return 1.0 - rows * columns


def _flat_ends(low: _Lines, high: _Lines) -> float | None:
    """Share of the lines that is left between the flat ones at both ends; None when all are flat.

    Args:
        low: each line's darkest value by channel, [lines, 3].
        high: the brightest.
    """
    middle = (low.astype(np.float32) + high) / 2
    is_flat = (high.astype(np.int16) - low).max(axis=1) <= _FRAME_RANGE
    kept = len(is_flat)
    for end in (slice(None), slice(None, None, -1)):
        like_outermost = np.abs(middle[end] - middle[end][0]).max(axis=1) <= _FRAME_DISTANCE
        is_border = is_flat[end] & like_outermost
        if is_border.all():
            return None
        kept -= int(is_border.argmin())
    return kept / len(is_flat)


def jpeg_quality(quantization: Mapping[int, Sequence[int]]) -> int | None:
    """The libjpeg quality 1 … 100 whose luma table is nearest; exact for tables that libjpeg made."""
    table = quantization.get(0)
    if table is None or len(table) != len(table_at(1)):
        return None
    return _quality_of(sum(table))


@lru_cache(maxsize=256)
def _quality_of(total: int) -> int:
    """The quality whose luma table has the nearest sum; a library's cameras use few tables."""
    sums = _table_sums()
    return min(range(1, 101), key=lambda quality: abs(sums[quality - 1] - total))


@lru_cache(maxsize=1)
def _table_sums() -> list[int]:
    """Sum of the luma table at each quality."""
    return [int(table_at(quality).sum()) for quality in range(1, 101)]
