"""Metadata and quality side by side: what contradicts says so by the same rules that decide."""

import pytest

from dedupd.core.capture_notes import capture_contradiction
from dedupd.core.records import Capture, Quality
from dedupd.core.side_by_side import Measured, Standing, metadata_facts, quality_facts

SHOT = Capture(
    taken_at_ms=1_714_564_800_250,
    has_subseconds=True,
    make="Canon",
    model="Canon EOS R5",
    serial="1",
    exposure_s=0.004,
    f_number=2.8,
    iso=100,
    image_id="17",
    has_gps=True,
    software="camera",
    rating=4,
    has_icc=True,
)
OTHERS = {
    "taken": {"taken_at_ms": 1_714_564_800_500},
    "make": {"make": "Nikon"},
    "model": {"model": "Z 6"},
    "serial number": {"serial": "2"},
    "exposure": {"exposure_s": 0.002},
    "aperture": {"f_number": 4.0},
    "ISO": {"iso": 400},
    "image number": {"image_id": "18"},
}


def changed(**values):
    return Capture(**({name: getattr(SHOT, name) for name in Capture.__slots__} | values))


def standings(a, b):
    return {fact.name: fact.standing for fact in metadata_facts(a, b)}


def test_the_same_notes_are_the_same_everywhere():
    assert set(standings(SHOT, SHOT).values()) == {Standing.SAME}
    facts = {fact.name: fact.a for fact in metadata_facts(SHOT, SHOT)}
    assert (facts["taken"], facts["exposure"], facts["aperture"]) == ("2024-05-01 12:00:00.250", "1/250 s", "f/2.8")
    assert (facts["rating"], facts["colour profile"]) == ("4 of 5", "its own")


@pytest.mark.parametrize("name", OTHERS)
def test_only_the_line_that_contradicts_says_so(name):
    other = changed(**OTHERS[name])
    assert capture_contradiction(SHOT, other) is not None
    found = standings(SHOT, other)
    assert found.pop(name) is Standing.CONTRADICTS
    assert set(found.values()) == {Standing.SAME}


def test_what_is_missing_says_nothing_and_what_both_lack_is_left_out():
    assert set(standings(SHOT, Capture()).values()) == {Standing.UNKNOWN}
    assert metadata_facts(Capture(), Capture()) == ()


def test_other_software_differs_as_copies_may():
    assert standings(SHOT, changed(software="editor"))["software"] is Standing.DIFFERS


def test_a_time_beyond_the_calendar_is_shown_as_its_end():
    for moment in (-(10**18), 10**18):
        [fact] = metadata_facts(Capture(taken_at_ms=moment), Capture())
        assert len(fact.a) == len("2024-05-01 12:00:00")


def test_quality_shows_what_one_has_more_of():
    large = Measured(
        format="JPEG",
        width_px=4000,
        height_px=3000,
        size_bytes=3_000_000,
        quality=Quality(sharpness=80.0, information=6.0, jpeg_quality=95),
    )
    small = Measured(
        format="PNG", width_px=400, height_px=300, size_bytes=3_000, quality=Quality(sharpness=20.0, information=6.0)
    )
    facts = {fact.name: fact for fact in quality_facts(large, small)}
    assert (facts["pixels"].a, facts["pixels"].b) == ("4000 × 3000", "400 × 300")
    assert facts["pixels"].standing is Standing.DIFFERS
    assert facts["JPEG quality"].standing is Standing.UNKNOWN
    assert facts["texture"].standing is Standing.SAME
