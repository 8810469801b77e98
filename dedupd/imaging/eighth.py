"""Decodes large JPEGs at an eighth of their size, pixel by pixel as libjpeg does, in half its time.

The compiled part (`_jpeg_eighth.c`, docs/decisions/0025) is built at installation where there is a C compiler; without
it nothing is decoded here, and the caller's own way gives the same picture.
"""

from __future__ import annotations

from dedupd.imaging.raster import Raster

try:
    from dedupd.imaging import _jpeg_eighth
except ImportError:  # no compiler, or a wheel for any machine
    IS_BUILT = False
else:
    IS_BUILT = True

SCALE = 8


def decode_eighth(data: bytes) -> Raster | None:
    """An eighth of a baseline JPEG, its sides rounded up; not turned.

    Args:
        data: the whole file; what follows its first end of image is not looked at.

    Returns:
        None for every other JPEG and for one with any fault: libjpeg may know what to make of it.

    Raises:
        MemoryError: there is none for the picture.
    """
    decoded = _jpeg_eighth.decode(data) if IS_BUILT else None
    if decoded is None:
        return None
    width_px, height_px, pixels = decoded
    return Raster("L" if len(pixels) == width_px * height_px else "RGB", (width_px, height_px), pixels)


def scan_end(data: bytes, at: int) -> int | None:
    """Where the entropy-coded data that begin at `at` end, at the next marker that is no restart; -1 if nowhere.

    Returns:
        None without the compiled part.
    """
    return _jpeg_eighth.scan_end(data, at) if IS_BUILT else None
