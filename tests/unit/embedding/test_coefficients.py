"""The cosine integrals against an independent DCT, and windows against the pixels they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn
from skimage import data

from dedupd.embedding.coefficients import LUMA_SIDE, Window, box_coefficients, window_coefficients
from dedupd.embedding.features import all_orientations, squash
from dedupd.embedding.trim import PixelBox, find_boxes

PHOTO = data.coffee()[:384, :256]


def whole(pixels: np.ndarray) -> PixelBox:
    return PixelBox(top=0, bottom=pixels.shape[0], left=0, right=pixels.shape[1])


def test_luma_agrees_with_a_dct_of_the_pixels():
    luma = PHOTO @ np.array([0.299, 0.587, 0.114])
    expected = dctn(luma, norm="ortho")[:LUMA_SIDE, :LUMA_SIDE] / np.sqrt(luma.size)
    got = box_coefficients(PHOTO.astype(np.float32), whole(PHOTO)).luma[:LUMA_SIDE, :LUMA_SIDE]
    np.testing.assert_allclose(got, expected, atol=0.02)


def test_a_box_is_the_same_as_cutting_it_out():
    box = PixelBox(top=30, bottom=200, left=17, right=201)
    cut = np.ascontiguousarray(PHOTO[30:200, 17:201])
    inside = box_coefficients(PHOTO.astype(np.float32), box)
    alone = box_coefficients(cut.astype(np.float32), whole(cut))
    np.testing.assert_allclose(inside.luma, alone.luma, atol=1e-3)
    np.testing.assert_allclose(inside.chroma, alone.chroma, atol=1e-3)


@pytest.mark.parametrize("window", [Window(0.75, 0.125, 0.125), Window(0.75, 0.25, 0.0)])
def test_a_derived_window_is_near_the_window_of_the_pixels(window: Window):
    height, width = PHOTO.shape[:2]
    top, left = round(window.top * height), round(window.left * width)
    cut = np.ascontiguousarray(PHOTO[top : top + round(window.side * height), left : left + round(window.side * width)])
    derived = squash(*window_coefficients(box_coefficients(PHOTO.astype(np.float32), whole(PHOTO)), (window,)))[0]
    coefficients = box_coefficients(cut.astype(np.float32), whole(cut))
    direct = squash(coefficients.luma[None, :16, :16], coefficients.chroma[None, :, :6, :6])[0]
    assert derived @ direct / np.linalg.norm(derived) / np.linalg.norm(direct) > 0.97


def test_orientations_are_the_features_of_the_oriented_picture():
    def of(pixels: np.ndarray) -> np.ndarray:
        exact = np.ascontiguousarray(pixels, dtype=np.float32)
        c = box_coefficients(exact, find_boxes(PHOTO).whole if exact.shape == PHOTO.shape else whole(exact))
        return squash(c.luma[None, :16, :16], c.chroma[None, :, :6, :6])[0]

    eight = all_orientations(of(PHOTO)[None])[:, 0]
    for place in range(8):
        oriented = PHOTO.transpose(1, 0, 2) if place & 4 else PHOTO
        oriented = oriented[::-1] if place & 2 else oriented
        oriented = oriented[:, ::-1] if place & 1 else oriented
        np.testing.assert_allclose(eight[place], of(oriented), atol=2e-3)


def test_one_pixel_has_only_its_mean():
    pixel = np.array([[[200, 100, 50]]], dtype=np.float32)
    luma = box_coefficients(pixel, whole(pixel)).luma
    assert luma[0, 0] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    np.testing.assert_allclose(luma.ravel()[1:], 0.0, atol=1e-4)
