"""The sheet for people: both pictures in one place, whatever was done to one, and what differs visibly marked."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

from dedupd.core.illustration import SheetFormat, SheetWords
from dedupd.core.records import Box
from dedupd.imaging.evidence import prepare
from dedupd.imaging.examine import examine
from dedupd.imaging.illustrate import FAINTEST_LEVELS, panels_of, unit_map
from dedupd.imaging.sheet import WIDTH_PX, drawable, panel_limit

PHOTO = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 400)).resize((384, 300))
WHOLE = np.eye(3)


def words(**changes):
    values = {
        "form": SheetFormat.PNG,
        "title": "edited: 98 % alike",
        "lines": ("The same picture.",),
        "name_a": "a.jpg",
        "name_b": "b.jpg",
        "about_a": "4000 × 3000 JPEG",
        "about_b": "JPEG",
    }
    return SheetWords(**(values | changes))


def sheet_of(a, b, **changes):
    sides = [prepare(np.asarray(image), image.width, image.height) for image in (a, b)]
    drawn = examine(*sides, large_a=np.asarray(a), large_b=np.asarray(b), words=words(**changes)).sheet
    assert drawn is not None
    return Image.open(io.BytesIO(drawn))


def limit(_shape):
    return 384, 300


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p.rotate(90, expand=True),
        lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda p: p.crop((40, 30, 330, 270)),
        lambda p: p.resize((96, 75)),
        lambda p: p.convert("L").convert("RGB"),
        lambda _: Image.fromarray(skimage.data.coffee()).resize((300, 200)),
        lambda _: Image.new("RGB", (1, 1)),
        lambda _: Image.new("RGB", (384, 4), "white"),
    ],
    ids=["turned", "mirrored", "cropped", "small", "grey", "another", "dot", "line"],
)
def test_every_pair_has_a_sheet_that_fits_a_page(edit):
    for pair in ((PHOTO, edit(PHOTO)), (edit(PHOTO), PHOTO)):
        sheet = sheet_of(*pair)
        assert sheet.width <= WIDTH_PX
        assert sheet.height <= 2200
        assert np.asarray(sheet)[:, :8].min() == 255  # a white margin


def turned_map(a, b):
    sides = [prepare(np.asarray(image), image.width, image.height) for image in (a, b)]
    from dedupd.imaging.evidence import aligned

    frame = aligned(*sides)
    return unit_map(frame.alignment.b_to_a, a.size, b.size)


@pytest.mark.parametrize("way", list(Image.Transpose))
def test_b_lies_on_a_however_it_was_turned(way):
    turned = PHOTO.transpose(way)
    panels = panels_of(np.asarray(PHOTO), np.asarray(turned), turned_map(PHOTO, turned), (), limit)
    assert panels.a.shape == (300, 384, 3)
    inner = np.s_[5:-5, 5:-5]
    assert np.abs(panels.a[inner].astype(float) - panels.b[inner]).mean() < 1.5
    assert panels.frame_b is None  # the same frame


def test_a_crop_is_shown_where_it_was_taken_from():
    crop = PHOTO.crop((96, 60, 336, 240))
    panels = panels_of(np.asarray(PHOTO), np.asarray(crop), turned_map(PHOTO, crop), (), limit)
    expected = [[96, 60], [336, 60], [336, 240], [96, 240]]
    np.testing.assert_allclose(panels.frame_b, expected, atol=2.5)
    assert (panels.b[10, 10] == panels.b[290, 370]).all()  # empty there
    back = panels_of(np.asarray(crop), np.asarray(PHOTO), turned_map(crop, PHOTO), (), limit)
    assert back.a.shape[:2] == (300, 384)  # the canvas holds the larger frame


def test_the_heat_map_shows_what_was_added_and_nothing_else():
    marked = PHOTO.copy()
    ImageDraw.Draw(marked).rectangle((40, 220, 120, 250), fill=(255, 255, 255))
    panels = panels_of(np.asarray(PHOTO), np.asarray(marked), WHOLE, (), limit)
    colour = np.ptp(panels.heat.astype(int), axis=2)
    assert colour[225:245, 50:110].mean() > 60
    colour[210:260, 30:130] = 0
    assert colour.max() == 0
    assert panels.full_levels >= FAINTEST_LEVELS


def test_boxes_are_drawn_where_they_are():
    box = Box(left=0.25, top=0.5, right=0.5, bottom=0.75)
    panels = panels_of(np.asarray(PHOTO), np.asarray(PHOTO), WHOLE, (box,), limit)
    assert panels.boxes == ((96, 150, 192, 225),)


def test_a_wide_pair_takes_two_columns_and_a_tall_one_three():
    assert panel_limit(1.5)[0] > 700 > 520 > panel_limit(0.7)[0]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("a×b – c", "axb - c"),
        ("café", "cafe"),
        ("写真.jpg", "??.jpg"),
        ("a\nb\x1b", "a?b?"),
        ("plain.jpg", "plain.jpg"),
    ],
)
def test_names_are_written_in_letters_that_the_font_has(text, drawn):
    assert drawable(text) == drawn


def test_a_name_of_any_length_fits():
    sheet = sheet_of(PHOTO, PHOTO, name_a="x" * 1000, title="t" * 1000, lines=("w " * 3000, "y" * 2000))
    assert np.asarray(sheet)[:, -8:].min() == 255
