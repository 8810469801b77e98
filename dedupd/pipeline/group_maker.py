"""Makes groups from components within one view of the store: looks up what choosing a keeper asks for.

What a group is, `core.grouping` says; which content is kept, `core.keeper`. Owned by one question, never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dedupd.core.grouping import Group, Share, Tie, split_component
from dedupd.core.keeper import Candidate, best_candidate, choose_keeper
from dedupd.core.ports import LibraryView
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Relation

_LEAST_LACK = 0.02  # of the area; below it is the inaccuracy of alignment


class GroupMaker:
    """Makes groups from components within one view of the store."""

    def __init__(
        self,
        view: LibraryView,
        relations: frozenset[Relation],
        ties: Callable[[ContentId], dict[ContentId, Tie]],
    ) -> None:
        self._view = view
        self._relations = relations
        self._ask_for_ties = ties
        self._known_ties: dict[ContentId, dict[ContentId, Tie]] = {}
        self._candidates: dict[ContentId, Candidate | None] = {}
        self._inodes: dict[ContentId, int] = {}  # of the files that are there

    def forget(self) -> None:
        """Drop what was looked up: a library's candidates are gigabytes, a component's are not."""
        self._known_ties.clear()
        self._candidates.clear()
        self._inodes.clear()

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

    def split(self, component: list[ContentId], *, has_words: bool = True) -> list[Group]:
        """Groups of one connected component; contents that no present file holds are left out.

        Args:
            component: its contents.
            has_words: with the reasons, which cost as much again as all the rest.
        """
        present = [c for c in component if (candidate := self._candidate(c)) is not None and candidate.paths]
        if len(present) < 2:  # nothing to compare with any more
            return []
        neighbours = {content: self._ties(content) for content in present}
        choose, reason = (self._choose, self._reason) if has_words else (self._choose_silently, _no_reason)
        return split_component(present, neighbours, choose, reason, self._relations)

    def groups_of(self, component: list[ContentId], *, has_words: bool = True) -> list[Group]:
        """All groups of a component: also those of its contents that are in no other and have several files."""
        parts = self.connected_parts(component) if len(component) > 1 else ()
        made = [group for part in parts for group in self.split(part, has_words=has_words)]
        if Relation.SAME_BYTES in self._relations:
            grouped = {content for group in made for content in group.contents}
            made += [self.copies_of(c) for c in component if c not in grouped and self._has_copies(c)]
        return made

    def best_of(self, contents: Iterable[ContentId]) -> ContentId | None:
        """The content to keep of those that a present file holds."""
        present = [c for c in contents if (candidate := self._candidate(c)) is not None and candidate.paths]
        return self._choose(present)[0] if present else None

    def copies_of(self, content: ContentId) -> Group:
        """The group of a content that only has several files."""
        return Group(id=content, keeper=content, keeper_reason="all files hold the same bytes", members=())

    def shares(self, group: Group) -> list[Share]:
        """What each member's files add, and the keeper's further ones; those of one relation may come several times."""
        shares = [self._share(member.content, member.relation, kept=0) for member in group.members]
        if Relation.SAME_BYTES in self._relations:
            shares.append(self._share(group.keeper, Relation.SAME_BYTES, kept=1))
        return shares

    def _share(self, content: ContentId, relation: Relation, *, kept: int) -> Share:
        candidate = self._candidate(content)
        files, size = (0, 0) if candidate is None else (len(candidate.paths), candidate.content.size_bytes)
        inodes = self._inodes.get(content, 0)
        return Share(relation=relation, files=max(0, files - kept), frees_bytes=max(0, inodes - kept) * size)

    def _candidate(self, content: ContentId) -> Candidate | None:
        if content not in self._candidates:
            record = self._view.content(content)
            files = self._view.files_of(content) if record else []
            present = [f for f in files if f.missing_since_ns is None]
            paths = tuple(f.path.relative() for f in present)
            self._inodes[content] = len({(f.stat.dev, f.stat.ino) for f in present})
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

    def _ties(self, content: ContentId) -> dict[ContentId, Tie]:
        known = self._known_ties.get(content)
        if known is None:
            known = self._known_ties[content] = self._ask_for_ties(content)
        return known

    def _lacks(self, tie: Tie, other: ContentId) -> float:
        """What a content does not show of another, where that is no border or drawn surroundings; noise is nothing."""
        record = self._view.content(other) if tie.covers < 1 - _LEAST_LACK else None
        if record is None:
            return 0.0
        lacks = 1 - tie.covers - max(record.quality.frame_share, record.quality.drawn_share)
        return lacks if lacks >= _LEAST_LACK else 0.0

    def _choose(self, contents: Iterable[ContentId]) -> tuple[ContentId, str]:
        return choose_keeper([c for content in contents if (c := self._candidate(content)) is not None])

    def _choose_silently(self, contents: Iterable[ContentId]) -> tuple[ContentId, str]:
        candidates = [c for content in contents if (c := self._candidate(content)) is not None]
        return best_candidate(candidates).content.id, ""

    def _has_copies(self, content: ContentId) -> bool:
        return len(self._view.some_files_of(content, 2)) > 1

    def _reason(self, a: ContentId, b: ContentId) -> str:
        edge = self._view.edge(a, b)
        return edge.reason if edge else ""


def _no_reason(_a: ContentId, _b: ContentId) -> str:
    return ""
