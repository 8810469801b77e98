"""A global tone change that explains how one picture's colours became another's.

Does not look at where pixels are. Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dedupd.imaging.prepared_side import Doubles, Floats

TONE_BINS = 24
MIN_BIN_SAMPLES = 12
CURVE_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Tone:
    """A global colour change: a linear mix of the channels, then a monotone curve for each."""

    mix: Doubles  # [3, 4], of colours 0 … 255
    curves: Floats  # [3, CURVE_STEPS], values 0 … 255 for mixed values 0 … 255
    error: float  # mean absolute error on the sample over its spread, 0: explains all

    def apply(self, colour: Floats) -> Floats:
        """The changed colours, float32 [h, w, 3], 0 … 255."""
        mixed = cv2.transform(colour, self.mix)
        index = np.clip(mixed * (CURVE_STEPS / 256) + 0.5, 0, CURVE_STEPS - 1).astype(np.intp)
        return np.stack([self.curves[c].take(index[..., c]) for c in range(3)], axis=2)


def explain_tone(source: Floats, target: Floats) -> Tone:
    """The global tone change that brings the source's colours nearest to the target's.

    Linear mixing covers saturation, warmth and grey, the curves gamma, contrast and clipping; both are fitted robustly,
    so that what differs locally stays different.

    Args:
        source: float32 [n, 3], a sample of smoothed pixels, 0 … 255.
        target: float32 [n, 3], the same places in the other picture.
    """
    x, y = source.astype(np.float64) / 255, target.astype(np.float64) / 255
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
    mixed = terms @ mix
    steps = np.linspace(0, 1, CURVE_STEPS)
    curves = np.stack([np.interp(steps, *_curve(mixed[:, c], y[:, c])) for c in range(3)])
    after = np.stack([np.interp(mixed[:, c], steps, curves[c]) for c in range(3)], axis=1)
    left = float(np.mean(np.abs(after - y)) / (np.std(y, axis=0).max() + 0.01))
    mix = mix.T.copy()
    mix[:, 3] *= 255
    return Tone(mix, np.clip(curves * 255, 0, 255).astype(np.float32), left)


def _curve(predicted: Doubles, target: Doubles) -> tuple[Doubles, Doubles]:
    """Knots and values of the running median of the target over the prediction, made monotone."""
    each = len(predicted) // TONE_BINS
    if each < MIN_BIN_SAMPLES:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    order = np.argsort(predicted)[: each * TONE_BINS]
    knots = np.median(predicted[order].reshape(TONE_BINS, each), axis=1)
    values = np.maximum.accumulate(np.median(target[order].reshape(TONE_BINS, each), axis=1))
    # Outside the sample the curve goes on with slope one.
    knots = np.concatenate([[knots[0] - 1], knots, [knots[-1] + 1]])
    return knots, np.concatenate([[values[0] - 1], values, [values[-1] + 1]])
