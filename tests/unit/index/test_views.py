"""Ids of views, and the table of what an index holds."""

from __future__ import annotations

import numpy as np
import pytest

from dedupd.index.views import MAX_CONTENT, ViewTable, view_ids


def test_ids_of_different_contents_never_meet():
    ids = [i for content in (1, 2, 3, MAX_CONTENT) for i in view_ids(content, 4)]
    assert len(set(ids)) == 16
    assert max(ids) < 2**63


def test_table_counts_each_content_once():
    table = ViewTable()
    for content, views in [(1, 2), (1, 4), (70_000, 1), (MAX_CONTENT, 3), (70_000, 0), (5, 0)]:
        table.put(content, views)
    assert len(table) == 2
    assert table.contents() == [1, MAX_CONTENT]
    assert [table.get(content) for content in (1, 70_000, MAX_CONTENT, 99, 0)] == [4, 0, 3, 0, 0]


def test_table_from_ids_is_the_table_that_made_them():
    contents = {3: 1, 4: 4, 65_535: 2, 65_536: 3, MAX_CONTENT: 1}
    ids = np.array([i for content, views in contents.items() for i in view_ids(content, views)], dtype=np.int64)
    table = ViewTable.from_ids(np.random.default_rng(1).permutation(ids))
    assert {content: table.get(content) for content in table.contents()} == contents
    assert len(ViewTable.from_ids(np.empty(0, np.int64))) == 0


@pytest.mark.parametrize("ids", [[4, 6], [5], [4, 4], [0], [-4], [4, 5, 5, 6], [(MAX_CONTENT + 1) * 4]])
def test_ids_that_no_index_of_ours_has_are_refused(ids):
    with pytest.raises(ValueError, match="not the views"):
        ViewTable.from_ids(np.array(ids, dtype=np.int64))
