"""Keep policies: the first difference decides, is told in words, and the order of arrival changes nothing."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.keep_criteria import CRITERIA, FileCandidate, beside_each_other
from dedupd.core.keep_policy import PRESETS, choose_file, keep_policy, why_kept
from dedupd.core.keeper import Candidate, choose_keeper
from dedupd.core.records import Capture, ContentRecord, ContentStage, FilePath, FileRecord, FileStage, FileStat, Quality
from dedupd.core.standing import QUALITY_PARTS

YEAR_MS = 31_536_000_000


def candidate(
    path="/photos/a.jpg", *, content=1, width=400, height=300, fmt="JPEG", jpeg_quality=80, size=1000, mtime_ns=10**18,
    is_link=False, seen=None, capture=None, **more,
):  # fmt: skip
    directory, _, name = path.encode().removeprefix(b"/photos/").rpartition(b"/")
    record = ContentRecord(
        id=content, digest=content.to_bytes(32, "big"), size_bytes=size, format=fmt, width_px=width, height_px=height,
        image_digest=None, pixel_digest=None, capture=Capture(**(capture or {})), decoder="t",
        stage=ContentStage.LINKED, first_seen_ns=0,
        quality=Quality(sharpness=1, information=5, jpeg_quality=jpeg_quality, **(seen or {})),
    )  # fmt: skip
    file = FileRecord(
        path=FilePath(root=1, directory=directory, name=name),
        stat=FileStat(dev=1, ino=content, size_bytes=size, mtime_ns=mtime_ns, ctime_ns=1),
        stage=FileStage.INDEXED,
        content=content,
        first_seen_ns=0,
        link_of_same_inode=is_link,
    )
    return FileCandidate(file=file, path=path.encode(), content=record, **more)


PLAIN = candidate("/photos/x/plain.jpg", content=9)

DECIDED = {
    "protected": (candidate(is_protected=True), PLAIN, "protected folder"),
    "folders": (candidate("/photos/best/a.jpg"), PLAIN, "preferred folder, /photos/best against /photos/x"),
    "bundle": (candidate(companions=("raw", "sidecar")), candidate(companions=("sidecar",), content=2), "raw"),
    "original": (candidate(is_groups_choice=True), replace(PLAIN, overlaid_share=0.0), "shorter path"),
    "resolution": (candidate(width=4032, height=3024), PLAIN, "higher resolution, 4032×3024 against 400×300"),
    "quality": (candidate(jpeg_quality=90), candidate(content=2, jpeg_quality=50), "JPEG quality, 90 against 50"),
    "format": (candidate(fmt="RAW", jpeg_quality=None), PLAIN, "better format, RAW against JPEG"),
    "metadata": (candidate(capture={"has_gps": True}), PLAIN, "more metadata"),
    "oldest-capture": (
        candidate(capture={"taken_at_ms": 0}), candidate(content=2, capture={"taken_at_ms": YEAR_MS}),
        "taken earlier, 1970-01-01 00:00:00 against 1971-01-01 00:00:00",
    ),
    "newest-capture": (
        candidate(capture={"taken_at_ms": YEAR_MS}), candidate(content=2, capture={"taken_at_ms": 0}), "taken later",
    ),
    "oldest-mtime": (
        candidate(mtime_ns=10**18), candidate(content=2, mtime_ns=10**18 + 1),
        "against 2001-09-09 01:46:40.000000001",
    ),
    "newest-mtime": (candidate(mtime_ns=10**18 + 1), candidate(content=2, mtime_ns=10**18), "newer file"),
    "largest": (candidate(size=2000), PLAIN, "larger file, 2.0 kB against 1.0 kB"),
    "smallest": (candidate(size=1001), candidate(content=2, size=1002), "smaller file, 1001 bytes against 1002 bytes"),
    "name": (PLAIN, candidate("/photos/plain (1).jpg"), "its name is not a copy's, as plain (1).jpg is"),
    "own-inode": (PLAIN, candidate(is_link=True), "the other is a hard link"),
    "shorter-path": (candidate("/photos/b.jpg"), PLAIN, "shorter path"),
    "path": (candidate("/photos/a.jpg"), candidate("/photos/b.jpg"), "its path comes first"),
}  # fmt: skip


def test_every_criterion_is_worded_as_what_it_keeps_and_tried_here():
    assert set(DECIDED) == set(CRITERIA)
    assert all(criterion.keeps.startswith("keep ") for criterion in CRITERIA.values())


@pytest.mark.parametrize("name", DECIDED)
def test_a_criterion_decides_and_says_why_whatever_the_order(name):
    kept, other, words = DECIDED[name]
    policy = keep_policy([name], folders=[b"/photos/best"])
    for pair in ([kept, other], [other, kept]):
        assert choose_file(pair, policy) is kept
    assert words in why_kept(kept, other, policy)


def test_what_a_person_pinned_comes_before_everything():
    pinned = candidate("/photos/z/deep/poor (1).jpg", content=2, width=10, height=10, pinned=2)
    for preset in PRESETS:
        assert choose_file([candidate(is_protected=True, is_groups_choice=True), pinned], keep_policy(preset)) is pinned
    assert why_kept(pinned, candidate(), keep_policy("best")) == "a person said to keep it"
    same_content = replace(pinned, pinned=1)
    assert choose_file([same_content, pinned], keep_policy("best")) is pinned


def test_an_enlarged_copy_is_not_of_higher_resolution():
    original = candidate(width=1000, height=800)
    enlarged = candidate(content=2, width=2000, height=1600, seen={"crispness": -1.2})
    policy = keep_policy(["resolution"])
    assert choose_file([enlarged, original], policy) is original
    assert "looks enlarged" in why_kept(original, enlarged, policy)


@pytest.mark.parametrize(
    "made",
    [
        {"fmt": "PNG", "seen": {"earlier_jpeg_quality": 80}},
        {"fmt": "TIFF", "seen": {"earlier_jpeg_quality": 80}},
        {"fmt": "HEIF", "capture": {"model": "X"}, "seen": {"earlier_jpeg_quality": 80}},
        {"fmt": "HEIF"},
        {"fmt": "AVIF"},
        {"fmt": "WEBP"},
    ],
)
def test_what_was_made_from_a_jpeg_is_not_better_than_the_jpeg(made):
    jpeg = candidate("/photos/z.jpg")
    converted = candidate("/photos/a", content=2, jpeg_quality=None, **made)
    assert choose_file([converted, jpeg], keep_policy(["format"])) is jpeg
    assert choose_file([converted, jpeg], keep_policy(["format"], formats=["PNG", "WEBP", "HEIF"])) is jpeg
    assert "made from a JPEG" in why_kept(jpeg, converted, keep_policy(["format"]))


def test_a_png_beside_the_jpeg_of_a_camera_was_made_from_it():
    camera = candidate("/photos/z.jpg", capture={"model": "X100V"})
    png = candidate("/photos/a.png", content=2, fmt="PNG", jpeg_quality=None)
    policy = keep_policy(["format"])
    camera, png = beside_each_other([camera, png])
    assert choose_file([png, camera], policy) is camera
    stripped = candidate("/photos/z.jpg")
    png, stripped = beside_each_other([png, stripped])
    assert choose_file([png, stripped], policy) is png, "a screenshot, and a JPEG made of it"


def test_the_order_of_formats_can_be_set():
    heif, jpeg = candidate(fmt="HEIF", capture={"model": "iPhone"}), candidate("/photos/b.jpg", content=2)
    assert choose_file([heif, jpeg], keep_policy(["format"])) is heif
    assert choose_file([heif, jpeg], keep_policy(["format"], formats=["JPEG"])) is jpeg


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (["resolutoin"], "unknown keep criterion `resolutoin`. Did you mean `resolution`?"),
        ("bset", "unknown keep policy `bset`. Did you mean `best`?"),
        (["zzzzzz"], "There are: protected, folders"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(keep, words):
    with pytest.raises(ValueError) as caught:
        keep_policy(keep)
    assert words in str(caught.value)


def test_one_criterion_by_its_name_stands_before_those_of_best():
    assert keep_policy("resolution").criteria == ("resolution", *PRESETS["best"])
    with pytest.raises(ValueError, match="nothing to choose"):
        choose_file([], keep_policy("best"))


def test_a_time_beyond_every_calendar_is_told_all_the_same():
    old, new = candidate(mtime_ns=0), candidate(content=2, mtime_ns=10**21)
    assert (
        why_kept(old, new, keep_policy(["oldest-mtime"])) == "older file, 1970-01-01 00:00:00 against 1000000000000 s"
    )


def test_what_is_as_good_by_itself_is_kept_for_its_group_as_a_whole():
    chosen = replace(PLAIN, is_groups_choice=True)
    assert why_kept(chosen, candidate(width=800), keep_policy("best")) == "the best of its group as a whole"


def test_an_unknown_format_is_told_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown format `jpg`\. Did you mean `JPEG`"):
        keep_policy(formats=["jpg"])


def test_quality_is_neither_resolution_nor_format_nor_notes():
    assert len(QUALITY_PARTS) == 8
    poor, good = candidate(width=40, height=30, jpeg_quality=90), candidate(content=2, width=4000, jpeg_quality=60)
    assert choose_file([good, poor], keep_policy(["quality"])) is poor


CANDIDATES = st.lists(
    st.builds(
        lambda path, content, pixels, quality, size, mtime, flags: candidate(
            path, content=content, width=pixels, jpeg_quality=quality, size=size, mtime_ns=mtime,
            is_link=flags[0], is_protected=flags[1], pinned=2 * flags[2],
        ),
        st.sampled_from([f"/photos/{d}{n}" for d in ("", "b/", "best/") for n in ("a.jpg", "a (1).jpg", "c.png")]),
        st.integers(1, 4), st.integers(100, 103), st.integers(70, 72), st.integers(1, 3), st.integers(1, 3),
        st.tuples(st.booleans(), st.booleans(), st.booleans()),
    ),
    min_size=1, max_size=8, unique_by=lambda c: c.path,
)  # fmt: skip
POLICIES = st.one_of(
    st.sampled_from(sorted(PRESETS)), st.lists(st.sampled_from(sorted(CRITERIA)), max_size=5).map(tuple)
)


@given(CANDIDATES, POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(candidates, keep, randomness):
    policy = keep_policy(keep, folders=[b"best"])
    kept = choose_file(candidates, policy)
    shuffled = list(candidates)
    randomness.shuffle(shuffled)
    assert choose_file(shuffled, policy) is kept
    for other in candidates:
        if other is not kept:
            assert why_kept(kept, other, policy) != "they differ in nothing that the policy looks at"


def test_best_agrees_with_the_content_that_groups_keep():
    generator = random.Random(5)
    for _ in range(50):
        many = [
            candidate(f"/photos/{n}.jpg", content=n, width=400 + generator.randrange(3), size=generator.randrange(1, 4))
            for n in range(1, 7)
        ]
        chosen, _ = choose_keeper([Candidate(content=c.content, paths=(c.path,)) for c in many])
        told = [
            replace(c, is_groups_choice=c.content.id == chosen, is_protected=generator.random() < 0.3) for c in many
        ]
        assert choose_file(told, keep_policy("best")).content.id == chosen
