"""When the full pictures are asked for, and what they can change."""

from dataclasses import replace

import pytest

from dedupd.core.full_look import SURE, contradicted_by_full_look, needs_full_look
from dedupd.core.records import Capture, ContentId, ContentRecord, ContentStage, Evidence, Geometry, Quality, Relation
from dedupd.core.relation import Verdict

PHOTO = ContentRecord(
    id=ContentId(1),
    digest=bytes(32),
    size_bytes=1000,
    format="JPEG",
    width_px=4000,
    height_px=3000,
    image_digest=None,
    pixel_digest=None,
    quality=Quality(sharpness=100.0, information=5.0),
    capture=Capture(),
    decoder="test",
    stage=ContentStage.LINKED,
    first_seen_ns=0,
)
GEOMETRY = Geometry(scale=1.0, rotation_deg=0.0, is_mirrored=False, overlap_of_a=1.0, overlap_of_b=1.0, inliers=50)
SMALL = Evidence(
    method="dense",
    similarity=0.99,
    geometry=GEOMETRY,
    residual_low=0.9,
    worst_region=0.0,
    motion_px=0.0,
    tone_change=0.0,
    compared_px=288,
)
FULL = replace(SMALL, fine_px=900, fine_errors=(0.05, 0.01, 0.0, 0.0), fine_noise_correlation=0.8)
COPY = Verdict(relation=Relation.RE_ENCODED, reason="saved again")


def other(**changes):
    return replace(PHOTO, **{"id": ContentId(2), "digest": b"\1" * 32} | changes)


def test_a_plain_copy_of_a_large_picture_is_looked_at_until_it_is_sure():
    assert needs_full_look(PHOTO, other(), SMALL, COPY)
    assert not needs_full_look(PHOTO, other(), SMALL, replace(COPY, probability=SURE))


def test_an_edited_copy_is_looked_at_however_sure():
    assert needs_full_look(PHOTO, other(), SMALL, Verdict(relation=Relation.EDITED, reason="", probability=1.0))


@pytest.mark.parametrize("relation", [Relation.SAME_BYTES, Relation.SAME_PIXELS, Relation.SIMILAR, Relation.DIFFERENT])
def test_what_is_proven_or_no_duplicate_is_not_looked_at(relation):
    assert not needs_full_look(PHOTO, other(), SMALL, Verdict(relation=relation, reason=""))


def test_a_pair_that_shows_no_more_in_full_is_not_looked_at():
    for scale, looked_at in ((0.16, False), (0.25, True)):  # 640 and 1000 px of what both show
        evidence = replace(SMALL, geometry=replace(GEOMETRY, scale=scale))
        smaller = other(width_px=round(PHOTO.width_px * scale), height_px=round(PHOTO.height_px * scale))
        assert needs_full_look(PHOTO, smaller, evidence, COPY) is looked_at
    part = other(width_px=round(PHOTO.width_px * 0.14), height_px=round(PHOTO.height_px * 0.14))
    crop = replace(SMALL, geometry=replace(GEOMETRY, overlap_of_a=0.02), compared_px=96)
    assert not needs_full_look(PHOTO, part, crop, COPY)
    small = other(width_px=600, height_px=450)
    assert not needs_full_look(small, small, SMALL, COPY)


@pytest.mark.parametrize(
    ("capture", "is_settled"),
    [
        (Capture(taken_at_ms=1_000_250, has_subseconds=True), True),
        (Capture(image_id="F04QSLI00SM"), True),
        (Capture(taken_at_ms=1_000_000), False),  # several shots fit into a second
        (Capture(make="Canon", model="EOS R5", serial="1"), False),
    ],
)
def test_equal_capture_notes_settle_it_only_where_they_name_one_shot(capture, is_settled):
    a, b = replace(PHOTO, capture=capture), other(capture=capture)
    assert needs_full_look(a, b, SMALL, COPY) is not is_settled
    assert needs_full_look(a, other(), SMALL, COPY), "missing notes say nothing"


def test_full_pictures_that_agree_or_were_not_seen_contradict_nothing():
    for evidence in (SMALL, FULL, replace(FULL, fine_noise_correlation=None)):
        assert contradicted_by_full_look(PHOTO, other(), evidence) is None


def test_noise_of_its_own_makes_two_shots():
    reason = contradicted_by_full_look(PHOTO, other(), replace(FULL, fine_noise_correlation=0.03))
    assert reason is not None
    assert "noise" in reason


def test_a_change_that_only_shows_in_full_makes_two_shots():
    reason = contradicted_by_full_look(PHOTO, other(), replace(FULL, excess=1.8, worst_region=0.0001))
    assert reason is not None
    assert "different" in reason
    assert contradicted_by_full_look(PHOTO, other(), replace(FULL, excess=0.95)) is None
