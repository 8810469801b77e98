from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image
from skimage import data

from benchmarks.generated.camera import Camera, Pose, scene_of
from benchmarks.generated.copies import STRIDE, TRANSFORMS, Original, copies_of, encoded
from benchmarks.generated.documents import DRAWINGS, document_series
from benchmarks.generated.look_alikes import KINDS, Take
from benchmarks.generated.plain import MAKERS, low_information
from benchmarks.generated.write import pose_of

pillow_heif.register_heif_opener()


@pytest.fixture(scope="module")
def photo():
    return cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def take_of(photo, seed):
    rng = np.random.default_rng(seed)
    camera = Camera(size_px=120, quality=90)
    return Take(scene=scene_of(photo, rng), camera=camera, pose=Pose(), rng=rng, others=(photo[::-1].copy(),))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_series_and_no_two_exposures_are_equal(photo, kind):
    files = KINDS[kind](take_of(photo, 5))
    assert files == KINDS[kind](take_of(photo, 5))
    assert len(files) >= 2
    assert len(set(files)) == len(files)


def test_tripod_frames_differ_by_noise_only_and_a_moved_thing_by_more(photo):
    def strongest(kind):
        first, second, *_ = (cv2.blur(opened(c).astype(np.float32), (5, 5)) for c in KINDS[kind](take_of(photo, 8)))
        return np.abs(first - second).max()

    assert strongest("tripod_ambiguous") < 6
    assert strongest("burst_moved") > 2 * strongest("tripod_ambiguous")


def test_every_transformation_is_made_and_a_few_copies_are_of_many_kinds(photo):
    original = Original(pixels=opened(encoded(photo, quality=92)), content=encoded(photo, quality=92))
    made = list(copies_of(original, np.random.default_rng(1)))
    assert {copy.transform for copy in made} == {transform for transform, *_ in TRANSFORMS}
    assert all(opened(copy.content).size for copy in made)
    few = [copy.transform for copy in copies_of(original, np.random.default_rng(1), first=3, count=8)]
    assert len(set(few)) >= 6
    assert np.gcd(STRIDE, len(made)) == 1


def test_the_same_seed_makes_the_same_copies(photo):
    original = Original(pixels=photo, content=encoded(photo, quality=92))
    twice = [[c.content for c in copies_of(original, np.random.default_rng(4))] for _ in range(2)]
    assert twice[0] == twice[1]


def test_a_changed_metadata_block_leaves_every_pixel(photo):
    original = Original(pixels=opened(encoded(photo)), content=encoded(photo))
    kept = [c for c in copies_of(original, np.random.default_rng(2)) if c.transform in {"metadata_only", "to_png"}]
    assert all((opened(copy.content) == original.pixels).all() for copy in kept)
    assert all(copy.content != original.content for copy in kept)


@pytest.mark.parametrize("variant", range(len(DRAWINGS)))
def test_documents_of_a_series_share_their_template_and_differ_in_what_counts(variant):
    kind, files = document_series(np.random.default_rng(variant), variant)
    pages = [opened(content) for content, _ in files]
    assert kind == DRAWINGS[variant][0]
    assert len(pages) == 3
    for one, other in itertools.pairwise(pages):
        assert one.shape == other.shape
        differs = np.abs(one.astype(int) - other).max(axis=2) > 60
        assert 0 < differs.mean() < 0.5


@pytest.mark.parametrize("variant", range(len(MAKERS)))
def test_nearly_empty_pictures_of_a_series_are_shots_of_their_own(variant):
    files = low_information(np.random.default_rng(3), variant)
    assert len(set(files)) == len(files) >= 2


def test_no_pose_of_a_scene_shows_all_that_another_shows():
    rng = np.random.default_rng(0)
    poses = [pose_of(place, rng) for place in range(len(KINDS))]
    for number, one in enumerate(poses):
        for other in poses[number + 1 :]:
            assert max(abs(one.x - other.x), abs(one.y - other.y)) > 0.03
