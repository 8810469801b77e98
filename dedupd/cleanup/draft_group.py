"""Of each group one file stays, and what has a direct verified pair with it may go: item by item, with every reason.

A group whose kept file is not the like of all others is gone through again with what is left of it, so that copies of
the same bytes are found there too. No file both stays and goes in one plan. Decides with its collaborators, and knows
no limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dedupd.cleanup.belongings import Belonging, Belongings, StaysError
from dedupd.cleanup.inodes import Inode, InodeKey, Inodes, Reason, planned
from dedupd.cleanup.judge import Judge, Pair
from dedupd.core.cleanup_plan import (
    EXACT_ONLY,
    WITH_FOLDER,
    Action,
    LeftAlone,
    PlanItem,
    PlannedFile,
    Role,
    Spared,
    Victim,
)
from dedupd.core.cleanup_policy import CleanupPolicy
from dedupd.core.grouping import Group
from dedupd.core.keep_criteria import FileCandidate, beside_each_other
from dedupd.core.keep_policy import choose_file, why_kept
from dedupd.core.pair_words import LEAST_OVERLAY
from dedupd.core.ports import LibraryView
from dedupd.core.records import ContentId, FilePath, FileRecord, FileStat, Relation
from dedupd.core.wording import path_words

CHAINED = "it resembles a copy in this group, but was not verified against the file that would stay"

# A group of which nothing can go would be gone through once for each file of it; so many kept files are plenty.
_MOST_KEPT_OF_A_GROUP = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The file of a group that stays, and the inode that it is a name of."""

    name: FileCandidate
    inode: Inode
    words: str = ""  # why, where it is not what the policy says


