"""How much a clean-up may take at once: each limit bites where it says, and no limit is passed in any order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.cleanup_limits import Allowance, Taken, UsedToday, too_young
from dedupd.core.cleanup_plan import DIRECTORY_SHARE_FROM, ROOT_SHARE_FROM, Limits, Spared
from dedupd.core.records import FilePath, FileStat

FREE = {"files_per_run": 0, "files_per_day": 0, "root_share": 0.0, "directory_share": 1.0}


def taken(directory="", size=1, root=1, *, is_picture=True):
    return Taken(
        path=FilePath(root=root, directory=directory.encode(), name=b"x"), size_bytes=size, is_picture=is_picture
    )


def allowance(known=None, used=(0, 0), *, names_go=True, **limits):
    return Allowance(
        Limits(**FREE | limits),
        used_today=UsedToday(files=used[0], bytes_=used[1]),
        known=known or {1: {b"": 1000}},
        names_go=names_go,
    )


def takes(allowed, files):
    """How many of these go, one by one, and why the first one did not."""
    for number, file in enumerate(files):
        bites = allowed.take([file])
        if bites is not None:
            return number, bites[0]
    return len(files), None


@pytest.mark.parametrize(
    ("limits", "used", "count", "why"),
    [
        ({"files_per_run": 3}, (0, 0), 3, Spared.FILES_PER_RUN),
        ({"bytes_per_run": 45}, (0, 0), 4, Spared.BYTES_PER_RUN),
        ({"files_per_day": 5}, (2, 0), 3, Spared.FILES_PER_DAY),
        ({"bytes_per_day": 100}, (0, 70), 3, Spared.BYTES_PER_DAY),
        ({"root_share": 0.06}, (0, 0), 60, Spared.ROOT_SHARE),
        ({"root_share": 0.001}, (0, 0), ROOT_SHARE_FROM, Spared.ROOT_SHARE),
        ({"directory_share": 0.02}, (0, 0), 20, Spared.DIRECTORY_SHARE),
        ({"directory_share": 0.001}, (0, 0), DIRECTORY_SHARE_FROM, Spared.DIRECTORY_SHARE),
        ({}, (10**9, 10**15), 200, None),
    ],
)
def test_a_limit_bites_where_it_says(limits, used, count, why):
    assert takes(allowance(used=used, **limits), [taken(size=10)] * 200) == (count, why)


def test_what_would_pass_a_limit_is_not_counted_and_smaller_ones_still_fit():
    allowed = allowance(bytes_per_run=10)
    assert allowed.take([taken(size=8)]) is None
    assert allowed.take([taken(size=8)])[0] is Spared.BYTES_PER_RUN
    assert allowed.take([taken(size=2)]) is None


def test_an_item_is_taken_whole_or_not_at_all():
    allowed = allowance(files_per_run=3)
    assert allowed.take([taken()] * 2) is None
    assert allowed.take([taken()] * 2) is not None
    assert allowed.take([taken()]) is None


def test_the_last_picture_of_a_tree_stays_unless_all_may_go():
    known = {1: {b"a": 1, b"a/b": 2, b"c": 5}}
    allowed = allowance(known, directory_share=0.5)
    assert allowed.take([taken("a/b")]) is None
    assert allowed.take([taken("a/b")])[0] is Spared.DIRECTORY_SHARE, "no picture would be left in a/b"
    assert allowed.take([taken("a")]) is None, "there is one below it"
    assert takes(allowance(known, directory_share=0.0), [taken("c")] * 5) == (4, Spared.DIRECTORY_SHARE)
    assert takes(allowance(known, directory_share=1.0), [taken("c")] * 5) == (5, None)
    assert takes(allowance(known, directory_share=0.5, names_go=False), [taken("c")] * 5) == (5, None)


def test_sidecars_and_videos_count_as_files_but_not_as_pictures():
    along = taken("a", is_picture=False)
    assert takes(allowance({1: {b"a": 2}}, directory_share=0.5), [along] * 50) == (50, None)
    assert takes(allowance(files_per_run=3), [along] * 50) == (3, Spared.FILES_PER_RUN)


def test_roots_and_folders_of_the_same_name_are_counted_apart():
    known = {1: {b"a": 12}, 2: {b"a": 12}}
    allowed = allowance(known, directory_share=0.5)
    assert takes(allowed, [taken("a")] * 12) == (10, Spared.DIRECTORY_SHARE)
    assert takes(allowed, [taken("a", root=2)] * 12) == (10, Spared.DIRECTORY_SHARE)


DIRECTORIES = ["", "a", "a/b", "a/b/c", "d"]


@given(
    st.lists(st.lists(st.tuples(st.sampled_from(DIRECTORIES), st.integers(1, 9)), min_size=1, max_size=4), max_size=60),
    st.integers(0, 40), st.integers(0, 200), st.integers(0, 20), st.floats(0, 0.99), st.floats(0.01, 0.99),
)  # fmt: skip
def test_no_limit_is_ever_passed(items, files, bytes_, used, root_share, directory_share):
    room = Counter(directory for item in items for directory, _ in item)
    known = {1: {name.encode(): room[name] for name in DIRECTORIES if room[name]}}
    limits = {
        "files_per_run": files, "bytes_per_run": bytes_, "files_per_day": 30, "root_share": root_share,
        "directory_share": directory_share,
    }  # fmt: skip
    allowed = allowance(known, used=(used, 0), **limits)
    gone = [item for item in items if allowed.take([taken(*file) for file in item]) is None]
    paths = [file for item in gone for file in item]
    assert not files or len(paths) <= files
    assert not bytes_ or sum(size for _, size in paths) <= bytes_
    assert used + len(paths) <= 30
    assert not root_share or len(paths) <= max(ROOT_SHARE_FROM, root_share * sum(room.values()))
    left = room - Counter(directory for directory, _ in paths)
    for name in DIRECTORIES:
        assert room[name] - left[name] <= max(DIRECTORY_SHARE_FROM, directory_share * room[name])
        below = [other for other in DIRECTORIES if not name or other == name or other.startswith(name + "/")]
        assert not any(room[other] for other in below) or any(left[other] for other in below)


def stat(mtime_ns=0, ctime_ns=0):
    return FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=mtime_ns, ctime_ns=ctime_ns)


S = 10**9


@pytest.mark.parametrize(
    ("facts", "first_seen", "words"),
    [
        (stat(), 0, ""),
        (stat(mtime_ns=90 * S), 0, "was written 10 seconds ago, less than the 60 seconds"),
        (stat(ctime_ns=99 * S), 0, "was moved, linked or changed 1 second ago"),
        (stat(), 41 * S, "was first seen 59 seconds ago"),
        (stat(ctime_ns=40 * S), 40 * S, ""),
        (stat(mtime_ns=10**6 * S), 0, ""),
        (stat(ctime_ns=10**6 * S), 0, "was moved, linked or changed 0 seconds ago"),
    ],
)
def test_what_is_young_is_told_by_what_happened_last(facts, first_seen, words):
    told = too_young(facts, first_seen, 60.0, 100 * S)
    assert words in told
    assert bool(told) is bool(words)


def test_without_a_waiting_time_nothing_is_too_young():
    assert too_young(stat(ctime_ns=100 * S), 100 * S, 0.0, 100 * S) == ""
