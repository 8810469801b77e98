"""Snapshots that do not fit the real store beside them: torn, cut, behind it, ahead of it, of another model.

Whatever lies there, the whole flow finds what it should, and the next snapshot is good again.
`tests/unit/index/test_open_index.py` has every way in which a snapshot can be wrong.
"""

import shutil
from dataclasses import replace

import pytest
from fakes.flow_work import FlowWork, check_closed, check_complete, check_whole

from dedupd.core.records import ModelTag
from dedupd.index.catch_up import open_index

BATCHES = 6
OFFSETS = 64


@pytest.fixture
def work(fast_dir):
    made = FlowWork(fast_dir)
    for number in range(1, BATCHES + 1):
        made.do_batch(number)
    made.save_snapshot()
    yield made
    made.close()


def newest(work, suffix):
    return max(work.index_folder.glob(f"*{suffix}"), key=lambda path: int(path.stem))


def start_again(work):
    """A start, held to what must be true; returns where its index came from."""
    work.reopen()
    check_whole(work, BATCHES)
    return work.opened.origin


def assert_goes_on(work):
    """What arrives is compared with all that is known, and the next snapshot serves."""
    work.do_batch(work.next_batch)
    check_complete(work)
    work.save_snapshot()
    assert start_again(work) == "snapshot"
    work.library.close()
    check_closed(work.tmp_path)
    work.open()


@pytest.mark.parametrize("suffix", [".faiss", ".json"])
def test_a_snapshot_cut_anywhere_is_made_anew_from_the_store(work, suffix):
    path = newest(work, suffix)
    whole = path.read_bytes()
    for step in range(OFFSETS):
        path.write_bytes(whole[: step * (len(whole) - 1) // OFFSETS])
        assert start_again(work).startswith("rebuilt: ")
    assert_goes_on(work)


def test_a_torn_snapshot_is_made_anew_from_the_store(work):
    path = newest(work, ".faiss")
    whole = path.read_bytes()
    for at in range(0, len(whole) - 512, max(512, len(whole) // 20)):  # sectors that were never written
        path.write_bytes(whole[:at] + bytes(512) + whole[at + 512 :])
        origin = start_again(work)
        assert origin.startswith("rebuilt: ") or path.read_bytes() == whole
    assert_goes_on(work)


def test_the_snapshot_before_serves_where_the_newest_is_torn(work):
    work.do_batch(BATCHES + 1)
    work.save_snapshot()
    newest(work, ".faiss").write_bytes(b"torn")
    assert start_again(work).startswith("snapshot+")
    assert_goes_on(work)


def test_a_lagging_snapshot_catches_up(work):
    for number in range(BATCHES + 1, BATCHES + 4):
        work.do_batch(number)
    assert start_again(work).startswith("snapshot+")
    assert_goes_on(work)


def test_a_snapshot_ahead_of_a_store_from_a_backup_is_not_used(work):
    work.library.close()
    backup = work.tmp_path / "backup"
    shutil.copytree(work.tmp_path / "state" / "library", backup)
    work.open()
    for number in range(BATCHES + 1, BATCHES + 4):
        work.do_batch(number)
        work.save_snapshot()
    work.library.close()
    shutil.rmtree(work.tmp_path / "state" / "library")
    backup.rename(work.tmp_path / "state" / "library")
    for number in range(BATCHES + 1, BATCHES + 4):
        shutil.rmtree(work.photos / f"d{number}")
    work.open()
    check_whole(work, BATCHES)
    assert "is ahead of the store" in work.opened.origin
    assert_goes_on(work)


def test_a_snapshot_of_another_model_is_not_used(work):
    other = replace(work.embedder.model, tag=ModelTag("played-2"))
    opened = open_index(work.index_folder, other, work.library)
    assert "it is of model played-1, not played-2" in opened.origin
    with work.library.view() as view:
        linked = dict(view.all_vectors())
    found = opened.index.search(list(linked.values()), limit=1, min_similarity=0.99)
    assert len(opened.index) == len(linked)
    assert all(len(one) == 1 for one in found)
    assert_goes_on(work)


def test_a_store_without_any_snapshot_makes_its_index_anew(work):
    shutil.rmtree(work.index_folder)
    assert start_again(work) == "rebuilt: no snapshot"
    assert_goes_on(work)
