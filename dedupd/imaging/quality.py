"""Estimates how good and how telling a picture is, from its small image and its quantisation tables.

The figures rank pictures and mark those that say nothing; they decide nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.core.records import Quality

_Lines = np.ndarray[tuple[int, ...], np.dtype[Any]]

_CELL_PX = 8  # of the halved luma: 16 px of the small image
_TEXTURED_STD = 4.0  # grey levels within a cell after halving; sensor noise stays under 3, a sky's gradient under 2
_TELLING_SHARE = 0.05  # of the picture; texture in less of it counts in proportion (a dot on a page)

# A line is border if it is flat and close to the outermost line (measured on letterboxed copies, matching notes).
_FRAME_RANGE = 25  # of 255, over the channels of a line
_FRAME_DISTANCE = 10

# Luma table of ITU-T T.81 Annex K.1, which libjpeg scales by its quality setting; only its sum over 1 … 100 is used.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def measure(small: Pixels, quantization: Mapping[int, Sequence[int]] | None) -> Quality:
    """Estimate a picture's quality.

    Args:
        small: the small image.
        quantization: a JPEG's tables by number, None for other formats.
    """
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(luma, cv2.CV_16S, ksize=1)
    _, spread = cv2.meanStdDev(laplacian)
    return Quality(
        sharpness=float(spread[0, 0]) ** 2,
        information=information(luma.astype(np.uint8, copy=False)),
        jpeg_quality=jpeg_quality(quantization) if quantization else None,
        frame_share=frame_share(small),
    )


def information(luma: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
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
    if table is None or len(table) != len(_LUMA):
        return None
    total = sum(table)
    sums = _table_sums()
    return min(range(1, 101), key=lambda quality: abs(sums[quality - 1] - total))


@lru_cache(maxsize=1)
def _table_sums() -> list[int]:
    """Sum of the luma table at each quality (`jpeg_set_quality` in libjpeg's jcparam.c)."""
    sums = []
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        sums.append(sum(min(255, max(1, (value * scale + 50) // 100)) for value in _LUMA))
    return sums
