"""Where two aligned pictures differ by more than compression, noise and misalignment explain.

Looks at smoothed colours at half size: a quarter of the work, and JPEG, WebP and HEIC keep colour no finer (4:2:0).
Decides nothing, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dedupd.imaging.common_frame import Mask
from dedupd.imaging.prepared_side import BoxPx, Floats

MIN_REGION_PX = 2  # of the halved picture; a lone one is rounding
MAX_BOXES = 8
LUMA_SIGMA_PX = 0.56  # of the halved picture; with pyrDown's own this is 1.5 px of the full one
CHROMA_SIGMA_PX = 1.5  # of the halved picture
# What compression, noise and resampling leave of a smoothed difference (measured on re-encoded copies):
TOLERATED_LEVELS = 6.0  # anywhere, 0 … 255
TOLERATED_CHROMA_LEVELS = 4.0  # of Cb or Cr
TOLERATED_PER_TYPICAL = 3.0  # for each level of the median difference …
MOST_TYPICAL_LEVELS = 4.0  # … up to here
TOLERATED_CLIPPED = 8.0  # where a tone edit clipped before the preview was scaled down
TOLERATED_PER_SLOPE = 0.15  # for each level a halved px of gradient: 0.3 px of misalignment
TOLERATED_CHROMA_PER_SLOPE = 0.5  # subsampling moves colour by half of its px


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How much more than tolerated two pictures differ, place by place."""

    ratio: Floats  # [h/2, w/2], 1: as much as is tolerated; 0 outside the overlap
    typical: float  # median difference of luma, levels
    valid: Mask  # [h/2, w/2], the overlap


@dataclass(frozen=True, slots=True)
class Regions:
    """The places where more differs than is tolerated; all in pixels of the full common frame."""

    areas: tuple[int, ...]  # px, the largest first
    boxes: tuple[BoxPx, ...]  # of the largest
    excess: float  # the largest ratio of a difference to what is tolerated
    usual: float  # the 99th percentile of these ratios
    typical: float


def disagreement(x: Floats, y: Floats, valid: Mask, *, may_be_clipped: bool) -> Disagreement:
    """Compare the smoothed colours of two aligned pictures.

    Args:
        x: float32 [h, w, 3], 0 … 255.
        y: the other; equal to x outside the overlap, so that smoothing sees no difference there.
        valid: the overlap.
        may_be_clipped: a change was taken out that leaves errors where it clipped values.
    """
    half_x, half_y = np.asarray(cv2.pyrDown(x), np.float32), np.asarray(cv2.pyrDown(y), np.float32)
    half_valid = valid[::2, ::2]
    if not half_valid.any():
        return Disagreement(np.zeros(half_valid.shape, np.float32), 0.0, half_valid)
    clipped = _near_clipping(x, y) if may_be_clipped else None
    luma_ratio, typical = _luma_ratio(half_x, half_y, half_valid, clipped)
    chroma_ratio = _chroma_ratio(half_x, half_y, half_valid, clipped)
    ratio = np.asarray(cv2.max(luma_ratio, chroma_ratio), np.float32)
    ratio[~half_valid] = 0
    return Disagreement(ratio, typical, half_valid)


def regions_of(found: Disagreement) -> Regions:
    """The connected places of a disagreement."""
    bad = np.asarray(found.ratio > 1, np.uint8)
    excess = float(found.ratio.max(initial=0.0))
    inside = found.ratio[found.valid]  # with what is equal: a changed thing in an equal picture stands out most of all
    usual = float(np.partition(inside, rank)[rank]) if (rank := int(0.99 * (len(inside) - 1))) > 0 else excess
    if excess <= 1:
        return Regions((), (), excess, usual, found.typical)
    bad = np.asarray(cv2.morphologyEx(bad, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(bad, connectivity=8)
    kept = sorted((s for s in stats[1:] if s[cv2.CC_STAT_AREA] >= MIN_REGION_PX), key=lambda s: -s[cv2.CC_STAT_AREA])
    return Regions(
        areas=tuple(4 * int(s[cv2.CC_STAT_AREA]) for s in kept),
        boxes=tuple(
            (2 * int(s[0]), 2 * int(s[1]), 2 * int(s[0] + s[2]), 2 * int(s[1] + s[3])) for s in kept[:MAX_BOXES]
        ),
        excess=excess,
        usual=usual,
        typical=found.typical,
    )


def tolerance(typical: float) -> float:
    """Levels of luma that may differ anywhere, given the median difference."""
    return TOLERATED_LEVELS + TOLERATED_PER_TYPICAL * min(typical, MOST_TYPICAL_LEVELS)


def _luma_ratio(x: Floats, y: Floats, valid: Mask, clipped: Floats | None) -> tuple[Floats, float]:
    """How often the tolerated difference two lumas differ by, and their median difference in levels."""
    x, y = (_smooth(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), LUMA_SIGMA_PX) for p in (x, y))
    error = np.asarray(cv2.absdiff(x, y), np.float32)
    typical = float(np.median(error[valid][::2]))
    tolerated = _slope(x)
    tolerated += _slope(y)
    tolerated *= TOLERATED_PER_SLOPE
    return error / _tolerated(tolerated, TOLERATED_LEVELS, typical, clipped), typical


def _chroma_ratio(x: Floats, y: Floats, valid: Mask, clipped: Floats | None) -> Floats:
    """How often the tolerated difference the colours differ by, regardless of brightness."""
    x, y = (
        _smooth(np.ascontiguousarray(cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)[..., 1:]), CHROMA_SIGMA_PX) for p in (x, y)
    )
    difference = cv2.absdiff(x, y)
    error = np.asarray(cv2.max(difference[..., 0], difference[..., 1]), np.float32)
    typical = float(np.median(error[valid][::2]))
    slopes = [cv2.add(_slope(x[..., c]), _slope(y[..., c])) for c in range(2)]
    tolerated = np.asarray(cv2.max(*slopes), np.float32)
    tolerated *= TOLERATED_CHROMA_PER_SLOPE
    return error / _tolerated(tolerated, TOLERATED_CHROMA_LEVELS, typical, clipped)


def _tolerated(by_slope: Floats, levels: float, typical: float, clipped: Floats | None) -> Floats:
    by_slope += np.float32(levels + TOLERATED_PER_TYPICAL * min(typical, MOST_TYPICAL_LEVELS))
    if clipped is not None:
        by_slope += clipped
    return by_slope


def _smooth(image: object, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), sigma_px), np.float32)


def _near_clipping(x: Floats, y: Floats) -> Floats:
    """float32 [h/2, w/2]: tolerance where a channel of either picture is at an end of its range within two px."""
    open_high = cv2.inRange(cv2.max(x, y), (-1, -1, -1), (250, 250, 250))
    open_low = cv2.inRange(cv2.min(x, y), (5, 5, 5), (256, 256, 256))
    is_open = cv2.erode(cv2.min(open_high, open_low), np.ones((5, 5), np.uint8))[::2, ::2]
    return np.where(is_open == 0, np.float32(TOLERATED_CLIPPED), np.float32(0))


def _slope(plane: Floats) -> Floats:
    """Largest gradient magnitude within a halved px, levels a halved px."""
    gx, gy = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.dilate(cv2.magnitude(gx, gy), _CROSS), np.float32)
