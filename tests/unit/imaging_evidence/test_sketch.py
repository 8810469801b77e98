"""Sketches: whether a look at two pictures pays, packed into their previews."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps
from unit.imaging_evidence.made_pictures import photo, saved

from dedupd.imaging import sketch as sketches
from dedupd.imaging.decode import decode, decode_preview, encode_preview
from dedupd.imaging.evidence import prepare
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.preview_segment import attached, body_in, detached
from dedupd.imaging.sketch import may_be_alike, pack, sketch_in, sketch_of, unpack, with_sketch

PHOTOS = ("astronaut", "chelsea", "china", "coffee", "flower", "rocket")


def small(picture):
    picture = picture.convert("RGB")
    picture.thumbnail((384, 384))
    return np.asarray(picture)


def sketch(picture):
    """As it is after being stored."""
    pixels = small(picture)
    return unpack(pack(sketch_of(prepare(pixels, pixels.shape[1], pixels.shape[0]))))


def crop(picture, share):
    width, height = picture.size
    return picture.crop((0, 0, round(width * share), round(height * share)))


def screenshot(picture):
    screen = Image.new("RGB", (picture.width, 2 * picture.height), (18, 18, 18))
    screen.paste(picture, (0, picture.height // 2))
    return screen


COPIES = {
    "poor": lambda p: saved(p, 12),
    "tiny": lambda p: p.resize((p.width // 4, p.height // 4)),
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
def test_a_look_at_a_copy_pays(name, how):
    whole = photo(name)
    assert may_be_alike(sketch(whole), sketch(COPIES[how](whole)))
    assert may_be_alike(sketch(COPIES[how](whole)), sketch(whole))


def test_a_look_at_most_unrelated_pictures_does_not():
    made = {name: sketch(photo(name)) for name in PHOTOS}
    pairs = [(a, b) for a in PHOTOS for b in PHOTOS if a < b]
    assert sum(may_be_alike(made[a], made[b]) for a, b in pairs) <= len(pairs) // 5


def test_alike_light_and_shade_alone_does_not_pay():
    rng = np.random.default_rng(5)
    shade = np.linspace(40, 210, 288)[:, None, None] * np.ones((288, 384, 3))
    one, other = ((shade + 40 * blotches(rng)).clip(0, 255).astype(np.uint8) for _ in range(2))
    a, b = (sketch(Image.fromarray(pixels)) for pixels in (one, other))
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
    assert len(sketch(sky).glance.points) < sketches.FEW_KEYPOINTS
    assert may_be_alike(sketch(white), sketch(sky))


@pytest.mark.parametrize("size", [(1, 1), (1, 384), (384, 2), (7, 5), (143, 143), (144, 9), (384, 384)])
@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_any_size_has_a_sketch_that_is_like_itself(size, kind):
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    picture = Image.fromarray(pixels if kind == "noise" else np.full_like(pixels, 9))
    assert may_be_alike(sketch(picture), sketch(picture))


def test_small_pictures_have_no_keypoints_and_are_always_looked_at():
    icon = sketch(photo("coffee").resize((100, 80)))
    assert icon.is_tiny
    assert len(icon.glance.points) == 0
    assert may_be_alike(icon, sketch(photo("rocket")))


@pytest.mark.parametrize("name", PHOTOS)
def test_packing_loses_next_to_nothing(name):
    pixels = small(photo(name))
    made = sketch_of(prepare(pixels, 1, 1))
    again = unpack(pack(made))
    assert (again.width_px, again.height_px) == (made.width_px, made.height_px)
    np.testing.assert_allclose(again.blocks, made.blocks, atol=0.003)
    np.testing.assert_allclose(again.glance.points, made.glance.points, atol=0.01)
    assert (again.glance.descriptors * made.glance.descriptors).sum(axis=1).min() > 0.98
    assert len(pack(made)) <= 10_400


def test_a_preview_with_a_sketch_is_the_same_picture():
    preview = encode_preview(Image.fromarray(small(photo("coffee"))))
    both = with_sketch(preview, sketch(photo("coffee")))
    assert np.array_equal(decode_preview(both), decode_preview(preview))
    assert detached(both) == preview
    assert detached(preview) == preview
    assert sketch_in(preview) is None
    assert sketch_in(both) is not None


def test_decoding_puts_the_sketch_into_the_preview():
    out = io.BytesIO()
    photo("chelsea").save(out, "JPEG", quality=90)
    image = decode(out.getvalue(), DecodeLimits())
    found = sketch_in(image.preview)
    assert found is not None
    assert may_be_alike(found, sketch(photo("chelsea")))


@pytest.mark.parametrize("harm", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"dsk9" + b[4:], lambda b: b[:9]])
def test_what_is_no_sketch_is_none(harm):
    whole = pack(sketch_of(prepare(small(photo("rocket")), 1, 1)))
    assert unpack(whole) is not None
    assert unpack(harm(whole)) is None


def test_a_foreign_segment_is_no_sketch():
    preview = encode_preview(Image.fromarray(small(photo("coffee"))))
    other = preview[:2] + b"\xff\xeb\x00\x06abcd" + preview[2:]
    assert body_in(other) is None
    assert detached(other) == other
    both = with_sketch(other, sketch(photo("coffee")))
    assert sketch_in(both) is not None
    assert detached(both) == other
    assert sketch_in(attached(other, b"of a later version")) is None
