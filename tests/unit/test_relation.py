"""The decision alone: what metadata, digests and evidence make of a pair."""

from dataclasses import replace

import pytest

from dedupd.core.capture_notes import capture_contradiction
from dedupd.core.records import (
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    Evidence,
    Geometry,
    Quality,
    Relation,
)
from dedupd.core.relation import VERIFIER_TAG, decide

CAMERA = Capture(
    taken_at_ms=1_600_000_000_250,
    has_subseconds=True,
    make="Canon",
    model="EOS R6",
    serial="0123",
    exposure_s=0.01,
    f_number=4.0,
    iso=400,
    image_id="a1",
)
FRAME = Geometry(scale=1.0, rotation_deg=0.0, is_mirrored=False, overlap_of_a=1.0, overlap_of_b=1.0, inliers=0)
EQUAL = Evidence(
    method="dense",
    similarity=1.0,
    geometry=FRAME,
    residual_low=0.95,
    worst_region=0.0,
    motion_px=0.0,
    tone_change=0.0,
    band_errors=(0.0, 0.0, 0.0, 0.0),
    band_lows=(0.0, 0.0, 0.0, 0.0),
    textured_windows=300,
    compared_px=288,
)
NOTHING = replace(EQUAL, method="none", similarity=0.0, geometry=None)


def content(number, **changes):
    plain = ContentRecord(
        id=ContentId(number),
        digest=bytes([number]) * 32,
        size_bytes=1000,
        format="JPEG",
        width_px=4000,
        height_px=3000,
        image_digest=None,
        pixel_digest=None,
        quality=Quality(sharpness=100.0, information=6.0),
        capture=Capture(),
        decoder="test",
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
    )
    return replace(plain, **changes)


def relation(evidence, **changes_of_b):
    return decide(content(1), content(2, **changes_of_b), evidence).relation


def turned(**changes):
    return replace(EQUAL, geometry=replace(FRAME, **changes))


def reframed(**changes):
    geometry = replace(FRAME, overlap_of_a=0.6, **changes.pop("geometry", {}))
    return replace(EQUAL, geometry=geometry, frame_offset_px=40.0, **changes)


def test_equal_pixels_of_one_shot_are_re_encoded():
    assert relation(EQUAL) is Relation.RE_ENCODED


def test_equal_digests_decide_before_any_evidence():
    a = content(1, image_digest=b"i", pixel_digest=b"p")
    assert decide(a, content(2, digest=a.digest), NOTHING).relation is Relation.SAME_BYTES
    assert decide(a, content(2, image_digest=b"i"), NOTHING).relation is Relation.SAME_PIXELS
    assert decide(a, content(2, pixel_digest=b"p"), NOTHING).relation is Relation.SAME_PIXELS


def test_missing_digests_are_not_equal_digests():
    assert decide(content(1), content(2), NOTHING).relation is Relation.DIFFERENT


def test_a_changed_date_on_the_same_compressed_data_is_an_edit_of_metadata():
    a = content(1, image_digest=b"i", capture=CAMERA)
    b = content(2, image_digest=b"i", capture=replace(CAMERA, taken_at_ms=1_700_000_000_000))
    assert decide(a, b, EQUAL).relation is Relation.SAME_PIXELS


@pytest.mark.parametrize(
    "other",
    [
        {"taken_at_ms": 1_600_000_000_750},
        {"taken_at_ms": 1_600_000_007_250},
        {"exposure_s": 0.04},
        {"f_number": 8.0},
        {"iso": 800},
        {"image_id": "a2"},
        {"serial": "9999"},
        {"model": "EOS R5"},
        {"make": "SONY", "model": None},
    ],
    ids=str,
)
def test_contradicting_metadata_beat_equal_pixels(other):
    a, b = content(1, capture=CAMERA), content(2, capture=replace(CAMERA, **other))
    for first, second in ((a, b), (b, a)):
        verdict = decide(first, second, EQUAL)
        assert verdict.relation is Relation.SIMILAR
        assert "two shots" in verdict.reason.lower()


