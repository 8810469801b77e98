"""What `scale --keep` leaves for the next run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.built_index import build, opened
from benchmarks.scale import SEED, built_in_model


def test_what_was_built_is_used_again_and_only_for_what_it_is(tmp_path):
    model = built_in_model()
    library, built = build(tmp_path, 5_000, SEED, model)
    assert built["kind"] == "ivf256-pq64x4"
    assert built["grown"] >= 1
    made_ns = (tmp_path / "vectors").stat().st_mtime_ns
    again, as_before = build(tmp_path, 5_000, SEED, model)
    assert as_before == built
    assert (tmp_path / "vectors").stat().st_mtime_ns == made_ns
    assert np.array_equal(again.starts, library.starts)
    index = opened(tmp_path, model, again.load)
    assert len(index) == 5_000
    asked = [17, 4_711]
    for content, found in zip(asked, index.search(again.load(asked), limit=1, min_similarity=0.9), strict=True):
        assert [neighbour.content for neighbour in found] == [content]
    with pytest.raises(SystemExit, match="5000 pictures"):
        build(tmp_path, 6_000, SEED, model)
