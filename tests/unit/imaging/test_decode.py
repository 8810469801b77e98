"""Odd modes, RAW files and previews become the picture that a person would see."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from fakes.raw_files import dng
from PIL import Image

from dedupd.core.ports import DecodedImage, Priority, ReadFile
from dedupd.core.records import ProblemCode
from dedupd.imaging.decode import decode, decode_preview
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.digest import pixel_digest
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError

LIMITS = DecodeLimits()
PHOTO = Image.fromarray(skimage.data.astronaut()).resize((96, 64))


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def small(data: bytes) -> np.ndarray:
    return decode(data, LIMITS).small.astype(int)


def test_transparency_lies_on_white() -> None:
    picture = PHOTO.convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 48, 64))
    palette = PHOTO.quantize(16)
    palette.info["transparency"] = palette.getpixel((0, 0))
    for fmt in ("PNG", "WEBP", "TIFF", "AVIF"):
        options = {"lossless": True} if fmt == "WEBP" else {}
        shown = small(encoded(picture, fmt, **options))
        assert (shown[:, :40] >= 253).all()
        assert np.abs(shown[:, 60:] - np.asarray(PHOTO)[:, 60:]).mean() < 4
    assert (small(encoded(palette, "PNG", transparency=palette.info["transparency"]))[0, 0] == 255).all()
    assert (small(encoded(PHOTO.convert("LA"), "PNG")) == np.asarray(PHOTO.convert("L"))[..., None]).all()


def test_a_transparent_picture_is_scaled_without_a_rim() -> None:
    picture = Image.new("RGBA", (1600, 1200), (0, 0, 0, 0))  # black where nothing is seen
    picture.paste((250, 250, 250, 255), (0, 0, 803, 1200))
    assert small(encoded(picture, "PNG")).min() >= 249


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(
            PHOTO, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = PHOTO.convert(mode)
    assert image is not None
    shown = small(encoded(image, "TIFF"))
    expected = np.asarray((PHOTO if mode == "LAB" else image.convert("RGB")), dtype=int)
    assert np.abs(shown - expected).mean() < 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((8, 8), 0x80FF, np.uint16), 0x80),
        (np.full((8, 8), 0.5, np.float32), 128),
        (np.full((8, 8), 100.0, np.float32), 100),
        (np.full((8, 8), 0x8080, np.int32), 128),
        (np.full((8, 8), np.nan, np.float32), 0),
        (np.array([[-1.0, 0.0, 1.0]] * 8, np.float32), [0, 128, 255]),
    ],
    ids=["16-bit", "unit", "bytes", "32-bit", "nan", "stretched"],
)
def test_deep_values_become_eight_bits(values: np.ndarray, expected: object) -> None:
    assert (small(encoded(Image.fromarray(values), "TIFF"))[..., 0] == expected).all()


def test_cmyk_jpeg_is_no_negative() -> None:
    shown = small(encoded(PHOTO.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(shown - np.asarray(PHOTO, dtype=int)).mean() < 4


def test_a_very_long_picture_keeps_one_pixel() -> None:
    image = decode(encoded(Image.new("RGB", (4000, 2), (9, 9, 9)), "PNG"), LIMITS)
    assert image.small.shape == (1, 384, 3)
    assert image.quality.information == 0


def test_a_preview_that_is_none_is_refused() -> None:
    for preview in (b"", b"\xff\xd8\xff", encoded(PHOTO, "PNG"), encoded(PHOTO.resize((400, 300)), "JPEG")):
        with pytest.raises(UnreadableImageError) as caught:
            decode_preview(preview)
        assert caught.value.code == ProblemCode.DAMAGED


# --------------------------------------------------------------------------------------------------------------- RAW


def mosaic() -> np.ndarray:
    """Bright on the left, dark on the right."""
    sensor = np.full((480, 640), 4000, np.uint16)
    sensor[:, :320] = 40_000
    return sensor


def test_a_raw_file_without_preview_is_developed_at_half_size() -> None:
    image = decode(dng(mosaic()), LIMITS)
    assert (image.format, image.width_px, image.height_px) == ("RAW", 640, 480)
    assert image.decoder == "rawpy-0/half/384"
    assert image.small.shape[1] == 320
    assert image.small[:, :150].mean() > image.small[:, 170:].mean() + 50
    assert image.capture.model == "Test Camera"


def test_a_raw_file_is_turned_once() -> None:
    image = decode(dng(mosaic(), orientation=6), LIMITS)
    assert (image.width_px, image.height_px) == (480, 640)
    assert image.small[:150].mean() > image.small[170:].mean() + 50


def test_a_raw_files_pixel_digest_is_of_its_sensor() -> None:
    changed = mosaic()
    changed[3, 3] += 1
    same = pixel_digest(dng(mosaic()), LIMITS)
    assert pixel_digest(dng(mosaic(), model=b"Same Shot!!"), LIMITS) == same
    assert pixel_digest(dng(changed), LIMITS) != same
    assert pixel_digest(dng(mosaic(), orientation=6), LIMITS) != same


def test_half_a_raw_file_and_a_huge_one_are_refused() -> None:
    for data, limits, code in (
        (dng(mosaic())[:100_000], LIMITS, ProblemCode.TRUNCATED),
        (dng(mosaic()), DecodeLimits(max_pixels=1000), ProblemCode.TOO_MANY_PIXELS),
    ):
        with pytest.raises(UnreadableImageError) as caught:
            decode(data, limits)
        assert caught.value.code == code


def test_a_confined_worker_develops_a_raw_file_and_digests_its_sensor(tmp_path: Path) -> None:
    (tmp_path / "picture.dng").write_bytes(dng(mosaic()))
    path = os.fsencode(tmp_path / "picture.dng")
    pool = DecodePool(1)
    try:
        answer = pool.read(path, is_known=lambda _: False, priority=Priority.QUESTION).result(60)
        assert isinstance(answer, ReadFile)
        assert isinstance(answer.image, DecodedImage), answer.image
        assert answer.image.format == "RAW"
        assert pool.pixel_digest(path, priority=Priority.QUESTION).result(60) == pixel_digest(dng(mosaic()), LIMITS)
    finally:
        pool.close()


def test_a_reason_is_for_people_and_not_python_s_own_words() -> None:
    data = b"\xff\xd8\xff\xc0\x00\x04\x08\x00" + bytes(64) + b"\xff\xd9"  # a frame without its sizes
    with pytest.raises(UnreadableImageError) as caught:
        decode(data, LIMITS)
    assert caught.value.detail == "the JPEG decoder refused it: the header or a table is not valid"
