"""Evidence turned round on paper is what comparing the pictures the other way round finds."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

from dedupd.core.other_side import seen_from_b
from dedupd.imaging.evidence import compare_images, prepare

PHOTO = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 400)).resize((384, 300))


def marked(image):
    image = image.copy()
    ImageDraw.Draw(image).rectangle((60, 180, 110, 220), fill=(250, 240, 30))
    return image


EDITS = {
    "smaller": lambda p: p.resize((192, 150)),
    "turned": lambda p: p.rotate(90, expand=True),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "mirrored and turned": lambda p: p.transpose(Image.Transpose.TRANSPOSE),
    "cropped": lambda p: p.crop((30, 20, 340, 280)),
    "marked": marked,
}


@pytest.mark.parametrize("edit", EDITS)
def test_both_ways_agree(edit):
    other = EDITS[edit](PHOTO)
    a, b = (prepare(np.asarray(image), image.width, image.height) for image in (PHOTO, other))
    there, back = compare_images(a, b), compare_images(b, a)
    turned = seen_from_b(there)
    for name in ("scale", "overlap_of_a", "overlap_of_b"):
        assert getattr(turned.geometry, name) == pytest.approx(getattr(back.geometry, name), rel=1e-6)
    apart = turned.geometry.rotation_deg - back.geometry.rotation_deg
    assert (apart + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(turned.geometry.corners, back.geometry.corners, atol=1e-6)
    assert len(turned.differences) == len(back.differences)
    for mine, theirs in zip(turned.differences, back.differences, strict=True):
        for side in ("left", "top", "right", "bottom"):
            assert getattr(mine, side) == pytest.approx(getattr(theirs, side), abs=0.02)
    assert turned.overlay_is_on_b == back.overlay_is_on_b
    assert seen_from_b(turned).geometry.scale == pytest.approx(there.geometry.scale)


def test_without_corners_only_a_new_look_can_tell():
    side = prepare(np.asarray(PHOTO), 384, 300)
    found = compare_images(side, side)
    assert seen_from_b(replace(found, geometry=replace(found.geometry, corners=()))) is None
    assert seen_from_b(replace(found, geometry=None)).geometry is None
