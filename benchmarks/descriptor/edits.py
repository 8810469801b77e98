"""Random edits that make synthetic copies of a photo, to fit the descriptor with. Randomness is an argument."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

Pixels = np.ndarray  # uint8 [height, width, 3]


def crop(pixels: Pixels, rng: Generator) -> Pixels:
    height, width = pixels.shape[:2]
    kept_h, kept_w = rng.uniform(0.65, 1.0) * np.exp(rng.uniform(-0.05, 0.05, 2))
    rows, columns = (max(8, int(side * min(1.0, kept))) for side, kept in ((height, kept_h), (width, kept_w)))
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    return pixels[top : top + rows, left : left + columns]


def tilt(pixels: Pixels, rng: Generator) -> Pixels:
    """A small rotation or perspective; what comes in at the corners is cut away."""
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    angle = np.deg2rad(rng.uniform(-5, 5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = corners.mean(axis=0)
    zoom = 1 - 1.6 * abs(np.sin(angle))
    source = (corners - centre) @ turn.T * zoom + centre + rng.normal(0, 0.01, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), corners)
    return cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def tone(pixels: Pixels, rng: Generator) -> Pixels:
    """Brightness, contrast, gamma, colour balance and saturation."""
    x = pixels.astype(np.float32) / 255
    x = x ** np.exp(rng.uniform(-0.5, 0.5))
    x = (x - 0.5) * np.exp(rng.uniform(-0.45, 0.45)) + 0.5 + rng.uniform(-0.15, 0.15)
    x = x * np.exp(rng.normal(0, 0.08, 3))
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * rng.choice([0.0, rng.uniform(0.3, 1.9)], p=[0.2, 0.8])
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def overlay(pixels: Pixels, rng: Generator) -> Pixels:
    """A box, a sticker or a line of text."""
    out = pixels.copy()
    height, width = out.shape[:2]
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    kind = rng.integers(3)
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    if kind == 0:
        cv2.rectangle(
            out, (x, y), (x + int(width * rng.uniform(0.1, 0.5)), y + int(height * rng.uniform(0.05, 0.2))), colour, -1
        )
    elif kind == 1:
        cv2.circle(out, (x, y), int(width * rng.uniform(0.04, 0.15)), colour, -1)
    else:
        text = "".join(chr(c) for c in rng.integers(97, 123, 18))
        ink = (255, 255, 255) if rng.random() < 0.5 else (0, 0, 0)
        cv2.putText(out, text, (x // 4, y), cv2.FONT_HERSHEY_SIMPLEX, width / 300 * rng.uniform(0.7, 1.6), ink, 2)
    return out


def frame(pixels: Pixels, rng: Generator) -> Pixels:
    """A border or caption bar, or what a trim that missed by a little leaves of one."""
    height, width = pixels.shape[:2]
    most = 0.16 if rng.random() < 0.3 else 0.05
    top, bottom, left, right = (
        int(side * rng.uniform(0, most) * (rng.random() < 0.6)) for side in (height, height, width, width)
    )
    level = int(rng.choice([0, 255, rng.integers(0, 256)]))
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(level,) * 3)


def soften(pixels: Pixels, rng: Generator) -> Pixels:
    """Blur, noise, a small size or a strong JPEG."""
    kind = rng.integers(4)
    if kind == 0:
        return cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 3))
    if kind == 1:
        return np.clip(pixels + rng.normal(0, rng.uniform(2, 20), pixels.shape), 0, 255).astype(np.uint8)
    if kind == 2:
        side = rng.uniform(0.15, 0.8)
        return cv2.resize(pixels, None, fx=side, fy=side, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 90))])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


# Each edit with the chance that it is applied; most copies have two or three.
EDITS: tuple[tuple[Callable[[Pixels, Generator], Pixels], float], ...] = (
    (crop, 0.5),
    (tilt, 0.25),
    (tone, 0.5),
    (overlay, 0.3),
    (frame, 0.25),
    (soften, 0.4),
)


def edited_copy(pixels: Pixels, rng: Generator) -> Pixels:
    """One copy with random edits, in the order in which people apply them."""
    for edit, chance in EDITS:
        if rng.random() < chance:
            pixels = edit(pixels, rng)
    return np.ascontiguousarray(pixels)
