"""Groups of duplicates, derived from verified pairs.

A pair graph chains (A~B and B~C does not give A~C), a group here never does: every member has a direct verified pair
with the group's keeper, and what only chains is shown apart as related.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dedupd.core.records import ContentId, Edge, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A content beside the keeper, with what ties it to the keeper."""

    content: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A keeper and the contents that are verified duplicates of it."""

    id: ContentId  # its smallest content, so that a group keeps its name while it grows
    keeper: ContentId
    keeper_reason: str  # why this one: "higher resolution, 4032×3024 against 1600×1200"
    members: tuple[Member, ...]  # the closest first; empty when only several files hold the keeper's very bytes
    related: tuple[ContentId, ...] = ()  # chained to a member, not verified against the keeper: never for clean-up

    @property
    def weakest(self) -> Member | None:
        """The member whose tie to the keeper is the weakest; None when all files hold the same bytes."""
        return max(self.members, key=lambda m: (m.relation.rank, -m.similarity), default=None)

    @property
    def contents(self) -> tuple[ContentId, ...]:
        """Keeper and members."""
        return (self.keeper, *(m.content for m in self.members))


KeeperChoice = tuple[ContentId, str]
ChooseKeeper = Callable[[Iterable[ContentId]], KeeperChoice]


def split_component(
    component: Iterable[ContentId],
    neighbours: Mapping[ContentId, Mapping[ContentId, Edge]],
    choose_keeper: ChooseKeeper,
    relations: frozenset[Relation],
) -> list[Group]:
    """Split one connected component into groups that do not chain.

    The keeper is the best content of all; what has a direct edge to it joins, and the rest is split the same way among
    itself. Those left alone are shown as `related` of the group they hang on.

    Args:
        component: the contents, connected by edges of any duplicate relation.
        neighbours: each content's edges by the content at the other end.
        choose_keeper: the keep policy: the best content of several and why.
        relations: which relations count.

    Returns:
        Groups with at least one member each, in the order of their making.
    """
    left = set(component)
    groups: list[Group] = []
    home: dict[ContentId, int] = {}
    alone: list[ContentId] = []
    while left:
        keeper, reason = choose_keeper(sorted(left))
        members = [
            Member(content=other, relation=edge.relation, similarity=edge.similarity, reason=edge.reason)
            for other, edge in neighbours.get(keeper, {}).items()
            if other in left and edge.relation in relations
        ]
        left.discard(keeper)
        if not members:
            alone.append(keeper)
            continue
        members.sort(key=lambda m: (m.relation.rank, -m.similarity, m.content))
        left.difference_update(m.content for m in members)
        contents = [keeper, *(m.content for m in members)]
        home.update(dict.fromkeys(contents, len(groups)))
        groups.append(Group(id=min(contents), keeper=keeper, keeper_reason=reason, members=tuple(members)))
    related: dict[int, list[ContentId]] = {}
    for content in alone:
        for other, edge in neighbours.get(content, {}).items():
            if edge.relation in relations and other in home:
                related.setdefault(home[other], []).append(content)
                break
    return [
        Group(
            id=g.id,
            keeper=g.keeper,
            keeper_reason=g.keeper_reason,
            members=g.members,
            related=tuple(sorted(related.get(i, ()))),
        )
        for i, g in enumerate(groups)
    ]
