"""Growing from an exact index to inverted lists, with changes and searches going on meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from dedupd.core.arrays import Vectors
from dedupd.core.errors import DegradedError
from dedupd.core.records import ContentId
from dedupd.index.faiss_binding import exact_index, faiss, idle_cores
from dedupd.index.faiss_index import FaissIndex, lists_for
from dedupd.index.inverted_lists import trained_lists

DIM = 16


def vectors_of(contents: Sequence[int], views: int = 1) -> dict[ContentId, Vectors]:
    rng = np.random.default_rng(list(contents)[:1])
    rows = rng.normal(size=(len(contents), views, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    return dict(zip(map(ContentId, contents), rows, strict=True))


class Shelf:
    """An index with its store; `during` runs once, while a bigger index is being built."""

    def __init__(self, count: int, *, exact_below: int = 1_000, views: int = 1) -> None:
        self.stored = vectors_of(range(1, count + 1), views)
        self.during: Callable[[], None] | None = None
        self.index = FaissIndex(DIM, self.load, exact_below=exact_below)
        self.index.add(list(self.stored), list(self.stored.values()))

    def load(self, contents: Sequence[ContentId]) -> list[Vectors | None]:
        if self.during is not None:
            during, self.during = self.during, None
            during()
        return [self.stored.get(content) for content in contents]

    def add(self, vectors: dict[ContentId, Vectors]) -> None:
        self.stored.update(vectors)
        self.index.add(list(vectors), list(vectors.values()))

    def remove(self, contents: Sequence[ContentId]) -> None:
        for content in contents:
            del self.stored[content]
        assert self.index.remove(contents) == len(contents)

    def assert_holds_the_store(self) -> None:
        assert len(self.index) == len(self.stored)
        answers = self.index.search(list(self.stored.values()), limit=1, min_similarity=0.999)
        assert [[n.content for n in found] for found in answers] == [[content] for content in self.stored]


def test_grows_when_enough_vectors_are_there_and_only_then():
    shelf = Shelf(499, views=2)
    assert not shelf.index.grow_if_due()
    assert shelf.index.kind == "exact-fp16"
    shelf.add(vectors_of([500], views=2))
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "ivf64-pq16x4"
    assert not shelf.index.grow_if_due()
    shelf.assert_holds_the_store()


def test_grows_again_when_four_times_as_many_are_there():
    shelf = Shelf(1_000)
    assert shelf.index.grow_if_due()
    shelf.add(vectors_of(range(2_000, 5_001)))
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "ivf128-pq16x4"
    shelf.assert_holds_the_store()


@pytest.mark.parametrize("changes", [10, 600])
def test_changes_during_growth_are_not_lost(changes):
    shelf = Shelf(1_500)

    def change() -> None:
        shelf.remove(list(range(1, changes + 1)))
        shelf.add(vectors_of(range(10_000, 10_000 + changes)))
        shelf.add(vectors_of(range(700, 700 + changes)))  # other vectors for contents that are there
        shelf.remove([ContentId(10_000)])

    shelf.during = change
    assert shelf.index.grow_if_due()
    assert shelf.index.kind.startswith("ivf")
    assert 1 not in shelf.index
    assert 10_000 not in shelf.index
    shelf.assert_holds_the_store()


def test_growth_runs_in_its_own_thread_while_searches_and_changes_go_on():
    shelf = Shelf(3_000)
    building, may_go_on = Event(), Event()

    def stop_there() -> None:
        building.set()
        assert may_go_on.wait(30)

    shelf.during = stop_there
    with ThreadPoolExecutor(1) as background:
        growth = background.submit(shelf.index.grow_if_due)
        assert building.wait(30)
        assert shelf.index.kind == "exact-fp16"
        shelf.add(vectors_of([9_000]))
        shelf.assert_holds_the_store()
        assert not shelf.index.grow_if_due()  # one at a time
        may_go_on.set()
        assert growth.result(timeout=60)
    assert shelf.index.kind.startswith("ivf")
    shelf.assert_holds_the_store()


def test_tells_when_it_is_due_and_not_while_it_grows():
    told: list[FaissIndex] = []
    stored = vectors_of(range(1, 201))
    index = FaissIndex(DIM, lambda contents: [stored.get(c) for c in contents], exact_below=100, on_due=told.append)
    for content, rows in list(stored.items())[:99]:
        index.add([content], [rows])
    assert told == []
    index.add([ContentId(100)], [stored[ContentId(100)]])
    assert told == [index]
    assert index.grow_if_due()
    index.add([ContentId(101)], [stored[ContentId(101)]])
    assert told == [index]


def test_shrinks_when_most_is_gone_and_is_exact_again_when_nearly_all_is():
    shelf = Shelf(17_000)
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "ivf256-pq16x4"
    shelf.remove(list(range(501, 17_001)))
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "ivf32-pq16x4"
    shelf.assert_holds_the_store()
    shelf.remove(list(range(201, 501)))
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "exact-fp16"
    shelf.assert_holds_the_store()
    assert not shelf.index.grow_if_due()


def test_lists_are_trained_anew_when_the_pictures_have_become_others():
    shelf = Shelf(3_000)
    assert shelf.index.grow_if_due()
    kind = shelf.index.kind
    rng = np.random.default_rng(5)
    rows = np.eye(1, DIM, dtype=np.float32) * 3 + rng.normal(size=(2_900, 1, DIM)).astype(np.float32) * 0.3
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    shelf.remove(list(range(1, 2_901)))
    shelf.add(dict(zip(map(ContentId, range(5_000, 7_900)), rows, strict=True)))
    assert shelf.index._held.vectors.imbalance > 3
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == kind
    assert shelf.index._held.vectors.imbalance < 3
    shelf.assert_holds_the_store()
    assert not shelf.index.grow_if_due()


def test_removed_vectors_are_dropped_from_memory_when_there_are_many():
    shelf = Shelf(8_000)
    assert shelf.index.grow_if_due()
    lists = shelf.index._held.vectors
    shelf.remove(list(range(1, 1_001)))
    assert lists._index.ntotal == 8_000  # in place still
    assert len(lists) == 7_000
    shelf.remove([1_001])
    assert lists._index.ntotal == len(lists) == 6_999
    shelf.assert_holds_the_store()


def test_store_without_the_vectors_leaves_the_index_as_it_was():
    shelf = Shelf(1_200)
    kept = shelf.stored
    shelf.stored = {}
    with pytest.raises(DegradedError, match="only 0 of 1200 contents"):
        shelf.index.grow_if_due()
    shelf.stored = kept
    assert shelf.index.kind == "exact-fp16"
    shelf.assert_holds_the_store()
    assert shelf.index.grow_if_due()


def test_store_that_fails_during_growth_leaves_the_index_as_it_was():
    shelf = Shelf(1_200)

    def fail() -> None:
        raise OSError("the disk is gone")

    shelf.during = fail
    with pytest.raises(OSError, match="gone"):
        shelf.index.grow_if_due()
    shelf.assert_holds_the_store()
    assert shelf.index.grow_if_due()


def test_content_that_left_the_store_is_skipped_by_searches_and_growth():
    shelf = Shelf(1_200)
    query = shelf.stored.pop(ContentId(5))
    assert shelf.index.search([query], limit=1, min_similarity=0.999) == [[]]
    assert shelf.index.grow_if_due()
    assert 5 not in shelf.index
    shelf.assert_holds_the_store()


def test_contents_that_left_the_store_do_not_crowd_out_the_others():
    shelf = Shelf(100)
    same = shelf.stored[ContentId(1)]
    shelf.add(dict.fromkeys(map(ContentId, range(1_000, 1_900)), same))
    for content in range(1_000, 1_890):
        del shelf.stored[ContentId(content)]
    found = shelf.index.search([same], limit=11, min_similarity=0.99)[0]
    assert [n.content for n in found] == [1, *range(1_890, 1_900)]


def test_similarities_come_from_the_store_and_not_from_the_index():
    shelf = Shelf(1_000)
    shelf.index.grow_if_due()
    query = shelf.stored[ContentId(3)]
    shelf.stored[ContentId(3)] = np.eye(1, DIM, dtype=np.float32)
    found = shelf.index.search([query], limit=1000, min_similarity=-1)[0]
    assert {n.content: n.similarity for n in found}[ContentId(3)] == pytest.approx(float(query[0, 0]), abs=1e-6)


def test_order_is_right_where_neighbours_differ_by_less_than_the_index_can_tell():
    shelf = Shelf(1_000)
    assert shelf.index.grow_if_due()
    rng = np.random.default_rng(11)
    rows = np.concatenate([np.full((300, 1), 3), rng.normal(size=(300, DIM - 1)) * 0.1], axis=1).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shelf.add({ContentId(5_000 + i): row[None] for i, row in enumerate(rows)})
    query = np.eye(1, DIM, dtype=np.float32)
    nearest_first = (5_000 + np.argsort(-rows[:, 0], kind="stable")).tolist()
    found = shelf.index.search([query], limit=200, min_similarity=0.9)[0]
    assert [n.content for n in found] == nearest_first[:200]


@pytest.mark.parametrize(("count", "lists"), [(0, 1), (1, 1), (3, 3), (50_000, 512), (100_000, 512), (10**6, 2048)])
def test_number_of_lists_is_the_power_of_two_nearest_to_two_roots(count, lists):
    assert lists_for(count) == lists


@pytest.mark.parametrize("dim", [2, 16, 128])
def test_error_bound_of_the_exact_index_holds_for_every_unit_vector(dim):
    """Also for equal values, whose rounding errors all add up."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(600, dim)).astype(np.float32)
    rows[-2] = np.where(rng.random(dim) < 0.5, -1, 1)
    rows[-1] = np.eye(1, dim)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = exact_index(dim)
    index.add(np.arange(len(rows), dtype=np.int64), rows)
    queries = rows[-40:]
    similarities, ids = index.search(queries, len(rows))
    assert (ids >= 0).all()
    true = np.take_along_axis(queries @ rows.T, ids, axis=1)
    worst = float(np.abs(similarities - true).max())
    assert 0 < worst <= index.max_error
    assert index.max_error < 0.004 * math.sqrt(dim) + 1e-4


