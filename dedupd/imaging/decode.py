"""Turns the bytes of a picture into what dedupd keeps of it: a DecodedImage.

Runs in a worker process only. Puts together the steps that its neighbours own: opening (`picture`), converting (`rgb`),
digests, metadata, quality. Reads no file and keeps nothing.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, JpegImagePlugin

from dedupd.core.arrays import Pixels
from dedupd.core.decoded import SMALL_SIDE_PX, DecodedImage
from dedupd.core.records import Capture, ProblemCode
from dedupd.imaging.digest import ImageData, has_own_colours, image_data
from dedupd.imaging.eighth import SCALE, decode_eighth
from dedupd.imaging.formats import motion_bytes
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError
from dedupd.imaging.metadata import capture_of, has_notes, xmp_rating
from dedupd.imaging.picture import DECODER_ERRORS, Picture, explain, open_picture, upright
from dedupd.imaging.prepared_side import PreparedSide
from dedupd.imaging.quality import CodedJpeg, measure
from dedupd.imaging.raster import Raster
from dedupd.imaging.rgb import shrink_to_rgb, small_size, to_resizable
from dedupd.imaging.sketch import sketch_of, with_sketch

_LOOKED_AT_PX = 768  # side of the part in the middle whose own pixels are looked at
PREVIEW_QUALITY = 88  # 4:2:0; about 25 kB for 384 × 288, and its errors stay under what verification looks for


def decode(data: bytes, limits: DecodeLimits) -> DecodedImage:
    """Decode a picture, only as large as its small image needs.

    Args:
        data: the whole file.
        limits: bounds that are checked before decoding.

    Raises:
        UnreadableImageError: why there is no picture to be had.
    """
    picture = open_picture(data, limits)
    try:
        small, middle, decoder = _small_image(data, picture)
    except (*DECODER_ERRORS, MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise explain(error, data, picture.format) from error
    width_px, height_px = picture.upright_size
    pixels = np.asarray(small)
    jpeg = _jpeg_data(data, picture) if picture.format == "JPEG" else None
    return DecodedImage(
        format=picture.format,
        width_px=width_px,
        height_px=height_px,
        image_digest=jpeg.digest if jpeg else None,
        capture=_capture(picture),
        quality=measure(pixels, middle, _coded(picture, jpeg), width_px * height_px),
        decoder=decoder,
        small=pixels,
        preview=with_sketch(encode_preview(small), sketch_of(PreparedSide(pixels, width_px, height_px))),
        trailing_bytes=jpeg.trailing_bytes if jpeg else _motion_bytes(data, picture.format),
    )


def encode_preview(small: Image.Image) -> bytes:
    """The small image as JPEG, without the comment that Pillow would take along from the picture."""
    out = io.BytesIO()
    small.save(out, "JPEG", quality=PREVIEW_QUALITY, comment=b"")
    return out.getvalue()


def decode_preview(preview: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A preview as pixels again, uint8 [height, width, 3].

    Raises:
        UnreadableImageError: it is no JPEG, or larger than a small image can be.
    """
    try:
        with Image.open(io.BytesIO(preview), formats=("JPEG",)) as image:
            if max(image.size) > SMALL_SIDE_PX:
                raise UnreadableImageError(ProblemCode.DAMAGED, "a preview larger than previews are")
            return np.asarray(image.convert("RGB"))
    except (*DECODER_ERRORS, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(
            ProblemCode.DAMAGED, f"the stored preview is broken: {type(error).__name__}"
        ) from error


def _small_image(data: bytes, picture: Picture) -> tuple[Image.Image, Pixels | None, str]:
    """The small image, upright; the middle at full scale if it was decoded so; the tag of how it was made."""
    image = picture.image
    size = small_size(*image.size)
    box: tuple[float, float, float, float] | None = None
    # JPEG, or a RAW file's preview: libjpeg scales by 1/2, 1/4, 1/8 while decoding, at a third of the cost.
    drafted = image.draft(None, size) if image.format == "JPEG" else None
    if drafted is not None and image.size != size:
        box = tuple(float(edge) for edge in drafted[1])  # type: ignore[assignment]  # four edges
    eighth = _eighth(data, picture) if box is not None else None
    if eighth is None:
        picture.load()
    middle = _middle(image) if image.size == (picture.width_px, picture.height_px) else None
    small = upright(shrink_to_rgb(eighth or image, size, box), picture.orientation)
    way = f"draft{SMALL_SIDE_PX}" if drafted is not None else str(SMALL_SIDE_PX)
    return small, middle, f"{picture.decoder}/{way}"


def _eighth(data: bytes, picture: Picture) -> Raster | None:
    """The picture decoded at 1/8, if that is the scale it is opened at; the same pixels as `picture.load` gives."""
    image = picture.image
    is_eighth = image.size == (-(-picture.width_px // SCALE), -(-picture.height_px // SCALE))
    if picture.format != "JPEG" or not is_eighth:  # a RAW file's preview lies somewhere in its data
        return None
    found = decode_eighth(data)
    return found if found is not None and (found.mode, found.size) == (image.mode, image.size) else None


def _middle(image: Image.Image) -> Pixels:
    """The middle of a decoded picture, from the corner of an 8 px block on."""
    left, top = (max(0, (side - _LOOKED_AT_PX) // 2) // 8 * 8 for side in image.size)
    part = image.crop((left, top, min(left + _LOOKED_AT_PX, image.width), min(top + _LOOKED_AT_PX, image.height)))
    return np.asarray(to_resizable(part).convert("RGB"))


def _capture(picture: Picture) -> Capture:
    found = picture.image.info
    from_exif = capture_of(picture.tags)
    return replace(
        from_exif,
        has_notes=has_notes(found),
        rating=from_exif.rating or xmp_rating(found),
        has_icc=has_own_colours(found.get("icc_profile")),
    )


def _motion_bytes(data: bytes, fmt: str) -> int:
    return motion_bytes(data) if fmt in {"HEIF", "AVIF"} else 0


def _coded(picture: Picture, jpeg: ImageData | None) -> CodedJpeg | None:
    image = picture.image
    if picture.format != "JPEG" or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    sampling = [component[1:3] for component in image.layer]
    return CodedJpeg(
        quantization=image.quantization,
        coded_bytes=jpeg.size_bytes if jpeg else None,
        has_full_chroma=len(sampling) == 3 and len(set(sampling)) == 1,
    )


def _jpeg_data(data: bytes, picture: Picture) -> ImageData | None:
    profile = picture.image.info.get("icc_profile")
    return image_data(data, orientation=picture.orientation, icc_profile=profile)
