"""A small truth set of our own making, for `accuracy`.

Photographs and collages, their copies by common edits, unrelated pictures, and series of one scene in several
exposures. Collages are no photographs: figures on real libraries are worth more.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks.pictures import Scenes, age, photographs

SIZE_PX = (1024, 768)
UNRELATED_SCENES = 24
SERIES = 5
FRAMES = 4
COLUMNS = ("path", "role", "source_id", "transform", "series_id")

SPLIT_SEED = 2  # of the first dozen, one that halves the pictures of each origin evenly

Encoded = tuple[bytes, str]  # bytes and suffix
Half = Literal["tune", "report"]


def half_of(name: str) -> Half:
    """Whether a source or series is for fitting limits and coefficients, or for the figures that are reported.

    Args:
        name: a series_id, or for a picture without one its source_id. What stands before a "#" decides, so that all
            that was made from one photograph lies in one half.
    """
    first_byte = hashlib.sha256(f"{SPLIT_SEED}:{name.partition('#')[0]}".encode()).digest()[0]
    return "tune" if first_byte & 1 else "report"


def make_truth(folder: Path, sources: int) -> Path:
    """Write the pictures and truth.csv into an empty folder; returns the table's path.

    Of the sources that have copies about half are photographs, the rest collages.
    """
    rows: list[dict[str, str]] = []

    def put(name: str, content: bytes, **facts: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        age(path)
        rows.append({**dict.fromkeys(COLUMNS, ""), "path": name, **facts})

    scenes = Scenes()
    photos = photographs()[: (sources + 1) // 2]
    originals = photos + [scenes.scene(seed, SIZE_PX) for seed in range(sources - len(photos))]
    for number, original in enumerate(originals):
        source = f"s{number:03}"
        content = jpeg(original, 92)
        put(f"camera/IMG_{number:04}.jpg", content, role="original", source_id=source)
        for transform, edit in TRANSFORMS.items():
            copy, suffix = edit(original, content)
            put(f"{transform}/{source}{suffix}", copy, role="copy", source_id=source, transform=transform)
    for seed in range(1000, 1000 + UNRELATED_SCENES):
        put(f"camera/DSC_{seed}.jpg", jpeg(scenes.scene(seed, SIZE_PX), 92), role="single")
    for seed in range(2000, 2000 + SERIES):
        for frame in range(FRAMES):
            picture = scenes.scene(seed, SIZE_PX, frame=frame)
            put(f"camera/BURST_{seed}_{frame}.jpg", jpeg(picture, 92), role="series", series_id=f"b{seed}")
    table = folder / "truth.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return table


def jpeg(image: Image.Image, quality: int) -> bytes:
    return encoded(image, "JPEG", quality=quality)[0]


def encoded(image: Image.Image, form: str, **options: object) -> Encoded:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue(), {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}[form]


def edited(change: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image, bytes], Encoded]:
    """A change to the pixels, stored as an editor would."""
    return lambda image, _content: encoded(change(image), "JPEG", quality=88)


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def cropped(image: Image.Image) -> Image.Image:
    """A tenth less on each axis, off the centre."""
    width, height = image.size
    return image.crop((width // 25, height // 15, width // 25 + width * 9 // 10, height // 15 + height * 9 // 10))


def captioned(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, image.height * 9 // 10, image.width, image.height), fill="black")
    draw.text((image.width // 20, image.height * 92 // 100), "Summer holidays", fill="white")
    return image


TRANSFORMS: dict[str, Callable[[Image.Image, bytes], Encoded]] = {
    "exact_copy": lambda _image, content: (content, ".jpg"),
    "jpeg_resave": lambda image, _content: encoded(image, "JPEG", quality=60),
    "to_png": lambda _image, content: encoded(Image.open(io.BytesIO(content)), "PNG"),
    "to_webp": lambda image, _content: encoded(image, "WEBP", quality=80),
    "resize": edited(halved),
    "brightness": edited(lambda image: ImageEnhance.Brightness(image).enhance(1.25)),
    "grayscale": edited(ImageOps.grayscale),
    "blur": edited(lambda image: image.filter(ImageFilter.GaussianBlur(1.2))),
    "crop_10": edited(cropped),
    "rotate_90": edited(lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "hflip": edited(ImageOps.mirror),
    "border": edited(lambda image: ImageOps.expand(image, image.width // 20, "white")),
    "caption": edited(captioned),
}