@pytest.mark.parametrize("dim", [16, 128, 768, 1152])
def test_estimates_put_a_copy_first(dim):
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(4_000, dim)).astype(np.float32) * (np.arange(dim, dtype=np.float32) + 1) ** -0.3
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = trained_lists(rows, 32)
    index.add(np.arange(len(rows), dtype=np.int64), rows)
    estimates, ids = index.search(rows[:300], 8)
    assert (ids[:, :2] == np.arange(300)[:, None]).any(axis=1).mean() > 0.97
    assert abs(float(estimates[ids == np.arange(300)[:, None]].mean()) - 1) < (0.12 if dim <= 128 else 0.35)


def test_a_row_that_looks_far_sees_more_lists_and_all_that_the_others_see():
    rows = np.concatenate(list(vectors_of(range(1, 20_001)).values()))
    index = trained_lists(rows[:8_000], 1_024)
    index.add(np.arange(len(rows), dtype=np.int64), rows)
    looked_at = {}
    for is_far in (False, True):
        similarities, ids = index.search(rows[:30], len(rows), np.full(30, is_far))
        assert (np.diff(similarities, axis=1) <= 0).all()
        looked_at[is_far] = [set(found[found >= 0].tolist()) for found in ids]
        assert all(len(seen) == (found >= 0).sum() for seen, found in zip(looked_at[is_far], ids, strict=True))
    for near, far in zip(looked_at[False], looked_at[True], strict=True):
        assert near < far
        assert len(far) > 5 * len(near)


