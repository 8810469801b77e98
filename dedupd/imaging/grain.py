"""The grain of two aligned full pictures: whether the noise in their calm places is the same or each has its own.

Two exposures have independent sensor noise. A copy has the same, or none any more (denoised, blurred, compressed away):
then there is nothing to compare. Decides nothing, keeps no state.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels
from dedupd.imaging.alignment import compose, invert
from dedupd.imaging.prepared_side import Doubles, Floats

_Luma = npt.NDArray[np.uint8]  # [height, width]

TILE_PX = 96  # of grain that spreads over 3 px: the correlation of one tile is known to 0.03
MAX_TILES = 32
# Of the calmest tiles, so many are looked at for those: of 660 pairs, real and made, none of two exposures was left
# without an answer that had one among all tiles.
MAX_TRIED = 256
MIN_TILES = 4  # with grain in both, below which nothing is said
SHIFT_PX = 2  # how far off the alignment may be, each way
RIM_PX = 8  # around a tile's source, so that filters see real pixels
GRAIN_SIGMA_PX = 1.0  # finer than this is grain
DARK_LEVELS, BRIGHT_LEVELS = 16, 239  # beyond, noise is clipped
CALM_LEVELS = 25.0  # standard deviation at a quarter of the size, up to which a place may be calm
# Camera JPEGs have 0.4 … 1.6 levels of grain in calm places; compression at quality 70 leaves half, at 50 a fifth.
GRAINY_LEVELS = 0.5  # standard deviation from which there is grain
SAME_GRAIN_RATIO = 1.3  # of the two standard deviations; more, and one was denoised, compressed or given noise
_NOT_MOVED = np.array([[1.0, 0, 0], [0, 1, 0]])
LOWER_QUARTILE = 25  # texture that noise reduction left correlates in two exposures too, in some places


def grain_correlation(a: Pixels, b: Pixels, b_to_a: Doubles) -> float | None:
    """Correlation of the grain of two pictures, -1 … 1: the lower quartile of tiles in which both have about as much.

    None where there are too few of them.

    Args:
        a: uint8 [h, w, 3], all pixels.
        b: uint8 [h, w, 3], all pixels.
        b_to_a: [2, 3], maps b's pixels onto a's, pixel centres at integer coordinates; right to SHIFT_PX.
    """
    a_is_coarser = abs(np.linalg.det(b_to_a[:, :2])) <= 1
    to_coarser = b_to_a if a_is_coarser else invert(b_to_a)
    coarser, finer = (_luma(picture) for picture in ((a, b) if a_is_coarser else (b, a)))
    found: list[float] = []
    back = invert(to_coarser)
    is_still = np.allclose(to_coarser, _NOT_MOVED, rtol=0, atol=1e-6)  # saved again in its own size, as most copies
    for left, top in _calm_tiles(coarser)[:MAX_TRIED]:
        grain = _grain(coarser[top : top + TILE_PX, left : left + TILE_PX])
        levels = _spread(grain)
        if levels < GRAINY_LEVELS:
            continue
        moved = _tile(finer, left, top) if is_still else _moved_tile(finer, to_coarser, back, left, top)
        if moved is not None and _is_alike(levels, _spread(other := _grain(moved))):
            found.append(_correlation(grain, other))
        if len(found) == MAX_TILES:
            break
    return float(np.percentile(found, LOWER_QUARTILE)) if len(found) >= MIN_TILES else None


def _is_alike(levels: float, other_levels: float) -> bool:
    """Whether both have grain of about the same strength, so that its pattern can be compared."""
    low, high = sorted((levels, other_levels))
    return low >= GRAINY_LEVELS and high <= SAME_GRAIN_RATIO * low


def _calm_tiles(grey: _Luma) -> list[tuple[int, int]]:
    """Left and top of the tiles with the least structure in which noise is not clipped, the calmest first."""
    side = TILE_PX // 4
    quarter = np.asarray(cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.float32)
    rows, columns = quarter.shape[0] // side, quarter.shape[1] // side
    if not rows or not columns:
        return []
    tiles = quarter[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    flat = tiles.reshape(rows, columns, -1)
    spread, low, high = flat.std(axis=2), flat.min(axis=2), flat.max(axis=2)
    is_calm = (low > DARK_LEVELS) & (high < BRIGHT_LEVELS) & (spread < CALM_LEVELS)
    order = np.argsort(np.where(is_calm, spread, np.inf), axis=None)[: int(is_calm.sum())]
    return [(int(i % columns) * TILE_PX, int(i // columns) * TILE_PX) for i in order]


def _luma(colour: Pixels) -> _Luma:
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))


def _tile(grey: _Luma, left: int, top: int) -> _Luma | None:
    """A tile; None at the picture's rim."""
    last = min(grey.shape[0] - top, grey.shape[1] - left)
    is_inside = min(left, top) >= RIM_PX and last >= TILE_PX + RIM_PX
    return grey[top : top + TILE_PX, left : left + TILE_PX] if is_inside else None


def _moved_tile(finer: _Luma, to_coarser: Doubles, back: Doubles, left: int, top: int) -> Floats | None:
    """The finer picture where a tile of the coarser lies, in the coarser's pixels; None at its rim."""
    near, far = -RIM_PX, TILE_PX + RIM_PX
    corners = np.array([[left + x, top + y] for x in (near, far) for y in (near, far)], np.float64)
    source = corners @ back[:, :2].T + back[:, 2]
    x0, y0 = (int(v) for v in np.floor(source.min(axis=0)))
    x1, y1 = (int(v) + 1 for v in np.ceil(source.max(axis=0)))
    if x0 < 0 or y0 < 0 or x1 > finer.shape[1] or y1 > finer.shape[0]:
        return None
    part = np.asarray(finer[y0:y1, x0:x1], np.float32)
    into_tile = compose(_shift(-left, -top), compose(to_coarser, _shift(x0, y0)))
    shrink = float(np.sqrt(abs(np.linalg.det(into_tile[:, :2]))))
    if shrink < 0.9:
        height, width = part.shape
        size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
        fx, fy = size[0] / width, size[1] / height
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)
        into_tile = compose(into_tile, invert(np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])))
    tile = cv2.warpAffine(part, into_tile, (TILE_PX, TILE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(tile, np.float32)


def _shift(x: float, y: float) -> Doubles:
    return np.array([[1.0, 0, x], [0, 1, y]])


def _correlation(p: Floats, q: Floats) -> float:
    """At the best of all shifts, -1 … 1."""
    near, far = SHIFT_PX, TILE_PX - SHIFT_PX
    inner = p[near:far, near:far].ravel()
    power = float(inner @ inner)
    best = -1.0
    for dy in range(-SHIFT_PX, SHIFT_PX + 1):
        for dx in range(-SHIFT_PX, SHIFT_PX + 1):
            other = q[near + dy : far + dy, near + dx : far + dx].ravel()
            norm = float(np.sqrt(power * float(other @ other)))
            best = max(best, float(inner @ other) / norm if norm > 0 else 0.0)
    return best


def _spread(grain: Floats) -> float:
    """Standard deviation, levels; numpy takes five times as long."""
    return float(cv2.meanStdDev(grain)[1][0, 0])


def _grain(tile: _Luma | Floats) -> Floats:
    luma = np.asarray(tile, np.float32)
    return luma - np.asarray(cv2.GaussianBlur(luma, (0, 0), GRAIN_SIGMA_PX), np.float32)