@pytest.mark.parametrize("field", ["taken_at_ms", "make", "serial", "exposure_s", "f_number", "iso", "image_id"])
def test_missing_metadata_say_nothing(field):
    assert capture_contradiction(CAMERA, replace(CAMERA, **{field: None})) is None
    assert capture_contradiction(replace(CAMERA, **{field: None}), CAMERA) is None


def test_stripped_metadata_say_nothing():
    assert capture_contradiction(CAMERA, Capture()) is None


def test_a_time_without_subseconds_agrees_with_the_same_second():
    coarse = replace(CAMERA, taken_at_ms=1_600_000_000_000, has_subseconds=False)
    assert capture_contradiction(CAMERA, coarse) is None


def test_rounded_exposures_do_not_contradict():
    assert capture_contradiction(CAMERA, replace(CAMERA, exposure_s=0.01001, f_number=4.0001)) is None


@pytest.mark.parametrize(
    "evidence",
    [
        turned(rotation_deg=90.0),
        turned(rotation_deg=180.0),
        turned(is_mirrored=True),
        replace(EQUAL, tone_change=0.1),
        reframed(),
        reframed(geometry={"rotation_deg": 3.0}),
        reframed(tone_change=0.1),
    ],
)
def test_an_explained_change_is_edited(evidence):
    assert relation(evidence) is Relation.EDITED


def test_the_reason_names_what_was_edited():
    assert "mirrored" in decide(content(1), content(2), turned(is_mirrored=True)).reason
    assert "60 %" in decide(content(1), content(2), reframed()).reason
    assert "recoloured" in decide(content(1), content(2), replace(EQUAL, tone_change=0.1)).reason


def test_the_reason_names_both_sizes():
    assert "4000×3000 and 800×600" in decide(content(1), content(2, width_px=800, height_px=600), EQUAL).reason


@pytest.mark.parametrize(
    "evidence",
    [
        replace(EQUAL, worst_region=0.01, bad_share=0.01, excess=2.0),
        replace(EQUAL, band_errors=(0.1, 0.08, 0.02, 0.004)),
        replace(EQUAL, tone_change=0.2, error_levels=4.7, band_errors=(0.07, 0.005, 0.002, 0.0013)),
        reframed(protrusion_px=4.0),
        replace(EQUAL, frame_offset_px=1.7),
        reframed(geometry={"rotation_deg": 0.4}),
        reframed(geometry={"rotation_deg": 89.6}),
        reframed(band_errors=(0.06, 0.03, 0.025, 0.011)),
    ],
)
def test_what_no_edit_explains_is_similar(evidence):
    assert relation(evidence) is Relation.SIMILAR


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (replace(EQUAL, band_gains=(0.7, 0.93, 1.0, 1.0)), "blurred or sharpened"),
        (replace(EQUAL, band_gains=(1.0, 1.06, 1.0, 1.0)), "blurred or sharpened"),
        (replace(EQUAL, chroma_gain=0.7), "recoloured"),
        (replace(EQUAL, tone_change=0.01), "recoloured"),
        (replace(EQUAL, overlay_share=0.02), "text or a watermark added"),
        (replace(EQUAL, error_levels=1.2), "compressed so strongly"),
    ],
)
def test_a_whole_picture_with_more_than_saving_done_to_it_is_edited(evidence, words):
    verdict = decide(content(1), content(2), evidence)
    assert verdict.relation is Relation.EDITED
    assert words in verdict.reason


