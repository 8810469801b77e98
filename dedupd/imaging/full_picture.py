"""Decodes a picture in full, or as large as a comparison of full pictures may need it.

Runs in a worker process only. Compares nothing and keeps nothing.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from dedupd.core.arrays import Pixels
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.picture import DECODER_ERRORS, explain, open_picture, upright
from dedupd.imaging.rgb import shrink_to_rgb

MAX_COMPARED_PX = 16_000_000  # 48 MB as RGB; what is larger is halved until it fits


def decode_full(data: bytes, limits: DecodeLimits) -> Pixels:
    """All pixels of a picture, upright, uint8 [h, w, 3]; halved, quartered, … where it has over MAX_COMPARED_PX.

    Args:
        data: the whole file.
        limits: bounds that are checked before decoding.

    Raises:
        UnreadableImageError: why there is no picture to be had.
    """
    picture = open_picture(data, limits)
    image = picture.image
    try:
        size = _size_to_compare(*image.size)
        if image.format == "JPEG" and size != image.size:
            image.draft(None, size)  # libjpeg scales by 1/2, 1/4, 1/8 while decoding
        picture.load()
        return np.asarray(upright(shrink_to_rgb(image, size), picture.orientation))
    except (*DECODER_ERRORS, MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise explain(error, data, picture.format) from error


def _size_to_compare(width_px: int, height_px: int) -> tuple[int, int]:
    part = 1
    while (width_px // part) * (height_px // part) > MAX_COMPARED_PX:
        part *= 2
    return max(1, -(-width_px // part)), max(1, -(-height_px // part))
