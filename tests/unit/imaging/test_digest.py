"""Digests promise equal pixels: what may differ and what must not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from dedupd.core.records import ProblemCode
from dedupd.imaging.decode import decode
from dedupd.imaging.digest import image_data, pixel_digest
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError

LIMITS = DecodeLimits()
PHOTO = Image.fromarray(skimage.data.astronaut()).resize((160, 120))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def jpeg(image: Image.Image = PHOTO, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def exif(**tags: object) -> bytes:
    block = Image.Exif()
    for name, value in tags.items():
        block[{"orientation": 0x0112, "model": 0x0110}[name]] = value
    return block.tobytes()


def ftyp_mp4(size: int) -> bytes:
    """The start of an MP4 file, as a phone appends one."""
    return b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(size)


def heif(image: Image.Image) -> bytes:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, format="HEIF")
    return out.getvalue()


def without_segment(data: bytes, marker: int) -> bytes:
    at = data.index(bytes((0xFF, marker)))
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"quality": 20}])
def test_metadata_do_not_touch_the_image_digest(options: dict[str, object]) -> None:
    plain = decode(jpeg(**options), LIMITS).image_digest
    assert plain is not None
    for changed in (
        jpeg(exif=exif(model="X100"), **options),
        jpeg(comment=b"at the sea", **options),
        jpeg(icc_profile=SRGB, **options),
        jpeg(**options) + b"\xff\xd8\xff\xe0 a second picture, a video, anything",
        without_segment(jpeg(**options), 0xE0),
    ):
        assert decode(changed, LIMITS).image_digest == plain
        assert pixel_digest(changed, LIMITS) == pixel_digest(jpeg(**options), LIMITS)


def test_what_follows_a_jpeg_in_its_file_is_counted_and_padding_is_not() -> None:
    """A motion photo has the image digest of its still: only this tells them apart."""
    still, video = jpeg(exif=exif(model="X100")), ftyp_mp4(4000)
    motion = decode(still + video, LIMITS)
    assert motion.image_digest == decode(still, LIMITS).image_digest
    assert motion.trailing_bytes == len(video)
    assert decode(still + jpeg(), LIMITS).trailing_bytes == len(jpeg())  # a gain map, or the second of two views
    for padding in (b"", b"\0" * 7, b"\0" * 4096, b"\xff\xff", b"\r\n"):
        assert decode(still + padding, LIMITS).trailing_bytes == 0
    assert decode(encoded(PHOTO, "PNG") + video, LIMITS).trailing_bytes == 0


def test_the_video_in_a_heif_motion_photo_is_counted() -> None:
    still = heif(PHOTO)
    video = (8 + 4000).to_bytes(4, "big") + b"mpvd" + bytes(4000)
    assert decode(still, LIMITS).trailing_bytes == 0
    assert decode(still + video, LIMITS).trailing_bytes == len(video)


def test_what_changes_the_look_changes_the_image_digest() -> None:
    base = jpeg(exif=exif(orientation=1))
    changed = PHOTO.copy()
    changed.paste((0, 0, 0), (8, 8, 24, 24))
    variants = [
        base,
        jpeg(exif=exif(orientation=3)),
        jpeg(exif=exif(orientation=6)),
        jpeg(quality=74),
        jpeg(icc_profile=LAB),
        jpeg(changed),
        jpeg(PHOTO.convert("L")),
        jpeg(progressive=True),
    ]
    assert len({decode(data, LIMITS).image_digest for data in variants}) == len(variants)


def test_the_adobe_marker_counts_because_it_changes_the_colours() -> None:
    as_rgb = jpeg(PHOTO, keep_rgb=True)
    ycc = bytearray(as_rgb)
    adobe = ycc.index(b"Adobe")
    assert ycc[adobe + 11] == 0
    ycc[adobe + 11] = 1  # now libjpeg takes the same data for YCbCr
    assert pixel_digest(as_rgb, LIMITS) != pixel_digest(bytes(ycc), LIMITS)
    assert decode(as_rgb, LIMITS).image_digest != decode(bytes(ycc), LIMITS).image_digest


def test_equal_image_digest_means_equal_pixels_over_every_orientation() -> None:
    by_image: dict[bytes | None, set[bytes]] = {}
    for orientation in range(1, 9):
        for model in ("A", "B"):
            data = jpeg(exif=exif(orientation=orientation, model=model))
            by_image.setdefault(decode(data, LIMITS).image_digest, set()).add(pixel_digest(data, LIMITS))
    assert len(by_image) == 8
    assert all(len(pixels) == 1 for pixels in by_image.values())


def test_markers_that_lead_nowhere_give_no_image_digest() -> None:
    data = jpeg()
    for end in (2, 3, 4, 20, 21, len(data) // 2, len(data) - 2, len(data) - 1):
        assert image_data(data[:end], orientation=1, icc_profile=None) is None


def test_sixteen_bit_colour_is_not_equal_where_only_the_low_bits_are() -> None:
    def png16(low: int) -> bytes:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        rows = (b"\0" + bytes((200, low, 100, low, 50, low)) * 32) * 32
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    assert np.array_equal(decode(png16(1), LIMITS).small, decode(png16(2), LIMITS).small)
    assert pixel_digest(png16(1), LIMITS) != pixel_digest(png16(2), LIMITS)
    assert pixel_digest(png16(1), LIMITS) == pixel_digest(png16(1), LIMITS)


def test_sixteen_bit_grey_keeps_its_depth() -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    png, tiff = (encoded(Image.fromarray(values), fmt) for fmt in ("PNG", "TIFF"))
    assert pixel_digest(png, LIMITS) == pixel_digest(tiff, LIMITS)
    assert pixel_digest(png, LIMITS) != pixel_digest(encoded(Image.fromarray(values + 1), "PNG"), LIMITS)


def test_an_animation_is_not_its_first_frame() -> None:
    frames = [PHOTO, PHOTO.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    for fmt in ("PNG", "WEBP", "TIFF"):
        still = encoded(PHOTO, fmt, lossless=True)
        moving = encoded(PHOTO, fmt, lossless=True, save_all=True, append_images=frames[1:])
        assert np.array_equal(decode(still, LIMITS).small, decode(moving, LIMITS).small)
        assert pixel_digest(still, LIMITS) != pixel_digest(moving, LIMITS)


def test_an_animation_with_too_many_pixels_in_all_is_refused() -> None:
    limits = DecodeLimits(max_pixels=20_000, max_jpeg_pixels=30_000)
    frames = [PHOTO, PHOTO.transpose(Image.Transpose.ROTATE_180)]
    moving = encoded(PHOTO, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImageError) as caught:
        pixel_digest(moving, limits)
    assert caught.value.code == ProblemCode.TOO_MANY_PIXELS


def test_a_palette_counts_as_the_colours_it_stands_for() -> None:
    palette = PHOTO.quantize(32)
    digests = {pixel_digest(encoded(palette, fmt), LIMITS) for fmt in ("PNG", "GIF", "BMP", "TIFF")}
    assert digests == {pixel_digest(encoded(palette.convert("RGB"), "PNG"), LIMITS)}
