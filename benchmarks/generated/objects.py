"""Things that come into a scene: pieces of photographs, lit shapes, silhouettes; and whether a change can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.generated.bases import Pixels
from benchmarks.generated.camera import GAMMA, Linear

SEEN_LEVELS = 10  # of 255, over a few pixels at SEEN_AT_PX: what a person who compares closely notices
SEEN_AT_PX = 400
TRIES = 12  # at a change that can be seen


def put_object(light: Linear, others: Sequence[Pixels], rng: Generator, size: float, at: tuple[float, float]) -> None:
    """Lay a thing into the scene, in place: a piece of another photograph, a lit shape or a dark silhouette.

    `rng` decides what it is and how it looks: an equal state gives an equal thing. `others` are the photographs that
    pieces are cut from. `at` is its centre, `size` its larger side, as shares of the frame's sides.
    """
    height, width = light.shape[:2]
    side = max(6, round(size * max(height, width)))
    mask = silhouette(rng, side)
    kind = rng.random()
    if kind < 0.5:
        other = others[rng.integers(len(others))]
        window = min(*other.shape[:2], max(side, 32))
        y, x = (int(rng.integers(0, n - window + 1)) for n in other.shape[:2])
        piece = cv2.resize(other[y : y + window, x : x + window], (side, side), interpolation=cv2.INTER_AREA)
        thing = (piece.astype(np.float32) / 255) ** GAMMA
    elif kind < 0.75:
        thing = np.broadcast_to(rng.uniform(0.002, 0.03, 3).astype(np.float32), (side, side, 3))
    else:
        thing = np.broadcast_to(rng.uniform(0.03, 0.9, 3).astype(np.float32), (side, side, 3))
        thing = thing * np.linspace(1.15, 0.6, side, dtype=np.float32)[:, None, None]
    top, left = round(at[1] * height - side / 2), round(at[0] * width - side / 2)
    y0, x0, y1, x1 = max(0, top), max(0, left), min(height, top + side), min(width, left + side)
    if y1 <= y0 or x1 <= x0:
        return
    alpha = mask[y0 - top : y1 - top, x0 - left : x1 - left, None]
    part = light[y0:y1, x0:x1]
    part[:] = part * (1 - alpha) + thing[y0 - top : y1 - top, x0 - left : x1 - left] * alpha


def silhouette(rng: Generator, side: int) -> np.ndarray:
    """float32 [side, side], 0 … 1: a blob, a person or a bird with soft edges."""
    mask = np.zeros((side, side), np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radii = side * (0.36 + 0.1 * np.convolve(rng.standard_normal(26), np.ones(3) / 3, "valid"))
        rays = np.stack([np.cos(angles), np.sin(angles)], 1)
        points = side / 2 + rays * radii[:, None].clip(side * 0.15, side * 0.48)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    elif kind == 1:  # a person
        cv2.circle(mask, (side // 2, int(side * 0.14)), max(1, int(side * 0.09)), 255, -1, cv2.LINE_AA)
        cv2.ellipse(mask, (side // 2, int(side * 0.42)), (int(side * 0.15), int(side * 0.2)), 0, 0, 360, 255, -1)
        for lean in rng.uniform(-0.16, 0.16, 2):
            foot = (int(side * (0.5 + lean)), int(side * 0.97))
            cv2.line(mask, (side // 2, int(side * 0.55)), foot, 255, max(1, side // 11), cv2.LINE_AA)
    elif kind == 2:  # a bird
        lift = rng.uniform(0.05, 0.35)
        wings = [[0.02, 0.5 - lift], [0.5, 0.46], [0.98, 0.5 - lift], [0.56, 0.58], [0.5, 0.66], [0.44, 0.58]]
        cv2.fillPoly(mask, [(np.array(wings) * side).astype(np.int32)], 255, cv2.LINE_AA)
    else:
        axes = (int(side * 0.46), int(side * rng.uniform(0.2, 0.46)))
        cv2.ellipse(mask, (side // 2, side // 2), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, side * rng.uniform(0.005, 0.03)))
    return soft.astype(np.float32) / 255


def is_seen(a: Linear, b: Linear) -> bool:
    """Whether a person could tell two lights apart: else a series would hold nothing but noise."""
    scale = SEEN_AT_PX / max(a.shape[:2])
    small = [cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).clip(0, 1) for x in (a, b)]
    levels = 255 * np.abs(small[0] ** (1 / GAMMA) - small[1] ** (1 / GAMMA)).max(axis=2)
    return bool(cv2.blur(levels, (3, 3)).max() >= SEEN_LEVELS)


def seen_change(base: Linear, change: Callable[[], Linear]) -> Linear:
    """The first change that can be seen."""
    for _ in range(TRIES - 1):
        if is_seen(base, light := change()):
            return light
    return change()
