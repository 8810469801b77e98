"""How pictures lie on each other: known maps are found again, narrow overlaps are survived, the mask is the overlap."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from unit.imaging_evidence.made_pictures import PHOTOS, frame_of, photo, saved, side

from dedupd.core.records import Evidence
from dedupd.imaging.alignment import (
    Alignment,
    affine_of_flow,
    compose,
    flow_between,
    frame_hypotheses,
    invert,
    keypoint_hypotheses,
)
from dedupd.imaging.common_frame import EDGE_PX, MIN_OVERLAP_PX, make_common_frame, refine
from dedupd.imaging.evidence import aligned, compare_images, prepare

NARROW_PX = (12, 13, 15, 16, 17, 20, 24, 31, 32, 33, 40, 48, 60)
LONG_PX = (12, 24, 60, 95, 96, 128, 190, 192, 256, 384)


def strip(width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    """float32 [h, w]: soft random structure."""
    noise = np.random.default_rng(seed).normal(128, 200, (height_px, width_px)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2.0).clip(0, 255)


NARROW_FLOWS = f"""
import numpy as np
from dedupd.imaging.alignment import flow_between
from dedupd.imaging.common_frame import half_size_flow

rng = np.random.default_rng(1)
for short in {NARROW_PX}:
    for long in {LONG_PX}:
        for shape in ((short, long), (long, short)):
            x, y = (rng.uniform(0, 255, shape).astype(np.float32) for _ in range(2))
            assert np.isfinite(flow_between(x, y)).all(), shape
            x, y = (rng.uniform(0, 255, tuple(2 * s for s in shape)).astype(np.float32) for _ in range(2))
            flow, weight = half_size_flow(x, y, np.ones(x.shape, bool))
            assert flow.shape[:2] == weight.shape == shape
            assert np.isfinite(flow).all(), shape
