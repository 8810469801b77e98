"""The groups that a test says there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from dedupd.core.grouping import Group, GroupPage, Share
from dedupd.core.ports import Library
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Relation

Held = tuple[int, int, int]  # of a content: files, inodes, bytes of each


@dataclass
class FixedGroups:
    """A whole `Groups` over groups laid down by a test, those that free the most first.

    Knows no edges: when relations leave out a member, the rest of its group stays in place and loses what is related.
    With a library it sorts them by what they free, and leaves out those without a second file that is there.
    """

    groups: list[Group] = field(default_factory=list)
    held: dict[int, Held] = field(default_factory=dict)  # by content; else one file without a byte
    library: Library | None = None

    def all(self, relations: frozenset[Relation]) -> FixedListing:
        chosen = [found for group in self.groups if (found := within(group, relations)) is not None]
        if self.library is None:
            return FixedListing(chosen, [self.shares(group, relations) for group in chosen])
        found = [(group, shares) for group in chosen if (shares := self.shares(group, relations))]
        found.sort(key=lambda each: (-sum(s.frees_bytes for s in each[1]), -sum(s.files for s in each[1]), each[0].id))
        return FixedListing([group for group, _ in found], [shares for _, shares in found])

    def shares(self, group: Group, relations: frozenset[Relation]) -> list[Share]:
        beside = [(member.relation, member.content, 0) for member in group.members]
        if Relation.SAME_BYTES in relations:
            beside.append((Relation.SAME_BYTES, group.keeper, 1))
        shares = []
        for relation, content, kept in beside:
            files, inodes, size = self.held_of(content)
            if files > kept:
                freed = max(0, inodes - kept) * size
                shares.append(Share(relation=relation, files=files - kept, frees_bytes=freed))
        return shares

    def held_of(self, content: ContentId) -> Held:
        if self.library is None:
            return self.held.get(content, (1, 1, 0))
        with self.library.view() as view:
            stats = [file.stat for file in view.files_of(content) if file.missing_since_ns is None]
        return len(stats), len({stat.ino for stat in stats}), stats[0].size_bytes if stats else 0

    def find(self, group: ContentId) -> Group | None:
        return next((g for g in self.all(DUPLICATE_RELATIONS) if g.id == group), None)

    def holding(self, content: ContentId) -> Group | None:
        return next((g for g in self.all(DUPLICATE_RELATIONS) if content in g.contents), None)


@dataclass
class FixedListing:
    """A whole `GroupListing`."""

    groups: list[Group]
    shares_of: list[list[Share]]  # of each group

    @property
    def shares(self) -> list[Share]:
        files, freed = Counter(), Counter()
        for share in (share for shares in self.shares_of for share in shares):
            files[share.relation] += share.files
            freed[share.relation] += share.frees_bytes
        kinds = sorted(files, key=lambda relation: relation.rank)
        return [Share(relation=kind, files=files[kind], frees_bytes=freed[kind]) for kind in kinds]

    def __len__(self):
        return len(self.groups)

    def __iter__(self):
        return iter(self.groups)

    def page(self, after, limit):
        ids = [group.id for group in self.groups]
        if after is not None and after not in ids:
            return None
        start = 0 if after is None else ids.index(after) + 1
        chosen = self.groups[start : start + limit]
        return GroupPage(groups=tuple(chosen), next=chosen[-1].id if start + limit < len(ids) else None)


def within(group: Group, relations: frozenset[Relation]) -> Group | None:
    """What is left of a group when only these relations count."""
    if not group.members:
        return group if Relation.SAME_BYTES in relations else None
    members = tuple(m for m in group.members if m.relation in relations)
    if members == group.members or not members:
        return group if members else None
    return replace(group, id=min(group.keeper, *(m.content for m in members)), members=members, related=())
