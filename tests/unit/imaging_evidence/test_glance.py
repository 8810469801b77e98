"""Whether a look at two pictures pays, told from their sketches, many at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps
from unit.imaging_evidence.made_pictures import photo, saved, sketched

from dedupd.imaging import glance
from dedupd.imaging.alignment import GLANCE_ERROR_PX, GLANCE_ROUNDS, agree_at_a_glance, similarity_map
from dedupd.imaging.glance import FEW_KEYPOINTS, SMALLEST_SIDE_PX, may_be_alike, pairs_worth_a_look
from dedupd.imaging.prepared_side import Keypoints
from dedupd.imaging.sketch import Sketch

PHOTOS = ("astronaut", "chelsea", "china", "coffee", "flower", "rocket")


def crop(picture, share):
    width, height = picture.size
    return picture.crop((0, 0, round(width * share), round(height * share)))


def thumbnail(picture, side_px):
    small = picture.copy()
    small.thumbnail((side_px, side_px))
    return small


def screenshot(picture):
    screen = Image.new("RGB", (picture.width, 2 * picture.height), (18, 18, 18))
    screen.paste(picture, (0, picture.height // 2))
    return screen


COPIES = {
    "poor": lambda p: saved(p, 12),
    "tiny": lambda p: p.resize((p.width // 4, p.height // 4)),
    "tiny and cropped": lambda p: thumbnail(crop(p, 0.7), 120),
    "tiny and mirrored": lambda p: thumbnail(ImageOps.mirror(crop(p, 0.8)), 90),
    "tiny in a border": lambda p: thumbnail(ImageOps.expand(p, 60, "white"), 70),
    "smallest": lambda p: thumbnail(crop(p, 0.8), 40),
    "grey": ImageOps.grayscale,
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(3)),
    "turned": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "mirrored": ImageOps.mirror,
    "bordered": lambda p: ImageOps.expand(p, 60, "white"),
    "cropped": lambda p: crop(p, 0.6),
    "cropped and mirrored": lambda p: ImageOps.mirror(crop(p, 0.7)),
    "a little turned": lambda p: p.rotate(4, Image.Resampling.BICUBIC),
    "inside a screenshot": screenshot,
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", PHOTOS)
def test_a_look_at_a_copy_may_be_alike(name, how):
    whole, copy = sketched(photo(name)), sketched(COPIES[how](photo(name)))
    assert may_be_alike(whole, copy)
    assert may_be_alike(copy, whole)


def test_a_look_at_most_unrelated_pictures_does_not():
    made = {name: sketched(photo(name)) for name in PHOTOS}
    pairs = [(a, b) for a in PHOTOS for b in PHOTOS if a < b]
    assert sum(may_be_alike(made[a], made[b]) for a, b in pairs) <= len(pairs) // 5


def test_a_look_at_most_tiny_strangers_does_not():
    made = {name: sketched(photo(name)) for name in PHOTOS}
    tiny = {name: sketched(thumbnail(photo(name), 120)) for name in PHOTOS}
    assert all(sketch.is_tiny for sketch in tiny.values())
    pairs = [(a, b) for a in PHOTOS for b in PHOTOS if a != b]
    assert sum(may_be_alike(tiny[a], made[b]) for a, b in pairs) <= len(pairs) // 5


def test_the_smallest_pictures_are_always_looked_at():
    icon = sketched(thumbnail(photo("coffee"), SMALLEST_SIDE_PX - 1))
    assert all(may_be_alike(icon, sketched(photo(name))) for name in PHOTOS)


def test_alike_light_and_shade_alone_does_not_pay():
    rng = np.random.default_rng(5)
    shade = np.linspace(40, 210, 288)[:, None, None] * np.ones((288, 384, 3))
    one, other = ((shade + 40 * blotches(rng)).clip(0, 255).astype(np.uint8) for _ in range(2))
    a, b = (sketched(Image.fromarray(pixels)) for pixels in (one, other))
    assert float((a.blocks @ b.blocks.T).max()) > 0.7
    assert not may_be_alike(a, b)


def blotches(rng):
    coarse = rng.standard_normal((48, 64))
    return np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((384, 288), Image.Resampling.BICUBIC))[
        ..., None
    ]


def test_pages_and_skies_without_keypoints_are_looked_at():
    white = Image.new("RGB", (400, 300), "white")
    sky = Image.fromarray(np.tile(np.linspace(90, 160, 300)[:, None, None], (1, 400, 3)).astype(np.uint8))
    assert len(sketched(sky).glance.points) < FEW_KEYPOINTS
    assert may_be_alike(sketched(white), sketched(sky))


@pytest.mark.parametrize("size", [(1, 1), (1, 384), (384, 2), (7, 5), (100, 64), (143, 143), (144, 9), (384, 384)])
@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_any_size_has_a_sketch_that_is_like_itself(size, kind):
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    picture = Image.fromarray(pixels if kind == "noise" else np.full_like(pixels, 9))
    assert may_be_alike(sketched(picture), sketched(picture))


# ------------------------------------------------------------------------------------------------------- many at once


def test_many_at_once_are_answered_as_one_by_one():
    sketches = [sketched(COPIES[how](photo(name))) for name in PHOTOS[:4] for how in ("poor", "cropped", "tiny")]
    pairs = [(a, b) for a in range(len(sketches)) for b in range(len(sketches))]
    answers = pairs_worth_a_look(sketches, pairs)
    assert answers == [may_be_alike(sketches[a], sketches[b]) for a, b in pairs]
    assert {True, False} == set(answers)


def test_what_has_no_sketch_is_looked_at():
    strangers = [sketched(photo("coffee")), sketched(photo("rocket")), None]
    assert pairs_worth_a_look(strangers, [(0, 1), (0, 2), (2, 1), (2, 2), (1, 0)]) == [False, True, True, True, False]
    assert pairs_worth_a_look(strangers, []) == []


def test_keypoints_say_what_they_say_pair_by_pair():
    made = [sketched(COPIES[how](photo(name))) for name in PHOTOS for how in ("cropped", "cropped and mirrored")]
    for one in made:
        plain = [Sketch(other.width_px, other.height_px, 0 * other.blocks, other.glance) for other in made]
        pairs = [(number, len(made)) for number in range(len(made))]
        expected = [agree_at_a_glance(other.glance, one.glance) for other in made]
        assert pairs_worth_a_look([*plain, one], pairs) == expected


# --------------------------------------------------------------------------------------- how many agree, and how much


def sketch_of(points, descriptors):
    return Sketch(384, 288, np.zeros((1, 576), np.float32), Keypoints(points, descriptors))


def a_pair(agreeing, likeness, *, of=40):
    """Two pictures of which so many keypoints agree on one map, each that like its other; the rest matches nothing."""
    rng = np.random.default_rng(7)

    def unit(values):
        return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)

    own, others = (unit(rng.random((of, 128)) ** 12) for _ in range(2))
    apart = unit(others - (others * own).sum(axis=1, keepdims=True) * own)
    others[:agreeing] = (likeness * own + np.sqrt(1 - likeness**2) * apart)[:agreeing]
    places = np.stack([37.0 * np.arange(of) % 300, 53.0 * np.arange(of) % 230], axis=1).astype(np.float32)
    elsewhere = rng.uniform(0, 280, (of, 2)).astype(np.float32)
    elsewhere[:agreeing] = 0.6 * places[:agreeing] + 11
    return sketch_of(places, own), sketch_of(elsewhere, others)


@pytest.mark.parametrize(
    ("agreeing", "likeness", "expected"),
    [(3, 0.99, False), (4, 0.9, False), (4, 0.97, True), (5, 0.9, True), (12, 0.9, True)],
)
def test_few_places_have_to_look_alike(agreeing, likeness, expected):
    a, b = a_pair(agreeing, likeness)
    assert may_be_alike(a, b) == may_be_alike(b, a) == expected


points = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12, unique=True)


@given(points, st.randoms(use_true_random=False))
def test_no_map_that_ransac_finds_has_more_than_the_best_couple_s(source, random):
    target = np.array([(x + random.choice([0, 0, 3, 9]), y) for x, y in source], np.float32)
    source = np.array(source, np.float32)
    _, inside = similarity_map(source, target, GLANCE_ERROR_PX, GLANCE_ROUNDS)
    found = glance._Match(pair=0, least=2, source=source, target=target, alike=np.ones(len(source), np.float32))
    [most] = glance._most_agreeing([found])
    assert inside.sum() <= most <= len(source)
