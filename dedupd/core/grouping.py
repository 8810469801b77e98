"""Groups of duplicates, derived from verified pairs.

A pair graph chains (A~B and B~C does not give A~C), a group here never does: every member has a direct verified pair
with the group's keeper, and what only chains is shown apart as related.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from dedupd.core.pair_words import LEAST_OVERLAY
from dedupd.core.records import ContentId, Edge, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A content beside the keeper, with what ties it to the keeper."""

    content: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    reason: str
    probability: float = 0.0  # 0 … 1, as `records.Edge.probability`


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one relation adds to a group, or to all of them: the files beside the kept ones."""

    relation: Relation  # to the kept file
    files: int
    frees_bytes: int  # what removing them would free: each inode counts once, one of the kept file's as nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """Some groups in order. Fewer than were asked for where some went meanwhile."""

    groups: tuple[Group, ...]
    next: ContentId | None  # what the next page is `after`; None: there is none


class Tie(NamedTuple):
    """What memory keeps of an edge; a million of them must fit a small machine."""

    relation: Relation
    similarity: float  # 0 … 1
    probability: float = 0.0  # 0 … 1, as `records.Edge.probability`
    is_overlaid: bool = False  # the content whose tie this is carries text or a watermark that the other lacks
    covers: float = 1.0  # 0 … 1, share of the other's area that the content whose tie this is shows


class Bond(NamedTuple):
    """What grouping needs of an edge."""

    a: ContentId
    b: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    probability: float = 0.0  # 0 … 1, as `records.Edge.probability`
    has_overlay: bool = False  # one of them carries text or a watermark that the other lacks
    overlay_is_on_b: bool = False
    overlap_of_a: float = 1.0  # 0 … 1, as `records.Geometry`
    overlap_of_b: float = 1.0

    @property
    def tie_of_a(self) -> Tie:
        """What ties A to B."""
        is_overlaid = self.has_overlay and not self.overlay_is_on_b
        return Tie(self.relation, self.similarity, self.probability, is_overlaid, self.overlap_of_b)

    @property
    def tie_of_b(self) -> Tie:
        """What ties B to A."""
        is_overlaid = self.has_overlay and self.overlay_is_on_b
        return Tie(self.relation, self.similarity, self.probability, is_overlaid, self.overlap_of_a)


def bond_of(edge: Edge) -> Bond:
    """What grouping needs of this edge."""
    evidence, geometry = edge.evidence, edge.evidence.geometry
    return Bond(
        a=edge.a,
        b=edge.b,
        relation=edge.relation,
        similarity=edge.similarity,
        probability=edge.probability,
        has_overlay=evidence.overlay_share >= LEAST_OVERLAY,
        overlay_is_on_b=evidence.overlay_is_on_b,
        overlap_of_a=1.0 if geometry is None else geometry.overlap_of_a,
        overlap_of_b=1.0 if geometry is None else geometry.overlap_of_b,
    )


ChooseKeeper = Callable[[Iterable[ContentId]], tuple[ContentId, str]]
Neighbours = Mapping[ContentId, Mapping[ContentId, Tie]]


def split_component(
    component: Iterable[ContentId],
    neighbours: Neighbours,
    choose_keeper: ChooseKeeper,
    reason_of: Callable[[ContentId, ContentId], str],
    relations: frozenset[Relation],
) -> list[Group]:
    """Split one connected component into groups that do not chain.

    The keeper is the best content of all; what has a direct edge to it joins, and the rest is split the same way among
    itself. Those left alone are shown as `related` of the group they hang on.

    Args:
        component: the contents, connected by edges of any duplicate relation.
        neighbours: each content's ties by the content at the other end.
        choose_keeper: the keep policy: the best content of several and why.
        reason_of: the sentence that the edge between two contents carries.
        relations: which relations count.

    Returns:
        Groups with at least one member each, in the order of their making.
    """
    left = set(component)
    groups: list[Group] = []
    home: dict[ContentId, int] = {}
    alone: list[ContentId] = []
    while left:
        keeper, keeper_reason = choose_keeper(sorted(left))
        members = [
            Member(
                content=other,
                relation=tie.relation,
                similarity=tie.similarity,
                reason=reason_of(keeper, other),
                probability=tie.probability,
            )
            for other, tie in neighbours.get(keeper, {}).items()
            if other in left and tie.relation in relations
        ]
        left.discard(keeper)
        if not members:
            alone.append(keeper)
            continue
        members.sort(key=lambda m: (m.relation.rank, -m.similarity, m.content))
        left.difference_update(m.content for m in members)
        contents = [keeper, *(m.content for m in members)]
        home.update(dict.fromkeys(contents, len(groups)))
        groups.append(Group(id=min(contents), keeper=keeper, keeper_reason=keeper_reason, members=tuple(members)))
    related = _hang_on(alone, neighbours, home, relations)
    return [
        replace(group, related=tuple(sorted(related[i]))) if i in related else group for i, group in enumerate(groups)
    ]


def _hang_on(
    alone: Iterable[ContentId], neighbours: Neighbours, home: Mapping[ContentId, int], relations: frozenset[Relation]
) -> dict[int, list[ContentId]]:
    """Group number → contents left alone whose closest tie leads into it."""
    related: dict[int, list[ContentId]] = {}
    for content in alone:
        ties = [
            (tie.relation.rank, -tie.similarity, other)
            for other, tie in neighbours.get(content, {}).items()
            if tie.relation in relations and other in home
        ]
        if ties:
            related.setdefault(home[min(ties)[2]], []).append(content)
    return related