print("survived")
"""


def test_narrow_overlaps_do_not_crash_the_optical_flow():
    """Neighbours of a panorama shared a strip of 24 pixels, and the worker process died while comparing them.

    OpenCV 5.0's DIS picks its coarsest scale by the picture's width alone once the finest scale that is asked for is
    coarser than the picture has; in a strip of, say, 12 × 190 px at half size its patches then lie outside the picture,
    and it reads beyond the buffer. `flow_between` lowers the finest scale to what the strip really has. A crash takes
    the process with it, so that the trial runs in a process of its own.
    """
    done = subprocess.run([sys.executable, "-c", NARROW_FLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "survived\n"


@pytest.mark.parametrize(("width", "height"), [(384, 24), (24, 384), (380, 33), (33, 380), (384, 12), (12, 384)])
def test_low_strips_and_narrow_columns_are_compared_with_pictures_that_hold_them(width: int, height: int):
    whole = photo("china").resize((384, 256)) if width > height else photo("china").resize((256, 384))
    part = whole.crop((0, 100, width, 100 + height)) if width > height else whole.crop((100, 0, 100 + width, height))
    for first, second in ((whole, part), (part, whole), (part, part)):
        found = compare_images(*(prepare(np.asarray(i), *i.size) for i in (first, second)))
        assert 0 <= found.similarity <= 1
        assert np.isfinite([*found.band_errors, found.excess, found.motion_px]).all()


@pytest.mark.parametrize("shape", [(24, 190), (190, 24), (16, 256), (120, 160)])
def test_optical_flow_follows_a_shift_of_a_pixel(shape: tuple[int, int]):
    wide = strip(shape[1] + 8, shape[0] + 8)
    x, y = wide[4:-4, 4:-4], wide[4:-4, 3:-5]  # y at (column + 1) is x at column
    inner = np.s_[4:-4, 8:-8]
    flow = flow_between(np.ascontiguousarray(x), np.ascontiguousarray(y))
    assert np.median(flow[inner][..., 0]) == pytest.approx(1.0, abs=0.3)
    assert np.median(flow[inner][..., 1]) == pytest.approx(0.0, abs=0.3)


def test_the_affine_part_of_a_flow_is_found_although_a_quarter_moves_otherwise():
    m = np.array([[1.01, -0.02, 1.5], [0.015, 0.99, -0.8]])
    ys, xs = np.mgrid[0:150, 0:200].astype(np.float64)
    flow = np.stack([(m[0, 0] - 1) * xs + m[0, 1] * ys + m[0, 2], m[1, 0] * xs + (m[1, 1] - 1) * ys + m[1, 2]], axis=2)
    flow[40:120, 50:140] += (6.0, -4.0)
    found = affine_of_flow(flow.astype(np.float32), np.ones((150, 200), np.float32))
    corners = np.array([[0, 0, 1], [199, 0, 1], [0, 149, 1], [199, 149, 1]])
    np.testing.assert_allclose(corners @ found.T, corners @ m.T, atol=0.35)
    assert affine_of_flow(flow.astype(np.float32), np.zeros((150, 200), np.float32)) is None


def test_maps_compose_and_invert():
    m = np.array([[0.7, -0.2, 11.0], [0.3, 1.1, -5.0]])
    np.testing.assert_allclose(compose(m, invert(m)), [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(compose(invert(m), m), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


# -------------------------------------------------------------------------------------------------- known geometry


def turned_matrix(size: tuple[int, int], degrees: float, zoom: float) -> np.ndarray:
    return cv2.getRotationMatrix2D(((size[0] - 1) / 2, (size[1] - 1) / 2), degrees, zoom)


def warped(image: Image.Image, matrix: np.ndarray) -> Image.Image:
    return Image.fromarray(
        cv2.warpAffine(np.asarray(image), matrix, image.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    )


def corners_error(found: Evidence, a: Image.Image, b: Image.Image, b_to_a: np.ndarray) -> float:
    """Largest distance of B's corners from where they belong in A, shares of A's long side."""
    frame = np.array([[-0.5, -0.5], [b.width - 0.5, -0.5], [b.width - 0.5, b.height - 0.5], [-0.5, b.height - 0.5]])
    true = frame @ b_to_a[:, :2].T + b_to_a[:, 2] + 0.5
    assert found.geometry is not None
    apart = np.array(found.geometry.corners) * a.size - true
    return float(np.linalg.norm(apart, axis=1).max()) / max(a.size)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("degrees", [-30.0, -7.5, 3.0, 12.0, 45.0])
def test_a_turned_picture_is_laid_where_it_belongs(name: str, degrees: float):
    matrix = turned_matrix(photo(name).size, degrees, 1.3)
    other = saved(warped(photo(name), matrix), 85)
    found = compare_images(side(photo(name)), side(other))
    assert corners_error(found, photo(name), other, invert(matrix)) < 0.004


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("box", [(0.1, 0.1, 0.9, 0.9), (0.0, 0.0, 0.6, 0.7), (0.45, 0.4, 1.0, 1.0)])
def test_a_cut_out_part_is_laid_where_it_belongs(name: str, box: tuple[float, float, float, float]):
    image = photo(name)
    left, top, right, bottom = (round(s * image.size[i % 2]) for i, s in enumerate(box))
    other = saved(image.crop((left, top, right, bottom)), 85)
    found = compare_images(side(image), side(other))
    assert corners_error(found, image, other, np.array([[1.0, 0, left], [0, 1, top]])) < 0.003
    assert found.protrusion_px < 1.0


def test_all_eight_orientations_of_a_frame_are_told_apart():
    image = photo("coffee")
    upright = side(image)
    for turns in range(4):
        for mirror in (False, True):
            pixels = np.rot90(np.asarray(image)[:, ::-1] if mirror else np.asarray(image), turns)
            other = side(Image.fromarray(np.ascontiguousarray(pixels)))
            best = frame_hypotheses(upright, other)[0]
            assert best.is_mirrored == mirror
            assert best.is_frame_on_frame
            found = compare_images(upright, other).geometry
            assert found.is_mirrored == mirror
            assert found.overlap_of_a == found.overlap_of_b == pytest.approx(1.0, abs=1e-6)


def test_keypoints_support_mirrored_and_upright_pictures_alike():
    part = photo("astronaut").crop((60, 40, 420, 400))
    mirrored = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for other, is_mirrored in ((part, False), (mirrored, True)):
        best = keypoint_hypotheses(side(photo("astronaut")), side(other))[0]
        assert best.is_mirrored == is_mirrored
        assert best.inliers > 60


def test_unrelated_pictures_are_told_at_a_glance_without_their_fine_keypoints():
    one, other = side(photo("coffee")), side(photo("astronaut"))
    assert keypoint_hypotheses(one, other) == []
    assert "glance" in vars(one)
    assert "keypoints" not in vars(one)


def test_pictures_too_small_for_a_glance_are_looked_at_closely():
    whole = photo("astronaut").resize((128, 128))
    one, other = side(whole), side(whole.rotate(17, resample=Image.Resampling.BICUBIC))
    assert keypoint_hypotheses(one, other)[0].inliers > 20
    assert "glance" not in vars(one)


# ---------------------------------------------------------------------------------------------------- common frame


@pytest.mark.parametrize("degrees", [0.0, 5.0, 20.0, 45.0])
def test_the_mask_is_where_the_turned_picture_has_pixels(degrees: float):
    """Pixels that the warp had to invent at the corners are outside, those well inside the frame are in."""
    a, b = (prepare(np.full((240, 320, 3), 99, np.uint8), 320, 240) for _ in range(2))
    m = turned_matrix((320, 240), degrees, 1.0)
    frame = make_common_frame(a, b, Alignment(m, 0, "dense"))
    left, top = frame.origin
    height, width = frame.valid.shape
    ys, xs = np.mgrid[top : top + height, left : left + width].astype(np.float64)
    back = invert(m)
    in_b = np.stack([xs, ys], axis=2) @ back[:, :2].T + back[:, 2]
    from_rim = np.minimum.reduce([in_b[..., 0] + 0.5, 319.5 - in_b[..., 0], in_b[..., 1] + 0.5, 239.5 - in_b[..., 1]])
    assert not frame.valid[from_rim < EDGE_PX - 1].any()
    assert frame.valid[from_rim > EDGE_PX + 1].all()


def test_a_cut_out_part_makes_a_frame_of_its_own_size_in_its_place():
    whole = photo("china").resize((384, 256))
    part = whole.crop((100, 60, 300, 220))
    a, b = (prepare(np.asarray(i), *i.size) for i in (whole, part))
    frame = make_common_frame(a, b, Alignment(np.array([[1.0, 0, 100], [0, 1, 60]]), 0, "features"))
    assert frame.origin == (100, 60)
    assert frame.valid.shape == (160, 200)
    assert frame.valid.mean() > 0.93
    np.testing.assert_array_equal(frame.reference, np.asarray(part, np.float32))
    np.testing.assert_allclose(frame.moved[frame.valid], frame.reference[frame.valid], atol=1.0)


@pytest.mark.parametrize("smaller_is_a", [False, True])
def test_the_finer_picture_is_brought_to_the_coarser(smaller_is_a: bool):
    fine, coarse = photo("coffee").resize((384, 256)), photo("coffee").resize((150, 100))
    pair = (coarse, fine) if smaller_is_a else (fine, coarse)
    frame = frame_of(*pair)
    assert frame.valid.shape == (100, 150)
    assert frame.reference_is_a == smaller_is_a
    assert np.abs(frame.moved - frame.reference)[frame.valid].mean() < 6


def test_an_overlap_too_thin_to_judge_is_no_frame():
    a, b = (prepare(np.asarray(photo("coffee").resize((384, 256))), 384, 256) for _ in range(2))
    thin = Alignment(np.array([[1.0, 0, 384 - MIN_OVERLAP_PX + 1], [0, 1, 0]]), 0, "features")
    assert make_common_frame(a, b, thin) is None
    assert refine(a, b, thin) is None
    thick = Alignment(np.array([[1.0, 0, 384 - MIN_OVERLAP_PX], [0, 1, 0]]), 0, "features")
    assert make_common_frame(a, b, thick).valid.shape == (256, MIN_OVERLAP_PX)


@pytest.mark.parametrize("off", [(3.0, 0.0), (-2.0, 2.5), (0.8, -0.6)])
def test_refining_corrects_an_alignment_that_is_off_by_a_few_pixels(off: tuple[float, float]):
    whole = photo("china").resize((384, 256))
    part = whole.crop((40, 30, 340, 230))
    a, b = (prepare(np.asarray(i), *i.size) for i in (whole, part))
    guess = Alignment(np.array([[1.005, 0, 40 + off[0]], [0, 0.995, 30 + off[1]]]), 0, "features")
    refined = refine(a, b, guess)
    np.testing.assert_allclose(refined.alignment.b_to_a, [[1, 0, 40], [0, 1, 30]], atol=0.12)
    assert refined.agreement > 0.99
    assert refined.motion_px < 0.2


def test_refining_leaves_whole_frames_of_a_poor_copy_exactly_on_each_other():
    poor = saved(photo("chelsea"), 15)
    found = compare_images(side(photo("chelsea")), side(poor))
    assert found.frame_offset_px == 0.0
    assert found.geometry.rotation_deg == 0.0


def test_what_moves_against_the_rest_is_motion():
    before, after = photo("china").copy(), photo("china").copy()
    thing = photo("astronaut").resize((220, 220))
    before.paste(thing, (200, 100))
    after.paste(thing, (206, 104))
    still = compare_images(side(before), side(saved(before))).motion_px
    moved = compare_images(side(before), side(saved(after))).motion_px
    assert still < 0.5 < 2.0 < moved


def test_unrelated_pictures_have_no_common_frame():
    assert aligned(side(photo("coffee")), side(photo("astronaut"))) is None
