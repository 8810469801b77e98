"""What is left between two aligned pictures once a global tone change is explained: local agreement, regions, motion.

Does not align and decides nothing. Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dedupd.imaging.common_frame import CommonFrame, Mask, grey, half_size_flow
from dedupd.imaging.detail import compare_bands, noise_correlation
from dedupd.imaging.prepared_side import BoxPx, Floats
from dedupd.imaging.tone import Tone, explain_tone

TONE_SAMPLES = 2400
TEXTURE_LEVELS = 4.0  # standard deviation in a window from which it counts as textured; JPEG previews leave 1 … 2
MIN_REGION_PX = 6
MIN_SEEN = 0.15  # mean texture weight from which motion in a window can be believed
MAX_BOXES = 8
CALM = 0.6  # left over, up to which an explanation needs no second look
RETONED = 0.01  # mean change of all values from which both explanations are looked at
# What compression, noise and resampling leave of a smoothed difference (measured on re-encoded copies):
TOLERATED_LEVELS = 6.0  # anywhere, 0 … 255
TOLERATED_CHROMA_LEVELS = 4.0  # of Cb or Cr
TOLERATED_CHROMA_PER_SLOPE = 0.5  # for each level a px, at half size: subsampling moves colour by half of its px
TOLERATED_PER_TYPICAL = 3.0  # for each level of the median difference
TOLERATED_CLIPPED = 8.0  # where a tone edit clipped before the preview was scaled down
TOLERATED_PER_SLOPE = 0.30  # for each level a px of gradient: 0.3 px of misalignment


@dataclass(frozen=True, slots=True)
class Residual:
    """How two aligned pictures differ; as in `records.Evidence`. Boxes are in pixels of the common frame."""

    similarity: float
    low: float
    textured_windows: int
    worst_region: float
    bad_share: float
    boxes: tuple[BoxPx, ...]
    excess: float
    error_levels: float
    motion_px: float
    tone_change: float
    noise_correlation: float | None
    band_errors: tuple[float, ...]
    band_lows: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Regions:
    areas: tuple[int, ...]  # px, the largest first
    boxes: tuple[BoxPx, ...]
    excess: float
    typical: float


@dataclass(frozen=True, slots=True)
class _Explained:
    """A pair after a tone change was taken out, and where it disagrees: enough to choose between explanations."""

    x: Floats  # [h, w], luma
    y: Floats
    tone_change: float
    regions: _Regions

    @property
    def left_over(self) -> float:
        return self.regions.excess + 0.2 * self.regions.typical


def measure(frame: CommonFrame) -> Residual:
    """Measure the residual of an aligned pair.

    The tone change is looked for in both directions: a picture turned grey or clipped can be made from the other, not
    the other way round.
    """
    return _residual(_best_explanation(frame), frame.valid)


def _best_explanation(frame: CommonFrame) -> _Explained:
    valid = frame.valid
    picked = np.flatnonzero(valid.ravel())
    if not len(picked):
        picked = np.arange(valid.size)
    picked = picked[:: max(1, len(picked) // TONE_SAMPLES)]
    first = _smooth(frame.reference, 1.0).reshape(-1, 3)[picked]
    second = _smooth(frame.moved, 1.0).reshape(-1, 3)[picked]
    forward, backward = explain_tone(second, first), explain_tone(first, second)
    onto_reference = forward[0].error <= backward[0].error
    better, other = forward if onto_reference else backward
    found = _with_tone(frame, better, onto_reference=onto_reference)
    if found.tone_change >= RETONED:
        # The fit's error hardly tells the two explanations apart; what each leaves locally does.
        return min(found, _with_tone(frame, other, onto_reference=onto_reference), key=lambda e: e.left_over)
    if found.left_over <= CALM:
        return found
    # A curve fitted to a sample overshoots where the sample is thin; a plain copy needs none.
    return min(found, _explained(frame.reference, frame.moved, frame.moved, valid), key=lambda e: e.left_over)


def _with_tone(frame: CommonFrame, tone: Tone, *, onto_reference: bool) -> _Explained:
    if onto_reference:
        return _explained(frame.reference, tone.apply(frame.moved), frame.moved, frame.valid)
    return _explained(frame.moved, tone.apply(frame.reference), frame.reference, frame.valid)


def _explained(x: Floats, y: Floats, before: Floats, valid: Mask) -> _Explained:
    """Where a picture and the tone-mapped other disagree; `before` is the other as it was."""
    tone_change = float(np.abs(y - before)[valid].mean()) / 255 if valid.any() else 0.0
    # Outside the overlap both are made equal, so that windows at its rim see no difference there.
    y = np.where(valid[..., None], y, x).astype(np.float32)
    grey_x, grey_y = grey(x), grey(y)
    clipped = _near_clipping(x, before) if tone_change >= RETONED else np.zeros_like(grey_x)
    return _Explained(grey_x, grey_y, tone_change, _disagreeing_regions(x, y, valid, clipped))


def _residual(found: _Explained, valid: Mask) -> Residual:
    area = max(1, int(np.count_nonzero(valid)))
    x, y, regions = found.x, found.y, found.regions
    low, support = _low_agreement(x, y, valid)
    band_errors, band_lows = compare_bands(x, y, valid)
    return Residual(
        similarity=_agreement(x[valid], y[valid]),
        low=low,
        textured_windows=support,
        worst_region=(regions.areas[0] / area) if regions.areas else 0.0,
        bad_share=sum(regions.areas) / area,
        boxes=regions.boxes,
        excess=regions.excess,
        error_levels=regions.typical,
        motion_px=_motion(x, y, valid),
        tone_change=found.tone_change,
        noise_correlation=noise_correlation(x, y, valid),
        band_errors=band_errors,
        band_lows=band_lows,
    )


def _agreement(x: Floats, y: Floats) -> float:
    """2 · covariance / (variance + variance), 0 … 1; 1 for two flat pictures of one level."""
    if not len(x):
        return 0.0
    x, y = x - x.mean(), y - x.mean()
    power = float(x @ x + y @ y)
    return float(np.clip(2 * (x @ y) / power, 0, 1)) if power > 1e-3 * len(x) else 1.0


def _window(valid: Mask) -> int:
    return int(np.clip(min(valid.shape) // 8, 5, 15)) | 1


def _low_agreement(x: Floats, y: Floats, valid: Mask) -> tuple[float, int]:
    """5th percentile of the agreement in square textured windows, and how many separate such windows there are."""
    window = _window(valid)
    size = (window, window)
    mean_x, mean_y = cv2.blur(x, size), cv2.blur(y, size)
    var_x = np.maximum(cv2.blur(x * x, size) - mean_x * mean_x, 0)
    var_y = np.maximum(cv2.blur(y * y, size) - mean_y * mean_y, 0)
    covariance = cv2.blur(x * y, size) - mean_x * mean_y
    agreement = 2 * covariance / (var_x + var_y + 4.0)  # 4: rounding and preview compression, levels²
    textured = valid & (np.maximum(var_x, var_y) > TEXTURE_LEVELS**2)
    step = window // 2
    on_grid = np.zeros_like(valid)
    on_grid[step::step, step::step] = True
    values = agreement[textured & on_grid]
    if not len(values):
        return 1.0, 0
    return float(np.clip(np.percentile(values, 5), 0, 1)), len(values) // 4


def _disagreeing_regions(x: Floats, y: Floats, valid: Mask, clipped: Floats) -> _Regions:
    """Where the smoothed colours differ by more than compression, noise and misalignment explain.

    Brightness and colour are looked at apart, colour at half size: that is how JPEG, WebP and HEIC store them (4:2:0),
    and around saturated edges the subsampling alone leaves tens of levels in a single channel.
    """
    if not valid.any():
        return _Regions((), (), 0.0, 0.0)
    luma_ratio, typical = _luma_ratio(_smooth(grey(x), 1.5), _smooth(grey(y), 1.5), valid, clipped)
    chroma_ratio = _chroma_ratio(x, y, valid, clipped)
    ratio = np.asarray(cv2.max(luma_ratio, chroma_ratio), np.float32)
    bad = ((ratio > 1) & valid).astype(np.uint8)
    bad = np.asarray(cv2.morphologyEx(bad, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(bad, connectivity=8)
    found = [stats[i] for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= MIN_REGION_PX]
    found.sort(key=lambda s: -int(s[cv2.CC_STAT_AREA]))
    return _Regions(
        areas=tuple(int(s[cv2.CC_STAT_AREA]) for s in found),
        boxes=tuple((int(s[0]), int(s[1]), int(s[0] + s[2]), int(s[1] + s[3])) for s in found[:MAX_BOXES]),
        excess=float(ratio[valid].max()),
        typical=typical,
    )


def _luma_ratio(x: Floats, y: Floats, valid: Mask, clipped: Floats) -> tuple[Floats, float]:
    """How often the tolerated difference two smoothed lumas differ by, and their median difference in levels."""
    error = np.asarray(cv2.absdiff(x, y), np.float32)
    typical = float(np.median(error[::2, ::2][valid[::2, ::2]]))
    tolerated = TOLERATED_LEVELS + TOLERATED_PER_TYPICAL * min(typical, 4.0)
    slope = np.add(_slope(x), _slope(y))
    ratio = error / (tolerated + TOLERATED_PER_SLOPE * slope + TOLERATED_CLIPPED * clipped)
    return np.asarray(ratio, np.float32), typical


def _chroma_ratio(x: Floats, y: Floats, valid: Mask, clipped: Floats) -> Floats:
    """How often the tolerated difference the colours differ by, regardless of brightness."""
    half_x, half_y = _half_chroma(x), _half_chroma(y)
    error = cv2.absdiff(half_x, half_y)
    error = np.asarray(cv2.max(error[..., 0], error[..., 1]), np.float32)
    typical = float(np.median(error[valid[::2, ::2]]))
    slope = np.zeros_like(error)
    for c in range(2):
        slope = np.maximum(slope, _slope(half_x[..., c]) + _slope(half_y[..., c]))
    tolerated = TOLERATED_CHROMA_LEVELS + TOLERATED_PER_TYPICAL * min(typical, 4.0)
    ratio = error / (tolerated + TOLERATED_CHROMA_PER_SLOPE * slope + TOLERATED_CLIPPED * clipped[::2, ::2])
    return np.asarray(cv2.resize(ratio, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _half_chroma(colour: Floats) -> Floats:
    """float32 [h/2, w/2, 2]: smoothed Cr and Cb, as levels of the full range."""
    half = np.asarray(cv2.pyrDown(colour), np.float32)
    return _smooth(np.ascontiguousarray(cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb)[..., 1:]), 1.5)


def _smooth(image: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)


def _near_clipping(x: Floats, y: Floats) -> Floats:
    """float32 [h, w]: 1 where a channel of either picture is at an end of its range within two px, else 0."""
    is_at_end = np.asarray(((x >= 250) | (x <= 5) | (y >= 250) | (y <= 5)).any(axis=2), np.uint8)
    return np.asarray(cv2.dilate(is_at_end, np.ones((5, 5), np.uint8)), np.float32)


def _slope(luma: Floats) -> Floats:
    """Largest gradient magnitude within a pixel, levels a px."""
    gx, gy = cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.dilate(cv2.magnitude(gx, gy), np.ones((3, 3), np.uint8)), np.float32)


def _motion(x: Floats, y: Floats, valid: Mask) -> float:
    """95th percentile of the optical flow, averaged in windows where it can be seen, px."""
    flow, weight = half_size_flow(x, y, valid)
    window = _window(valid) // 2 | 1
    size = (window, window)
    total = cv2.blur(weight, size)
    mean = cv2.blur(flow * weight[..., None], size) / (total[..., None] + 1e-6)
    seen = total > MIN_SEEN
    if not seen.any():
        return 0.0
    return 2 * float(np.percentile(cv2.magnitude(mean[..., 0], mean[..., 1])[seen], 95))
