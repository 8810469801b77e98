"""Copies of a picture by every edit that people and programs make, with parameters drawn at random.

`copies_of` gives encoded files; where they lie and what the truth table says of them is `write`'s.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from benchmarks.generated.bases import Pixels
from benchmarks.generated.overlays import (
    border,
    caption_bar,
    caption_over,
    date_stamp,
    logo,
    resized,
    screenshot_desktop,
    screenshot_phone,
    watermark_corner,
    watermark_tiled,
)

ORIENTATIONS = {3: 2, 6: 1, 8: 3}  # tag of a file whose pixels lie turned by that many quarters (anticlockwise)
STRIDE = 10  # between copies that follow each other, so that a few are of many kinds; prime to the list's length
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "HEIF": ".heic", "AVIF": ".avif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What copies are made from."""

    pixels: Pixels  # as decoded from the file
    content: bytes  # the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file with what the truth table says of it."""

    transform: str
    params: str
    tier: str
    content: bytes
    suffix: str


Encoded = tuple[bytes, str, str]  # content, suffix, params
Maker = Callable[[Original, Generator], Encoded]


def copies_of(original: Original, rng: Generator, *, first: int = 0, count: int | None = None) -> Iterator[Copy]:
    """Copies by the transformations of TRANSFORMS, each as often as it says there, with parameters of its own.

    Args:
        original: what to copy.
        rng: what the parameters are drawn from.
        first: where in the list to begin; it goes round.
        count: how many; None: the whole list.
    """
    every = [(transform, tier, make) for transform, tier, times, make in TRANSFORMS for _ in range(times)]
    for place in range(first, first + (len(every) if count is None else count)):
        transform, tier, make = every[place * STRIDE % len(every)]
        content, suffix, params = make(original, rng)
        yield Copy(transform=transform, params=params, tier=tier, content=content, suffix=suffix)


