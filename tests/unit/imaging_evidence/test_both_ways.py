"""Comparing (b, a) is comparing (a, b) seen from the other side: nothing else may change."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from properties.transformations import blurred, coloured, greyed, sharpened, toned
from unit.imaging_evidence.made_pictures import judged, known, photo, saved, side, written

from dedupd.core.other_side import seen_from_b
from dedupd.imaging.evidence import compare_images

Change = Callable[[Image.Image], Image.Image]


def of(change: Callable[..., np.ndarray], *parameters: float) -> Change:
    return lambda image: Image.fromarray(np.ascontiguousarray(change(np.asarray(image), *parameters)))


def with_thing(image: Image.Image) -> Image.Image:
    made = image.copy()
    made.paste(photo("coffee").resize((60, 60)), (100, 120))
    return made


CHANGES: dict[str, Change] = {
    "saved again": lambda i: i,
    "half the size": lambda i: i.resize((i.width // 2, i.height // 2)),
    "a third of the size and turned": lambda i: i.resize((i.width // 3, i.height // 3)).transpose(
        Image.Transpose.ROTATE_90
    ),
    "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cut": lambda i: i.crop((40, 30, i.width - 30, i.height - 50)),
    "cut and enlarged": lambda i: i.crop((40, 30, i.width - 30, i.height - 50)).resize((900, 700)),
    "tilted": lambda i: i.rotate(6, Image.Resampling.BICUBIC),
    "brighter": of(toned, 1.1, 0.1, 1.0),
    "less saturated": of(coloured, 0.4, 1.0),
    "grey": of(greyed),
    "blurred": of(blurred, 2.0),
    "sharpened": of(sharpened, 1.5, 0.8),
    "captioned": lambda i: written(i, "when it is friday", (0.08, 0.78), height=0.1, outline=0.12),
    "a thing more": with_thing,
    "another picture": lambda _: photo("chelsea"),
}
SAME_FROM_BOTH = (
    "similarity",
    "residual_low",
    "worst_region",
    "motion_px",
    "tone_change",
    "band_errors",
    "band_lows",
    "excess",
    "bad_share",
    "error_levels",
    "textured_windows",
    "compared_px",
    "protrusion_px",
    "usual_excess",
    "overlay_share",
)


@pytest.mark.parametrize("name", ["astronaut", "china"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_other_way_round_is_the_same_evidence_from_the_other_side(name: str, change: str):
    a, b = side(photo(name)), side(saved(CHANGES[change](photo(name)), 88))
    there, back = compare_images(a, b), compare_images(b, a)
    assert back.method == there.method
    for field in SAME_FROM_BOTH:
        assert getattr(back, field) == pytest.approx(getattr(there, field), rel=1e-6, abs=1e-6), field
    turned = seen_from_b(there)
    assert turned is not None
    assert back.band_gains == pytest.approx(turned.band_gains, rel=1e-6)
    assert back.chroma_gain == pytest.approx(turned.chroma_gain, rel=1e-6)
    assert back.overlay_is_on_b == turned.overlay_is_on_b
    if there.geometry is None:
        assert back.geometry is None
        return
    for field in ("scale", "overlap_of_a", "overlap_of_b", "inliers", "is_mirrored"):
        assert getattr(back.geometry, field) == pytest.approx(getattr(turned.geometry, field), rel=1e-5), field
    np.testing.assert_allclose(back.geometry.corners, turned.geometry.corners, atol=1e-5)


@pytest.mark.parametrize("change", CHANGES)
def test_the_relation_is_the_same_from_both_sides(change: str):
    a, b = known(photo("flower")), known(CHANGES[change](photo("flower")), 85)
    assert judged(a, b)[1].relation is judged(b, a)[1].relation


@pytest.mark.parametrize("change", CHANGES)
def test_the_frames_corners_are_as_far_apart_from_both_sides(change: str):
    """The offset is what tells a whole copy from a cut one, so that it may not depend on who is called A."""
    a, b = side(photo("coffee")), side(saved(CHANGES[change](photo("coffee")), 88))
    there, back = compare_images(a, b).frame_offset_px, compare_images(b, a).frame_offset_px
    assert there == pytest.approx(back, rel=0.25, abs=0.05)


@pytest.mark.parametrize("change", CHANGES)
def test_comparing_twice_finds_the_same(change: str):
    first = [side(photo("astronaut")), side(CHANGES[change](photo("astronaut")))]
    second = [side(photo("astronaut")), side(CHANGES[change](photo("astronaut")))]
    assert compare_images(*first) == compare_images(*first) == compare_images(*second)


def test_a_picture_stretched_a_little_is_turned_as_far_from_both_sides():
    """How far a picture is turned tells a hand-held shot from a copy, so that it may not depend on who is called A."""
    image = photo("coffee")
    stretched = image.rotate(5, Image.Resampling.BICUBIC).resize((image.width, int(image.height * 0.8)))
    a, b = side(image), side(saved(stretched, 92))
    there, back = compare_images(a, b).geometry, compare_images(b, a).geometry
    assert there is not None
    assert back is not None
    assert there.rotation_deg == pytest.approx(-back.rotation_deg, abs=1e-6)
