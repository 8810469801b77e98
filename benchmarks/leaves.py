"""Pictures by the thousand, each unlike the others: dead leaves, as many as a benchmark of growth needs.

Shapes of random size fall on each other until the ground is covered. With sizes that follow a power law such pictures
have the spectrum, edges and occlusions of photographs (Lee, Mumford and Huang, "Occlusion models for natural images",
2001); light that changes over the picture and the noise of a sensor are laid over it. Deterministic: the same number
gives the same picture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pictures import age

Pixels = NDArray[np.uint8]

LONG_PX, SHORT_PX = 160, 120
LEAVES = 45
SMALLEST_PX, LARGEST_PX = 4.0, 100.0  # half of a leaf's side
SUBJECT_PX, SUBJECT_SPREAD = (15.0, 55.0), 0.12  # what the picture is of: as large, and as far from the middle
SKY = 0.45  # how much lighter the top is at most: most photographs have their light above
CUBE = 2.0  # the density of a leaf's size r falls as r ** -(CUBE + 1): 2 keeps the spectrum at every scale
NOISE_LEVELS = 3.0
QUALITY, LARGE_QUALITY = 88, 85  # large ones so that 100,000 of 1600 × 1200 are 21 GB
COPY_SHARE, COPY_QUALITY = 0.75, 70  # a planted copy: smaller and saved again, as a messenger does


def leaves(number: int, long_px: int = LONG_PX) -> Pixels:
    """Picture `number`: uint8 [height, width, 3], one in three upright, the others lying; the same in any size."""
    rng = np.random.default_rng((number, 2001))
    scale, short_px = long_px / LONG_PX, short_side_px(long_px)
    width, height = (short_px, long_px) if number % 3 == 0 else (long_px, short_px)
    palette = rng.uniform(0, 255, (3, 3)) * rng.uniform(0.3, 1.0)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = palette[0]
    for place, size in enumerate((rng.uniform(*SUBJECT_PX), *_sizes(rng))):
        radius = size * scale
        colour = palette[rng.integers(3)] + rng.normal(0, 35, 3)
        spot = rng.normal(0.5, SUBJECT_SPREAD, 2) if place == 0 else rng.uniform(-0.1, 1.1, 2)
        centre = (int(spot[0] * width), int(spot[1] * height))
        ratio, angle = rng.uniform(0.3, 1.0), rng.uniform(0, 180)
        shade = tuple(np.clip(colour, 0, 255).tolist())
        if rng.random() < 0.5:
            cv2.ellipse(canvas, centre, (int(radius), max(1, int(radius * ratio))), angle, 0, 360, shade, cv2.FILLED)
        else:
            box = cv2.boxPoints((centre, (2 * radius, 2 * radius * ratio), angle)).astype(np.int32)
            cv2.fillConvexPoly(canvas, box, shade)
    grid = rng.uniform(0.75, 1.15, (3, 3)) * (1 + rng.uniform(-0.1, SKY) * np.array([[1.0], [0.0], [-1.0]]))
    light = cv2.resize(grid.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.standard_normal((height, width), np.float32) * NOISE_LEVELS
    shone_on = canvas.astype(np.float32)
    shone_on *= cv2.merge((light, light, light))
    shone_on += cv2.merge((noise, noise, noise))
    return np.clip(shone_on, 0, 255, out=shone_on).astype(np.uint8)


def quality_of(long_px: int) -> int:
    """The JPEG quality that pictures of this size are saved with."""
    return QUALITY if long_px <= LONG_PX else LARGE_QUALITY


def short_side_px(long_px: int) -> int:
    """The shorter side of a picture that has this longer one."""
    return round(long_px * SHORT_PX / LONG_PX)


def _sizes(rng: np.random.Generator) -> list[float]:
    """Radii by the power law, the large first, so that the small are not all covered."""
    low, high = SMALLEST_PX**-CUBE, LARGEST_PX**-CUBE
    radii = (low - rng.uniform(0, 1, LEAVES) * (low - high)) ** (-1 / CUBE)
    return sorted(radii.tolist(), reverse=True)


def smaller(pixels: Pixels) -> Pixels:
    """The same picture, three quarters as wide."""
    return cv2.resize(pixels, None, fx=COPY_SHARE, fy=COPY_SHARE, interpolation=cv2.INTER_AREA)


def save(pixels: Pixels, path: Path, quality: int = QUALITY) -> None:
    """As JPEG, as if written long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))
    path.write_bytes(encoded.tobytes())
    age(path)
