"""Plain 8-bit pixels and their scaling as Pillow does it, value by value, in a third of its time.

The compiled part (`_resize.c`, docs/decisions/0030) is built at installation where there is a C compiler; without it
Pillow itself scales.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

try:
    from dedupd.imaging import _resize
except ImportError:  # no compiler, or a wheel for any machine
    IS_BUILT = False
else:
    IS_BUILT = True

Box = tuple[float, float, float, float]  # left, top, right, bottom

_BANDS = {"L": 1, "RGB": 3}


class Raster(NamedTuple):
    """Pixels in row order."""

    mode: str  # L or RGB
    size: tuple[int, int]  # width and height
    pixels: bytes

    def image(self) -> Image.Image:
        """The same for Pillow."""
        return Image.frombytes(self.mode, self.size, self.pixels)


def raster_of(image: Image.Image) -> Raster | None:
    """The pixels of a decoded image; None where it has other bands, or nothing here is compiled."""
    return Raster(image.mode, image.size, image.tobytes()) if IS_BUILT and image.mode in _BANDS else None


def scaled(raster: Raster, size: tuple[int, int], box: Box) -> Raster | None:
    """What of a raster lies within a box, in another size, by Pillow's bicubic filter.

    Returns:
        None where Pillow has to do it: nothing here is compiled, or of a picture that loses more height than width
        Pillow (from version 13 on) scales the columns first, which rounds differently.
    """
    lost_across, lost_down = raster.size[0] - size[0], raster.size[1] - size[1]
    if not IS_BUILT or lost_down > 2 * max(0, lost_across):
        return None
    return Raster(raster.mode, size, _resize.bicubic(raster.pixels, raster.size, _BANDS[raster.mode], size, box))
