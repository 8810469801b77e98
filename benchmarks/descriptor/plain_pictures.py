"""Pictures of our own making that look like many others: pages, screens, charts, skies, dark frames, blank scans.

A library holds hundreds of each. No licence question, no photograph. Randomness is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

Pixels = np.ndarray  # uint8 [height, width, 3]
Size = tuple[int, int]  # height, width

SIZES: tuple[Size, ...] = ((384, 272), (272, 384), (384, 288), (288, 384), (384, 178))  # A4, 4:3 and a phone
LETTERS = "etaoinshrdlucmfw ETAS0123456789.,"


def paper(size: Size, rng: Generator) -> Pixels:
    tint = rng.integers(0, 12, 3)
    return np.full((*size, 3), 255 - tint, dtype=np.uint8)


def write(page: Pixels, top: int, left: int, right: int, height: float, rng: Generator) -> None:
    """One line of characters that say nothing."""
    count = max(1, int((right - left) / max(1.0, 0.62 * height)))
    text = "".join(rng.choice(list(LETTERS), count))
    cv2.putText(page, text, (left, top), cv2.FONT_HERSHEY_SIMPLEX, height / 22, (30, 30, 30), 1, cv2.LINE_AA)


def page(size: Size, rng: Generator) -> Pixels:
    """Paragraphs, now and then with a heading."""
    out = paper(size, rng)
    margin, step = int(size[1] * rng.uniform(0.07, 0.13)), float(rng.uniform(6, 12))
    y = margin + 10 + 14 * float(rng.random() < 0.5)
    while y < size[0] * rng.uniform(0.8, 0.98):
        if rng.random() < 0.12:
            y += step
        width = size[1] - 2 * margin
        write(out, int(y), margin, margin + int(width * (1.0 if rng.random() < 0.8 else rng.uniform(0.3, 1))), step, rng)
        y += step * 1.25
    return out


def table(size: Size, rng: Generator) -> Pixels:
    """A form, an invoice: lines and short texts."""
    out = paper(size, rng)
    rows, columns = int(rng.integers(8, 24)), int(rng.integers(2, 7))
    for row in range(rows + 1):
        y = int(20 + row * (size[0] - 40) / rows)
        cv2.line(out, (12, y), (size[1] - 12, y), (120, 120, 120), 1)
        for column in range(columns):
            x = int(14 + column * (size[1] - 28) / columns)
            write(out, y - 2, x, x + int(rng.uniform(0.2, 0.9) * size[1] / columns), 7, rng)
    return out


def chat(size: Size, rng: Generator) -> Pixels:
    """A phone's screen with messages left and right."""
    is_dark = rng.random() < 0.5
    out = np.full((*size, 3), 20 if is_dark else 244, dtype=np.uint8)
    cv2.rectangle(out, (0, 0), (size[1], size[0] // 14), (40, 40, 40) if is_dark else (225, 225, 225), -1)
    y = size[0] // 10
    while y < size[0] * 0.93:
        height, width = int(rng.integers(14, 50)), int(size[1] * rng.uniform(0.3, 0.72))
        is_own = rng.random() < 0.5
        x = size[1] - width - 6 if is_own else 6
        colour = (50, 90, 70) if is_own else (60, 60, 60)
        light = (215, 245, 210) if is_own else (255, 255, 255)
        cv2.rectangle(out, (x, y), (x + width, y + height), colour if is_dark else light, -1)
        for line in range(y + 9, y + height, 9):
            write(out, line, x + 4, x + int(width * rng.uniform(0.5, 0.95)), 6, rng)
        y += height + 7
    return out


def settings_screen(size: Size, rng: Generator) -> Pixels:
    """A list with a bar above and a line for each entry."""
    is_dark = rng.random() < 0.4
    out = np.full((*size, 3), 24 if is_dark else 250, dtype=np.uint8)
    bar = tuple(int(c) for c in rng.integers(30, 220, 3))
    cv2.rectangle(out, (0, 0), (size[1], int(size[0] * rng.uniform(0.05, 0.14))), bar, -1)
    for y in range(size[0] // 6, size[0], int(rng.integers(18, 44))):
        cv2.circle(out, (16, y), 6, tuple(int(c) for c in rng.integers(60, 230, 3)), -1)
        ink = 200 if is_dark else 60
        cv2.line(out, (32, y), (int(size[1] * rng.uniform(0.4, 0.9)), y), (ink, ink, ink), 3)
    return out


def chart(size: Size, rng: Generator) -> Pixels:
    out = paper(size, rng)
    bars = int(rng.integers(4, 16))
    colour = tuple(int(c) for c in rng.integers(20, 220, 3))
    for bar in range(bars):
        x = int(30 + bar * (size[1] - 50) / bars)
        y = int(size[0] * rng.uniform(0.15, 0.85))
        cv2.rectangle(out, (x, y), (x + (size[1] - 50) // bars - 4, size[0] - 24), colour, -1)
    cv2.line(out, (24, size[0] - 22), (size[1] - 12, size[0] - 22), (0, 0, 0), 1)
    return out


def sky(size: Size, rng: Generator) -> Pixels:
    """From one colour above to another below, often with soft clouds or a dark line of land."""
    top, bottom = rng.integers(60, 200, 3) + (30, 20, 0), rng.integers(140, 255, 3)
    ramp = np.linspace(0, 1, size[0])[:, None, None] ** float(np.exp(rng.normal(0, 0.3)))
    out = np.broadcast_to(top + ramp * (bottom - top), (*size, 3)).astype(np.float32)
    if rng.random() < 0.5:
        cloud = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), float(rng.uniform(12, 50)))
        out = out + rng.uniform(5, 40) * (cloud / (np.abs(cloud).max() + 1e-6))[..., None]
    if rng.random() < 0.5:
        out[int(size[0] * rng.uniform(0.7, 0.95)) :] *= 0.3
    return np.clip(out + rng.normal(0, 1.5, out.shape), 0, 255).astype(np.uint8)


def dark(size: Size, rng: Generator) -> Pixels:
    """A lens cap, a night, a pocket: noise, a little light somewhere."""
    y, x = np.mgrid[: size[0], : size[1]]
    glow = np.hypot(y - rng.uniform(0, size[0]), x - rng.uniform(0, size[1])) / size[0]
    light = rng.choice([0.0, rng.uniform(3, 30)]) * np.exp(-((glow / rng.uniform(0.1, 1.0)) ** 2))
    out = light[..., None] + rng.uniform(1, 12) + rng.normal(0, rng.uniform(0.5, 3), (*size, 3))
    return np.clip(out, 0, 255).astype(np.uint8)


def blank(size: Size, rng: Generator) -> Pixels:
    """An empty sheet on a scanner: shading, a fold, dust."""
    y, x = np.mgrid[: size[0], : size[1]]
    shade = rng.uniform(-8, 8) * y / size[0] + rng.uniform(-8, 8) * x / size[1]
    out = 246 + shade[..., None] + rng.normal(0, 1, (*size, 3))
    if rng.random() < 0.5:
        out[:, : int(rng.integers(1, 8))] -= rng.uniform(20, 120)
    return np.clip(out, 0, 255).astype(np.uint8)


KINDS: tuple[Callable[[Size, Generator], Pixels], ...] = (
    page,
    table,
    chat,
    settings_screen,
    chart,
    sky,
    dark,
    blank,
)


def plain_pictures(of_each: int, rng: Generator) -> list[Pixels]:
    """So many of each kind, in sizes that people have."""
    return [kind(SIZES[int(rng.integers(len(SIZES)))], rng) for kind in KINDS for _ in range(of_each)]
