import numpy as np
import pytest

from dedupd.embedding.describe import describe
from dedupd.embedding.projection import load_projection
from dedupd.imaging.made_copies import made_copies


@pytest.fixture(scope="module")
def picture():
    from skimage import data
    from skimage.transform import resize

    return np.round(resize(data.astronaut(), (288, 384)) * 255).astype(np.uint8)


def test_every_copy_is_a_small_rgb_picture_and_another_one(picture):
    for name, copy in made_copies(picture).items():
        assert (copy.ndim, copy.shape[2], copy.dtype) == (3, 3, np.uint8), name
        assert copy.shape != picture.shape or not np.array_equal(copy, picture), name


def test_the_same_picture_gives_the_same_copies(picture):
    first, second = made_copies(picture), made_copies(picture)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_copy_is_of_the_picture_and_not_of_nothing(picture):
    projection = load_projection()
    original = describe(picture, projection).stored
    for name, copy in made_copies(picture).items():
        asked = describe(copy, projection).queries
        if name != "cropped by 30 %":  # half of the area: the built-in descriptor does not promise it
            assert (asked @ original.T).max() >= 0.5, name


@pytest.mark.parametrize("size", [(1, 1), (8, 300), (384, 5)])
def test_a_picture_of_any_size_has_copies(size):
    for copy in made_copies(np.full((*size, 3), 90, np.uint8)).values():
        assert copy.size
