"""Where the pictures come from: photographs inside scikit-image and scikit-learn, and folders that the caller names.

Each photograph is cut into regions that share no pixel; a region serves either copies or look-alikes, never both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from benchmarks.truth import Half, half_of

Pixels = np.ndarray  # uint8 [height, width, 3], RGB

SHIPPED = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina", "immunohistochemistry")
SHIPPED_GREY = ("camera", "coins", "grass", "gravel", "brick")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
TWO_REGIONS_PX = 590  # a long side from which a photograph is cut in two …
FOUR_REGIONS_PX = 860  # … and a short side from which in four
LARGEST_PX = 2800  # of a region's long side; more detail than any picture of the set needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a photograph."""

    photo: str
    number: int
    pixels: Pixels

    @property
    def name(self) -> str:
        return f"{self.photo}#{self.number}"


def regions(folders: Sequence[Path], half: Half | None) -> list[Region]:
    """All regions of all photographs of that half (None: of both), first each photograph's first."""
    found = [
        Region(photo=name, number=number, pixels=part)
        for name, photo in photographs(folders, half)
        for number, part in enumerate(parts_of(photo))
    ]
    return sorted(found, key=lambda region: region.number)


def photographs(folders: Sequence[Path], half: Half | None) -> Iterator[tuple[str, Pixels]]:
    def is_wanted(name: str) -> bool:
        return half is None or half_of(name) == half

    from skimage import data  # noqa: PLC0415 - takes a second
    from sklearn.datasets import load_sample_images  # noqa: PLC0415

    shipped = {name: getattr(data, name) for name in (*SHIPPED, *SHIPPED_GREY)}
    shipped["motorcycle"] = lambda: data.stereo_motorcycle()[0]
    samples = load_sample_images()
    for name, pixels in zip(samples.filenames, samples.images, strict=True):
        shipped[Path(name).stem] = lambda pixels=pixels: pixels
    for name, load in shipped.items():
        if is_wanted(name):
            yield name, cleaned(np.asarray(Image.fromarray(load()).convert("RGB")))
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            if is_wanted(path.stem):
                with Image.open(path) as image:
                    yield path.stem, cleaned(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


def cleaned(pixels: Pixels) -> Pixels:
    """Without most of its own noise, which in truth would differ from exposure to exposure."""
    longest = max(pixels.shape[:2])
    if longest > LARGEST_PX:
        scale = LARGEST_PX / longest
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.bilateralFilter(pixels, 5, 14, 1.5)


def parts_of(photo: Pixels) -> list[Pixels]:
    height, width = photo.shape[:2]
    if min(height, width) >= FOUR_REGIONS_PX:
        rows = (photo[: height // 2], photo[height // 2 :])
        return [part for row in rows for part in (row[:, : width // 2], row[:, width // 2 :])]
    if max(height, width) < TWO_REGIONS_PX:
        return [photo]
    if width >= height:
        return [photo[:, : width // 2], photo[:, width // 2 :]]
    return [photo[: height // 2], photo[height // 2 :]]
