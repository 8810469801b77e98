"""A photo and what any edit of the card makes of it lie on each other as they must; look-alikes are no duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from properties.transformations import CARD, Edit
from unit.imaging_evidence.made_pictures import PHOTOS, Known, judged, known, photo

from dedupd.core.records import Evidence, Relation

cv2.setNumThreads(1)
HELD = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
Matrix = np.ndarray


@cache
def original(name: str) -> Known:
    return known(photo(name))


def pixels_of(name: str) -> np.ndarray:
    return np.asarray(photo(name))


def image_of(edit: Edit, name: str) -> Image.Image:
    return Image.fromarray(edit(pixels_of(name)))


# ---------------------------------------------------------------------------------- where a copy lies on its original
# Each gives the map of the original's pixel edges (0 … width, 0 … height) onto those of the copy.


def moved_by(right: float, down: float) -> Matrix:
    return np.array([[1.0, 0, right], [0, 1, down]])


def as_whole(_: Edit, old: Image.Image, new: Image.Image) -> Matrix:
    return np.array([[new.width / old.width, 0, 0], [0, new.height / old.height, 0]])


def in_the_middle(_: Edit, old: Image.Image, new: Image.Image) -> Matrix:
    return moved_by((new.width - old.width) // 2, (new.height - old.height) // 2)


def under_a_caption(edit: Edit, old: Image.Image, new: Image.Image) -> Matrix:
    _, _, is_below, is_beside = edit.parameters
    return moved_by(0, new.height - old.height if is_beside and not is_below else 0)


def in_a_viewer(edit: Edit, old: Image.Image, new: Image.Image) -> Matrix:
    scale = edit.parameters[0] * (new.height - 80) / old.height
    width, height = round(old.width * scale), round(old.height * scale)
    left, top = (new.width - width) // 2, 38 + (new.height - 80 - height) // 2
    return np.array([[width / old.width, 0, left], [0, height / old.height, top]])


def turned_round(edit: Edit, old: Image.Image, _: Image.Image) -> Matrix:
    quarters, is_mirrored = edit.parameters
    m, width, height = np.eye(3), old.width, old.height
    if is_mirrored:
        m = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]])
    for _turn in range(quarters):  # counter-clockwise: what was right is at the top
        m = np.array([[0, 1.0, 0], [-1, 0, width], [0, 0, 1]]) @ m
        width, height = height, width
    return m[:2]


def tilted_by(edit: Edit, old: Image.Image, _: Image.Image) -> Matrix:
    degrees, is_cut = edit.parameters
    zoom = 1 + 1.6 * np.sin(np.deg2rad(abs(degrees))) if is_cut else 1.0
    m = cv2.getRotationMatrix2D((old.width / 2, old.height / 2), degrees, zoom)
    to_centres = np.vstack([m, [0, 0, 1]])  # of pixels; half a pixel away from their edges
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return (half @ to_centres @ np.linalg.inv(half))[:2]


def cut_out(edit: Edit, old: Image.Image, new: Image.Image) -> Matrix:
    _, down, right = edit.parameters
    return moved_by(-round(right * (old.width - new.width)), -round(down * (old.height - new.height)))


@dataclass(frozen=True)
class Least:
    """What the evidence of a copy must say at least."""

    place: Callable[[Edit, Image.Image, Image.Image], Matrix] = as_whole
    similarity: float = 0.98
    worst_region: float = 0.0005  # at most; of an edit that changes nothing in one place
    is_visible: Callable[[Edit], bool] = lambda _: False  # whether a person sees the edit: never `re-encoded`
    is_found: Callable[[Edit], bool] = lambda _: False  # whether it must be a duplicate


ANYTHING = 1.0
EXPECTED: dict[str, Least] = {
    "recompression": Least(similarity=0.95, is_found=lambda e: e.parameters[1] >= 50),
    "format": Least(is_found=lambda _: True),
    # OpenCV's other methods skip pixels when they make a picture smaller: what is left is other detail.
    "resize": Least(
        similarity=0.88,
        worst_region=0.05,
        is_found=lambda e: e.parameters[0] >= 0.4 and e.parameters[1] == cv2.INTER_AREA,
    ),
    "tone": Least(is_visible=lambda e: abs(e.parameters[1]) > 0.08 and 0.9 < e.parameters[2] < 1.1),
    "colour": Least(is_visible=lambda e: e.parameters[0] < 0.6 and not 0.95 < e.parameters[1] < 1.05),
    "greyscale": Least(is_visible=lambda _: True),
    "blur": Least(similarity=0.96),
    "noise": Least(similarity=0.93),
    "sharpening": Least(similarity=0.96, worst_region=0.015),
    "border": Least(in_the_middle, is_visible=lambda e: e.parameters[0] > 0.03),
    "letterbox": Least(in_the_middle, is_visible=lambda e: not 1.2 < e.parameters[0] < 1.7),
    # What a bar covers is gone, and may be a fifth of the picture's contrast.
    "caption": Least(under_a_caption, similarity=0.4, worst_region=ANYTHING, is_visible=lambda _: True),
    "watermark": Least(similarity=0.88, worst_region=0.1, is_visible=lambda e: len(e.parameters[0].strip()) > 3),
    "phone screenshot": Least(in_the_middle, is_visible=lambda _: True),
    "desktop screenshot": Least(in_a_viewer, is_visible=lambda _: True),
    "quarter turn and mirror": Least(
        turned_round, is_visible=lambda e: e.parameters != (0, False), is_found=lambda _: True
    ),
    "small rotation": Least(tilted_by, is_visible=lambda e: abs(e.parameters[0]) > 0.5),
    "crop": Least(
        cut_out,
        is_visible=lambda e: e.parameters[0] < 0.97,
        is_found=lambda e: 0.8**0.5 <= e.parameters[0] <= 0.96,  # down to 80 % of the picture
    ),
}
CORNER_SHARE = 0.006  # of the larger picture's long side: two pixels of a preview


def corner_error(found: Evidence, old: Image.Image, new: Image.Image, old_to_new: Matrix) -> float:
    """Largest distance of the copy's corners from where they belong, as a share of the larger picture's side."""
    corners = np.array([[0.0, 0], [new.width, 0], [new.width, new.height], [0, new.height]])
    back = np.linalg.inv(np.vstack([old_to_new, [0, 0, 1]]))[:2]
    true = corners @ back[:, :2].T + back[:, 2]
    assert found.geometry is not None
    apart = np.linalg.norm(np.array(found.geometry.corners) * old.size - true, axis=1).max()
    return float(apart / max(*old.size, *np.ptp(true, axis=0)))


@pytest.mark.parametrize("transformation", CARD)
def test_a_photo_and_its_copy_lie_on_each_other_and_differ_nowhere_else(transformation: str):
    least = EXPECTED[transformation]

    @settings(max_examples=16, **HELD)
    @given(st.sampled_from(PHOTOS), CARD[transformation])
    def holds(name: str, edit: Edit) -> None:
        copy = image_of(edit, name)
        found, verdict = judged(original(name), known(copy))
        assert found.method in {"dense", "features"}
        assert corner_error(found, photo(name), copy, least.place(edit, photo(name), copy)) < CORNER_SHARE
        assert found.similarity >= least.similarity
        assert found.worst_region <= least.worst_region
        if least.is_visible(edit):
            assert verdict.relation not in {Relation.RE_ENCODED, Relation.SAME_PIXELS}
        if least.is_found(edit):
            assert verdict.relation.is_duplicate

    holds()


# --------------------------------------------------------------------------------------------------------- look-alikes


def part_of(name: str, side: int, right: float, down: float) -> tuple[int, int]:
    """Left and top of a square of `side` px somewhere in a photo."""
    return round(right * (photo(name).width - side)), round(down * (photo(name).height - side))


@settings(max_examples=60, **HELD)
@given(
    st.permutations(PHOTOS),
    st.floats(0.06, 0.15),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.tuples(*[st.floats(0.1, 0.9)] * 2),
    st.floats(0, 360),
    st.floats(0.5, 1.5),
    st.integers(70, 95),
)
def test_a_thing_that_moved_makes_another_picture(names, share, ends, taken, direction, steps, quality):
    ground, other = names[:2]
    width, height = photo(ground).size
    side = round(share * max(width, height))
    left, top = part_of(other, side, *taken)
    thing = pixels_of(other)[top : top + side, left : left + side]
    x, y = part_of(ground, side, *ends[:2])
    step = np.deg2rad(direction)
    to_x, to_y = round(x + steps * side * np.cos(step)), round(y + steps * side * np.sin(step))
    assume(0 <= to_x <= width - side and 0 <= to_y <= height - side)
    before, after = pixels_of(ground).copy(), pixels_of(ground).copy()
    before[y : y + side, x : x + side] = thing
    after[to_y : to_y + side, to_x : to_x + side] = thing
    assume(np.abs(before.astype(float) - after).mean() * width * height > 20 * side**2)  # it can be seen
    _, verdict = judged(known(Image.fromarray(before)), known(Image.fromarray(after), quality))
    assert not verdict.relation.is_duplicate, verdict


@settings(max_examples=60, **HELD)
@given(
    st.sampled_from(PHOTOS),
    st.floats(0.05, 0.12),
    st.lists(st.integers(0, 9), min_size=4, max_size=4, unique=True),
    st.integers(1, 4),
    st.tuples(st.floats(0.05, 0.6), st.floats(0.05, 0.8)),
    st.booleans(),
    st.integers(70, 95),
)
def test_another_number_on_a_sign_makes_another_picture(name, share, digits, changed, at, is_dark, quality):
    """From one digit on, of at least a twentieth of the picture's height."""
    ink, plate = ((240, 240, 235), (30, 35, 60)) if is_dark else ((25, 25, 30), (240, 238, 225))
    tall = share * photo(name).height
    left, top = round(at[0] * photo(name).width), round(at[1] * photo(name).height)
    other = [(digit + 5) % 10 if i < changed else digit for i, digit in enumerate(digits)]
    signs = []
    for number in (digits, other):
        image = photo(name).copy()
        pen = ImageDraw.Draw(image)
        pen.rectangle((left, top, left + 3.4 * tall, top + 1.7 * tall), fill=plate)
        font = ImageFont.load_default(1.35 * tall)  # its digits are as tall as `tall`
        pen.text((left + 0.2 * tall, top), "".join(map(str, number)), fill=ink, font=font)
        signs.append(image)
    _, verdict = judged(known(signs[0]), known(signs[1], quality))
    assert not verdict.relation.is_duplicate, verdict


@settings(max_examples=40, **HELD)
@given(st.sampled_from(PHOTOS), st.floats(0.4, 0.9), st.booleans(), st.floats(-0.04, 0.04), st.integers(70, 95))
def test_neighbours_of_a_panorama_are_no_duplicates(name, shared, is_upright, drift, quality):
    """Both of one size, each with a strip that the other lacks."""
    image = photo(name).transpose(Image.Transpose.ROTATE_90) if is_upright else photo(name)
    wide, rim = round(image.width / (2 - shared)), round(abs(drift) * image.height) + 1
    first = image.crop((0, rim, wide, image.height - rim))
    down = round(drift * image.height)
    second = image.crop((image.width - wide, rim + down, image.width, image.height - rim + down))
    _, verdict = judged(known(first), known(second, quality))
    assert not verdict.relation.is_duplicate, verdict


@settings(max_examples=40, **HELD)
@given(st.permutations(PHOTOS), st.sampled_from(sorted(CARD)), st.data())
def test_an_edited_picture_is_no_duplicate_of_another(names, transformation, data):
    edit = data.draw(CARD[transformation])
    _, verdict = judged(original(names[0]), known(image_of(edit, names[1])))
    assert not verdict.relation.is_duplicate, verdict
