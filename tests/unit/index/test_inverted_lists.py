"""Additions to inverted lists, which put each vector into its list themselves."""

from __future__ import annotations

import numpy as np
import pytest

from dedupd.core.arrays import Vectors
from dedupd.index.faiss_binding import faiss
from dedupd.index.inverted_lists import InvertedLists, read_index, trained_lists


def made_rows(count: int, dim: int) -> Vectors:
    rows = np.random.default_rng(dim).normal(size=(count, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@pytest.mark.parametrize(("dim", "lists"), [(4, 16), (16, 3), (30, 64), (128, 256), (768, 16)])
def test_additions_leave_the_bytes_that_faiss_own_addition_leaves(dim, lists):
    rows = made_rows(3_000, dim)
    ids = np.random.default_rng(1).permutation(len(rows)) * 4 + 2**40
    index = trained_lists(rows[:1_000], lists)
    by_faiss = faiss.deserialize_index(faiss.serialize_index(index._index))
    for begin, end in ((0, 1), (1, 70), (70, 70), (70, 2_000), (2_000, 3_000)):
        index.add(ids[begin:end], rows[begin:end])
        if begin < end:
            by_faiss.add_with_ids(rows[begin:end], ids[begin:end])
    assert len(index) == len(rows)
    assert np.array_equal(faiss.serialize_index(index._index), faiss.serialize_index(by_faiss))


def test_an_added_vector_is_removed_from_the_list_that_it_was_put_into():
    rows = made_rows(2_000, 16)
    ids = np.arange(len(rows), dtype=np.int64)
    index = trained_lists(rows, 64)
    index.add(ids, rows)
    assert index.remove(ids[::2]) == 1_000
    assert index.remove(ids[::2]) == 0
    assert sorted(index.ids().tolist()) == ids[1::2].tolist()
    index.add(ids[::2], rows[::2])
    assert sorted(index.ids().tolist()) == ids.tolist()


def test_an_index_that_was_read_knows_the_list_of_every_id(tmp_path):
    rows = made_rows(4_000, 16)
    ids = np.concatenate([np.arange(3_000), np.arange(2**50, 2**50 + 1_000)]) * 100  # many pages, far apart
    index = trained_lists(rows, 300)
    index.add(ids, rows)
    with (tmp_path / "index").open("wb") as file:
        index.write(file.write)
    read = read_index(tmp_path / "index")
    assert isinstance(read, InvertedLists)
    assert np.array_equal(read._list_of.get(ids), index._list_of.get(ids))
    assert len(np.unique(read._list_of.get(ids))) > 200
    assert read.remove(ids[::3]) == len(ids[::3])
