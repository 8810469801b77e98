"""Brings decoded pixels of any mode to small RGB uint8.

Choices: transparency lies on white, as viewers and exports show it; values beyond 8 bits keep their most significant
bits; float and 32-bit values are read as 0 … 1, 0 … 255 or 0 … 65535, whichever holds them, else stretched.
Colour profiles are not applied: a descriptor sees through a tone curve, and a conversion costs more than a decode.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from dedupd.core.decoded import SMALL_SIDE_PX
from dedupd.imaging.raster import Box, Raster, raster_of, scaled

# Mode → the mode that is scaled; what is missing here becomes RGB.
_RESIZABLE = {"RGB": "RGB", "L": "L", "1": "L", "RGBA": "RGBA", "LA": "LA", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
_REDUCING_GAP = 3.0  # box-reduce first, but keep 3× the target for the bicubic filter (Pillow's own choice)


def small_size(width_px: int, height_px: int) -> tuple[int, int]:
    """The size with the long side at most SMALL_SIDE_PX, never larger than the picture, no side under 1."""
    long_side = max(width_px, height_px)
    if long_side <= SMALL_SIDE_PX:
        return width_px, height_px
    scale = SMALL_SIDE_PX / long_side
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def shrink_to_rgb(image: Image.Image | Raster, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Scale down with antialiasing (bicubic over the whole footprint) and convert to RGB.

    Scaling comes before compositing (Pillow premultiplies), so a large picture is never held twice in full.
    """
    plain = image if isinstance(image, Raster) else to_resizable(image)
    if plain.size != size or box is not None:
        plain = _scaled(plain, size, box or (0.0, 0.0, float(plain.size[0]), float(plain.size[1])))
    if isinstance(plain, Raster):
        plain = plain.image()
    if plain.mode in {"RGBA", "LA"}:
        white = Image.new("RGBA", plain.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, plain.convert("RGBA")).convert("RGB")
    return plain if plain.mode == "RGB" else plain.convert("RGB")


def _scaled(image: Image.Image | Raster, size: tuple[int, int], box: Box) -> Image.Image | Raster:
    ratio = max((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    raster = image if isinstance(image, Raster) else raster_of(image)
    if raster is not None and ratio < 2 * _REDUCING_GAP:  # from there on Pillow box-reduces
        found = scaled(raster, size, box)
        if found is not None:
            return found
    whole = image.image() if isinstance(image, Raster) else image
    return whole.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=_REDUCING_GAP)


def to_resizable(image: Image.Image) -> Image.Image:
    """The image in a mode of 8-bit bands that filters can work on, transparency kept as a band."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(to_8_bit(np.asarray(image)))
    if mode == "LAB":
        return _from_lab(image)
    target = _RESIZABLE.get(mode, "RGB")
    if "transparency" in image.info and mode in {"P", "RGB", "L", "1"}:  # one colour, or a palette's entries
        target = "RGBA"
    return image if target == mode else image.convert(target)


def _from_lab(image: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only in-place conversion returns None
    return converted


def to_8_bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """One band of 16-bit, 32-bit or float values as 0 … 255."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        high_bytes: npt.NDArray[np.uint8] = (values >> 8).astype(np.uint8)
        return high_bytes
    floats = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(floats.min()), float(floats.max())
    if low >= 0 and values.dtype.kind == "f" and high <= 1:
        floats *= 255
    elif low >= 0 and 255 < high <= 65535:
        floats /= 257
    elif low < 0 or high > 255:
        floats = (floats - low) * (255 / max(high - low, 1e-6))
    rounded: npt.NDArray[np.uint8] = np.clip(floats + 0.5, 0, 255).astype(np.uint8)
    return rounded
