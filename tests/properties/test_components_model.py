"""Groups against naive components: whatever comes and goes, the incremental answer is the one from scratch."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dedupd.core.union_find import Components

NODES = st.integers(min_value=1, max_value=14)


def naive_components(edges):
    neighbours = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    seen, found = set(), set()
    for start in neighbours:
        if start in seen:
            continue
        component, todo = set(), [start]
        while todo:
            node = todo.pop()
            if node not in component:
                component.add(node)
                todo += neighbours[node]
        seen |= component
        found.add(frozenset(component))
    return found


class ComponentsAgainstNaive(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.components = Components()
        self.edges = set()

    @rule(a=NODES, b=NODES)
    def add_edge(self, a, b):
        if a != b:
            self.components.add_edge(a, b)
            self.edges.add((min(a, b), max(a, b)))

    @rule(node=NODES)
    def remove(self, node):
        self.components.remove(node)
        self.edges = {e for e in self.edges if node not in e}

    @rule(a=NODES, b=NODES)
    def remove_edge(self, a, b):
        self.components.remove_edge(a, b)
        self.edges.discard((min(a, b), max(a, b)))

    @rule(pairs=st.lists(st.tuples(NODES, NODES), max_size=12))
    def remove_edges(self, pairs):
        self.components.remove_edges(pairs)
        self.edges -= {(min(a, b), max(a, b)) for a, b in pairs}

    @rule()
    def remove_all_edges(self):
        self.components.remove_edges(sorted(self.edges))
        self.edges = set()

    @invariant()
    def same_as_from_scratch(self):
        expected = naive_components(self.edges)
        assert {frozenset(c) for c in self.components} == expected
        assert len(self.components) == len(expected)
        for component in expected:
            for node in component:
                assert set(self.components.component(node)) == component


TestComponentsAgainstNaive = ComponentsAgainstNaive.TestCase
TestComponentsAgainstNaive.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
