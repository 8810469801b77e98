"""Finds what an earlier, coarser JPEG compression left in a picture's pixels.

A JPEG stores each frequency of an 8 × 8 block as a multiple of a step. Saved again with finer steps, or as PNG or
HEIF, even flipped, cropped or brightened a little, the values still gather at the multiples of the coarser step, on
the grid where the blocks once lay. Looks at brightness only; says nothing about pictures that were resized since.
After Lukáš and Fridrich, Estimation of primary quantization matrix in double compressed JPEG images (2003), with the
grid searched as by Barni et al., Identification of cut & paste tampering by means of double-JPEG detection (2010).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# Luma table of ITU-T T.81 Annex K.1, which libjpeg scales by its quality setting.
LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip

_Floats = npt.NDArray[np.float32]

_BLOCKS = 96  # the most telling ones; they find a quality of 70 in a picture that was saved again at 92
_PATCH_PX = 15  # an 8 px block at each of the eight offsets
_LINES = 6
_FREQUENCIES = tuple((y, x) for y in range(_LINES) for x in range(_LINES) if 1 <= y + x < _LINES)
_BIN = 1.0  # of a coefficient
_BINS = 56  # coefficients up to 56; what is larger falls into the last and is not counted
_QUALITIES = tuple(range(40, 92))  # finer steps drown in the rounding of the second compression
_STEPS = range(4, 29)  # finer ones are within the rounding, of coarser ones few multiples are ever reached
_MIN_COUNT = 60  # coefficients; fewer agree with anything by chance
_OWN_MARGIN = 9  # a file's own steps are multiples of nothing as near as this many points below its quality
_FOUND = 0.26  # mean cosine; 1: all values are multiples. Of 537 pictures 88 without an earlier one stay below 0.2


def table_at(quality: int) -> npt.NDArray[np.int64]:
    """The luma steps of libjpeg at a quality of 1 … 100 (`jpeg_set_quality` in jcparam.c), int64 [64]."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps: npt.NDArray[np.int64] = np.clip((np.array(LUMA_TABLE) * scale + 50) // 100, 1, 255)
    return steps


def earlier_quality(luma: npt.NDArray[np.uint8], own_quality: int | None) -> int | None:
    """The quality of a coarser compression that the pixels went through before; None where none shows.

    Args:
        luma: brightness as decoded at full scale, [height, width], its first pixel on the corner of a block.
        own_quality: the file's own if it is a JPEG.
    """
    patches = _telling_patches(luma)
    if patches is None:
        return None
    model = _model()
    counts = _counts(patches)
    weight = counts @ model.counted
    cosine = np.where(weight >= _MIN_COUNT, counts @ model.cosines / np.maximum(weight, 1), -1.0)
    if own_quality is not None:
        # On the file's own grid everything is a multiple of its own steps; elsewhere only coarser ones are of interest.
        cosine[0, model.qualities > own_quality - _OWN_MARGIN] = -1.0
        cosine[1:, model.qualities > own_quality] = -1.0
    best = int(cosine.argmax())
    if cosine.flat[best] < _FOUND:
        return None
    return int(model.qualities[best % len(model.qualities)])


def _telling_patches(luma: npt.NDArray[np.uint8]) -> _Floats | None:
    """Surroundings of the blocks with the most contrast, [n, _PATCH_PX, _PATCH_PX]; None if there are none."""
    rows, columns = (luma.shape[0] - 7) // 8, (luma.shape[1] - 7) // 8
    if rows < 2 or columns < 2:
        return None
    blocks = luma[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)[:, ::2, :, ::2].astype(np.float32)
    spread = blocks.var(axis=(1, 3)).ravel()
    count = min(_BLOCKS, len(spread))
    picked = np.argpartition(-spread, count - 1)[:count]
    windows = np.lib.stride_tricks.sliding_window_view(luma, (_PATCH_PX, _PATCH_PX))
    found: _Floats = windows[picked // columns * 8, picked % columns * 8].astype(np.float32)
    return found


def _counts(patches: _Floats) -> _Floats:
    """How often each frequency's coefficient falls into each bin, by offset of the grid, [64, frequencies · bins]."""
    lines = _model().lines
    across = patches @ lines
    both = (np.swapaxes(across, 1, 2) @ lines).reshape(-1, 8, _LINES, 8, _LINES)  # patch, x, across, y, down
    chosen = np.stack([both[:, :, x, :, y] for y, x in _FREQUENCIES], axis=-1)
    slots = 64 * len(_FREQUENCIES)
    bins = np.minimum(np.abs(chosen).reshape(-1, slots) * (1 / _BIN) + 0.5, _BINS).astype(np.int32)
    bins += np.arange(slots, dtype=np.int32) * (_BINS + 1)
    counts = np.bincount(bins.ravel(), minlength=slots * (_BINS + 1))
    return counts.reshape(64, len(_FREQUENCIES) * (_BINS + 1)).astype(np.float32)


class _Model(NamedTuple):
    lines: _Floats  # [15, 8 · _LINES], one line's cosines at each of the eight offsets
    cosines: _Floats  # [frequencies · bins, hypotheses]
    counted: _Floats  # the same shape, 1 where a coefficient says something about the hypothesis
    qualities: npt.NDArray[np.int64]  # [hypotheses]


@lru_cache(maxsize=1)
def _model() -> _Model:
    at = np.arange(8)
    transform = np.cos((2 * at[None] + 1) * at[:, None] * np.pi / 16) / 2
    transform[0] /= np.sqrt(2)
    lines = np.zeros((_PATCH_PX, 8, _LINES), np.float32)
    for offset in range(8):
        lines[offset : offset + 8, offset] = transform[:_LINES].T
    values = np.arange(_BINS + 1) * _BIN
    columns: list[tuple[_Floats, _Floats]] = []
    for quality in _QUALITIES:
        table = table_at(quality).reshape(8, 8)
        columns += [_hypothesis(table, values), _hypothesis(table.T, values)]  # a picture may have been turned since
    return _Model(
        lines=lines.reshape(_PATCH_PX, 8 * _LINES),
        cosines=np.stack([cosine for cosine, _ in columns], axis=1),
        counted=np.stack([counted for _, counted in columns], axis=1),
        qualities=np.repeat(np.array(_QUALITIES), 2),
    )


def _hypothesis(table: npt.NDArray[np.int64], values: npt.NDArray[np.floating[Any]]) -> tuple[_Floats, _Floats]:
    """How well each value of each frequency fits a table's steps, and whether it counts; both [frequencies · bins]."""
    cosines, counted = [], []
    for down, across in _FREQUENCIES:
        step = table[down, across]
        counts = (values > step / 2) & (values < _BINS * _BIN) & (step in _STEPS)
        cosines.append(np.where(counts, np.cos(2 * np.pi * values / step), 0))
        counted.append(counts)
    return np.concatenate(cosines).astype(np.float32), np.concatenate(counted).astype(np.float32)
