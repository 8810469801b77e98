"""Border boxes on pictures whose true box is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from dedupd.core.arrays import Pixels
from dedupd.embedding.trim import MAX_TRIM_SHARE, PixelBox, differs, find_boxes

PHOTO = data.astronaut()[::3, ::2][:160, :240]
TOLERANCE_PX = 3


def framed(top: int, bottom: int, left: int, right: int, level: int) -> Pixels:
    return np.pad(PHOTO, ((top, bottom), (left, right), (0, 0)), constant_values=level)


def is_near(box: PixelBox, top: int, left: int) -> bool:
    expected = (top, top + PHOTO.shape[0], left, left + PHOTO.shape[1])
    return all(
        abs(a - b) <= TOLERANCE_PX for a, b in zip((box.top, box.bottom, box.left, box.right), expected, strict=True)
    )


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("sides", [(20, 20, 20, 20), (40, 0, 0, 0), (0, 0, 30, 30), (5, 60, 0, 12)])
def test_a_uniform_border_is_trimmed_to_the_picture(sides: tuple[int, int, int, int], level: int):
    assert is_near(find_boxes(framed(*sides, level)).trimmed, sides[0], sides[2])


def test_a_pillar_box_in_a_letter_box_is_trimmed_twice():
    inner = framed(0, 0, 30, 30, 0)
    both = np.pad(inner, ((40, 40), (0, 0), (0, 0)), constant_values=255)
    assert is_near(find_boxes(both).trimmed, 40, 30)


def test_a_photo_without_border_keeps_its_frame():
    boxes = find_boxes(PHOTO)
    assert boxes.trimmed == boxes.whole
    assert (boxes.whole.height, boxes.whole.width) == PHOTO.shape[:2]


def captioned(text_at_top: bool) -> tuple[Pixels, int]:
    bar = Image.new("RGB", (PHOTO.shape[1], 40), "white")
    ImageDraw.Draw(bar).text((8, 12), "when it is finally friday", fill="black")
    parts = [np.asarray(bar), PHOTO] if text_at_top else [PHOTO, np.asarray(bar)]
    return np.concatenate(parts), 40 if text_at_top else 0


@pytest.mark.parametrize("text_at_top", [True, False])
def test_a_caption_bar_with_text_is_cut_from_the_body(text_at_top: bool):
    pixels, top = captioned(text_at_top)
    boxes = find_boxes(pixels)
    assert is_near(boxes.body, top, 0)
    assert not is_near(boxes.trimmed, top, 0)


def test_a_flat_picture_is_not_trimmed_to_nothing():
    for shape in ((1, 1), (1, 50), (50, 1), (90, 200)):
        boxes = find_boxes(np.full((*shape, 3), 255, dtype=np.uint8))
        for box in (boxes.trimmed, boxes.body):
            assert 0 <= box.top < box.bottom <= shape[0]
            assert 0 <= box.left < box.right <= shape[1]
            assert box.height >= (1 - 2 * MAX_TRIM_SHARE) ** 2 * shape[0] - 1


def test_boxes_stay_inside_pictures_of_every_size():
    rng = np.random.default_rng(5)
    for _ in range(300):
        height, width = (int(n) for n in rng.integers(1, 400, 2))
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        y, x = int(rng.integers(height)), int(rng.integers(width))
        pixels[y:, x:] = rng.integers(0, 256, (height - y, width - x, 3))
        boxes = find_boxes(pixels)
        for box in (boxes.whole, boxes.trimmed, boxes.body):
            assert 0 <= box.top < box.bottom <= height
            assert 0 <= box.left < box.right <= width


def test_boxes_differ_only_beyond_the_share():
    box = PixelBox(top=0, bottom=100, left=0, right=100)
    assert not differs(box, PixelBox(top=1, bottom=100, left=0, right=100), 0.015)
    assert differs(box, PixelBox(top=2, bottom=100, left=0, right=100), 0.015)
    assert differs(box, PixelBox(top=0, bottom=100, left=0, right=95), 0.015)
