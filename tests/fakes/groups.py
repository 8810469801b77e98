"""The groups that a test says there are."""

from dataclasses import dataclass, field, replace

from dedupd.core.grouping import Group
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Relation


@dataclass
class FixedGroups:
    """A whole `Groups` over groups laid down by a test, those that free the most first.

    Knows no edges: when relations leave out a member, the rest of its group stays in place and loses what is related.
    """

    groups: list[Group] = field(default_factory=list)

    def all(self, relations: frozenset[Relation]) -> list[Group]:
        chosen = (within(group, relations) for group in self.groups)
        return [group for group in chosen if group is not None]

    def find(self, group: ContentId) -> Group | None:
        return next((g for g in self.all(DUPLICATE_RELATIONS) if g.id == group), None)

    def holding(self, content: ContentId) -> Group | None:
        return next((g for g in self.all(DUPLICATE_RELATIONS) if content in g.contents), None)


def within(group: Group, relations: frozenset[Relation]) -> Group | None:
    """What is left of a group when only these relations count."""
    if not group.members:
        return group if Relation.SAME_BYTES in relations else None
    members = tuple(m for m in group.members if m.relation in relations)
    if members == group.members or not members:
        return group if members else None
    return replace(group, id=min(group.keeper, *(m.content for m in members)), members=members, related=())
