import numpy as np
import pytest
from skimage import data

from dedupd.imaging.quality import frame_share


def framed(pixels, top, right, bottom, left, colour):
    height, width, _ = pixels.shape
    canvas = np.empty((height + top + bottom, width + left + right, 3), np.uint8)
    canvas[:] = colour
    canvas[top : top + height, left : left + width] = pixels
    return canvas


@pytest.mark.parametrize("sides", [(20, 20, 20, 20), (40, 0, 40, 0), (0, 30, 0, 30), (10, 0, 0, 0)])
@pytest.mark.parametrize("colour", [0, 255, (20, 90, 160)])
def test_a_border_is_measured_to_a_line(sides, colour):
    photo = np.ascontiguousarray(data.coffee()[100:300, 100:380])
    canvas = framed(photo, *sides, colour)
    expected = 1 - photo.shape[0] * photo.shape[1] / (canvas.shape[0] * canvas.shape[1])
    assert frame_share(canvas) == pytest.approx(expected, abs=0.015)


def test_a_photo_has_no_frame_and_a_flat_picture_neither():
    assert frame_share(np.ascontiguousarray(data.astronaut()[::2, ::2])) == 0.0
    assert frame_share(np.full((50, 60, 3), 7, np.uint8)) == 0.0
    assert frame_share(np.full((1, 1, 3), 7, np.uint8)) == 0.0
