"""Agreement of two aligned pictures octave by octave.

Compression, blur, sharpening and noise cost agreement in the finest octaves only, and steeply less with each coarser
one; another exposure (parallax, another focus, another light) costs agreement in the coarse octaves too. Decides
nothing, keeps no state.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from dedupd.imaging.common_frame import Mask
from dedupd.imaging.prepared_side import Floats

OCTAVES = 4  # ~1 … 2, 2 … 4, 4 … 8, 8 … 16 px
MIN_SIDE_PX = 12  # an octave of a smaller picture has too few samples
WINDOW_PX = 5  # in halved pixels of the octave
STRUCTURE_LEVELS = 2.0  # root mean square in a window below which an octave has nothing to compare
FLOOR_LEVELS = 1.0  # rounding of previews


class Bands(NamedTuple):
    """Agreement by octave, the finest first."""

    errors: tuple[float, ...]  # 0 … 2, 1 - correlation
    lows: tuple[float, ...]  # 0 … 2, the same in the worst places: 95th percentile of windows
    gains: tuple[float, ...]  # > 0, the second picture's detail over the first's

    @property
    def foreign(self) -> float:
        """Error of the finest octave beyond 1 - gain: what neither a loss of detail nor noise in one alone explains."""
        return max(0.0, self.errors[0] - (1 - min(self.gains[0], 1 / self.gains[0]))) if self.errors else 0.0


def compare_bands(x: Floats, y: Floats, valid: Mask, *, with_lows: bool) -> Bands:
    """Compare each octave of two lumas, float32 [h, w]; without `with_lows`, which cost a third, these are empty.

    One gain an octave is taken out first: a global blur or sharpening is no disagreement, a local one (focus) is.
    """
    errors: list[float] = []
    lows: list[float] = []
    gains: list[float] = []
    weight = valid.astype(np.float32)
    for _ in range(OCTAVES):
        if min(x.shape) < MIN_SIDE_PX or not weight.any():
            break
        coarse_x, coarse_y = cv2.pyrDown(x), cv2.pyrDown(y)
        size = (x.shape[1], x.shape[0])
        band_x = np.asarray(cv2.subtract(x, cv2.pyrUp(coarse_x, dstsize=size)), np.float32) * weight
        band_y = np.asarray(cv2.subtract(y, cv2.pyrUp(coarse_y, dstsize=size)), np.float32) * weight
        p, q = band_x.ravel(), band_y.ravel()
        power_x, power_y, shared = float(p @ p), float(q @ q), float(p @ q)
        floor = FLOOR_LEVELS**2 * float(np.count_nonzero(weight)) * 0.02
        errors.append(1 - (shared + floor) / (float(np.sqrt(power_x * power_y)) + floor))
        gain = float(np.sqrt((power_x + floor) / (power_y + floor)))
        gains.append(1 / gain)
        if with_lows:
            lows.append(_worst_window(band_x, band_y * np.float32(np.clip(gain, 0.25, 4.0)), weight))
        x, y = np.asarray(coarse_x, np.float32), np.asarray(coarse_y, np.float32)
        weight = np.ascontiguousarray(weight[::2, ::2])
    return Bands(tuple(errors), tuple(lows), tuple(gains))


def _worst_window(x: Floats, y: Floats, weight: Floats) -> float:
    half = ((x.shape[1] + 1) // 2, (x.shape[0] + 1) // 2)
    window = (WINDOW_PX, WINDOW_PX)
    xx, yy, xy = (
        cv2.blur(cv2.resize(cv2.multiply(p, q), half, interpolation=cv2.INTER_AREA), window)
        for p, q in ((x, x), (y, y), (x, y))
    )
    has_structure = (weight[::2, ::2] > 0) & (np.asarray(cv2.max(xx, yy)) > STRUCTURE_LEVELS**2)
    if np.count_nonzero(has_structure) < 5:
        return 0.0
    sum_, shared = np.asarray(cv2.add(xx, yy))[has_structure], np.asarray(xy)[has_structure]
    error = 1 - 2 * (shared + FLOOR_LEVELS**2 / 2) / (sum_ + FLOOR_LEVELS**2)
    rank = int(0.95 * (len(error) - 1))
    return float(np.partition(error, rank)[rank])
