"""The compiled part scales as Pillow does, value by value, or leaves it to Pillow."""

from __future__ import annotations

import io
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dedupd.imaging.decode
import dedupd.imaging.raster
import dedupd.imaging.rgb
from dedupd.imaging.decode import decode
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.raster import IS_BUILT, Box, Raster, raster_of, scaled
from dedupd.imaging.rgb import shrink_to_rgb, small_size

_CAN_BUILD = shutil.which("cc") is not None and Path(sysconfig.get_path("include"), "Python.h").exists()

needs_compiled = pytest.mark.skipif(
    not IS_BUILT and not _CAN_BUILD, reason="NOT TESTED: scaling is not built, there is no C compiler"
)


def test_it_is_built_where_it_can_be() -> None:
    assert IS_BUILT or not _CAN_BUILD


def picture(rng: np.random.Generator, width_px: int, height_px: int, mode: str = "RGB") -> Image.Image:
    """Noise, half of it black and white alone: there the filter leaves 0 … 255 most often."""
    values = rng.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return Image.fromarray(np.where(rng.integers(2), values, values // 128 * 255).astype(np.uint8)).convert(mode)


def by_pillow(image: Image.Image, size: tuple[int, int], box: Box) -> bytes:
    return image.resize(size, Image.Resampling.BICUBIC, box=box).tobytes()


def whole(image: Image.Image) -> Box:
    return (0.0, 0.0, float(image.width), float(image.height))


@needs_compiled
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("seed", range(12))
def test_values_are_those_of_pillow(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    compared = 0
    for _ in range(25):
        image = picture(rng, *rng.integers(1, 120, 2).tolist(), mode)
        width_px, height_px = image.size
        left, top = (rng.random(2) * image.size * 0.5).tolist()
        cut = (left, top, width_px - rng.random() * left, height_px - rng.random() * top)
        size = tuple(rng.integers(1, 90, 2).tolist())
        for box in (whole(image), cut, (0.0, 0.0, width_px - 0.5, height_px - 0.875)):
            found = scaled(Raster(mode, image.size, image.tobytes()), size, box)
            if found is not None:
                compared += 1
                assert (found.mode, found.size) == (mode, size)
                assert found.pixels == by_pillow(image, size, box)
    assert compared > 20


@needs_compiled
@pytest.mark.parametrize("size_px", [(500, 375), (768, 576), (576, 768), (385, 289), (384, 300), (400, 288)])
def test_what_a_camera_file_leaves_is_scaled_as_by_pillow(size_px: tuple[int, int]) -> None:
    image = picture(np.random.default_rng(1), *size_px)
    size = small_size(*size_px)
    found = scaled(Raster("RGB", size_px, image.tobytes()), size, whole(image))
    assert found is not None
    assert found.pixels == by_pillow(image, size, whole(image))


def test_what_loses_more_height_than_width_is_left_to_pillow() -> None:
    """Pillow 13 scales its columns first, older ones its rows."""
    assert scaled(Raster("L", (10, 100), bytes(1000)), (10, 20), (0.0, 0.0, 10.0, 100.0)) is None


@needs_compiled
@pytest.mark.parametrize(
    ("size", "to", "box"),
    [
        ((10, 11), (5, 5), (0.0, 0.0, 10.0, 10.0)),
        ((10, 10), (0, 5), (0.0, 0.0, 10.0, 10.0)),
        ((10, 10), (5, 70_000), (0.0, 0.0, 10.0, 10.0)),
        ((10, 10), (5, 5), (0.0, 0.0, 10.5, 10.0)),
        ((10, 10), (5, 5), (-0.5, 0.0, 10.0, 10.0)),
        ((10, 10), (5, 5), (4.0, 0.0, 4.0, 10.0)),
        ((10, 10), (5, 5), (0.0, 0.0, float("nan"), 10.0)),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size: tuple[int, int], to: tuple[int, int], box: Box) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        scaled(Raster("L", size, bytes(100)), to, box)


@pytest.mark.parametrize("size_px", [(900, 700), (500, 375), (300, 1100), (5000, 300), (384, 384)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_the_same_without_it(size_px: tuple[int, int], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(np.random.default_rng(2), *size_px, mode)
    size = small_size(*size_px)
    with_it = shrink_to_rgb(image, size)
    monkeypatch.setattr(dedupd.imaging.raster, "IS_BUILT", False)
    assert with_it.tobytes() == shrink_to_rgb(image, size).tobytes()
    assert with_it.tobytes() == shrink_to_rgb(Raster(mode, size_px, image.tobytes()), size).tobytes()


@pytest.mark.parametrize("size_px", [(900, 700), (3200, 2400)])
def test_a_preview_is_the_same_without_it(size_px: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow takes a picture's comment along when it scales and saves."""
    out = io.BytesIO()
    picture(np.random.default_rng(4), *size_px).save(out, "JPEG", comment=b"by somebody")
    with_it = decode(out.getvalue(), DecodeLimits()).preview
    monkeypatch.setattr(dedupd.imaging.raster, "IS_BUILT", False)
    monkeypatch.setattr(dedupd.imaging.decode, "decode_eighth", lambda _: None)
    assert decode(out.getvalue(), DecodeLimits()).preview == with_it
    assert b"by somebody" not in with_it


@needs_compiled
def test_plain_pictures_are_scaled_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(dedupd.imaging.rgb, "scaled", lambda *all_of_it: asked.append(all_of_it))
    shrink_to_rgb(picture(np.random.default_rng(3), 900, 700), (384, 299))
    shrink_to_rgb(picture(np.random.default_rng(3), 900, 700, "RGBA"), (384, 299))
    assert len(asked) == 1


def test_other_bands_are_left_to_pillow() -> None:
    assert raster_of(Image.new("RGBA", (3, 3))) is None
