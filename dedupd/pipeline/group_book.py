"""The groups as they are now: edges' ties in memory, the components that they make, groups made when asked.

What has not changed since the start is in arrays (`settled_groups`), what has in dictionaries. Owns no truth: it is
rebuilt from the store's edges and verdicts at start. The link stage changes it, and whoever stores what a person said;
any thread may ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter

from dedupd.core.grouping import Group, Tie, bond_of, split_component
from dedupd.core.keeper import Candidate, choose_keeper
from dedupd.core.ports import Library, LibraryView
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Edge, Relation
from dedupd.core.union_find import Components
from dedupd.pipeline.said import is_rejected, rejected_pairs
from dedupd.pipeline.settled_groups import SettledGroups

_SETTLE_FROM = 2_000  # contents that changed; some 3 MB
_LEAST_LACK = 0.02  # of the area; below it is the inaccuracy of alignment


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

    def load(self) -> int:
        """Be what the store's edges make; returns how many count as duplicates."""
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
            self.load()
        return is_due

    def add(self, edge: Edge) -> None:
        """Take in a verified pair; pairs that are no duplicates, or none to a person, are not kept."""
        if not edge.relation.is_duplicate:
            return
        # The store is asked under the lock: a verdict that it does not hold yet comes by `reject` after this.
        with self._lock, self._library.view() as view:
            if not is_rejected(view, edge.a, edge.b):
                self._join(edge)

    def reject(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Part pairs of which the store holds a verdict by now."""
        self._look_again(pairs)

    def withdraw(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Join pairs again of which the store holds no verdict any more."""
        self._look_again(pairs)

    def _look_again(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Make pairs what the store says of them, so that whoever comes last is right in whatever order they come."""
        with self._lock, self._library.view() as view:
            apart: list[tuple[ContentId, ContentId]] = []
            for one, other in pairs:
                edge = view.edge(one, other)
                if edge is not None and edge.relation.is_duplicate and not is_rejected(view, one, other):
                    self._join(edge)
                else:
                    apart.append((one, other))
            self._part(apart)

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
            self._stir(content)
            for other in self._ties.pop(content, {}):
                self._ties[other].pop(content, None)
                if not self._ties[other]:
                    del self._ties[other]
            self._components.remove(content)

    def ties(self, content: ContentId) -> dict[ContentId, Tie]:
        """The verified duplicates of a content."""
        with self._lock:
            known = self._ties.get(content)
            return self._settled.ties(content) if known is None else dict(known)

    def component(self, content: ContentId) -> list[ContentId]:
        """Everything connected to a content, itself included."""
        with self._lock:
            return self._settled.component(content) or self._components.component(content)

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
            maker = _GroupMaker(view, DUPLICATE_RELATIONS, lambda c: self.ties(c) | fresh.get(c, {}))
            return maker.best_of(contents)

    def all(self, relations: frozenset[Relation]) -> list[Group]:
        """Every group that these relations make, those that free the most bytes first."""
        with self._lock:
            components = chain(self._settled.components(), list(self._components))
        groups: list[tuple[int, ContentId, Group]] = []  # what it frees, negative, and its id
        with self._library.view() as view:
            maker = _GroupMaker(view, relations, self.ties)
            grouped: set[ContentId] = set()
            for component in components:
                for part in maker.connected_parts(component):
                    made = maker.split(part)
                    groups += [(-maker.freed_bytes(group), group.id, group) for group in made]
                    grouped.update(c for g in made for c in g.contents)
                maker.forget()
            if Relation.SAME_BYTES in relations:
                for content in view.shared_contents():
                    if content not in grouped:
                        group = maker.copies_of(content)
                        groups.append((-maker.freed_bytes(group), content, group))
                        maker.forget()
        groups.sort(key=itemgetter(0, 1))
        return [group for _, _, group in groups]

    def find(self, group: ContentId) -> Group | None:
        """The group with this id."""
        return next((g for g in self._around(group) if g.id == group), None)

    def holding(self, content: ContentId) -> Group | None:
        """The group that a content is keeper or member of."""
        return next((g for g in self._around(content) if content in g.contents), None)

    def _around(self, content: ContentId) -> Iterator[Group]:
        with self._library.view() as view:
            maker = _GroupMaker(view, DUPLICATE_RELATIONS, self.ties)
            made = maker.split(self.component(content))
            yield from made
            if not any(content in group.contents for group in made) and len(view.some_files_of(content, 2)) > 1:
                yield maker.copies_of(content)


def _tie(ties: dict[ContentId, dict[ContentId, Tie]], edge: Edge) -> None:
    """Enter a pair of duplicates at both its ends."""
    bond = bond_of(edge)
    ties.setdefault(edge.a, {})[edge.b] = bond.tie_of_a
    ties.setdefault(edge.b, {})[edge.a] = bond.tie_of_b


class _GroupMaker:
    """Makes groups from components within one view of the store."""

    def __init__(
        self,
        view: LibraryView,
        relations: frozenset[Relation],
        ties: Callable[[ContentId], dict[ContentId, Tie]],
    ) -> None:
        self._view = view
        self._relations = relations
        self._ties = ties
        self._candidates: dict[ContentId, Candidate | None] = {}

    def forget(self) -> None:
        """Drop what was looked up: a library's candidates are gigabytes, a component's are not."""
        self._candidates.clear()

    def connected_parts(self, component: list[ContentId]) -> Iterator[list[ContentId]]:
        """The component as it is when only the asked relations count."""
        if self._relations >= DUPLICATE_RELATIONS:
            yield component
            return
        left = set(component)
        while left:
            part: list[ContentId] = []
            todo = [left.pop()]
            while todo:
                content = todo.pop()
                part.append(content)
                for other, tie in self._ties(content).items():
                    if other in left and tie.relation in self._relations:
                        left.discard(other)
                        todo.append(other)
            if len(part) > 1:
                yield part

    def split(self, component: list[ContentId]) -> list[Group]:
        """Groups of one connected component; contents that no present file holds are left out."""
        present = [c for c in component if (candidate := self._candidate(c)) is not None and candidate.paths]
        if len(present) < 2:  # nothing to compare with any more
            return []
        neighbours = {content: self._ties(content) for content in present}
        return split_component(present, neighbours, self._choose, self._reason, self._relations)

    def best_of(self, contents: Iterable[ContentId]) -> ContentId | None:
        """The content to keep of those that a present file holds."""
        present = [c for c in contents if (candidate := self._candidate(c)) is not None and candidate.paths]
        return self._choose(present)[0] if present else None

    def copies_of(self, content: ContentId) -> Group:
        """The group of a content that only has several files."""
        return Group(id=content, keeper=content, keeper_reason="all files hold the same bytes", members=())

    def freed_bytes(self, group: Group) -> int:
        """What would be free if only one file of the keeper stayed; hard links are not looked for."""
        candidates = {content: self._candidate(content) for content in group.contents}
        total = sum(len(c.paths) * c.content.size_bytes for c in candidates.values() if c is not None)
        keeper = candidates[group.keeper]
        return total - (keeper.content.size_bytes if keeper is not None else 0)

    def _candidate(self, content: ContentId) -> Candidate | None:
        if content not in self._candidates:
            record = self._view.content(content)
            files = self._view.files_of(content) if record else []
            paths = tuple(f.path.relative() for f in files if f.missing_since_ns is None)
            ties = self._ties(content)
            overlaid = sum(tie.is_overlaid for tie in ties.values()) / max(1, len(ties))
            self._candidates[content] = (
                Candidate(
                    content=record,
                    paths=paths,
                    overlaid_share=overlaid,
                    lacks_share=max((self._lacks(tie, other) for other, tie in ties.items()), default=0.0),
                    is_pinned=self._view.pin(record.digest) is not None,
                )
                if record
                else None
            )
        return self._candidates[content]

    def _lacks(self, tie: Tie, other: ContentId) -> float:
        """What a content does not show of another, where that is no border or drawn surroundings; noise is nothing."""
        record = self._view.content(other) if tie.covers < 1 - _LEAST_LACK else None
        if record is None:
            return 0.0
        lacks = 1 - tie.covers - max(record.quality.frame_share, record.quality.drawn_share)
        return lacks if lacks >= _LEAST_LACK else 0.0

    def _choose(self, contents: Iterable[ContentId]) -> tuple[ContentId, str]:
        return choose_keeper([c for content in contents if (c := self._candidate(content)) is not None])

    def _reason(self, a: ContentId, b: ContentId) -> str:
        edge = self._view.edge(a, b)
        return edge.reason if edge else ""
