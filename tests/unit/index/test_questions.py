"""What pictures are answered: the same whether they ask alone or together, and by whatever portions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dedupd.core.arrays import Vectors
from dedupd.core.records import ContentId
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex
from dedupd.index.questions import best_by_content
from dedupd.index.rescore import best_similarities

DIM = 32


def unit(rows: Vectors) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def library(count: int) -> dict[ContentId, Vectors]:
    """Contents of 1 … 4 views, seven around each of some scenes."""
    rng = np.random.default_rng(3)
    scenes = unit(rng.normal(size=(count // 7 + 1, DIM)))
    return {
        ContentId(i + 1): unit(scenes[i // 7] + rng.normal(size=(int(rng.integers(1, 5)), DIM)) * 0.04)
        for i in range(count)
    }


class Shelf:
    """An index with its store, which counts how it is read."""

    def __init__(self, count: int, *, grown: bool) -> None:
        self.stored = library(count)
        self.reads: list[int] = []
        self.index = FaissIndex(DIM, self.load, exact_below=500 if grown else 100_000)
        self.index.add(list(self.stored), list(self.stored.values()))
        assert self.index.grow_if_due() == grown
        self.reads.clear()

    def load(self, contents: Sequence[ContentId]) -> list[Vectors | None]:
        self.reads.append(len(contents))
        return [self.stored.get(content) for content in contents]

    def pictures(self, count: int) -> list[Vectors]:
        rng = np.random.default_rng(4)
        chosen = rng.choice(list(self.stored), size=count)
        return [
            unit(self.stored[ContentId(c)][:1] + rng.normal(size=(int(rng.integers(1, 30)), DIM)) * 0.03)
            for c in chosen.tolist()
        ]


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("limit", [1, 11, 60])
def test_pictures_that_ask_together_are_answered_as_if_each_asked_alone(grown, limit):
    shelf = Shelf(1_500, grown=grown)
    for gone in (3, 30, 300):  # the index knows them still
        del shelf.stored[ContentId(gone)]
    pictures = [*shelf.pictures(70), np.empty((0, DIM), dtype=np.float32)]
    together = shelf.index.search(pictures, limit=limit, min_similarity=0.5)
    alone = [shelf.index.search([picture], limit=limit, min_similarity=0.5)[0] for picture in pictures]
    assert together == alone
    assert together[-1] == []
    assert sum(map(len, together)) >= 60 * min(limit, 5)


def test_together_they_find_what_exact_search_finds():
    shelf = Shelf(1_500, grown=True)
    exact = ExactIndex(DIM)
    exact.add(list(shelf.stored), list(shelf.stored.values()))
    pictures = shelf.pictures(64)
    for told, true in zip(
        shelf.index.search(pictures, limit=6, min_similarity=0.8),
        exact.search(pictures, limit=6, min_similarity=0.8),
        strict=True,
    ):
        assert len(true) == 6
        assert [n.content for n in told] == [n.content for n in true]
        assert [n.similarity for n in told] == pytest.approx([n.similarity for n in true], abs=1e-5)


def test_the_store_is_read_for_all_of_them_together():
    shelf = Shelf(1_500, grown=True)
    shelf.index.search(shelf.pictures(16), limit=6, min_similarity=0.8)
    assert max(shelf.reads) > 300
    assert len(shelf.reads) < 16


def test_similarities_found_together_are_those_found_alone():
    shelf = Shelf(200, grown=False)
    pictures = shelf.pictures(9)
    views = list(shelf.stored.values())
    named = [views[:32], [], views[20:21], views[100:164], [], views[:32], views[7:9], views[150:], []]
    together = best_similarities(pictures, named)
    for picture, some, found in zip(pictures, named, together, strict=True):
        assert np.array_equal(found, best_similarities([picture], [some])[0])
        assert found == pytest.approx([float((rows @ picture.T).max()) for rows in some], abs=1e-6)
    assert [len(found) for found in together] == [len(some) for some in named]


def test_candidates_stand_in_the_order_of_their_best_view_and_the_older_first():
    rng = np.random.default_rng(5)
    similarities = rng.choice(np.float32([0.25, 0.5, 0.75, 0.9]), 60)
    ids = rng.integers(4, 120, size=60)
    best: dict[int, float] = {}
    for similarity, id_ in zip(similarities.tolist(), ids.tolist(), strict=True):
        best[id_ // 4] = max(best.get(id_ // 4, -1.0), similarity)
    contents, rough = best_by_content(similarities, ids)
    expected = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    assert list(zip(contents.tolist(), rough.tolist(), strict=True)) == expected
    assert [len(part) for part in best_by_content(similarities[:0], ids[:0])] == [0, 0]


def test_candidates_beyond_those_ranked_at_first_are_compared_when_the_answer_needs_them():
    shelf = Shelf(1_500, grown=False)
    [picture] = shelf.pictures(1)
    found = shelf.index.search([picture], limit=1_500, min_similarity=-1)[0]
    assert len({neighbour.content for neighbour in found}) == len(found) == 1_500
    assert [n.similarity for n in found] == sorted((n.similarity for n in found), reverse=True)
