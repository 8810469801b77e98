"""The order in which groups are shown, kept up while the library changes, so that a page costs what is on it.

It is made when somebody first asks. From then on only components in which something changed are looked at again: the
group book says which pairs did, the library which contents. Owns no truth, and forgets an order that nobody asked for
while very much changed. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dedupd.core.grouping import Group, GroupPage, Share, Tie
from dedupd.core.ports import Library
from dedupd.core.records import ContentId, Relation
from dedupd.pipeline.group_maker import GroupMaker
from dedupd.pipeline.group_table import GroupTable, Place, Rows

_A_LOOK = 1_000  # contents within one view of the store, which must be short
_FIRST, _MOST = 5, 200  # groups made at a time while all are gone through; often a few are enough
_MOST_CHANGED = 20_000  # contents, some 2 MB; beyond, all is looked at again
_MOST_ORDERS = 2  # sets of relations; nearly everybody asks for the same
_MOST_PLACES = 1_000  # ends of pages that are remembered

Components = Callable[[], Iterable[list[ContentId]]]


class GroupOrder:
    """Says in which order the groups stand, for whichever relations count.

    Args:
        library: the store.
        component: everything connected to a content, itself included.
        components: every component of at least two contents.
        ties: the verified duplicates of a content.
    """

    def __init__(
        self,
        library: Library,
        *,
        component: Callable[[ContentId], list[ContentId]],
        components: Components,
        ties: Callable[[ContentId], dict[ContentId, Tie]],
    ) -> None:
        self._library = library
        self._component = component
        self._components = components
        self._ties = ties
        self._lock = threading.Lock()
        self._orders: OrderedDict[frozenset[Relation], _Order] = OrderedDict()  # that asked for last comes last

    def mark(self, contents: Iterable[ContentId]) -> None:
        """Have these looked at again; to be called after what changed can be seen."""
        with self._lock:
            for order in self._orders.values():
                order.mark(contents)

    def forget(self) -> None:
        """Begin anew with the next question."""
        with self._lock:
            self._orders.clear()

    def listing(self, relations: frozenset[Relation]) -> OrderedGroups:
        """The groups that these relations make, as of now."""
        with self._lock:
            order = self._orders.setdefault(relations, _Order())
            self._orders.move_to_end(relations)
            while len(self._orders) > _MOST_ORDERS:
                self._orders.popitem(last=False)
        with order.refreshing:
            changed = self._take_changed(order)
            try:
                table = self._whole(relations) if changed is None else self._again(relations, order.table, changed)
            except BaseException:
                order.is_lost = True
                raise
            order.table = table
        return OrderedGroups(table, order.places, lambda ids: self._made(relations, ids))

    def _take_changed(self, order: _Order) -> set[ContentId] | None:
        """What changed since the table was made; None: all of it has to be looked at."""
        with self._lock:
            changed, order.changed = order.changed, set()
            is_lost, order.is_lost = order.is_lost, False
        return None if is_lost else changed

    def _whole(self, relations: frozenset[Relation]) -> GroupTable:
        made = GroupTable.joined(list(self._looked_at(relations, self._components())))
        if Relation.SAME_BYTES not in relations:
            return made
        with self._library.view() as view:
            shared = np.fromiter(view.shared_contents(), np.int64)
        alone = np.setdiff1d(shared, made.contents(), assume_unique=True).tolist()
        return GroupTable.joined([made, *self._looked_at(relations, ([ContentId(content)] for content in alone))])

    def _again(self, relations: frozenset[Relation], table: GroupTable, changed: set[ContentId]) -> GroupTable:
        """A table with what has anything to do with what changed made anew."""
        components: list[list[ContentId]] = []
        seen: set[ContentId] = set()
        while changed:
            for content in changed - seen:
                if content not in seen:
                    components.append(self._component(content))
                    seen.update(components[-1])
            changed = table.sharing(seen) - seen  # what was in a group with them and is in another component by now
        if not components:
            return table
        return table.without(seen).with_few(GroupTable.joined(list(self._looked_at(relations, components))))

    def _looked_at(self, relations: frozenset[Relation], components: Iterable[list[ContentId]]) -> Iterator[GroupTable]:
        """The groups of components, some at a time."""
        left = iter(components)
        while batch := list(_some(left)):
            rows = Rows()
            with self._library.view() as view:
                maker = GroupMaker(view, relations, self._ties)
                for component in batch:
                    for group in maker.groups_of(component, has_words=False):
                        rows.add(group.id, group.contents, maker.shares(group))
                    maker.forget()
            yield rows.table()

    def _made(self, relations: frozenset[Relation], ids: Iterable[ContentId]) -> list[Group]:
        """The groups with these ids that are there now."""
        made: dict[ContentId, Group] = {}
        found: list[Group] = []
        with self._library.view() as view:
            maker = GroupMaker(view, relations, self._ties)
            for number in ids:
                if number not in made:
                    made.update({group.id: group for group in maker.groups_of(self._component(number))})
                    maker.forget()
                if number in made:
                    found.append(made[number])
        return found


class _Order:
    """One set of relations' table, and what changed since; the group order's lock guards the latter."""

    def __init__(self) -> None:
        self.refreshing = threading.Lock()  # held by who makes the table; guards it
        self.table = GroupTable()
        self.places = _Places()
        self.changed: set[ContentId] = set()
        self.is_lost = True

    def mark(self, contents: Iterable[ContentId]) -> None:
        if self.is_lost:
            return
        self.changed.update(contents)
        if len(self.changed) > _MOST_CHANGED:
            self.changed.clear()
            self.is_lost = True


class _Places:
    """Where pages ended, by the group that was the last on them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[ContentId, Place] = OrderedDict()

    def keep(self, group: ContentId, place: Place) -> None:
        with self._lock:
            self._places[group] = place
            self._places.move_to_end(group)
            while len(self._places) > _MOST_PLACES:
                self._places.popitem(last=False)

    def get(self, group: ContentId) -> Place | None:
        with self._lock:
            return self._places.get(group)


class OrderedGroups:
    """Implements the `GroupListing` port: a table that stays as it is, groups as they are when they are reached."""

    def __init__(self, table: GroupTable, places: _Places, made: Callable[[Iterable[ContentId]], list[Group]]) -> None:
        self._table = table
        self._places = places
        self._made = made

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each relation that occurs adds to all groups."""
        return self._table.shares()

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Group]:
        first, count = 0, _FIRST
        while ids := self._ids(first, count):
            yield from self._made(ids)
            first, count = first + count, min(2 * count, _MOST)

    def page(self, after: ContentId | None, limit: int) -> GroupPage | None:
        """Up to `limit` groups; the place of the group before them is where a page ended, else where it is now."""
        start = 0
        if after is not None:
            place = self._places.get(after) or self._table.place(after)
            if place is None:
                return None
            start = self._table.first_after(place)
        ids = self._ids(start, limit)
        if start + limit >= len(self._table):
            return GroupPage(groups=tuple(self._made(ids)), next=None)
        end = self._table.place(ids[-1])
        assert end is not None
        self._places.keep(ids[-1], end)
        return GroupPage(groups=tuple(self._made(ids)), next=ids[-1])

    def _ids(self, first: int, count: int) -> list[ContentId]:
        return list(map(ContentId, self._table.ids[first : first + count].tolist()))


def _some(components: Iterator[list[ContentId]]) -> Iterator[list[ContentId]]:
    """Some of them, with about as many contents as one view is for."""
    contents = 0
    while contents < _A_LOOK and (component := next(components, None)) is not None:
        contents += len(component)
        yield component
