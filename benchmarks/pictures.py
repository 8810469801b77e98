"""Pictures of our own making, so that no benchmark needs data from outside.

Collages of photographs that ship inside scikit-image and scikit-learn, with the noise of a sensor. Deterministic: the
same seed gives the same picture.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

CAMERA_PX = (3264, 2448)  # 8 megapixels
SNAPSHOT_PX = (1600, 1200)
PATCHES = 8
NOISE_LEVELS = 3.0  # standard deviation of the sensor's noise, 0 … 255
AGE_S = 3600.0  # old enough that nothing waits for the file to settle

_SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field", "immunohistochemistry")


def photographs() -> list[Image.Image]:
    """Colour photographs, 300 to 1411 px; none is downloaded."""
    from skimage import data  # noqa: PLC0415 - takes a second, and not every benchmark needs it
    from sklearn.datasets import load_sample_images  # noqa: PLC0415

    arrays = [getattr(data, name)() for name in _SKIMAGE] + list(load_sample_images().images)
    return [Image.fromarray(array).convert("RGB") for array in arrays]


class Scenes:
    """Makes collages: a piece of one photograph as the ground, pieces of others before it."""

    def __init__(self) -> None:
        self._photographs = photographs()

    def scene(self, seed: int, size: tuple[int, int] = SNAPSHOT_PX, *, frame: int = 0) -> Image.Image:
        """One picture.

        Args:
            seed: which scene.
            size: width and height, px.
            frame: which exposure of it: from one to another the camera moves a little, what stands in front moves
                more, each thing its own way, and the noise is new, as in a burst.
        """
        rng, moves = np.random.default_rng(seed), np.random.default_rng((seed, frame))
        width, height = size
        canvas = self._piece(rng, size, moves.uniform(0.0, 0.02, 2) * (frame > 0))
        for _ in range(PATCHES):
            share = rng.uniform(0.15, 0.45)
            patch = self._piece(rng, (int(width * share), int(height * share)), np.zeros(2))
            place = rng.uniform(-0.1, 0.9, 2) + moves.uniform(0.01, 0.05, 2) * (frame > 0)
            canvas.paste(patch, (int(place[0] * width), int(place[1] * height)))
        noise = moves.standard_normal((height, width, 1), np.float32) * NOISE_LEVELS
        return Image.fromarray(np.clip(np.asarray(canvas, np.float32) + noise, 0, 255).astype(np.uint8))

    def _piece(self, rng: np.random.Generator, size: tuple[int, int], shift: np.ndarray) -> Image.Image:
        """A random part of a random photograph, perhaps mirrored, in the light of another hour."""
        photo = self._photographs[rng.integers(len(self._photographs))]
        share = rng.uniform(0.35, 0.95)
        width, height = photo.width * share, photo.height * share
        left, top = (rng.uniform(0, 1, 2) * 0.97 + shift) * (photo.width - width, photo.height - height)
        piece = photo.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        gains = rng.uniform(0.7, 1.2, 3)
        piece = piece.point([min(255, int(level * gain)) for gain in gains for level in range(256)])
        return ImageOps.mirror(piece) if rng.random() < 0.5 else piece


def save_aged(image: Image.Image, path: Path, **options: object) -> None:
    """Save as if written long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    age(path)


def age(path: Path) -> None:
    then = time.time() - AGE_S
    os.utime(path, (then, then))


def make_scenes(folder: Path, count: int, size: tuple[int, int], *, first_seed: int = 0) -> list[Path]:
    """`count` JPEGs of scenes in `folder`, named in order."""
    scenes = Scenes()
    paths = [folder / f"IMG_{first_seed + number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        save_aged(scenes.scene(first_seed + number, size), path, quality=92)
    return paths
