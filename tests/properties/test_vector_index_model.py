"""FaissIndex against a dict, in any order of changes, questions, growth and restarts.

Inverted lists order candidates by estimate, so that only an answer that has room for everything must be the whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Model
from dedupd.core.records import ContentId, ModelTag
from dedupd.core.records import Sequence as StoreSequence
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex
from dedupd.index.snapshot import Snapshot, read_snapshot, write_snapshot

DIM = 4
EXACT_BELOW = 12  # vectors; up to 256 there are at most 64 lists, and a search looks into all of them
MODEL = Model(tag=ModelTag("test"), dim=DIM, candidate_similarity=0.5)

contents = st.integers(1, 40).map(ContentId) | st.sampled_from([65_535, 65_536, 2**48 - 1]).map(ContentId)
rows = st.lists(st.integers(-3, 3), min_size=DIM, max_size=DIM).filter(any)  # few values, so that many are equal


def as_vectors(values: list[list[int]]) -> Vectors:
    vectors = np.array(values, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


stored = st.lists(rows, min_size=1, max_size=4).map(as_vectors)
queries = st.lists(rows, min_size=1, max_size=6).map(as_vectors)


class IndexAgainstDict(RuleBasedStateMachine):
    """The dict is the store; the index must answer like brute force over it."""

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[ContentId, Vectors] = {}
        self.index = FaissIndex(DIM, self.load, exact_below=EXACT_BELOW)

    def load(self, wanted: Sequence[ContentId]) -> list[Vectors | None]:
        return [self.store.get(content) for content in wanted]

    @rule(new=st.dictionaries(contents, stored, max_size=12))
    def add(self, new):
        self.store.update(new)
        self.index.add(list(new), list(new.values()))

    @rule(gone=st.lists(contents, max_size=6))
    def remove(self, gone):
        there = {content for content in gone if self.store.pop(content, None) is not None}
        assert self.index.remove(gone) == len(there)

    @rule()
    def grow(self):
        self.index.grow_if_due()

    @rule()
    def restart(self):
        with TemporaryDirectory() as name:
            write_snapshot(self.index, Path(name), MODEL, StoreSequence(1))
            snapshot = read_snapshot(Path(name), MODEL, StoreSequence(1))
        assert isinstance(snapshot, Snapshot), snapshot
        self.index = FaissIndex(DIM, self.load, exact_below=EXACT_BELOW, held=snapshot.held)

    @rule(asked=st.lists(queries, max_size=3), limit=st.integers(1, 50), least=st.sampled_from([-1.0, 0.3, 0.8, 0.99]))
    def search(self, asked, limit, least):
        exact = ExactIndex(DIM)
        exact.add(list(self.store), list(self.store.values()))
        expected = exact.search(asked, limit=limit, min_similarity=least)
        is_whole = self.index.kind.startswith("exact") or limit >= len(self.store)
        answers = self.index.search(asked, limit=limit, min_similarity=least)
        for query, found, right in zip(asked, answers, expected, strict=True):
            if not is_whole:
                self.assert_true(query, found, limit, least)
                continue
            similarities = [n.similarity for n in right]
            assert [n.similarity for n in found] == pytest.approx(similarities, abs=1e-5)
            assert len({n.content for n in found}) == len(found)
            last = min(similarities, default=0) + 1e-5
            assert {n.content for n in found if n.similarity > last} == {
                n.content for n in right if n.similarity > last
            }

    def assert_true(self, query, found, limit, least):
        assert len({n.content for n in found}) == len(found) <= limit
        true = [float((self.store[n.content] @ query.T).max()) for n in found]
        assert [n.similarity for n in found] == pytest.approx(true, abs=1e-5)
        assert true == pytest.approx(sorted(true, reverse=True), abs=1e-5)
        assert all(similarity >= least - 1e-5 for similarity in true)

    @invariant()
    def holds_the_same_contents(self):
        assert len(self.index) == len(self.store)
        assert all((content in self.index) == (content in self.store) for content in range(1, 41))


TestIndexAgainstDict = IndexAgainstDict.TestCase
TestIndexAgainstDict.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
