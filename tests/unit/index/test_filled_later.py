"""A large index that must be made anew may be filled after the start; it is then what it would have been at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.vector_library import DIMENSIONS, VectorLibrary

from dedupd.core.ports import Model
from dedupd.core.records import ContentId, ModelTag
from dedupd.index.catch_up import CHUNK, fill_index, open_index, save_snapshot

MODEL = Model(tag=ModelTag("test-1"), dim=DIMENSIONS, candidate_similarity=0.5)


@pytest.fixture
def library() -> VectorLibrary:
    made = VectorLibrary()
    made.link(*range(1, 101))
    return made


def test_a_large_one_is_empty_at_first_and_whole_afterwards(tmp_path: Path, library: VectorLibrary) -> None:
    later = open_index(tmp_path, MODEL, library, fill_later_from=100)
    assert (later.is_whole, len(later.index)) == (False, 0)
    assert later.origin == "rebuilt: no snapshot"
    filled = fill_index(later, library)
    assert filled is not None
    assert filled.is_whole
    assert filled.index is later.index, "who asks it has it already"
    assert filled.sequence == library.sequence
    at_once = open_index(tmp_path, MODEL, library)
    queries = list(library.linked.values())
    assert filled.index.search(queries, limit=3, min_similarity=-1) == at_once.index.search(
        queries, limit=3, min_similarity=-1
    )


def test_a_small_one_and_one_with_a_snapshot_are_whole_at_once(tmp_path: Path, library: VectorLibrary) -> None:
    small = open_index(tmp_path, MODEL, library, fill_later_from=101)
    assert (small.is_whole, len(small.index)) == (True, 100)
    save_snapshot(small.index, tmp_path, MODEL, small.sequence)
    library.link(200)
    kept = open_index(tmp_path, MODEL, library, fill_later_from=1)
    assert (kept.is_whole, kept.origin) == (True, "snapshot+1")


def test_filling_stops_when_it_is_told_to(tmp_path: Path) -> None:
    library = VectorLibrary()
    library.link(*range(1, 3 * CHUNK))
    later = open_index(tmp_path, MODEL, library, fill_later_from=1)
    answers = iter([True, False])
    assert fill_index(later, library, lambda: next(answers)) is None
    assert 0 < len(later.index) < 3 * CHUNK - 1
    assert ContentId(1) in later.index, "what is in it already is found"
    assert not later.is_whole
