"""What is said of a pair is what its evidence holds, in the order and by the names of who asked."""

import pytest

from dedupd.core.pair_words import pair_words, place_words, turn_words, verdict_words
from dedupd.core.records import Box, Evidence, Geometry
from dedupd.core.verdicts import NotDuplicate


def evidence(**changes):
    geometry = {
        "scale": 1.0,
        "rotation_deg": 0.0,
        "is_mirrored": False,
        "overlap_of_a": 1.0,
        "overlap_of_b": 1.0,
        "inliers": 9,
    }
    geometry |= {name: changes.pop(name) for name in list(changes) if name in geometry}
    values = {
        "method": "dense",
        "similarity": 0.98,
        "geometry": Geometry(**geometry),
        "residual_low": 0.9,
        "worst_region": 0.0,
        "motion_px": 0.0,
        "tone_change": 0.0,
    }
    return Evidence(**(values | changes))


def box(left, top, right, bottom):
    return Box(left=left, top=top, right=right, bottom=bottom)


def test_a_plain_copy_is_told_as_one():
    assert pair_words(evidence()) == (
        "Both show the subject at the same size.",
        "Each shows all of the other.",
        "No place differs by more than saving again explains.",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 0.5}, "B shows the subject at 50 % of A's size."),
        ({"scale": 2.0}, "B shows the subject at 2.00 times A's size."),
        ({"rotation_deg": 90.0}, "B lies on A when it is turned by 90° clockwise."),
        ({"rotation_deg": -2.54}, "B lies on A when it is turned by 2.5° counter-clockwise."),
        ({"rotation_deg": -180.0}, "B lies on A when it is turned by 180°."),
        ({"is_mirrored": True}, "B lies on A when it is mirrored."),
        ({"is_mirrored": True, "rotation_deg": 90.0}, "B lies on A when it is mirrored and turned by 90° clockwise."),
        ({"overlap_of_a": 0.49, "overlap_of_b": 0.999}, "B shows 49 % of A; A shows all of B."),
        ({"tone_change": 0.08}, "Brightness or colours were changed, by 8 % on average."),
        ({"chroma_gain": 0.0}, "B has no colour."),
        ({"chroma_gain": 100.0}, "A has no colour."),
        ({"band_gains": (0.4, 0.9)}, "B is softer than A where they are compared."),
        ({"band_gains": (2.0, 1.0)}, "B is sharper than A where they are compared."),
        (
            {"overlay_share": 0.03, "overlay_is_on_b": True},
            "Text or a watermark on B covers 3 % of what both show.",
        ),
        ({"overlay_share": 0.004}, "Text or a watermark on A covers less than 1 % of what both show."),
        ({"differences": (box(0.0, 0.9, 0.3, 1.0),)}, "One place differs, at the bottom left of A."),
        (
            {"differences": (box(0.4, 0.4, 0.6, 0.6), box(0.9, 0.4, 1.0, 0.6))},
            "2 places differ: in the middle and on the right of A.",
        ),
        ({"differences": (box(0.4, 0.0, 0.6, 0.1),) * 8}, "8 places or more differ: at the top of A."),
    ],
)
def test_each_finding_has_its_sentence(changes, said):
    assert said in pair_words(evidence(**changes))


def test_nothing_is_said_of_equal_bytes_and_strangers_have_nothing_in_common():
    assert pair_words(evidence(method="digest", geometry=None)) == ()
    assert pair_words(evidence(method="none", geometry=None)) == ("Nothing of one was found in the other.",)


def test_pictures_are_called_what_the_reader_calls_them():
    words = pair_words(evidence(scale=0.5, overlap_of_a=0.5), "this copy", "the kept picture")
    assert words[0] == "The kept picture shows the subject at 50 % of this copy's size."
    assert words[1] == "The kept picture shows 50 % of this copy; this copy shows all of the kept picture."


def test_what_spans_the_picture_has_no_place():
    assert place_words(box(0.05, 0.05, 0.95, 0.95)) == "nearly all"
    assert place_words(box(0.0, 0.4, 1.0, 0.6)) == "in the middle"


def test_a_hair_of_rotation_is_none():
    assert not turn_words(evidence(rotation_deg=0.05).geometry)


def test_what_a_person_said_is_told_with_its_day():
    said = NotDuplicate(a=b"1" * 32, b=b"2" * 32, said_at_ns=1_777_766_400_000_000_000)
    assert verdict_words(said) == ("You said on 3 May 2026 that these are no duplicates: they are kept apart.",)
    assert verdict_words(None) == ()
