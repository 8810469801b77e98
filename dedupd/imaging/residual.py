"""What is left between two aligned pictures once a global change and added text are explained.

Does not align and decides nothing. Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dedupd.imaging.common_frame import CommonFrame, Mask, grey
from dedupd.imaging.detail import Bands, compare_bands
from dedupd.imaging.explanation import Explained, explain, filtered, without
from dedupd.imaging.overlay import Overlay, find_overlay
from dedupd.imaging.prepared_side import BoxPx, Floats
from dedupd.imaging.regions import Regions

TEXTURE_LEVELS = 4.0  # standard deviation in a window from which it counts as textured; JPEG previews leave 1 … 2
CHROMA_FLOOR = 2.0  # levels of colour that compression puts into a grey picture
LOOK_FOR_OVERLAY = 0.8  # excess from which added text is looked for


@dataclass(frozen=True, slots=True)
class LocalResidual:
    """Where two aligned pictures differ. Boxes are in pixels of the common frame."""

    regions: Regions
    area_px: int  # of the overlap
    bands: Bands  # gains: the frame's moved picture over its reference
    overlay: Overlay | None

    @property
    def boxes(self) -> tuple[BoxPx, ...]:
        """Where they differ: what was added first, then the rest."""
        return ((self.overlay.boxes if self.overlay else ()) + self.regions.boxes)[:8]


@dataclass(frozen=True, slots=True)
class Residual(LocalResidual):
    """How two aligned pictures differ; as in `records.Evidence`."""

    similarity: float
    low: float
    textured_windows: int
    tone_change: float
    chroma_gain: float  # the frame's moved picture over its reference
    overlay_is_on_moved: bool


def measure(frame: CommonFrame) -> Residual:
    """Measure the residual of an aligned pair."""
    found, overlay = _best_account(explain(frame))
    x, y = grey(found.x), grey(found.y)
    low, support = _low_agreement(x, y, found.valid)
    return Residual(
        regions=found.regions,
        area_px=_area_px(found),
        bands=_bands(found, x, y, with_lows=True),
        overlay=overlay,
        similarity=_agreement(x, y, found.valid),
        low=low,
        textured_windows=support,
        tone_change=found.tone_change,
        chroma_gain=_chroma_gain(frame),
        overlay_is_on_moved=overlay is not None and overlay.is_on_y == found.y_is_moved,
    )


def measure_locally(frame: CommonFrame) -> LocalResidual:
    """The part of `measure` that a look at full pictures asks for, at three quarters of the cost; `lows` are empty."""
    found, overlay = _best_account(explain(frame))
    return LocalResidual(
        regions=found.regions,
        area_px=_area_px(found),
        bands=_bands(found, grey(found.x), grey(found.y), with_lows=False),
        overlay=overlay,
    )


def _area_px(found: Explained) -> int:
    return max(1, int(np.count_nonzero(found.valid)))


def _bands(found: Explained, x: Floats, y: Floats, *, with_lows: bool) -> Bands:
    bands = compare_bands(x, y, found.valid, with_lows=with_lows)
    gains = bands.gains if found.filter_gains is None else found.filter_gains
    return bands._replace(gains=gains if found.y_is_moved else tuple(1 / g for g in gains))


def _best_account(found: Explained) -> tuple[Explained, Overlay | None]:
    """What is left once a filter or added writing is taken out, whichever leaves less."""
    after = filtered(found)
    if after.regions.excess <= LOOK_FOR_OVERLAY:
        return after, None
    overlay = find_overlay(found)
    if overlay is None:
        return after, None
    cleared = filtered(without(found, overlay.covered))
    return (cleared, overlay) if cleared.left_over < after.left_over else (after, None)


def _chroma_gain(frame: CommonFrame) -> float:
    """How much more saturated the moved picture is than the reference."""
    mask = np.ascontiguousarray(frame.valid[::4, ::4]).view(np.uint8)
    sums = []
    for picture in (frame.reference, frame.moved):
        quarter = cv2.pyrDown(cv2.pyrDown(picture))
        chroma = (
            np.asarray(cv2.cvtColor(np.asarray(quarter, np.float32), cv2.COLOR_RGB2YCrCb))[..., 1:] - 0.5
        )  # OpenCV's middle for floats
        sums.append(sum(cv2.mean(np.abs(chroma[..., c]), mask)[0] for c in range(2)))
    return (sums[1] + CHROMA_FLOOR) / (sums[0] + CHROMA_FLOOR)


def _agreement(x: Floats, y: Floats, valid: Mask) -> float:
    """2 · covariance / (variance + variance), 0 … 1; 1 for two flat pictures of one level."""
    if not valid.any():
        return 0.0
    x, y = x[valid], y[valid]
    x, y = x - x.mean(), y - x.mean()
    power = float(x @ x + y @ y)
    return float(np.clip(2 * float(x @ y) / power, 0, 1)) if power > 1e-3 * len(x) else 1.0


def _low_agreement(x: Floats, y: Floats, valid: Mask) -> tuple[float, int]:
    """5th percentile of the agreement in square textured windows, and how many separate such windows there are."""
    window = (int(np.clip(min(valid.shape) // 8, 5, 15)) | 1) // 2 | 1  # of the halved picture
    size = (window, window)
    x, y = np.asarray(cv2.pyrDown(x), np.float32), np.asarray(cv2.pyrDown(y), np.float32)
    valid = valid[::2, ::2]
    mean_x, mean_y = cv2.blur(x, size), cv2.blur(y, size)
    var_x = np.maximum(cv2.blur(x * x, size) - mean_x * mean_x, 0)
    var_y = np.maximum(cv2.blur(y * y, size) - mean_y * mean_y, 0)
    step = max(1, window // 2)
    grid = (slice(step, None, step), slice(step, None, step))
    var_x, var_y = var_x[grid], var_y[grid]
    covariance = (cv2.blur(x * y, size) - mean_x * mean_y)[grid]
    agreement = 2 * covariance / (var_x + var_y + 4.0)  # 4: rounding and preview compression, levels²
    values = agreement[valid[grid] & (np.maximum(var_x, var_y) > TEXTURE_LEVELS**2)]
    if not len(values):
        return 1.0, 0
    return float(np.clip(np.percentile(values, 5), 0, 1)), len(values) // 4