def test_rows_that_look_far_and_rows_that_do_not_keep_their_places():
    rows = np.concatenate(list(vectors_of(range(1, 3_001)).values()))
    index = trained_lists(rows, 128)
    index.add(np.arange(len(rows), dtype=np.int64), rows)
    is_far = np.random.default_rng(1).random(50) < 0.4
    together, ids = index.search(rows[:50], 5, is_far)
    assert (ids[:, 0] == np.arange(50)).mean() > 0.9
    for place, far in enumerate(is_far.tolist()):
        alone, [found] = index.search(rows[place : place + 1], 5, np.array([far]))
        assert np.allclose(
            alone[0], together[place], atol=0.02
        )  # how values are rounded goes with the longest list of lists
        assert set(found.tolist()) == set(ids[place].tolist())


@pytest.mark.parametrize("lists", [1, 2, 3, 24, 30, 64])
def test_few_lists_are_all_looked_into(lists):
    rows = np.concatenate(list(vectors_of(range(1, 501)).values()))
    index = trained_lists(rows, lists)
    index.add(np.arange(len(rows), dtype=np.int64), rows)
    for is_far in (True, False)[: 2 if lists <= 24 else 1]:
        _, ids = index.search(rows[:3], len(rows), np.full(3, is_far))
        assert (np.sort(ids, axis=1) == np.arange(len(rows))).all()


def test_the_first_row_of_each_picture_is_searched_furthest():
    shelf = Shelf(1_100)
    assert shelf.index.grow_if_due()
    assert shelf.index.kind == "ivf64-pq16x4"
    one, other = shelf.stored[ContentId(1)], shelf.stored[ContentId(2)]
    for found in shelf.index.search([one, np.concatenate([one, other]), one], limit=1_100, min_similarity=-1):
        assert len(found) == 1_100  # 64 lists are all looked into, where other rows look into 24


@pytest.mark.parametrize(
    ("loads", "idle"),
    [
        ("0.10 0.20 0.30 1/312 4711\n", 4),
        ("2.00 2.00 2.00 3/312 4711\n", 2),
        ("9.00 9.00 9.00 12/312 4711\n", -7),
        ("", 1),
        ("0.10 0.20 0.30", 1),
        ("a b c d/e f", 1),
    ],
)
def test_idle_cores_are_those_that_nobody_else_wants(loads, idle):
    assert idle_cores(loads, cores=4) == idle


def test_every_thread_that_searches_an_exact_index_uses_one_core():
    shelf = Shelf(50)

    def threads_after_a_search() -> int:
        shelf.index.search([shelf.stored[ContentId(1)]], limit=1, min_similarity=0)
        return int(faiss.omp_get_max_threads())

    with ThreadPoolExecutor(1) as other:
        assert other.submit(threads_after_a_search).result(timeout=30) == 1
