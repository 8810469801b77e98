"""The groups as they are now: edges' ties in memory, the components that they make, groups made when asked.

What has not changed since the start is in arrays (`settled_groups`), what has in dictionaries. Owns no truth: it is
rebuilt from the store's edges and verdicts at start. The link stage changes it, and whoever stores what a person said;
any thread may ask.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import chain

from dedupd.core.grouping import Group, Tie, bond_of
from dedupd.core.ports import Library
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Edge, Relation
from dedupd.core.union_find import Components
from dedupd.pipeline.group_maker import GroupMaker
from dedupd.pipeline.group_order import GroupOrder, OrderedGroups
from dedupd.pipeline.said import is_rejected, rejected_pairs
from dedupd.pipeline.settled_groups import SettledGroups

_SETTLE_FROM = 2_000  # contents that changed; some 3 MB


class GroupBook:
    """Implements the `Groups` port."""

    def __init__(self, library: Library, *, settle_from: int = _SETTLE_FROM) -> None:
        """Over a store; `settle_from`: how many contents may change before settling is due."""
        self._library = library
        self._settle_from = settle_from
        self._lock = threading.Lock()
        self._settled = SettledGroups()
        self._components = Components()  # of what has changed; so are the ties
        self._ties: dict[ContentId, dict[ContentId, Tie]] = {}
        self._order = GroupOrder(library, component=self.component, components=self.all_components, ties=self.ties)
        library.on_changed_contents(self._order.mark)

    def load(self) -> int:
        """Be what the store's edges make; returns how many count as duplicates."""
        self._order.forget()
        return self._settle()

    def _settle(self) -> int:
        with self._lock, self._library.view() as view:
            apart = set(rejected_pairs(view))
            counting = (b for b in view.bonds() if b.relation in DUPLICATE_RELATIONS and (b.a, b.b) not in apart)
            self._settled = SettledGroups(counting)
            self._components, self._ties = Components(), {}
            return self._settled.pairs

    def settle_if_due(self) -> bool:
        """Have what has changed in little memory again, where it is much; True when it was done.

        Others wait meanwhile: about a second for 200,000 pairs.
        """
        is_due = len(self._ties) >= self._settle_from
        if is_due:
            self._settle()
        return is_due

    def add(self, edge: Edge) -> None:
        """Take in a verified pair; pairs that are no duplicates, or none to a person, are not kept."""
        if not edge.relation.is_duplicate:
            return
        # The store is asked under the lock: a verdict that it does not hold yet comes by `reject` after this.
        with self._lock, self._library.view() as view:
            if not is_rejected(view, edge.a, edge.b):
                self._join(edge)
        self._order.mark((edge.a, edge.b))

    def reject(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Part pairs of which the store holds a verdict by now."""
        self._look_again(pairs)

    def withdraw(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Join pairs again of which the store holds no verdict any more."""
        self._look_again(pairs)

    def _look_again(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Make pairs what the store says of them, so that whoever comes last is right in whatever order they come."""
        touched: set[ContentId] = set()
        with self._lock, self._library.view() as view:
            apart: list[tuple[ContentId, ContentId]] = []
            for one, other in pairs:
                touched.update(self._connected(one))
                touched.update(self._connected(other))
                edge = view.edge(one, other)
                if edge is not None and edge.relation.is_duplicate and not is_rejected(view, one, other):
                    self._join(edge)
                else:
                    apart.append((one, other))
            self._part(apart)
        self._order.mark(touched)

    def _join(self, edge: Edge) -> None:
        self._stir(edge.a)
        self._stir(edge.b)
        _tie(self._ties, edge)
        self._components.add_edge(edge.a, edge.b)

    def _stir(self, content: ContentId) -> None:
        """Have a content, with all that it is connected to, among what may change."""
        for each, ties in self._settled.take_out(content):
            self._ties[each] = ties
            for other in ties:
                self._components.add_edge(each, other)

    def _part(self, pairs: list[tuple[ContentId, ContentId]]) -> None:
        for one, other in pairs:
            self._stir(one)
            self._stir(other)
            for near, far in ((one, other), (other, one)):
                ties = self._ties.get(near, {})
                ties.pop(far, None)
                if not ties:
                    self._ties.pop(near, None)
        self._components.remove_edges(pairs)

    def remove(self, content: ContentId) -> None:
        """Forget a content and its ties."""
        with self._lock:
            touched = self._connected(content)
            self._stir(content)
            for other in self._ties.pop(content, {}):
                self._ties[other].pop(content, None)
                if not self._ties[other]:
                    del self._ties[other]
            self._components.remove(content)
        self._order.mark(touched)

    def ties(self, content: ContentId) -> dict[ContentId, Tie]:
        """The verified duplicates of a content."""
        with self._lock:
            known = self._ties.get(content)
            return self._settled.ties(content) if known is None else dict(known)

    def component(self, content: ContentId) -> list[ContentId]:
        """Everything connected to a content, itself included."""
        with self._lock:
            return self._connected(content)

    def _connected(self, content: ContentId) -> list[ContentId]:
        return self._settled.component(content) or self._components.component(content)

    def all_components(self) -> Iterator[list[ContentId]]:
        """Every component of at least two contents, as they are now."""
        with self._lock:
            return chain(self._settled.components(), list(self._components))

    def best_of(self, contents: Iterable[ContentId], found: Iterable[Edge] = ()) -> ContentId | None:
        """The content that would be kept of these; None when no present file holds any of them.

        Args:
            contents: what to choose from.
            found: pairs that are not taken in yet and count as well.
        """
        fresh: dict[ContentId, dict[ContentId, Tie]] = {}
        for edge in found:
            if edge.relation.is_duplicate:
                _tie(fresh, edge)
        with self._library.view() as view:
            maker = GroupMaker(view, DUPLICATE_RELATIONS, lambda c: self.ties(c) | fresh.get(c, {}))
            return maker.best_of(contents)

    def all(self, relations: frozenset[Relation]) -> OrderedGroups:
        """Every group that these relations make, those that free the most bytes first."""
        return self._order.listing(relations)

    def find(self, group: ContentId) -> Group | None:
        """The group with this id."""
        return next((g for g in self._around(group) if g.id == group), None)

    def holding(self, content: ContentId) -> Group | None:
        """The group that a content is keeper or member of."""
        return next((g for g in self._around(content) if content in g.contents), None)

    def _around(self, content: ContentId) -> list[Group]:
        with self._library.view() as view:
            return GroupMaker(view, DUPLICATE_RELATIONS, self.ties).groups_of(self.component(content))


def _tie(ties: dict[ContentId, dict[ContentId, Tie]], edge: Edge) -> None:
    """Enter a pair of duplicates at both its ends."""
    bond = bond_of(edge)
    ties.setdefault(edge.a, {})[edge.b] = bond.tie_of_a
    ties.setdefault(edge.b, {})[edge.a] = bond.tie_of_b
