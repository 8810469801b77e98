"""Quality estimates rank pictures the way a person would."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFilter

from dedupd.core.records import Quality
from dedupd.imaging.quality import jpeg_quality, measure

PHOTO = Image.fromarray(skimage.data.astronaut()).resize((384, 384))


def of(small: np.ndarray) -> Quality:
    return measure(small, None, None, small.shape[0] * small.shape[1])


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 75, 88, 95, 99, 100])
def test_the_quality_that_libjpeg_was_told_is_found(quality: int) -> None:
    out = io.BytesIO()
    PHOTO.save(out, "JPEG", quality=quality)
    tables = Image.open(out).quantization
    assert jpeg_quality(tables) == pytest.approx(quality, abs=1)


def test_odd_tables_say_nothing() -> None:
    assert jpeg_quality({}) is None
    assert jpeg_quality({0: [1, 2, 3]}) is None
    assert of(np.asarray(PHOTO)).jpeg_quality is None


def test_blur_lowers_sharpness() -> None:
    blurred = PHOTO.filter(ImageFilter.GaussianBlur(3))
    assert of(np.asarray(PHOTO)).sharpness > 10 * of(np.asarray(blurred)).sharpness


def test_a_photo_says_much_and_a_flat_or_noisy_or_smooth_one_little() -> None:
    generator = np.random.default_rng(1)
    flat = np.full((300, 384, 3), 240, np.uint8)
    noisy = np.clip(generator.normal(30, 4, (300, 384, 1)), 0, 255).astype(np.uint8).repeat(3, axis=2)
    sky = np.linspace(80, 200, 300)[:, None, None].repeat(384, axis=1).repeat(3, axis=2).astype(np.uint8)
    dot = flat.copy()
    dot[100:110, 100:110] = 0
    assert of(np.asarray(PHOTO)).information > 6
    for picture in (flat, noisy, sky, dot, flat[:5, :5]):
        assert of(picture).information < 1
