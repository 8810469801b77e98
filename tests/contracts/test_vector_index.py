"""The contract of the `VectorIndex` port: whatever stands behind it answers like brute force over all views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Neighbour, VectorIndex
from dedupd.core.records import ContentId
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex

DIM = 32
NEAR = 0.85  # cosine; neighbours that a library of photos asks for, not the far field
ROUNDING = 1e-5


class Shelf:
    """An index, and the store that it reads full-precision vectors from."""

    def __init__(self, make: Callable[[Shelf], VectorIndex]) -> None:
        self.stored: dict[ContentId, Vectors] = {}
        self.index = make(self)

    def load(self, contents: Sequence[ContentId]) -> list[Vectors | None]:
        return [self.stored.get(content) for content in contents]

    def add(self, vectors: dict[ContentId, Vectors]) -> None:
        self.stored.update(vectors)
        self.index.add(list(vectors), list(vectors.values()))

    def remove(self, contents: Sequence[ContentId]) -> int:
        for content in contents:
            self.stored.pop(content, None)
        return self.index.remove(contents)

    def one(self, queries: Vectors, *, limit: int = 10, min_similarity: float = NEAR) -> list[Neighbour]:
        return self.index.search([queries], limit=limit, min_similarity=min_similarity)[0]

    def brute_force(self, queries: Vectors, *, limit: int = 10, min_similarity: float = NEAR) -> list[Neighbour]:
        best = {content: float((queries @ rows.T).max()) for content, rows in self.stored.items()}
        near = sorted((-similarity, content) for content, similarity in best.items() if similarity >= min_similarity)
        return [Neighbour(content=content, similarity=-negative) for negative, content in near[:limit]]


def grown(shelf: Shelf) -> FaissIndex:
    """An index of inverted lists, trained on other pictures than those that the tests add."""
    index = FaissIndex(DIM, shelf.load, exact_below=500)
    filler = {ContentId(10_000_000 + i): rows for i, rows in enumerate(clustered(1_000, seed=99))}
    shelf.stored.update(filler)
    index.add(list(filler), list(filler.values()))
    assert index.grow_if_due()
    assert index.kind.startswith("ivf")
    assert index.remove(list(filler)) == len(filler)
    shelf.stored.clear()
    return index


MAKERS = {
    "exact": lambda shelf: ExactIndex(DIM),
    "faiss-small": lambda shelf: FaissIndex(DIM, shelf.load),
    "faiss-grown": grown,
}


@pytest.fixture(params=MAKERS)
def shelf(request):
    return Shelf(MAKERS[request.param])


def unit(rows) -> Vectors:
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(count: int, *, seed: int, views: int = 1, spread: float = 0.06) -> list[Vectors]:
    """`count` contents around one scene for each five of them, cosine about 0.9 within a scene."""
    rng = np.random.default_rng(seed)
    scenes = unit(rng.normal(size=(max(count // 5, 1), DIM)))
    return [unit(scenes[i % len(scenes)] + rng.normal(size=(views, DIM)) * spread) for i in range(count)]


def library(count: int, *, seed: int = 1, views: int = 1) -> dict[ContentId, Vectors]:
    return {ContentId(i + 1): rows for i, rows in enumerate(clustered(count, seed=seed, views=views))}


def assert_same(found: list[Neighbour], expected: list[Neighbour]) -> None:
    """The same contents and similarities; contents that are equally near may stand in any order."""
    assert [n.similarity for n in found] == pytest.approx([n.similarity for n in expected], abs=ROUNDING)
    last = min((n.similarity for n in expected), default=0) + ROUNDING
    assert {n.content for n in found if n.similarity > last} == {n.content for n in expected if n.similarity > last}


def test_answers_like_brute_force(shelf):
    shelf.add(library(2_000))
    for rows in clustered(40, seed=1, spread=0.04):
        assert_same(shelf.one(rows), shelf.brute_force(rows))


def test_every_content_finds_itself(shelf):
    shelf.add(library(1_000))
    answers = shelf.index.search(list(shelf.stored.values()), limit=1, min_similarity=0.999)
    assert [[n.content for n in found] for found in answers] == [[content] for content in shelf.stored]


def test_best_of_all_views_and_queries_counts_and_each_content_appears_once(shelf):
    shelf.add(library(600, views=4))
    rng = np.random.default_rng(3)
    for content in (1, 77, 600):
        queries = np.concatenate([unit(rng.normal(size=(23, DIM))), shelf.stored[content][2:3]])
        found = shelf.one(queries)
        assert found[0] == Neighbour(content=content, similarity=pytest.approx(1, abs=ROUNDING))
        assert len({n.content for n in found}) == len(found)
        assert_same(found, shelf.brute_force(queries))


def test_pictures_asked_together_are_answered_apart_and_in_order(shelf):
    shelf.add(library(300))
    together = [np.concatenate([shelf.stored[i], shelf.stored[i + 1]]) for i in (5, 100, 250)]
    answers = shelf.index.search(together, limit=5, min_similarity=NEAR)
    assert answers == [shelf.one(queries, limit=5) for queries in together]
    assert [bool(found) for found in answers] == [True, True, True]


def test_add_replaces_all_views(shelf):
    first, second = clustered(1, seed=5, views=4)[0], clustered(1, seed=6, views=4)[0]
    shelf.add({7: first})
    shelf.add({7: second[:1]})
    assert len(shelf.index) == 1
    assert shelf.one(first) == []
    assert [n.content for n in shelf.one(second[:1])] == [7]
    assert shelf.index.remove([7]) == 1
    assert shelf.one(np.concatenate([first, second]), min_similarity=-1) == []  # no view of either is left


def test_remove_really_removes(shelf):
    shelf.add(library(400, views=2))
    queries = shelf.stored[10].copy()
    assert shelf.remove([10, 11, 12]) == 3
    assert len(shelf.index) == 397
    assert 10 not in shelf.index
    assert 13 in shelf.index
    assert 10 not in {n.content for n in shelf.one(queries, limit=397, min_similarity=-1)}
    assert_same(shelf.one(queries), shelf.brute_force(queries))


def test_removed_content_can_come_back(shelf):
    shelf.add(library(10))
    rows = shelf.stored[4]
    shelf.remove([4])
    shelf.add({4: rows})
    assert shelf.one(rows, limit=1)[0].content == 4
    assert len(shelf.index) == 10


def test_unknown_ids_are_no_error_and_are_not_counted(shelf):
    shelf.add(library(3))
    assert shelf.remove([2, 2, 99, 2**48 - 1]) == 1
    assert shelf.remove([]) == 0
    assert len(shelf.index) == 2
    assert 99 not in shelf.index
    assert "3" not in shelf.index


def test_limit_and_threshold_are_kept(shelf):
    shelf.add(library(500))
    queries = shelf.stored[42]
    everything = shelf.one(queries, limit=500)
    assert len(everything) > 3
    assert all(n.similarity >= NEAR for n in everything)
    assert everything == sorted(everything, key=lambda n: -n.similarity)
    assert shelf.one(queries, limit=3) == everything[:3]
    assert shelf.one(queries, limit=0) == []
    middle = everything[2].similarity
    assert len(shelf.one(queries, min_similarity=middle - ROUNDING)) == 3
    assert len(shelf.one(queries, min_similarity=middle + ROUNDING)) == 2


def test_empty_index_and_empty_questions_find_nothing(shelf):
    queries = clustered(1, seed=1)[0]
    assert shelf.one(queries) == []
    shelf.add({})
    shelf.add(library(5))
    assert shelf.index.search([], limit=5, min_similarity=0) == []
    assert shelf.one(np.empty((0, DIM), np.float32)) == []
    shelf.remove(list(shelf.stored))
    assert len(shelf.index) == 0
    assert shelf.one(queries) == []


@pytest.mark.parametrize("limit", [10, 499, 500, 1000])
def test_many_contents_with_the_same_vector_are_all_found(shelf, limit):
    same = clustered(1, seed=8)[0]
    shelf.add(dict.fromkeys(map(ContentId, range(1, 501)), same))
    shelf.add({ContentId(1_000 + i): rows for i, rows in enumerate(clustered(100, seed=9))})
    found = shelf.one(same, limit=limit, min_similarity=0.99)
    assert len({n.content for n in found}) == min(limit, 500)
    assert all(n.content <= 500 for n in found)


def test_far_larger_and_smallest_ids_are_kept_apart(shelf):
    rows = clustered(3, seed=2)
    shelf.add({1: rows[0], 2: rows[1], 2**48 - 1: rows[2]})
    assert [shelf.one(v, limit=1)[0].content for v in rows] == [1, 2, 2**48 - 1]


@pytest.mark.parametrize(
    ("content", "vectors", "message"),
    [
        (1, np.zeros((1, DIM + 1), np.float32), "shape"),
        (1, np.zeros(DIM, np.float32), "shape"),
        (1, np.zeros((5, DIM), np.float32), "views"),
        (1, np.zeros((0, DIM), np.float32), "views"),
        (1, np.full((1, DIM), np.nan, np.float32), "not finite"),
        (0, np.zeros((1, DIM), np.float32), "outside"),
        (2**48, np.zeros((1, DIM), np.float32), "outside"),
    ],
)
def test_wrong_vectors_are_refused_by_name_and_change_nothing(shelf, content, vectors, message):
    shelf.add(library(3))
    good = clustered(1, seed=4)[0]
    with pytest.raises(ValueError, match=message):
        shelf.index.add([ContentId(9), ContentId(content)], [good, vectors])
    assert len(shelf.index) == 3
    assert 9 not in shelf.index
    with pytest.raises(ValueError, match="shape"):
        shelf.one(np.zeros((2, DIM - 1), np.float32))


def test_searches_beside_a_writer_see_whole_contents(shelf):
    shelf.add(library(300, views=2))
    fixed = dict(shelf.stored)
    extra = {ContentId(1_000 + i): rows for i, rows in enumerate(clustered(400, seed=70, views=2))}
    shelf.stored.update(extra)
    is_done = Event()

    def ask() -> int:
        asked = 0
        while not is_done.is_set() or asked < 20:
            content = ContentId(asked % 300 + 1)
            found = shelf.one(fixed[content], limit=1)
            assert found == [Neighbour(content=content, similarity=pytest.approx(1, abs=ROUNDING))]
            asked += 1
        return asked

    with ThreadPoolExecutor(2) as readers:
        answers = [readers.submit(ask) for _ in range(2)]
        try:
            for content, rows in extra.items():
                shelf.index.add([content], [rows])
                if content % 3 == 0:
                    shelf.index.remove([content])
        finally:
            is_done.set()
        assert all(answer.result(timeout=60) >= 20 for answer in answers)
    assert len(shelf.index) == 300 + sum(content % 3 != 0 for content in extra)
