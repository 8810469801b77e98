"""An earlier, coarser JPEG compression shows wherever its blocks lie now, and nothing shows where there was none."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from dedupd.imaging.jpeg_traces import earlier_quality

PHOTOS = [
    Image.fromarray(pixels).reduce(2).crop((0, 0, 251, 237))
    for pixels in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea())
]


def saved(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def found(image: Image.Image, own_quality: int | None) -> int | None:
    return earlier_quality(np.asarray(image.convert("L")), own_quality)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(
    "edit",
    [
        lambda image: image,
        ImageOps.mirror,
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        lambda image: image.crop((3, 14, 240, 230)),
        lambda image: ImageOps.expand(image, 21),
        ImageOps.grayscale,
    ],
)
def test_a_picture_saved_finer_after_it_was_saved_coarsely_is_known(
    photo: Image.Image, edit: Callable[[Image.Image], Image.Image]
) -> None:
    assert found(saved(edit(saved(photo, 65)), 93), 93) == pytest.approx(65, abs=2)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("quality", [50, 70, 85, 92])
def test_a_first_save_shows_no_earlier_one(photo: Image.Image, quality: int) -> None:
    assert found(saved(photo, quality), quality) is None


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_picture_without_loss_shows_whether_it_came_from_a_jpeg(photo: Image.Image) -> None:
    assert found(photo, None) is None
    assert found(saved(photo, 75), None) == pytest.approx(75, abs=1)


def test_tiny_and_flat_pictures_show_nothing() -> None:
    assert found(Image.new("RGB", (7, 300)), 90) is None
    assert found(Image.new("RGB", (300, 300), (90, 90, 90)), 90) is None
