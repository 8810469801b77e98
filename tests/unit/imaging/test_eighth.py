"""The compiled decoder gives what libjpeg gives, pixel by pixel, or nothing."""

from __future__ import annotations

import io
import shutil
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.libjpeg import eighth_by_libjpeg
from PIL import Image

import dedupd.imaging.decode
from dedupd.core.arrays import Pixels
from dedupd.imaging.decode import decode
from dedupd.imaging.digest import scan_end_in_steps
from dedupd.imaging.eighth import IS_BUILT, decode_eighth, scan_end
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.raster import Raster

_CAN_BUILD = shutil.which("cc") is not None and Path(sysconfig.get_path("include"), "Python.h").exists()

needs_compiled = pytest.mark.skipif(
    not IS_BUILT and not _CAN_BUILD, reason="NOT TESTED: the compiled JPEG decoder is not built, there is no C compiler"
)


def test_it_is_built_where_it_can_be() -> None:
    assert IS_BUILT or not _CAN_BUILD


def noisy(rng: np.random.Generator, width_px: int, height_px: int, amplitude: int = 12) -> Pixels:
    """A smooth picture with noise, uint8 [height, width, 3]."""
    rough = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    smooth = cv2.resize(rough, (width_px, height_px), interpolation=cv2.INTER_CUBIC).astype(np.int64)
    noise = rng.integers(-amplitude, amplitude + 1, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


def by_libjpeg(data: bytes) -> Pixels:
    return np.asarray(eighth_by_libjpeg(data))


def ours(data: bytes) -> Pixels | None:
    found = decode_eighth(data)
    return None if found is None else np.asarray(found.image())


@needs_compiled
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [1, 30, 88, 100])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_blocks": 3}, {"restart_marker_rows": 1}])
def test_colours_are_those_of_libjpeg(subsampling: str, quality: int, options: dict[str, object]) -> None:
    rng = np.random.default_rng(quality)
    for width_px, height_px in ((1, 1), (7, 40), (64, 64), (133, 97), (250, 9)):
        data = jpeg(noisy(rng, width_px, height_px), quality=quality, subsampling=subsampling, **options)
        np.testing.assert_array_equal(ours(data), by_libjpeg(data))


@needs_compiled
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_grey_is_that_of_libjpeg(quality: int) -> None:
    rng = np.random.default_rng(quality)
    for width_px, height_px in ((1, 1), (133, 97), (8, 8)):
        data = jpeg(noisy(rng, width_px, height_px, 90), mode="L", quality=quality)
        np.testing.assert_array_equal(ours(data), by_libjpeg(data))


@needs_compiled
def test_codes_longer_than_a_look_up_are_read() -> None:
    """Pure noise in full quality has the rarest symbols."""
    pixels = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    for options in ({"quality": 100, "subsampling": 0}, {"quality": 100, "subsampling": 2, "optimize": True}):
        data = jpeg(pixels, **options)
        np.testing.assert_array_equal(ours(data), by_libjpeg(data))


@needs_compiled
@pytest.mark.parametrize("seed", range(6))
def test_long_runs_of_zeros_are_counted(seed: int) -> None:
    """Blocks of the finest detail alone: sixteen zeros are the commonest symbol, and one look-up holds many of it."""
    rng = np.random.default_rng(seed)
    finest = np.indices((8, 8)).sum(axis=0) % 2 * 255
    few = np.where(rng.random((12, 12, 1, 1, 3)) < 0.3, finest[:, :, None], rng.integers(0, 256, (12, 12, 1, 1, 3)))
    pixels = few.astype(np.uint8).swapaxes(1, 2).reshape(96, 96, 3)
    for quality in (1, 3, 20):
        for subsampling in (0, 1, 2):
            data = jpeg(pixels, quality=quality, subsampling=subsampling, optimize=True)
            np.testing.assert_array_equal(ours(data), by_libjpeg(data))


@needs_compiled
def test_chroma_halved_in_height_alone_is_that_of_libjpeg() -> None:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440]
    _, encoded = cv2.imencode(".jpg", noisy(np.random.default_rng(4), 77, 90), sampling)
    data = encoded.tobytes()
    np.testing.assert_array_equal(ours(data), by_libjpeg(data))


@needs_compiled
def test_a_second_picture_behind_the_first_is_not_looked_at() -> None:
    data = jpeg(noisy(np.random.default_rng(5), 80, 60))
    np.testing.assert_array_equal(ours(data + b"\0" * 8 + data), by_libjpeg(data))


