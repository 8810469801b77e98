"""Settled groups are what the dictionaries of the group book are, in arrays."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.core.grouping import Bond
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId
from dedupd.core.union_find import Components
from dedupd.pipeline.settled_groups import SettledGroups

NODES = st.integers(min_value=1, max_value=40).map(ContentId)
SHARES = st.floats(min_value=0, max_value=1)
BONDS = st.builds(
    Bond,
    a=NODES,
    b=NODES,
    relation=st.sampled_from(sorted(DUPLICATE_RELATIONS)),
    similarity=SHARES,
    probability=SHARES,
    has_overlay=st.booleans(),
    overlay_is_on_b=st.booleans(),
    overlap_of_a=SHARES,
    overlap_of_b=SHARES,
).filter(lambda bond: bond.a < bond.b)
LISTS = st.lists(BONDS, max_size=60, unique_by=lambda bond: (bond.a, bond.b))


def ties_of(bonds):
    ties = {}
    for bond in bonds:
        ties.setdefault(bond.a, {})[bond.b] = bond.tie_of_a
        ties.setdefault(bond.b, {})[bond.a] = bond.tie_of_b
    return ties


@settings(deadline=None)
@given(bonds=LISTS)
def test_they_say_what_the_pairs_say(bonds):
    settled, components = SettledGroups(bonds), Components()
    for bond in bonds:
        components.add_edge(bond.a, bond.b)
    expected = ties_of(bonds)
    assert settled.pairs == len(bonds)
    assert len(settled) == len(expected)
    assert sorted(settled.components()) == sorted(sorted(component) for component in components)
    for content in map(ContentId, range(45)):
        assert settled.ties(content) == expected.get(content, {})
        assert (content in settled) == (content in expected)
        assert settled.component(content) == (sorted(components.component(content)) if content in expected else [])


@settings(deadline=None)
@given(bonds=LISTS, taken=st.lists(NODES, max_size=5))
def test_what_is_taken_out_is_whole_and_gone(bonds, taken):
    settled, expected = SettledGroups(bonds), ties_of(bonds)
    begun = settled.components()
    before = sorted(SettledGroups(bonds).components())
    gone = set()
    for content in taken:
        component = settled.component(content)
        out = dict(settled.take_out(content))
        assert sorted(out) == component
        assert out == {each: expected[each] for each in component}
        gone.update(component)
        assert settled.take_out(content) == []
    assert len(settled) == len(expected) - len(gone)
    assert sorted(settled.components()) == [part for part in before if not gone & set(part)]
    assert all(settled.ties(content) == {} and content not in settled for content in gone)
    assert sorted(begun) == before, "who goes through them is not disturbed"


def test_a_long_chain_is_one_component():
    count = 5_000
    pairs = [(n, n + 1) for n in range(1, count)]
    pairs = pairs[::2] + pairs[1::2][::-1]
    settled = SettledGroups(
        Bond(ContentId(a), ContentId(b), relation=min(DUPLICATE_RELATIONS), similarity=1.0) for a, b in pairs
    )
    assert settled.component(ContentId(1)) == list(range(1, count + 1))
