"""Copies of a small picture as people make them, for measuring how far a model finds them. Deterministic.

Works on small pictures that were decoded already. Writes nothing, keeps nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from dedupd.core.arrays import Pixels

_SMALLEST_PX = 8


def made_copies(picture: Pixels) -> dict[str, Pixels]:
    """Copies of a picture by the name of what was done to it.

    Args:
        picture: uint8 [h, w, 3].
    """
    image = Image.fromarray(picture)
    return {name: np.asarray(make(image).convert("RGB")) for name, make in _EDITS.items()}


def _saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _resized(image: Image.Image, share: float) -> Image.Image:
    size = (max(_SMALLEST_PX, round(image.width * share)), max(_SMALLEST_PX, round(image.height * share)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _cropped(image: Image.Image, share: float) -> Image.Image:
    """Without `share` of each side, cut off at the top left: nobody crops around the middle."""
    return image.crop((round(image.width * share), round(image.height * share), image.width, image.height))


def _bordered(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, max(2, round(0.08 * min(image.size))), "white")


def _on_a_screen(image: Image.Image) -> Image.Image:
    """In the middle of a phone's screen, with bars above and below."""
    screen = Image.new("RGB", (image.width, round(image.width * 2.1)), (18, 18, 18))
    screen.paste(
        image.resize((image.width, min(image.height, screen.height))), (0, (screen.height - image.height) // 2)
    )
    return screen


_EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved at quality 30": lambda image: _saved(image, 30),
    "a quarter of the size": lambda image: _saved(_resized(image, 0.25), 75),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.35),
    "grey": ImageOps.grayscale,
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "border": _bordered,
    "on a screen": _on_a_screen,
    "cropped by 10 %": lambda image: _cropped(image, 0.1),
    "cropped by 30 %": lambda image: _cropped(image, 0.3),
    "rotated by 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored": ImageOps.mirror,
    "rotated by 3°": lambda image: _cropped(image.rotate(3, Image.Resampling.BICUBIC), 0.06),
}
