"""Original and copy go through the decoder; the figures say which holds more."""

from __future__ import annotations

import io

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFilter

from dedupd.core.records import Quality
from dedupd.imaging.decode import decode
from dedupd.imaging.limits import DecodeLimits

PHOTO = Image.fromarray(skimage.data.coffee())
LARGE = Image.fromarray(np.tile(skimage.data.coffee(), (3, 3, 1)))


def quality_of(image: Image.Image, fmt: str = "JPEG", **options: object) -> Quality:
    out = io.BytesIO()
    image.save(out, fmt, **({"quality": 85} | options if fmt == "JPEG" else options))
    return decode(out.getvalue(), DecodeLimits()).quality


def again(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def test_an_enlarged_or_blurred_copy_is_less_crisp() -> None:
    original = quality_of(PHOTO).crispness
    enlarged = quality_of(PHOTO.resize((1200, 800), Image.Resampling.BICUBIC), "PNG").crispness
    blurred = quality_of(PHOTO.filter(ImageFilter.GaussianBlur(2))).crispness
    assert original is not None
    assert enlarged is not None
    assert blurred is not None
    assert enlarged < original - 0.3
    assert blurred < original - 0.3


def test_each_further_save_smoothes_the_finest_colour() -> None:
    figures = []
    image = PHOTO
    for _ in range(4):
        figures.append(quality_of(image).fine_colour)
        image = again(image, 85).transpose(Image.Transpose.ROTATE_180)
    assert figures == sorted(figures, reverse=True)
    assert len(set(figures)) == len(figures)


def test_a_save_after_a_coarser_one_takes_fewer_bytes_than_a_first_one() -> None:
    assert quality_of(again(PHOTO, 70)).fullness < 0.95 * quality_of(PHOTO).fullness


def test_full_chroma_is_seen_in_the_file() -> None:
    assert quality_of(PHOTO, subsampling=0).has_full_chroma
    assert not quality_of(PHOTO, subsampling=2).has_full_chroma
    assert not quality_of(PHOTO.convert("L")).has_full_chroma


def test_detail_falls_with_the_size_of_the_picture_whether_decoded_in_full_or_scaled() -> None:
    large, small = quality_of(LARGE), quality_of(LARGE.reduce(3))
    assert large.crispness is None  # scaled while decoding
    assert 1 < large.detail_bytes / small.detail_bytes < 12


def test_noise_clipping_drawing_and_lack_of_colour_are_measured() -> None:
    generator = np.random.default_rng(1)
    noisy = Image.fromarray(
        np.clip(np.asarray(PHOTO) + generator.normal(0, 12, (400, 600, 1)), 0, 255).astype(np.uint8)
    )
    brighter = PHOTO.point(lambda value: min(255, 2 * value))
    screen = Image.new("RGB", (900, 1600), (18, 18, 18))
    screen.paste(PHOTO, (150, 500))
    ImageDraw.Draw(screen).text((40, 40), "12:04")
    plain = quality_of(PHOTO)
    assert quality_of(noisy).noise > 2 * plain.noise
    assert quality_of(brighter).clipped_share > plain.clipped_share + 0.05
    assert quality_of(screen).drawn_share > plain.drawn_share + 0.5
    assert quality_of(PHOTO.convert("L")).colour == 0 < plain.colour
