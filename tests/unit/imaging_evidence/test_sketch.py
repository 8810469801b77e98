"""Sketches, packed into previews."""

import io

import numpy as np
import pytest
from PIL import Image
from unit.imaging_evidence.made_pictures import PHOTOS, photo, sketched, small_pixels

from dedupd.imaging.decode import decode, decode_preview, encode_preview
from dedupd.imaging.evidence import prepare
from dedupd.imaging.glance import may_be_alike
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.preview_segment import attached, body_in, detached
from dedupd.imaging.sketch import pack, sketch_in, sketch_of, unpack, with_sketch


@pytest.mark.parametrize("name", PHOTOS)
def test_packing_loses_next_to_nothing(name):
    pixels = small_pixels(photo(name))
    made = sketch_of(prepare(pixels, 1, 1))
    again = unpack(pack(made))
    assert (again.width_px, again.height_px) == (made.width_px, made.height_px)
    np.testing.assert_allclose(again.blocks, made.blocks, atol=0.003)
    np.testing.assert_allclose(again.glance.points, made.glance.points, atol=0.01)
    assert (again.glance.descriptors * made.glance.descriptors).sum(axis=1).min() > 0.98
    assert len(pack(made)) <= 10_400


def test_a_preview_with_a_sketch_is_the_same_picture():
    preview = encode_preview(Image.fromarray(small_pixels(photo("coffee"))))
    both = with_sketch(preview, sketched(photo("coffee")))
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
    assert may_be_alike(found, sketched(photo("chelsea")))


@pytest.mark.parametrize("harm", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"dsk9" + b[4:], lambda b: b[:9]])
def test_what_is_no_sketch_is_none(harm):
    whole = pack(sketch_of(prepare(small_pixels(photo("rocket")), 1, 1)))
    assert unpack(whole) is not None
    assert unpack(harm(whole)) is None


def test_a_foreign_segment_is_no_sketch():
    preview = encode_preview(Image.fromarray(small_pixels(photo("coffee"))))
    other = preview[:2] + b"\xff\xeb\x00\x06abcd" + preview[2:]
    assert body_in(other) is None
    assert detached(other) == other
    both = with_sketch(other, sketched(photo("coffee")))
    assert sketch_in(both) is not None
    assert detached(both) == other
    assert sketch_in(attached(other, b"of a later version")) is None


def test_a_sketch_of_before_counts_but_for_a_tiny_picture():
    def of_before(side_px):
        whole = photo("rocket").copy()
        whole.thumbnail((side_px, side_px))
        return b"dsk1" + pack(sketched(whole))[4:]

    assert unpack(of_before(300)) is not None
    assert unpack(of_before(140)) is None, "it had no keypoints then"
