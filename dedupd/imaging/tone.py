"""A global tone change that explains how one picture's colours became another's.

Does not look at where pixels are. Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dedupd.imaging.prepared_side import Doubles, Floats

TONE_BINS = 40
MIN_BIN_SAMPLES = 12
SAME_SLOPE = 0.015  # of a channel's values against the other picture's; compression stays below
SAME_LEVELS = 1.5  # of a channel's mean
GREY_SPREAD = 0.01  # mean difference between the channels of a grey picture, of 1
_TO_GREY = np.array([[0.299, 0.587, 0.114, 0.0]] * 3)  # Rec. 601, what picture programs use
_UNMIXED = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
MAX_END_SLOPE = 3.0  # of a curve beyond what the sample shows
CURVE_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Tone:
    """A global colour change: a linear mix of the channels, then a monotone curve for each."""

    mix: Doubles  # [3, 4], of colours 0 … 255
    curves: Floats  # [3, CURVE_STEPS], values 0 … 255 for mixed values 0 … 255
    error: float  # root mean square error on the sample over its spread, 0: explains all

    def apply(self, colour: Floats) -> Floats:
        """The changed colours, float32 [h, w, 3], 0 … 255."""
        mixed = cv2.transform(colour, self.mix)
        index = np.clip(mixed * (CURVE_STEPS / 256) + 0.5, 0, CURVE_STEPS - 1).astype(np.int32)
        return np.asarray(cv2.merge([self.curves[c].take(index[..., c]) for c in range(3)]), np.float32)


def is_same_tone(source: Floats, target: Floats) -> bool:
    """Whether no tone change needs to be explained: each channel's values lie on those of the other.

    Args:
        source: float32 [n, 3], a sample of smoothed pixels, 0 … 255.
        target: float32 [n, 3], the same places in the other picture.
    """
    if len(source) < MIN_BIN_SAMPLES:
        return True
    mean_x, mean_y = source.mean(axis=0), target.mean(axis=0)
    x, y = source - mean_x, target - mean_y
    xx, yy, xy = (x * x).sum(axis=0), (y * y).sum(axis=0), (x * y).sum(axis=0)
    # The slope of the principal axis: noise in both bends a regression, but not this.
    slope = np.arctan2(2 * xy, xx - yy) / 2
    quarter = np.pi / 4
    is_flat = xx + yy < 2.0 * len(source)  # a channel that hardly varies has no slope
    same = (np.abs(np.tan(slope - quarter)) <= SAME_SLOPE) | is_flat
    return bool(same.all() and (np.abs(mean_x - mean_y) <= SAME_LEVELS).all())


def curves_between(source: Floats, target: Floats) -> Tone:
    """A curve for each channel that brings the source's colours near to the target's.

    Covers brightness, contrast, gamma, warmth and clipping. Fitted robustly, so that what differs locally stays
    different.

    Args:
        source: float32 [n, 3], a sample of smoothed pixels, 0 … 255.
        target: float32 [n, 3], the same places in the other picture.
    """
    return _with_curves(_UNMIXED, source.astype(np.float64) / 255, target.astype(np.float64) / 255)


def mix_between(source: Floats, target: Floats) -> Tone:
    """A linear mix of the channels and then curves: as `curves_between`, for saturation and grey."""
    x, y = source.astype(np.float64) / 255, target.astype(np.float64) / 255
    mix = _TO_GREY if float(np.ptp(y, axis=1).mean()) < GREY_SPREAD else _linear_mix(x, y)
    return _with_curves(mix, x, y)


def _linear_mix(x: Doubles, y: Doubles) -> Doubles:
    """The [3, 4] mix of x that is nearest to y, by reweighted least squares with Cauchy weights."""
    terms = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    prior = np.concatenate([np.eye(3), np.zeros((1, 3))])
    ridge = 1e-4 * len(terms) * np.eye(4)  # pulls what the sample leaves open towards "no change"
    weight = np.ones(len(terms))
    mix = prior
    for _ in range(3):
        weighted = terms * weight[:, None]
        mix = np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ y + ridge @ prior)
        error = np.abs(y - terms @ mix).max(axis=1)
        scale = max(0.01, 2.0 * float(np.median(error)))
        weight = 1 / (1 + (error / scale) ** 2)
    return np.asarray(mix.T)


def _with_curves(mix: Doubles, x: Doubles, y: Doubles) -> Tone:
    mixed = np.clip(x @ mix[:, :3].T + mix[:, 3], 0, 1)
    steps = np.linspace(0, 1, CURVE_STEPS)
    curves = np.stack([np.interp(steps, *_curve(mixed[:, c], y[:, c])) for c in range(3)])
    index = (mixed * (CURVE_STEPS - 1) + 0.5).astype(np.int32)
    after = np.stack([curves[c].take(index[:, c]) for c in range(3)], axis=1)
    left = float(np.sqrt(np.mean((after - y) ** 2)) / (np.std(y, axis=0).max() + 0.01))
    in_levels = mix.copy()
    in_levels[:, 3] *= 255
    return Tone(in_levels, np.clip(curves * 255, 0, 255).astype(np.float32), left)


def _curve(predicted: Doubles, target: Doubles) -> tuple[Doubles, Doubles]:
    """Knots and values of the running median of the target over the prediction, made monotone."""
    each = len(predicted) // TONE_BINS
    if each < MIN_BIN_SAMPLES:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    order = np.argsort(predicted)[: each * TONE_BINS]
    knots = _median_of_rows(predicted[order].reshape(TONE_BINS, each))
    values = np.maximum.accumulate(_median_of_rows(target[order].reshape(TONE_BINS, each)))
    first = _end_slope(knots[:4], values[:4])
    last = _end_slope(knots[-4:], values[-4:])
    knots = np.concatenate([[knots[0] - 1], knots, [knots[-1] + 1]])
    return knots, np.concatenate([[values[0] - first], values, [values[-1] + last]])


def _median_of_rows(rows: Doubles) -> Doubles:
    """np.median(rows, axis=1) for finite values, at a third of its cost."""
    low, high = (rows.shape[1] - 1) // 2, rows.shape[1] // 2
    parted = np.partition(rows, (low, high), axis=1)
    return np.asarray((parted[:, low] + parted[:, high]) / 2)


def _end_slope(knots: Doubles, values: Doubles) -> float:
    run = float(knots[-1] - knots[0])
    return float(np.clip((values[-1] - values[0]) / run, 0, MAX_END_SLOPE)) if run > 0.02 else 1.0
