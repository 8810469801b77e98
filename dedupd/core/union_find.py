"""Connected components of the pair graph, kept while edges come and contents go.

Adding is a union by size with path halving (Tarjan & van Leeuwen 1984). A union-find cannot split, so a removal
recomputes the one component that it touches from its remaining edges; nothing else moves. Holds no relations: the
caller decides which edges count. Not thread-safe; the group book owns one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dedupd.core.records import ContentId


class Components:
    """An undirected graph's components; contents without an edge are not in it."""

    def __init__(self) -> None:
        self._parent: dict[ContentId, ContentId] = {}
        self._members: dict[ContentId, list[ContentId]] = {}  # by representative
        self._neighbours: dict[ContentId, set[ContentId]] = {}

    def __len__(self) -> int:
        """How many components there are."""
        return len(self._members)

    def add_edge(self, a: ContentId, b: ContentId) -> None:
        """Join two different contents; adding an edge again changes nothing."""
        if a == b:
            raise ValueError(f"content {a} cannot be a pair with itself")
        self._neighbours.setdefault(a, set()).add(b)
        self._neighbours.setdefault(b, set()).add(a)
        self._union(a, b)

    def remove(self, content: ContentId) -> None:
        """Take a content and its edges out; its component falls apart as its other edges say."""
        others = self._neighbours.pop(content, None)
        if others is None:
            return
        for other in others:
            self._neighbours[other].discard(content)
        self._rebuild(self._members.pop(self._find(content)))

    def remove_edge(self, a: ContentId, b: ContentId) -> None:
        """Take one edge out; unknown edges are no error."""
        self.remove_edges([(a, b)])

    def remove_edges(self, edges: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Take edges out together: each component that they touch is made anew once, not once an edge."""
        touched: set[ContentId] = set()
        for a, b in edges:
            if b in self._neighbours.get(a, ()):
                self._neighbours[a].discard(b)
                self._neighbours[b].discard(a)
                touched.add(self._find(a))
        for representative in touched:
            self._rebuild(self._members.pop(representative))

    def component(self, content: ContentId) -> list[ContentId]:
        """All contents connected to this one, itself included; just itself when it has no edge."""
        if content not in self._parent:
            return [content]
        return list(self._members[self._find(content)])

    def __iter__(self) -> Iterator[list[ContentId]]:
        """Every component, each a list of at least two contents."""
        return (list(members) for members in self._members.values())

    def _find(self, content: ContentId) -> ContentId:
        parent = self._parent
        while (above := parent[content]) != content:
            parent[content] = content = parent[above]
        return content

    def _union(self, a: ContentId, b: ContentId) -> None:
        for content in (a, b):
            if content not in self._parent:
                self._parent[content] = content
                self._members[content] = [content]
        small, large = self._find(a), self._find(b)
        if small == large:
            return
        if len(self._members[small]) > len(self._members[large]):
            small, large = large, small
        self._parent[small] = large
        self._members[large] += self._members.pop(small)

    def _rebuild(self, members: Iterable[ContentId]) -> None:
        members = list(members)
        for content in members:
            self._parent.pop(content, None)
        for content in members:
            neighbours = self._neighbours.get(content)
            if neighbours is None:
                continue
            if not neighbours:
                del self._neighbours[content]
                continue
            for other in neighbours:
                self._union(content, other)
