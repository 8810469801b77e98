"""The usual figures are the literature's, and keep their meaning when one picture is turned, mirrored or retoned."""

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dedupd.imaging.evidence import prepare
from dedupd.imaging.examine import examine
from dedupd.imaging.figures import ssim_map, toned_to

PHOTO = Image.fromarray(skimage.data.astronaut()).resize((384, 384))


def figures_between(a, b):
    sides = [prepare(np.asarray(image), image.width, image.height) for image in (a, b)]
    found = examine(*sides, large_a=None, large_b=None, words=None).figures
    assert found is not None
    return found


def noisy(image, levels):
    rng = np.random.default_rng(5)
    return Image.fromarray(
        np.clip(np.asarray(image, float) + rng.normal(0, levels, (384, 384, 1)), 0, 255).astype(np.uint8)
    )


def luma(image):
    return np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


@pytest.mark.parametrize("levels", [2, 8, 20])
def test_ssim_is_that_of_wang_2004(levels):
    x, y = luma(PHOTO), luma(noisy(PHOTO, levels))
    expected, whole = structural_similarity(
        x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    mine = ssim_map(x, y)
    assert float(mine[5:-5, 5:-5].mean()) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(mine[5:-5, 5:-5], whole[5:-5, 5:-5], atol=1e-3)


def test_mse_and_psnr_are_of_luma():
    other = noisy(PHOTO, 8)
    found = figures_between(PHOTO, other)
    inner = np.s_[4:-4, 4:-4]
    expected = float(np.square(luma(PHOTO) - luma(other))[inner].mean())
    assert found.mse == pytest.approx(expected, rel=0.02)
    psnr = peak_signal_noise_ratio(luma(PHOTO)[inner], luma(other)[inner], data_range=255)
    assert found.psnr_db == pytest.approx(psnr, abs=0.1)


def test_equal_pictures_have_no_error_and_an_infinite_psnr():
    found = figures_between(PHOTO, PHOTO)
    assert (found.mse, found.psnr_db, found.toned_mse) == (0.0, None, 0.0)
    assert found.ssim == pytest.approx(1.0)
    assert found.matches == found.agreeing > 100


@pytest.mark.parametrize("way", [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.TRANSPOSE])
def test_a_turned_or_mirrored_copy_has_the_figures_of_a_copy(way):
    found = figures_between(PHOTO, PHOTO.transpose(way))
    assert found.mse < 1.0
    assert found.ssim > 0.99
    assert found.agreeing > 0.95 * found.matches > 100


def test_a_tone_curve_is_evened_out_and_only_then():
    darker = PHOTO.point(lambda v: 255 * (v / 255) ** 1.6)
    found = figures_between(PHOTO, darker)
    assert found.mse > 500 > 20 > found.toned_mse
    plain = figures_between(PHOTO, noisy(PHOTO, 6))
    assert plain.toned_mse == pytest.approx(plain.mse, rel=0.03)


def test_the_figures_do_not_depend_on_who_is_called_a():
    other = PHOTO.crop((20, 10, 340, 330))
    there, back = figures_between(PHOTO, other), figures_between(other, PHOTO)
    assert (there.mse, there.ssim, there.toned_mse) == (back.mse, back.ssim, back.toned_mse)
    assert (there.keypoints_a, there.keypoints_b) == (back.keypoints_b, back.keypoints_a)


def test_unrelated_pictures_have_no_figures():
    coffee = Image.fromarray(skimage.data.coffee()).resize((384, 256))
    sides = [prepare(np.asarray(image), image.width, image.height) for image in (PHOTO, coffee)]
    assert examine(*sides, large_a=None, large_b=None, words=None).figures is None


def test_where_nothing_is_valid_the_tone_stays():
    x = np.full((20, 20), 100, np.float32)
    assert toned_to(x, x + 5, np.zeros((20, 20), bool)) is x
