"""Whatever the pair graph, no group holds a member without a direct verified pair with its keeper."""

from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.grouping import Tie, split_component
from dedupd.core.records import DUPLICATE_RELATIONS, Relation

RELATIONS = st.sampled_from([Relation.SAME_PIXELS, Relation.RE_ENCODED, Relation.EDITED])
EDGES = st.dictionaries(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda e: e[0] < e[1]),
    st.builds(Tie, RELATIONS, st.floats(0.5, 1), st.floats(0, 1)),
    min_size=1,
)


def neighbours_of(edges):
    neighbours = {}
    for (a, b), tie in edges.items():
        neighbours.setdefault(a, {})[b] = tie
        neighbours.setdefault(b, {})[a] = tie
    return neighbours


@given(EDGES)
def test_every_member_has_a_direct_pair_with_the_keeper_and_none_is_lost(edges):
    neighbours = neighbours_of(edges)
    nodes = set(neighbours)
    groups = split_component(
        nodes, neighbours, lambda c: (min(c), "smallest"), lambda a, b: f"{a}~{b}", DUPLICATE_RELATIONS
    )
    seen = []
    for group in groups:
        assert group.members, "a group has at least one member"
        assert group.id == min(group.contents)
        seen += [*group.contents, *group.related]
        for member in group.members:
            tie = neighbours[group.keeper][member.content]
            assert (member.relation, member.similarity, member.probability) == tie[:3]
            assert member.reason == f"{group.keeper}~{member.content}"
        for content in group.related:
            assert any(other in group.contents for other in neighbours[content])
    assert sorted(seen) == sorted(nodes), "each content is keeper, member or related exactly once"


@given(EDGES)
def test_only_the_asked_relations_join(edges):
    neighbours = neighbours_of(edges)
    asked = frozenset({Relation.SAME_PIXELS})
    groups = split_component(set(neighbours), neighbours, lambda c: (min(c), ""), lambda _a, _b: "", asked)
    assert all(m.relation is Relation.SAME_PIXELS for g in groups for m in g.members)
    joined = {c for g in groups for c in g.contents}
    for (a, b), (relation, *_) in edges.items():
        if relation is Relation.SAME_PIXELS:
            assert a in joined or b in joined


@given(st.data(), EDGES)
def test_groups_are_the_same_whatever_order_pairs_came_in(data, edges):
    def made_from(pairs):
        neighbours = neighbours_of(dict(pairs))
        order = data.draw(st.permutations(sorted(neighbours)))
        return split_component(
            order,
            neighbours,
            lambda c: (min(c, key=lambda n: (n * 7 % 5, n)), ""),
            lambda _a, _b: "",
            DUPLICATE_RELATIONS,
        )

    assert made_from(edges.items()) == made_from(data.draw(st.permutations(list(edges.items()))))