def test_noise_and_blur_that_small_images_hide_are_known_from_what_decoding_measured():
    plain = Quality(sharpness=100.0, information=6.0, noise=0.5, crispness=-0.1)
    a = content(1, quality=plain)
    noisy = decide(a, content(2, quality=replace(plain, noise=3.0)), EQUAL)
    assert (noisy.relation, "noise" in noisy.reason) == (Relation.EDITED, True)
    blunt = decide(a, content(2, quality=replace(plain, crispness=-0.6)), EQUAL)
    assert (blunt.relation, "blurred" in blunt.reason) == (Relation.EDITED, True)
    small_and_clean = content(2, quality=replace(plain, noise=0.83), width_px=800, height_px=600)
    for levels, expected in ((1.4 * 0.83, Relation.RE_ENCODED), (2.4 * 0.83, Relation.EDITED)):
        large = content(1, quality=replace(plain, noise=levels))
        assert decide(large, small_and_clean, EQUAL).relation is expected, "noise was added to the larger one"
        assert decide(small_and_clean, large, EQUAL).relation is expected
    smaller = content(2, quality=replace(plain, crispness=-0.6, noise=1.2), width_px=800, height_px=600)
    assert decide(a, smaller, EQUAL).relation is Relation.RE_ENCODED, "sizes differ, so do noise and crispness"
    noisy_smaller = replace(smaller, quality=replace(plain, noise=6.0))
    assert decide(a, noisy_smaller, EQUAL).relation is Relation.EDITED


def test_what_stands_out_of_an_even_picture_is_another_shot():
    even = replace(EQUAL, excess=0.7, usual_excess=0.5)
    assert relation(even) is Relation.RE_ENCODED
    assert relation(replace(even, usual_excess=0.1)) is Relation.SIMILAR


def test_a_recoloured_pair_is_held_to_less_difference_than_a_plain_one():
    """Brackets of a tripod are recoloured pairs with an even rest."""
    rest = replace(EQUAL, excess=1.2, usual_excess=1.0)
    assert relation(rest) is Relation.RE_ENCODED
    assert relation(replace(rest, tone_change=0.1)) is Relation.SIMILAR


def test_every_duplicate_has_a_probability_and_identical_pictures_are_certain():
    a = content(1, image_digest=b"i")
    assert decide(a, content(2, image_digest=b"i"), NOTHING).probability == 1.0
    assert decide(content(1), content(2), EQUAL).probability > 0.9
    assert decide(content(1), content(2), replace(EQUAL, worst_region=0.01, excess=2.0)).probability <= 0.2


def test_what_was_not_measured_is_no_agreement():
    assert relation(replace(EQUAL, band_errors=(), band_lows=())) is Relation.SIMILAR
    strip = reframed(band_errors=(0.0, 0.0), band_lows=(0.0, 0.0))
    assert relation(strip) is Relation.SIMILAR, "an overlap of some 40 px"


def test_no_alignment_is_different():
    assert relation(NOTHING) is Relation.DIFFERENT


def test_an_accidental_alignment_is_different():
    weak = replace(EQUAL, similarity=0.3, residual_low=0.0, band_errors=(0.9, 0.9, 0.8, 0.7))
    assert relation(weak) is Relation.DIFFERENT


def test_a_picture_that_says_little_is_held_to_near_equality():
    little = replace(EQUAL, textured_windows=10)
    assert relation(little) is Relation.RE_ENCODED
    assert relation(replace(little, tone_change=0.05)) is Relation.SIMILAR
    assert relation(replace(little, excess=0.7)) is Relation.SIMILAR
    assert relation(replace(little, frame_offset_px=5.0)) is Relation.SIMILAR
    assert relation(replace(EQUAL, textured_windows=0)) is Relation.SIMILAR


def test_the_rules_have_a_name_to_be_stored_with_edges():
    assert VERIFIER_TAG
    assert " " not in VERIFIER_TAG


def test_a_copy_that_is_not_surely_plain_is_called_edited_and_not_re_encoded():
    doubtful = decide(content(1), content(2), replace(EQUAL, excess=0.6, usual_excess=0.2))
    assert 0.7 < doubtful.probability < 0.9
    assert doubtful.relation is Relation.EDITED
    assert decide(content(1), content(2), replace(EQUAL, excess=0.4, usual_excess=0.2)).relation is Relation.RE_ENCODED
