"""Draws a plan up: of each group one file stays, and what may go because of it is named, with every reason.

Reads one view of the library and looks at folders; touches nothing and stores nothing (`cleanup.plan_store` does). What
a group is, `core.grouping` says; which file stays, `core.keep_policy`; what may go in favour of it, `cleanup.judge`;
what belongs to a picture, `cleanup.belongings`; how much at once, `core.cleanup_limits`.

What would be free is counted honestly where that can be told: a file with further names frees nothing. Blocks that a
file system lets several files share already (reflinks, snapshots) cannot be told cheaply; such a file counts as if its
blocks were its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dedupd.cleanup.belongings import Belongings
from dedupd.cleanup.companions import Folders
from dedupd.cleanup.draft_group import GroupDraft
from dedupd.cleanup.groups_mark import groups_mark
from dedupd.cleanup.inodes import Inodes
from dedupd.cleanup.judge import Judge
from dedupd.core.cleanup_limits import Allowance, Taken, UsedToday
from dedupd.core.cleanup_plan import EXACT_ONLY, LeftAlone, Plan, PlanItem, PlannedRoot, Role, Victim
from dedupd.core.cleanup_policy import CleanupPolicy, narrowed
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.grouping import Group
from dedupd.core.ports import Groups, LibraryView
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, FilePath, RootId
from dedupd.core.verdicts import Pin
from dedupd.core.wording import path_words


def draft_plan(
    view: LibraryView,
    groups: Groups,
    policy: CleanupPolicy,
    wish: PlanWish,
    *,
    pins: Mapping[bytes, Pin],
    used_today: UsedToday,
    now_ns: int,
    expires_at_ns: int,
    folders: Folders | None = None,
) -> Plan:
    """Draw up the plan of a policy, narrowed by what a person asks for.

    Args:
        view: one consistent look at the library; used until this returns.
        groups: the groups as they are now.
        policy: what to do and how to choose.
        wish: what of it.
        pins: digest → what a person said to keep.
        used_today: what plans took within the last 24 hours and that was not put back.
        now_ns: CLOCK_REALTIME.
        expires_at_ns: until when the plan may be applied.
        folders: how files are looked at.

    Raises:
        RequestError: the wish and the policy contradict each other, or a folder lies outside the roots.
        NotFoundError: a root or a group is not known.
    """
    policy = narrowed(policy, wish)
    folders = folders or Folders()
    inodes = Inodes(view, folders=folders, policy=policy, wish=wish, pins=pins, now_ns=now_ns)
    _must_be_known(policy, wish, inodes)
    belongings = Belongings(view, folders, policy, inodes, now_ns)
    draft = GroupDraft(view, policy, inodes, belongings, Judge(view, folders, policy))
    for group in _wanted(groups, wish.groups):
        draft.add(group)
    items, cut = _within_limits(view, draft.items, policy, used_today)
    return Plan(
        created_at_ns=now_ns,
        expires_at_ns=expires_at_ns,
        policy=policy.name,
        keep=policy.keep.criteria,
        relations=tuple(sorted(policy.relations, key=lambda relation: relation.rank)),
        action=policy.action,
        folder=policy.folder,
        limits=policy.limits,
        roots=tuple(_planned_roots(inodes, items)),
        items=items,
        left_alone=tuple(_left_alone({**draft.left, **cut}, items)),
        groups_mark=groups_mark(view, groups, items),
    )


def _must_be_known(policy: CleanupPolicy, wish: PlanWish, inodes: Inodes) -> None:
    paths = [root.path for root in inodes.roots.values()]
    for root in policy.roots:
        if root not in paths:
            raise NotFoundError(
                f"The policy `{policy.name}` names {path_words(root)}, which is no root. Watch it first."
            )
    unknown = (wish.roots or frozenset()) - inodes.roots.keys()
    if unknown:
        raise NotFoundError(f"There is no root with the number {min(unknown)}. `dedupctl roots` lists them.")
    prefix = wish.folder_prefix.rstrip(b"/") + b"/"
    tops = [path.rstrip(b"/") + b"/" for path in paths]
    if wish.folder_prefix and not any(prefix.startswith(top) or top.startswith(prefix) for top in tops):
        raise RequestError(f"{path_words(wish.folder_prefix)} lies in no watched folder; nothing is planned there.")


def _wanted(groups: Groups, ids: frozenset[ContentId] | None) -> Iterator[Group]:
    """All groups, or those with these ids. Of every relation: what a policy does not act on is named, too."""
    if ids is None:
        yield from groups.all(DUPLICATE_RELATIONS)
        return
    for one in sorted(ids):
        group = groups.find(one)
        if group is None:
            raise NotFoundError(f"There is no group {one}. `dedupctl groups` lists them.")
        yield group


def _planned_roots(inodes: Inodes, items: Iterable[PlanItem]) -> Iterator[PlannedRoot]:
    used: set[RootId] = set()
    for item in items:
        used.add(item.keeper.path.root)
        used.update(file.path.root for victim in item.victims for file in (victim.file, victim.stays))
    for number in sorted(used):
        root = inodes.roots[number]
        assert root.identity is not None  # no file of a root without one is usable
        yield PlannedRoot(id=root.id, path=root.path, identity=root.identity)


def _within_limits(
    view: LibraryView, items: Iterable[PlanItem], policy: CleanupPolicy, used_today: UsedToday
) -> tuple[tuple[PlanItem, ...], dict[FilePath, LeftAlone]]:
    """The items that the limits let through, numbered, the largest savings first, and the pictures of the others."""
    ordered = sorted(items, key=_by_savings)
    allowance = Allowance(
        policy.limits,
        used_today=used_today,
        known=_known_pictures(view, ordered),
        names_go=policy.action not in EXACT_ONLY,
    )
    let_through: list[PlanItem] = []
    cut: dict[FilePath, LeftAlone] = {}
    for item in ordered:
        bites = allowance.take(map(_taken, item.victims))
        if bites is None:
            let_through.append(replace(item, number=len(let_through) + 1))
            continue
        for victim in item.victims:
            if _is_picture(victim):
                cut[victim.file.path] = LeftAlone(
                    path=victim.file.path,
                    group=item.group,
                    why=bites[0],
                    detail=bites[1],
                    size_bytes=victim.file.stat.size_bytes,
                )
    return tuple(let_through), cut


def _left_alone(left: Mapping[FilePath, LeftAlone], items: Iterable[PlanItem]) -> Iterator[LeftAlone]:
    """Every duplicate that the plan does not touch, by path."""
    going = {victim.file.path for item in items for victim in item.victims}
    return (one for path, one in sorted(left.items()) if path not in going)


def _known_pictures(view: LibraryView, items: Iterable[PlanItem]) -> dict[RootId, dict[bytes, int]]:
    """Of each root that files go from, how many pictures that are there each folder holds."""
    roots = {victim.file.path.root for item in items for victim in item.victims}
    return {
        root: {folder: len(view.packed_stats_in(root, folder)) for folder in view.directories(root)}
        for root in sorted(roots)
    }


def _by_savings(item: PlanItem) -> tuple[int, int, FilePath]:
    first = item.victims[0].file
    return -item.frees_bytes, -first.stat.size_bytes, first.path


def _taken(victim: Victim) -> Taken:
    return Taken(
        path=victim.file.path,
        size_bytes=victim.file.stat.size_bytes,
        is_picture=_is_picture(victim),
    )


def _is_picture(victim: Victim) -> bool:
    return victim.role in {Role.PICTURE, Role.RAW}