class GroupDraft:
    """What is planned so far, before any limit. Owned by the drawing up of one plan."""

    def __init__(
        self, view: LibraryView, policy: CleanupPolicy, inodes: Inodes, belongings: Belongings, judge: Judge
    ) -> None:
        self._view = view
        self._policy = policy
        self._inodes = inodes
        self._belongings = belongings
        self._judge = judge
        self.items: list[PlanItem] = []
        self.left: dict[FilePath, LeftAlone] = {}
        self._going: set[InodeKey] = set()
        self._going_paths: set[FilePath] = set()
        self._staying: set[InodeKey] = set()
        self._moved: dict[InodeKey, InodeKey] = {}  # into `best/`: with which kept file

    # ------------------------------------------------------------------------------------------------------ a group

    def add(self, group: Group) -> None:
        """Plan for one group: a file stays, what has a direct pair with it may go, and the rest among itself again."""
        records = [record for content in group.contents if (record := self._view.content(content)) is not None]
        found, unusable = self._inodes.of(records)
        for file, reason in unusable:
            self._leave(file, group, reason)
        for content in group.related:
            record = self._view.content(content)
            for file in self._inodes.present(record) if record is not None else ():
                self._leave(file, group, (Spared.NO_PAIR, CHAINED))
        pool = self._in_group(group, found)
        for _ in range(_MOST_KEPT_OF_A_GROUP):
            pool = [inode for inode in pool if inode.key not in self._going]  # some belong to what went before
            if not pool:
                return
            kept = self._choose(pool)
            self._leave_other_names(kept, group)
            pool = [inode for inode in pool if inode is not kept.inode and not self._goes(inode, kept, group)]
            if all(inode.blocked for inode in pool):
                return

    def _in_group(self, group: Group, found: list[Inode]) -> list[Inode]:
        """The inodes with what only the group tells of them."""
        overlaid = {content for content in group.contents if self._is_overlaid(content, group.keeper)}
        told = beside_each_other(
            replace(
                name,
                is_groups_choice=name.content.id == group.keeper,
                overlaid_share=float(name.content.id in overlaid),
            )
            for inode in found
            for name in inode.names
        )
        by_path = {name.file.path: name for name in told}
        return [replace(inode, names=tuple(by_path[name.file.path] for name in inode.names)) for inode in found]

    def _is_overlaid(self, content: ContentId, keeper: ContentId) -> bool:
        edge = self._view.edge(min(content, keeper), max(content, keeper)) if content != keeper else None
        if edge is None or edge.evidence.overlay_share < LEAST_OVERLAY:
            return False
        return (edge.b if edge.evidence.overlay_is_on_b else edge.a) == content

    def _choose(self, pool: list[Inode]) -> _Kept:
        """What the policy says; of equal bytes rather a file that lies where no files are asked to go from."""
        kept = self._first(pool)
        outside = [inode for inode in pool if inode.is_outside and inode.content.id == kept.inode.content.id]
        if kept.inode.blocked or not outside:
            return kept
        return replace(self._first(outside), words="it lies where no files are to go from")

    def _first(self, pool: list[Inode]) -> _Kept:
        name = choose_file([name for inode in pool for name in inode.names], self._policy.keep)
        return _Kept(name=name, inode=next(inode for inode in pool if any(one is name for one in inode.names)))

    def _leave_other_names(self, kept: _Kept, group: Group) -> None:
        words = f"it is a hard link of {path_words(kept.name.path)}, which stays: nothing would be freed"
        for name in kept.inode.names:
            if name is not kept.name:
                self._leave(name.file, group, (Spared.HARD_LINK, words))

    # -------------------------------------------------------------------------------------------------------- a file

    def _goes(self, gone: Inode, kept: _Kept, group: Group) -> bool:
        """Plan a file's going if it may go; else say why it may not. True also where it goes already."""
        if gone.key in self._going:
            return True
        if gone.blocked:
            for name in gone.names:
                self._leave(name.file, group, gone.blocked[name.file.path])
            return False
        pair = self._judge.pair(gone, kept.name)
        reason = self._plan(gone, kept, pair, group) if isinstance(pair, Pair) else pair
        if reason is None:
            return True
        for name in gone.names:
            self._leave(name.file, group, reason)
        return False

    def _plan(self, gone: Inode, kept: _Kept, pair: Pair, group: Group) -> Reason | None:
        """Enter an item; or the reason why not, and nothing is entered."""
        try:
            along = self._along(gone, kept.name)
            companions = self._kept_companions(kept.name)
        except StaysError as error:
            return error.reason
        reason = self._why_in_use(gone, kept, along, companions) or self._why_moved_twice(kept, companions)
        if reason is not None:
            return reason
        pictures = tuple(
            Victim(
                file=planned(name),
                role=Role.PICTURE,
                stays=planned(kept.name),
                is_exact=pair.relation is Relation.SAME_BYTES,
            )
            for name in gone.names
        )
        item = PlanItem(
            number=0,
            group=group.id,
            relation=pair.relation,
            similarity=pair.similarity,
            probability=pair.probability,
            reason=pair.reason,
            keep_reason=kept.words or why_kept(kept.name, gone.names[0], self._policy.keep),
            keeper=planned(kept.name),
            victims=(*pictures, *(belonging.victim for belonging in along)),
            frees_bytes=self._frees(gone, along),
            companions=companions,
        )
        self._enter(item, along)
        return None

    def _along(self, gone: Inode, kept: FileCandidate) -> list[Belonging]:
        if self._policy.action in EXACT_ONLY:  # every name stays, with the same bytes: nothing is torn apart
            return []
        return [b for name in gone.names for b in self._belongings.with_picture(name, kept, self._going_paths)]

    def _kept_companions(self, kept: FileCandidate) -> tuple[PlannedFile, ...]:
        """What moves into `best/` with the kept file; nothing for every other action.

        Raises:
            StaysError: the kept file, or something that belongs to it, may not be moved.
        """
        if self._policy.action is not Action.SORT:
            return ()
        reason = self._inodes.why_kept_here(kept.file.path, kept.pinned)
        if reason is not None:
            raise StaysError(reason[0], f"the kept file would be moved as well: {reason[1]}")
        return self._belongings.of_kept(kept)

    def _why_moved_twice(self, kept: _Kept, companions: tuple[PlannedFile, ...]) -> Reason | None:
        """Whether a kept file would be moved into `best/` both by itself and with another one."""
        moved = {kept.inode.key, *(_key(file.stat) for file in companions)}
        if any(self._moved.get(key, kept.inode.key) != kept.inode.key for key in moved):
            return Spared.IN_USE, "the kept file would be moved with another picture of the plan"
        return None

    def _why_in_use(
        self, gone: Inode, kept: _Kept, along: list[Belonging], companions: tuple[PlannedFile, ...]
    ) -> Reason | None:
        """Whether a file would both stay and go in one plan."""
        going = {gone.key, *(_key(belonging.victim.file.stat) for belonging in along)}
        staying = {kept.inode.key, *(_key(belonging.victim.stays.stat) for belonging in along)}
        staying.update(_key(file.stat) for file in companions)
        if not going.isdisjoint(staying) or not going.isdisjoint(self._staying):
            return Spared.IN_USE, "it is kept with another picture of the plan"
        if not staying.isdisjoint(self._going):
            return Spared.IN_USE, "what would be kept in its stead goes with another picture of the plan"
        return None

    def _frees(self, gone: Inode, along: list[Belonging]) -> int:
        if self._policy.action in WITH_FOLDER:
            return 0
        own = gone.size_bytes if gone.links <= len(gone.names) else 0
        return own + sum(b.victim.file.stat.size_bytes for b in along if b.links == 1)

    def _enter(self, item: PlanItem, along: list[Belonging]) -> None:
        self.items.append(item)
        self._belongings.carry(along)
        self._going.update(_key(victim.file.stat) for victim in item.victims)
        self._going_paths.update(victim.file.path for victim in item.victims)
        self._staying.update(_key(victim.stays.stat) for victim in item.victims)
        if self._policy.action is Action.SORT:
            for file in (item.keeper, *item.companions):
                self._moved[_key(file.stat)] = _key(item.keeper.stat)
                self._staying.add(_key(file.stat))

    def _leave(self, file: FileRecord, group: Group, reason: Reason) -> None:
        """Note why a file is not in the plan; the first reason counts."""
        why, detail = reason
        self.left.setdefault(
            file.path,
            LeftAlone(path=file.path, group=group.id, why=why, detail=detail, size_bytes=file.stat.size_bytes),
        )


def _key(stat: FileStat) -> InodeKey:
    return stat.dev, stat.ino
