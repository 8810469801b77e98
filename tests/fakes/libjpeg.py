"""What libjpeg in Pillow makes of a JPEG at an eighth of its size: what the compiled decoder is held to."""

from __future__ import annotations

import io

from PIL import Image, JpegImagePlugin

from dedupd.imaging.eighth import SCALE


def eighth_by_libjpeg(data: bytes) -> Image.Image:
    """The picture at 1/8, whatever its size: Pillow's own `draft` gives a small one no scale that small."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    size = -(-image.width // SCALE), -(-image.height // SCALE)
    image.decoderconfig = (SCALE, 0)
    image._size = size
    image.tile = [image.tile[0]._replace(extents=(0, 0, *size))]
    image.load()
    return image