@needs_compiled
@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGB", {"progressive": True}), ("CMYK", {}), ("RGB", {"keep_rgb": True})],
    ids=["progressive", "CMYK", "RGB components"],
)
def test_what_is_not_plain_baseline_is_left_to_libjpeg(mode: str, options: dict[str, object]) -> None:
    assert ours(jpeg(noisy(np.random.default_rng(6), 80, 60), mode=mode, **options)) is None


@needs_compiled
def test_chroma_quartered_is_left_to_libjpeg() -> None:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411]
    _, encoded = cv2.imencode(".jpg", noisy(np.random.default_rng(4), 77, 90), sampling)
    assert ours(encoded.tobytes()) is None


@needs_compiled
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 2}])
def test_a_picture_that_breaks_off_is_left_to_libjpeg(options: dict[str, object]) -> None:
    data = jpeg(noisy(np.random.default_rng(7), 60, 40), **options)
    assert ours(data) is not None
    assert [length for length in range(len(data)) if ours(data[:length]) is not None] == []


@needs_compiled
def test_missing_restarts_are_left_to_libjpeg() -> None:
    data = jpeg(noisy(np.random.default_rng(7), 60, 40), restart_marker_blocks=2)
    assert ours(data.replace(b"\xff\xd1", b"\xff\xd2", 1)) is None
    assert ours(data.replace(b"\xff\xd1", b"", 1)) is None


@needs_compiled
def test_a_picture_larger_than_its_data_can_hold_asks_for_no_memory() -> None:
    data = bytearray(jpeg(noisy(np.random.default_rng(8), 64, 64)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"  # 65,500 × 65,500
    assert ours(bytes(data)) is None


@needs_compiled
@pytest.mark.parametrize("seed", range(8))
def test_damaged_pictures_are_those_of_libjpeg_or_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answered = 0
    for _ in range(12):
        options = {"quality": int(rng.integers(1, 101)), "subsampling": int(rng.integers(3))}
        whole = jpeg(noisy(rng, *rng.integers(1, 90, 2).tolist()), **options)
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(int(rng.integers(1, 5))):
                place = int(rng.integers(len(data)))
                match int(rng.integers(4)):
                    case 0:
                        data[place] = int(rng.integers(256))
                    case 1:
                        data[place] ^= 1 << int(rng.integers(8))
                    case 2:
                        del data[place : place + int(rng.integers(1, 9))]
                    case 3:
                        data[place:place] = rng.integers(0, 256, int(rng.integers(1, 5)), dtype=np.uint8).tobytes()
            found = ours(bytes(data))
            if found is not None:
                answered += 1
                np.testing.assert_array_equal(found, by_libjpeg(bytes(data)))
    assert answered > 20


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\0\2", b"GIF89a"])
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert ours(data) is None


def large(orientation: int = 1) -> bytes:
    pixels = noisy(np.random.default_rng(9), 3200, 2402)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(pixels, quality=80, exif=exif)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_is_the_same_without_it(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = large(orientation)
    with_it = decode(data, DecodeLimits())
    monkeypatch.setattr(dedupd.imaging.decode, "decode_eighth", lambda _: None)
    without = decode(data, DecodeLimits())
    np.testing.assert_array_equal(with_it.small, without.small)
    assert (with_it.preview, with_it.quality, with_it.decoder) == (without.preview, without.quality, without.decoder)


def test_large_pictures_are_decoded_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    red = Raster("RGB", (400, 301), b"\xff\0\0" * (400 * 301))
    monkeypatch.setattr(dedupd.imaging.decode, "decode_eighth", lambda _: red)
    assert (decode(large(), DecodeLimits()).small == (255, 0, 0)).all()


def test_an_answer_of_another_size_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupd.imaging.decode, "decode_eighth", lambda _: Raster("RGB", (400, 300), bytes(360_000)))
    assert decode(large(), DecodeLimits()).small.any()


@needs_compiled
def test_entropy_coded_data_end_where_numpy_says() -> None:
    rng = np.random.default_rng(5)
    kinds = np.array([0x00, 0x00, 0xFF, 0xFF, 0xD0, 0xD7, 0x12])  # none ends the data
    for length in (0, 1, 2, 3, 64, 700_000):
        data = rng.choice(kinds, length).astype(np.uint8)
        for place in (None, *rng.integers(0, max(1, length - 1), 8)):
            if place is not None and length >= 2:
                data[place : place + 2] = 0xFF, rng.choice([0xD9, 0xC4, 0x01, 0xFE, 0xD8])
            for at in (0, 1, length // 2, length - 1, length):
                if at >= 0:
                    assert scan_end(data.tobytes(), at) == scan_end_in_steps(data.tobytes(), at)
