import random
from dataclasses import replace

import pytest

from dedupd.core.keeper import Candidate, choose_keeper
from dedupd.core.records import Capture, ContentRecord, ContentStage, Quality


def candidate(
    number,
    *,
    width=400,
    height=300,
    fmt="JPEG",
    paths=(b"a.jpg",),
    jpeg_quality=80,
    size=1000,
    frame=0.0,
    seen=None,
    **capture,
):
    return Candidate(
        content=ContentRecord(
            id=number, digest=bytes(32), size_bytes=size, format=fmt, width_px=width, height_px=height,
            image_digest=None, pixel_digest=None, capture=Capture(**capture), decoder="t", stage=ContentStage.LINKED,
            quality=Quality(sharpness=1, information=5, jpeg_quality=jpeg_quality, frame_share=frame, **(seen or {})),
            first_seen_ns=0,
        ),
        paths=paths,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("better", "worse", "word"),
    [
        (candidate(2, width=4032, height=3024), candidate(1, width=1600, height=1200), "4032×3024 against 1600×1200"),
        (candidate(2), candidate(1, width=480, height=380, fmt="PNG", frame=0.342), "without a border"),
        (candidate(2, width=800, height=600), candidate(1, width=900, height=900, frame=0.8), "true resolution"),
        (candidate(2, fmt="RAW", jpeg_quality=None), candidate(1), "RAW, what the sensor saw"),
        (candidate(2, jpeg_quality=95), candidate(1, jpeg_quality=60), "quality, 95 against 60"),
        (candidate(2, has_gps=True), candidate(1), "more metadata"),
        (candidate(2, paths=(b"x/IMG_1.jpg",)), candidate(1, paths=(b"IMG_1 (1).jpg",)), "name is not a copy"),
        (candidate(2, paths=(b"x/IMG_1.jpg",)), candidate(1, paths=(b"IMG-20240101-WA0007.jpg",)), "not a copy"),
        (candidate(2, size=2000), candidate(1, size=1000), "larger file"),
        (candidate(2, paths=(b"a.jpg",)), candidate(1, paths=(b"deeper/a.jpg",)), "shorter path"),
        (candidate(1), candidate(2), "seen first"),
        (candidate(2), candidate(1, width=9000, paths=()), "not on disk"),
        (candidate(2), candidate(1, width=800, height=600, seen={"crispness": -0.95}), "true resolution"),
        (candidate(2, jpeg_quality=70), candidate(1, seen={"earlier_jpeg_quality": 60}), "earlier JPEG of quality 60"),
        (candidate(2), candidate(1, width=720, height=1560, seen={"drawn_share": 0.5}), "size of a screen"),
        (candidate(2), candidate(1, fmt="WEBP", jpeg_quality=None), "conversion to WEBP"),
        (candidate(2), candidate(1, fmt="PNG", seen={"earlier_jpeg_quality": 80}), "earlier JPEG of quality 80"),
        (candidate(2, fmt="PNG", jpeg_quality=None), candidate(1), "lossless, PNG"),
        (candidate(2, seen={"colour": 9.0}), candidate(1, seen={"colour": 0.0}), "in colour"),
        (candidate(2), candidate(1, seen={"noise": 8.0}), "less noise"),
        (candidate(2, taken_at_ms=1), candidate(1, seen={"fine_colour": 40.0}), "more metadata"),
        (candidate(2, has_notes=True), candidate(1, jpeg_quality=88), "what a camera or a person wrote"),
    ],
)
def test_first_difference_decides_and_is_named_whatever_the_order(better, worse, word):
    for pair in ([better, worse], [worse, better]):
        keeper, reason = choose_keeper(pair)
        assert keeper == better.content.id
        assert word in reason


def test_the_choice_among_many_is_the_same_whatever_the_order():
    generator = random.Random(3)
    many = [
        candidate(n, width=400 + n % 3, jpeg_quality=generator.choice([70, 90]), seen={"fine_colour": 10 + n / 7})
        for n in range(1, 12)
    ]
    keepers = set()
    for _ in range(20):
        generator.shuffle(many)
        keepers.add(choose_keeper(many)[0])
    assert len(keepers) == 1


def test_notes_that_an_editor_added_do_not_outrank_what_the_camera_wrote():
    camera = candidate(2, taken_at_ms=1, jpeg_quality=88)
    edited = candidate(1, taken_at_ms=1, jpeg_quality=85, has_notes=True)
    assert choose_keeper([camera, edited])[0] == 2


def test_text_that_most_pairs_show_on_a_picture_counts_against_it_and_what_one_of_many_says_does_not():
    clean, marked = candidate(2), candidate(1, jpeg_quality=88)
    assert choose_keeper([clean, replace(marked, overlaid_share=1.0)]) == (
        2,
        "without the text or watermark on the other",
    )
    assert choose_keeper([replace(clean, overlaid_share=1 / 6), replace(marked, overlaid_share=5 / 6)])[0] == 2
    larger = candidate(2, width=1600, height=1200)
    assert choose_keeper([replace(larger, overlaid_share=1 / 6), candidate(1)])[0] == 2


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError):
        choose_keeper([])


def test_what_a_person_pinned_is_kept_before_anything_else() -> None:
    better = candidate(1, width=4032, height=3024, has_gps=True)
    pinned = replace(candidate(2), is_pinned=True)
    assert choose_keeper([better, pinned]) == (2, "you said to keep it")
    assert choose_keeper([replace(better, is_pinned=True), pinned])[0] == 1
    assert choose_keeper([replace(pinned, paths=()), better]) == (1, "the others are not on disk")


def test_a_crop_is_not_kept_before_the_whole_picture_although_it_is_a_little_crisper():
    whole = candidate(1, width=512, height=512, seen={"crispness": -0.56})
    crop = candidate(2, width=461, height=461, seen={"crispness": -0.41})
    assert choose_keeper([whole, crop])[0] == 2, "alone they nearly tie"
    assert choose_keeper([whole, replace(crop, lacks_share=0.19)]) == (
        1,
        "it shows more of the picture, the other is cropped",
    )
    much_better = candidate(3, width=4000, height=3000)
    assert choose_keeper([whole, replace(much_better, lacks_share=0.19)])[0] == 3, "a crop of the camera's own file"
