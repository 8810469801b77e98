"""A root that vanishes is not a library that was deleted."""

import pytest

from dedupd.core.records import RootIdentity, RootState
from dedupd.core.root_trust import MISSING_DIRECTORY, Sample, is_same_root, judge, needs_sample

STORED = RootIdentity(dev=66, fsid=0xABC, ino=2, filesystem="ext4")


def identity(**changes):
    return RootIdentity(**({"dev": 66, "fsid": 0xABC, "ino": 2, "filesystem": "ext4"} | changes))


ALL_THERE = Sample(looked_at=32, equal=32)


def test_an_unchanged_root_is_online():
    trust = judge(stored=STORED, now=STORED, known_files=1000)
    assert trust.is_online
    assert trust.reason == ""


def test_a_root_seen_for_the_first_time_is_online():
    assert judge(stored=None, now=STORED, known_files=0).is_online
    assert judge(stored=None, now=STORED, known_files=0, lists_empty=True).is_online


def test_a_missing_directory_is_offline():
    trust = judge(stored=STORED, now=MISSING_DIRECTORY, known_files=5)
    assert trust.state is RootState.OFFLINE
    assert "mounted" in trust.reason


@pytest.mark.parametrize("trouble", ["Input/output error", "Permission denied", "Stale file handle"])
def test_an_unreadable_root_is_suspect_even_when_accepted(trouble):
    for is_accepted in (False, True):
        trust = judge(stored=STORED, now=trouble, known_files=0, is_accepted=is_accepted)
        assert trust.state is RootState.SUSPECT
        assert trouble in trust.reason


def test_an_empty_root_with_one_known_file_is_suspect():
    trust = judge(stored=STORED, now=STORED, known_files=1, lists_empty=True)
    assert trust.state is RootState.SUSPECT
    assert "empty" in trust.reason


def test_another_device_number_after_a_reboot_is_fine():
    now = identity(dev=99)
    assert is_same_root(STORED, now)
    assert not needs_sample(STORED, now, 1000)
    assert judge(stored=STORED, now=now, known_files=1000).is_online


@pytest.mark.parametrize("now", [identity(dev=99, fsid=0xDEF), identity(ino=3)])
def test_another_filesystem_or_directory_is_suspect_until_a_sample_convinces(now):
    assert needs_sample(STORED, now, 1000)
    assert judge(stored=STORED, now=now, known_files=1000).state is RootState.SUSPECT
    assert judge(stored=STORED, now=now, known_files=1000, sample=ALL_THERE).is_online
    assert judge(stored=STORED, now=now, known_files=1000, sample=Sample(looked_at=30, equal=27)).is_online
    trust = judge(stored=STORED, now=now, known_files=1000, sample=Sample(looked_at=30, equal=26))
    assert trust.state is RootState.SUSPECT
    assert "26 of 30" in trust.reason


def test_an_exchanged_root_without_known_files_is_online():
    assert judge(stored=STORED, now=identity(ino=9, dev=1, fsid=1), known_files=0).is_online


def test_a_filesystem_without_an_id_is_not_recognised_by_it():
    stored = identity(fsid=0)
    assert is_same_root(stored, identity(fsid=0))
    assert not is_same_root(stored, identity(fsid=0, dev=99))


def test_an_empty_sample_convinces_nobody():
    now = identity(ino=3)
    assert not judge(stored=STORED, now=now, known_files=10, sample=Sample(looked_at=0, equal=0)).is_online


@pytest.mark.parametrize(
    ("known", "gone", "is_online"),
    [(1000, 200, True), (1000, 201, False), (100, 50, True), (100, 51, False), (60, 50, True), (10_000, 51, True)],
)
def test_more_than_a_fifth_and_more_than_fifty_gone_in_one_pass_is_suspect(known, gone, is_online):
    assert judge(stored=STORED, now=STORED, known_files=known, gone_files=gone).is_online is is_online


def test_a_person_may_accept_what_a_root_shows():
    now = identity(ino=3)
    trust = judge(stored=STORED, now=now, known_files=100, gone_files=100, lists_empty=True, is_accepted=True)
    assert trust.is_online


def test_no_reason_advises_what_would_destroy_rows():
    verdicts = [
        judge(stored=STORED, now=MISSING_DIRECTORY, known_files=5),
        judge(stored=STORED, now="Input/output error", known_files=5),
        judge(stored=STORED, now=STORED, known_files=5, lists_empty=True),
        judge(stored=STORED, now=identity(ino=3), known_files=5),
        judge(stored=STORED, now=STORED, known_files=500, gone_files=400),
    ]
    for trust in verdicts:
        assert not trust.is_online
        assert "kept" in trust.reason
        for word in ("accept", "forget", "remove", "delete", "create", "rescan", "marker"):
            assert word not in trust.reason.lower()
