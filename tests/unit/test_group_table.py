"""The table of groups is in order whichever way groups come into it, and knows its places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.grouping import Share
from dedupd.core.records import ContentId, Relation
from dedupd.pipeline.group_table import GroupTable, Place, Rows

# what a group frees and how many files it has, beside the kept one; few values, so that many are equal
GROUPS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=12)


def table_of(groups, first=0):
    rows = Rows()
    for number, (freed, files) in enumerate(groups, start=first):
        share = Share(relation=Relation.EDITED, files=files, frees_bytes=freed)
        rows.add(ContentId(2 * number + 1), [ContentId(2 * number + 1), ContentId(2 * number + 2)], [share])
    return rows.table()


def places(table):
    return [table.place_at(number) for number in range(len(table))]


@given(known=GROUPS, few=GROUPS)
def test_few_groups_come_into_the_same_places_as_by_sorting_all(known, few):
    both = table_of(known).with_few(table_of(few, 50))
    sorted_ = GroupTable.joined([table_of(known), table_of(few, 50)])
    assert np.array_equal(both.rows, sorted_.rows)
    assert np.array_equal(both.seats, sorted_.seats)
    assert places(both) == sorted(places(both))


@given(groups=GROUPS, freed=st.integers(0, 4), files=st.integers(0, 4), number=st.integers(0, 30))
def test_what_stands_after_a_place_is_what_is_greater(groups, freed, files, number):
    table, place = table_of(groups), Place(-freed, -files, number)
    assert [p for p in places(table) if p > place] == places(table)[table.first_after(place) :]


@given(groups=GROUPS, going=st.sets(st.integers(0, 40)))
def test_without_contents_the_groups_that_hold_them_are_gone(groups, going):
    table = table_of(groups)
    left = table.without(map(ContentId, going))
    kept = [p for p in places(table) if not {p.id, p.id + 1} & going]
    assert places(left) == kept
    assert left.contents().tolist() == sorted(c for p in kept for c in (p.id, p.id + 1))
    shared = {c for p in places(table) if p not in kept for c in (p.id, p.id + 1)}
    assert table.sharing(map(ContentId, going)) == shared


@given(known=GROUPS, few=GROUPS)
def test_shares_of_joined_tables_add_up(known, few):
    whole = table_of(known).with_few(table_of(few, 50)).shares()
    files, freed = sum(files for _, files in known + few), sum(freed for freed, _ in known + few)
    assert whole == ((Share(relation=Relation.EDITED, files=files, frees_bytes=freed),) if files else ())
