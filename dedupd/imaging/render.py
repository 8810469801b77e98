"""A picture decoded as large as people are shown it, from untrusted bytes: in a worker process only.

Nothing that is compared or stored comes from here (`decode` makes that). Keeps no state.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from dedupd.core.arrays import Pixels
from dedupd.imaging.limits import RENDER_SIDE_PX, DecodeLimits
from dedupd.imaging.picture import DECODER_ERRORS, explain, open_picture, upright
from dedupd.imaging.rgb import shrink_to_rgb


def render(data: bytes, limits: DecodeLimits) -> Pixels:
    """The picture upright, uint8 [h, w, 3] RGB, its long side at most RENDER_SIDE_PX.

    Args:
        data: the whole file.
        limits: bounds that are checked before decoding.

    Raises:
        UnreadableImageError: why there is no picture to be had.
    """
    picture = open_picture(data, limits)
    try:
        image = picture.image
        size = _size(*image.size)
        box: tuple[float, float, float, float] | None = None
        if image.format == "JPEG" and (drafted := image.draft(None, size)) is not None and image.size != size:
            left, top, right, bottom = drafted[1]  # libjpeg rounds up: what lies beyond is no picture
            box = (float(left), float(top), float(right), float(bottom))
        picture.load()
        return np.asarray(upright(shrink_to_rgb(image, size, box), picture.orientation))
    except (*DECODER_ERRORS, MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise explain(error, data, picture.format) from error


def _size(width_px: int, height_px: int) -> tuple[int, int]:
    scale = min(1.0, RENDER_SIDE_PX / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))