def encoded(pixels: Pixels, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def saved(change: Callable[[Pixels, Generator], tuple[Pixels, str]]) -> Maker:
    """A change to the pixels, then saved as editors do."""

    def make(original: Original, rng: Generator) -> Encoded:
        pixels, params = change(original.pixels, rng)
        if rng.random() < 0.08:
            return encoded(pixels, "PNG", compress_level=1), ".png", params
        return encoded(pixels, quality=int(rng.choice([80, 85, 88, 90, 92, 95]))), ".jpg", params

    return make


def to_format(form: str, **range_of: tuple[int, ...]) -> Maker:
    def make(original: Original, rng: Generator) -> Encoded:
        options = {name: int(rng.choice(values)) for name, values in range_of.items()}
        params = ",".join(f"{name}={value}" for name, value in options.items())
        return encoded(original.pixels, form, **options), SUFFIXES[form], params

    return make


def exact_copy(original: Original, _rng: Generator) -> Encoded:
    return original.content, ".jpg", ""


def metadata_only(original: Original, rng: Generator) -> Encoded:
    """The JPEG's data untouched, a block of metadata put in."""
    exif = Image.Exif()
    exif[0x0131] = f"Photo Keeper {rng.integers(1, 9)}.{rng.integers(10)}"  # Software
    exif[0x010E] = f"album {rng.integers(1000)}"  # ImageDescription
    block = exif.tobytes()
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return original.content[:2] + segment + original.content[2:], ".jpg", "exif added, JPEG data untouched"


def exif_orientation(original: Original, rng: Generator) -> Encoded:
    tag = int(rng.choice(list(ORIENTATIONS)))
    exif = Image.Exif()
    exif[0x0112] = tag
    turned = np.ascontiguousarray(np.rot90(original.pixels, ORIENTATIONS[tag]))
    return encoded(turned, quality=92, exif=exif), ".jpg", f"orientation={tag}"


def jpeg_resave(original: Original, rng: Generator) -> Encoded:
    quality = int(rng.choice([30, 40, 50, 60, 70, 75, 80, 85, 90, 95]))
    return encoded(original.pixels, quality=quality), ".jpg", f"q={quality}"


def resize(original: Original, rng: Generator) -> Encoded:
    percent = int(rng.choice([25, 33, 40, 50, 60, 75, 90]))
    method, name = ((cv2.INTER_AREA, "AREA"), (cv2.INTER_CUBIC, "BICUBIC"), (cv2.INTER_LINEAR, "BILINEAR"))[
        rng.integers(3)
    ]
    return encoded(resized(original.pixels, percent / 100, method), quality=90), ".jpg", f"pct={percent},{name},q=90"


def whatsapp(original: Original, _rng: Generator) -> Encoded:
    return encoded(at_most(original.pixels, 1600), quality=70), ".jpg", "max=1600,q=70,strip"


def instagram(original: Original, _rng: Generator) -> Encoded:
    scale = min(1.0, 1080 / original.pixels.shape[1])
    return encoded(resized(original.pixels, scale), quality=75), ".jpg", "w=1080,q=75,strip"


def at_most(pixels: Pixels, longest_px: int) -> Pixels:
    scale = longest_px / max(pixels.shape[:2])
    return resized(pixels, scale) if scale < 1 else pixels


def toned(name: str, curve: Callable[[np.ndarray, float], np.ndarray], values: tuple[float, ...]) -> Maker:
    """A curve over all values, 0 … 1."""

    def change(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
        value = float(rng.choice(values)) * float(rng.uniform(0.96, 1.04))
        levels = curve(np.arange(256) / 255, value).clip(0, 1)
        return (255 * levels + 0.5).astype(np.uint8)[pixels], f"{name}={value:.2f}"

    return saved(change)


def saturation(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    factor = float(rng.choice([0.4, 0.7, 1.4, 1.8]))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    return (grey + factor * (pixels - grey)).clip(0, 255).astype(np.uint8), f"f={factor}"


def warmth(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    k = float(rng.choice([0.85, 0.92, 1.08, 1.15]))
    return (pixels * np.array([k, 1.0, 1 / k], np.float32)).clip(0, 255).astype(np.uint8), f"k={k}"


def grayscale(pixels: Pixels, _rng: Generator) -> tuple[Pixels, str]:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), ""


def blur(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    """Up to 1.2 px as sets of copies have it; now and then stronger."""
    sigma = float(rng.uniform(0.7, 1.2) if rng.random() < 0.7 else rng.uniform(1.3, 2.2))
    return cv2.GaussianBlur(pixels, (0, 0), sigma), f"radius={sigma:.1f}"


def noise(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    sigma = float(rng.choice([5, 9, 14]))
    shape = pixels.shape if rng.random() < 0.6 else (*pixels.shape[:2], 1)
    return (pixels + sigma * rng.standard_normal(shape, np.float32)).clip(0, 255).astype(np.uint8), f"sigma={sigma:.0f}"


def sharpen(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    radius, amount = float(rng.choice([1.0, 2.0, 3.0])), float(rng.choice([0.8, 1.5]))
    soft = cv2.GaussianBlur(pixels, (0, 0), radius)
    return cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0), f"usm {radius:.0f}/{100 * amount:.0f}"


def cropped(percent: int) -> Maker:
    def change(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
        part, x, y = cut(pixels, percent / 100, rng)
        return part, f"pct_per_side_length={percent},x={x},y={y}"

    return saved(change)


def cut(pixels: Pixels, share: float, rng: Generator) -> tuple[Pixels, int, int]:
    height, width = (round(side * (1 - share)) for side in pixels.shape[:2])
    y = int(rng.integers(0, pixels.shape[0] - height + 1))
    x = int(rng.integers(0, pixels.shape[1] - width + 1))
    return pixels[y : y + height, x : x + width], x, y


def turned(quarters: int) -> Maker:
    """Anticlockwise quarters, as the tables of such sets count them."""
    return saved(lambda pixels, _rng: (np.ascontiguousarray(np.rot90(pixels, quarters)), f"deg={90 * quarters}"))


def rotate_small(pixels: Pixels, rng: Generator) -> tuple[Pixels, str]:
    """A horizon straightened; the corners that come empty are cut away."""
    degrees = float(rng.choice([-3, -2, 2, 3]))
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    whole = cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lost = np.tan(np.deg2rad(abs(degrees)))
    x, y = round(height * lost / 2) + 1, round(width * lost / 2) + 1
    return np.ascontiguousarray(whole[y : height - y, x : width - x]), f"deg={degrees:.0f},cropped"


def hflip(pixels: Pixels, _rng: Generator) -> tuple[Pixels, str]:
    return np.ascontiguousarray(pixels[:, ::-1]), ""


def combo(original: Original, rng: Generator) -> Encoded:
    """Cropped, lightened or darkened, and saved twice."""
    percent, factor = int(rng.choice([3, 6, 10])), float(rng.choice([0.85, 1.15]))
    part = cut(original.pixels, percent / 100, rng)[0]
    part = at_most((part * np.float32(factor)).clip(0, 255).astype(np.uint8), int(rng.choice([400, 480, 640, 1280])))
    first, second = ((75, 65), (60, 50), (85, 70))[rng.integers(3)]
    between = np.asarray(Image.open(io.BytesIO(encoded(part, quality=first))))
    params = f"crop={percent}%,bright={factor},q={first} then {second},max={max(part.shape[:2])}"
    return encoded(between, quality=second), ".jpg", params


TRANSFORMS: tuple[tuple[str, str, int, Maker], ...] = (  # name, tier, how many of a source, maker
    ("exact_copy", "exact", 1, exact_copy),
    ("metadata_only", "lossless", 1, metadata_only),
    ("to_png", "lossless", 1, to_format("PNG")),
    ("exif_orientation", "easy", 1, exif_orientation),
    ("jpeg_resave", "easy", 2, jpeg_resave),
    ("resize", "easy", 2, resize),
    ("whatsapp", "easy", 1, whatsapp),
    ("instagram", "easy", 1, instagram),
    ("to_webp", "easy", 1, to_format("WEBP", quality=(60, 80, 90))),
    ("to_heic", "easy", 1, to_format("HEIF", quality=(50, 65, 80))),
    ("to_avif", "easy", 1, to_format("AVIF", quality=(50, 60, 75), speed=(9,))),
    ("brightness", "medium", 1, toned("f", lambda x, f: x * f, (0.65, 0.8, 1.2, 1.35))),
    ("contrast", "medium", 1, toned("f", lambda x, f: 0.45 + f * (x - 0.45), (0.65, 0.8, 1.25, 1.5))),
    ("gamma", "medium", 1, toned("g", lambda x, g: x**g, (0.6, 0.8, 1.3, 1.6))),
    ("saturation", "medium", 1, saved(saturation)),
    ("warmth", "medium", 1, saved(warmth)),
    ("grayscale", "medium", 1, saved(grayscale)),
    ("blur", "medium", 1, saved(blur)),
    ("noise", "medium", 1, saved(noise)),
    ("sharpen", "medium", 1, saved(sharpen)),
    ("crop_2", "medium", 1, cropped(2)),
    ("crop_5", "medium", 1, cropped(5)),
    ("crop_10", "medium", 1, cropped(10)),
    ("border", "medium", 2, saved(border)),
    ("watermark", "medium", 2, saved(watermark_corner)),
    ("watermark", "medium", 2, saved(watermark_tiled)),
    ("watermark", "medium", 1, saved(logo)),
    ("watermark", "medium", 1, saved(date_stamp)),
    ("crop_20", "hard", 1, cropped(20)),
    ("crop_30", "hard", 1, cropped(30)),
    ("rotate_90", "hard", 1, turned(1)),
    ("rotate_180", "hard", 1, turned(2)),
    ("rotate_270", "hard", 1, turned(3)),
    ("rotate_small", "hard", 1, saved(rotate_small)),
    ("hflip", "hard", 1, saved(hflip)),
    ("caption", "hard", 2, saved(caption_bar)),
    ("caption", "hard", 2, saved(caption_over)),
    ("screenshot_phone", "hard", 1, saved(screenshot_phone)),
    ("screenshot_desktop", "hard", 1, saved(screenshot_desktop)),
    ("combo", "hard", 1, combo),
)
