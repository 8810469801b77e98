"""The frame, the picture within its border, and the picture on a border with text."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from dedupd.imaging.prepared_side import PreparedSide

PHOTO = skimage.data.astronaut()[:240, :256]


def on_border(above: int, left: int, colour: int, *, right: int = 0) -> PreparedSide:
    height, width = PHOTO.shape[0] + 2 * above, PHOTO.shape[1] + left + right
    canvas = np.full((height, width, 3), colour, np.uint8)
    canvas[above : above + PHOTO.shape[0], left : left + PHOTO.shape[1]] = PHOTO
    return PreparedSide(canvas, width, height)


def test_a_photo_is_its_frame() -> None:
    assert PreparedSide(PHOTO, 256, 240).boxes == ((0, 0, 256, 240),)


@pytest.mark.parametrize(("above", "left", "right"), [(17, 0, 0), (0, 23, 24), (31, 22, 9), (1, 2, 0)])
def test_a_border_is_taken_off(above: int, left: int, right: int) -> None:
    side = on_border(above, left, 250, right=right)
    assert side.content_box == (left, above, left + 256, above + 240)
    assert side.boxes[0] == (0, 0, side.small_width_px, side.small_height_px)


def test_a_letter_box_within_a_pillar_box_is_found() -> None:
    side = on_border(20, 30, 0, right=30)
    inner = side.small[:, 30:286].copy()
    inner[:20], inner[-20:] = 255, 255
    side.small[:, 30:286] = inner
    assert PreparedSide(side.small, 316, 280).content_box == (30, 20, 286, 260)


@pytest.mark.parametrize("width", [255, 256])
def test_text_on_a_border_is_tolerated_by_one_of_the_boxes(width: int) -> None:
    canvas = np.full((300, width, 3), 255, np.uint8)
    canvas[40:280] = PHOTO[:, :width]
    canvas[10:20, 30:70] = 0
    side = PreparedSide(canvas, width, 300)
    assert side.content_box == (0, 10, width, 280)
    assert (0, 40, width, 280) in side.boxes


def test_of_one_colour_something_is_left() -> None:
    left, top, right, bottom = PreparedSide(np.full((90, 120, 3), 7, np.uint8), 120, 90).content_box
    assert 0 < right - left < 120
    assert 0 < bottom - top < 90
