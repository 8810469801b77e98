"""The made library of the scale benchmark: what it plants, and that its exact search is exact."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.made_descriptors import DIM, make_copies, make_library
from benchmarks.scale import exact_ranks
from dedupd.core.records import ContentId
from dedupd.index.exact_index import ExactIndex


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
