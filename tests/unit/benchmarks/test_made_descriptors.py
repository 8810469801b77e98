"""The made library of the scale benchmark: what it plants, and that its exact search is exact."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.made_descriptors import DIM, make_copies, make_library
from benchmarks.scale import exact_ranks
from dedupd.core.records import ContentId
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return make_library(tmp_path_factory.mktemp("made") / "vectors", 600, seed=1)


def test_pictures_have_one_to_four_unit_vectors_and_the_same_ones_each_time(library, tmp_path):
    vectors = library.load([ContentId(content) for content in range(1, 601)])
    assert {len(views) for views in vectors} == {1, 2, 3, 4}
    assert np.linalg.norm(np.concatenate(vectors), axis=1) == pytest.approx(1, abs=2e-3)  # half precision
    again = make_library(tmp_path / "vectors", 600, seed=1)
    assert np.array_equal(again.load([ContentId(600)])[0], vectors[-1])


def test_blocks_are_the_same_contents_as_single_loads(library):
    loaded = {c: v for contents, vectors in library.blocks(1, 601, 250) for c, v in zip(contents, vectors, strict=True)}
    assert list(loaded) == list(range(1, 601))
    for content in (1, 250, 251, 600):
        assert np.array_equal(loaded[content], library.load([content])[0])


def test_copies_are_as_near_as_real_ones_are(library):
    queries, _ = make_copies(library, list(range(1, 401)), seed=2)
    near = [
        float((query @ library.load([ContentId(c)])[0].T).max())
        for c, query in zip(range(1, 401), queries, strict=True)
    ]
    assert np.percentile(near, 10) == pytest.approx(0.923, abs=0.05)
    assert np.percentile(near, 50) > 0.99


def test_exact_ranks_are_those_of_the_exact_index(library):
    originals = [3, 77, 500]
    queries, _ = make_copies(library, originals, seed=4)
    similarities, nearer = exact_ranks(library, queries, originals)
    index = ExactIndex(DIM)
    contents = [ContentId(content) for content in range(1, 601)]
    index.add(contents, library.load(contents))
    answers = index.search(queries, limit=600, min_similarity=-1)
    for place, (original, found) in enumerate(zip(originals, answers, strict=True)):
        rank = [n.content for n in found].index(original)
        assert nearer[place] == rank
        assert similarities[place] == pytest.approx(found[rank].similarity, abs=1e-5)


def test_lists_find_the_copies_that_exact_search_finds(tmp_path):
    library = make_library(tmp_path / "vectors", 8_000, seed=5)
    exact, index = ExactIndex(DIM), FaissIndex(DIM, library.load, exact_below=1_000)
    for contents, vectors in library.blocks(1, 8_001, 2_000):
        exact.add(contents, vectors)
        index.add(contents, vectors)
    assert index.grow_if_due()
    assert index.kind == "ivf256-pq64x4"
    originals = list(range(1, 8_001, 40))
    queries, _ = make_copies(library, originals, seed=6)
    true = [{n.content for n in found} for found in exact.search(queries, limit=10, min_similarity=0.5)]
    told = [{n.content for n in found} for found in index.search(queries, limit=10, min_similarity=0.5)]
    within_reach = [original for original, found in zip(originals, true, strict=True) if original in found]
    assert len(within_reach) > 190
    assert sum(original in found for original, found in zip(originals, told, strict=True)) == len(within_reach)
