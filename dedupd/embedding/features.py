"""What is compared of a picture's coefficients: 328 numbers in -1 … 1, and their eight orientations.

Luma is divided by the picture's own contrast, so brightness and contrast fall out; tanh keeps a caption or a sticker
from drowning the rest. The mean brightness is left out (slot 0 is always 0). Source: the descriptor trials in the notes
on matching (tanh-DCT with chroma). Stateless.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dedupd.embedding.coefficients import CHROMA_SIDE, LUMA_SIDE, Floats

FEATURES = LUMA_SIDE**2 + 2 * CHROMA_SIDE**2
ORIENTATIONS = 8

LUMA_GAIN = 0.4  # a coefficient of the picture's median size lands at tanh(0.4); chosen on held-out photos
LUMA_FLOOR = 0.25  # grey levels: a contrast below this is not raised to that of a photo (photos: 2 … 15)
CHROMA_SCALE = 15.0  # grey levels, at frequency 1, where chroma starts to saturate


def _radial_frequency(side: int) -> Floats:
    u = np.arange(side, dtype=np.float32)
    radius = np.hypot(u[:, None], u[None, :])
    radius[0, 0] = 1.0  # only chroma has something there
    return radius.astype(np.float32)


# Photographs fall off as 1/frequency: times the radius, all coefficients of a photo are of one size.
_LUMA_WEIGHT = _radial_frequency(LUMA_SIDE)
_CHROMA_WEIGHT = _radial_frequency(CHROMA_SIDE) / CHROMA_SCALE


def contrasts(luma: Floats) -> Floats:
    """Median size of the coefficients but the mean, each times its frequency, in grey levels: 0 flat, photos 2 … 15.

    Args:
        luma: float32 [n, 16, 16].

    Returns:
        float32 [n].
    """
    sizes = np.abs(luma * _LUMA_WEIGHT).reshape(len(luma), LUMA_SIDE**2)[:, 1:]
    middle = sizes.shape[1] // 2
    median: Floats = np.partition(sizes, middle, axis=1)[:, middle]
    return median


def squash(luma: Floats, chroma: Floats) -> Floats:
    """Features of the coefficients of pictures or parts of them.

    Args:
        luma: float32 [n, 16, 16] in grey levels.
        chroma: float32 [n, 2, 6, 6], the same.

    Returns:
        float32 [n, 328], -1 … 1; all luma features are 0 for a flat picture.
    """
    gain = LUMA_GAIN / np.maximum(contrasts(luma), LUMA_FLOOR)
    features = np.empty((len(luma), FEATURES), dtype=np.float32)
    features[:, : LUMA_SIDE**2] = (luma * _LUMA_WEIGHT).reshape(len(luma), LUMA_SIDE**2) * gain[:, None]
    features[:, LUMA_SIDE**2 :] = (chroma * _CHROMA_WEIGHT).reshape(len(luma), 2 * CHROMA_SIDE**2)
    features[:, 0] = 0.0
    return np.tanh(features)


def _orientation_tables() -> tuple[npt.NDArray[np.intp], Floats]:
    blocks = ((0, LUMA_SIDE), (LUMA_SIDE**2, CHROMA_SIDE), (LUMA_SIDE**2 + CHROMA_SIDE**2, CHROMA_SIDE))
    index = np.empty((ORIENTATIONS, FEATURES), dtype=np.intp)
    sign = np.empty((ORIENTATIONS, FEATURES), dtype=np.float32)
    for offset, side in blocks:
        place = np.arange(side**2).reshape(side, side) + offset
        odd = 1.0 - 2.0 * (np.arange(side) % 2)
        span = slice(offset, offset + side**2)
        for orientation in range(ORIENTATIONS):
            index[orientation, span] = (place.T if orientation & 4 else place).ravel()
            rows = odd[:, None] if orientation & 2 else np.ones((side, 1))
            columns = odd[None, :] if orientation & 1 else np.ones((1, side))
            sign[orientation, span] = (rows * columns).ravel()
    return index, sign


_INDEX, _SIGN = _orientation_tables()


def all_orientations(features: Floats) -> Floats:
    """Features of the picture turned and mirrored in all eight ways, without looking at it again.

    Turning a picture transposes its coefficients, mirroring negates the odd frequencies of that axis.

    Args:
        features: float32 [n, 328].

    Returns:
        float32 [8, n, 328]; the first is the picture as it is. Bit 2 of the place: rows and columns exchanged,
        bit 1: then mirrored top to bottom, bit 0: then mirrored left to right.
    """
    turned: Floats = features[:, _INDEX].transpose(1, 0, 2) * _SIGN[:, None, :]
    return turned
