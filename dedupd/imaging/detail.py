"""Agreement of two aligned pictures octave by octave, and of what is finer than structure: noise.

Compression, blur, sharpening and noise cost agreement in the finest octaves only, and steeply less with each coarser
one; another exposure (parallax, another focus, another light) costs agreement in the coarse octaves too. Decides
nothing, keeps no state.
"""

from __future__ import annotations

import cv2
import numpy as np

from dedupd.imaging.common_frame import Mask
from dedupd.imaging.prepared_side import Floats

OCTAVES = 4  # ~1 … 2, 2 … 4, 4 … 8, 8 … 16 px
MIN_SIDE_PX = 12  # an octave of a smaller picture has too few samples
WINDOW_PX = 11  # in pixels of the octave
STRUCTURE_LEVELS = 2.0  # root mean square in a window below which an octave has nothing to compare
FLOOR_LEVELS = 1.0  # rounding of previews
MIN_NOISE_PX = 500  # calm pixels needed before their noise is compared
CALM_SLOPE = 2.0  # levels a px


def compare_bands(x: Floats, y: Floats, valid: Mask) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """1 - correlation of each octave of two lumas, the finest first: overall, and the 95th percentile of its windows.

    One gain an octave is taken out first: a global blur or sharpening is no disagreement, a local one (focus) is.
    """
    overall: list[float] = []
    worst: list[float] = []
    for _ in range(OCTAVES):
        if min(x.shape) < MIN_SIDE_PX or not valid.any():
            break
        coarse_x, coarse_y = cv2.pyrDown(x), cv2.pyrDown(y)
        size = (x.shape[1], x.shape[0])
        band_x, band_y = x - cv2.pyrUp(coarse_x, dstsize=size), y - cv2.pyrUp(coarse_y, dstsize=size)
        p, q = band_x[valid], band_y[valid]
        power_x, power_y = float(p @ p), float(q @ q)
        floor = FLOOR_LEVELS**2 * len(p) * 0.02
        overall.append(1 - (float(p @ q) + floor) / (float(np.sqrt(power_x * power_y)) + floor))
        gain = float(np.clip(np.sqrt((power_x + floor) / (power_y + floor)), 0.25, 4.0))
        worst.append(_worst_window(band_x, band_y * gain, valid))
        x, y = np.asarray(coarse_x, np.float32), np.asarray(coarse_y, np.float32)
        valid = valid[::2, ::2][: x.shape[0], : x.shape[1]]
    return tuple(overall), tuple(worst)


def _worst_window(x: Floats, y: Floats, valid: Mask) -> float:
    size = (WINDOW_PX, WINDOW_PX)
    xx, yy, xy = cv2.blur(x * x, size), cv2.blur(y * y, size), cv2.blur(x * y, size)
    has_structure = valid & (np.maximum(xx, yy) > STRUCTURE_LEVELS**2)
    if np.count_nonzero(has_structure) < 20:
        return 0.0
    error = 1 - 2 * (xy + FLOOR_LEVELS**2 / 2) / (xx + yy + FLOOR_LEVELS**2)
    return float(np.percentile(error[has_structure], 95))


def noise_correlation(x: Floats, y: Floats, valid: Mask) -> float | None:
    """Correlation of what is finer than a pixel's blur in calm places, -1 … 1; None when there are too few of them."""
    smooth = cv2.GaussianBlur(x, (0, 0), 1.5)
    gx, gy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    calm = valid & (cv2.magnitude(gx, gy) < CALM_SLOPE)
    if np.count_nonzero(calm) < MIN_NOISE_PX:
        return None
    p = (x - cv2.GaussianBlur(x, (0, 0), 1.0))[calm]
    q = (y - cv2.GaussianBlur(y, (0, 0), 1.0))[calm]
    norm = float(np.sqrt(float(p @ p) * float(q @ q)))
    return float(p @ q) / norm if norm > 0 else None
