"""Where each file of a plan goes: turns plan items into acts. Looks for free names on the disk; touches nothing.

The quarantine keeps relative paths, so that a person can find and put back files by hand.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import assert_never

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind, Known
from dedupd.cleanup.places import Place, Places
from dedupd.cleanup.trash import Trash
from dedupd.core.cleanup_plan import Action, Plan, PlanItem, PlannedFile, Victim
from dedupd.core.records import FilePath, RootId

QUARANTINE = b".dedupd-quarantine"
_DUPLICATES = b"duplicates"
_BEST = b"best"
_NS = 1_000_000_000

_KINDS = {Action.HARDLINK: ActKind.LINK, Action.REFLINK: ActKind.SHARE}


class Targets:
    """See the module. Of one run of one plan."""

    def __init__(
        self, *, plan: Plan, plan_id: str, calls: FileCalls, places: Places, now_ns: int, trashes: dict[RootId, Trash]
    ) -> None:
        self._plan = plan
        self._calls = calls
        self._places = places
        self._trashes = trashes
        self._roots = {root.id: root.path for root in plan.roots}
        day = time.strftime("%Y-%m-%d", time.gmtime(now_ns // _NS)).encode()
        self._quarantine = QUARANTINE + b"/" + day + b"-" + plan_id[:8].encode()
        self._given: set[Place] = set()  # names that this run has chosen
        self._names = Counter(_inode(victim.file) for item in plan.items for victim in item.victims)

    def acts_for(self, item: PlanItem) -> tuple[Act, ...]:
        """What is done for an item, in order; OSError where no name can be found."""
        return tuple(self._act(victim) for victim in item.victims)

    def acts_for_kept(self, item: PlanItem) -> tuple[Act, ...]:
        """SORT: what is done with the files that stayed, once the others have gone."""
        stay = {item.keeper.path: item.keeper}
        stay |= {victim.stays.path: victim.stays for victim in item.victims}
        stay |= {companion.path: companion for companion in item.companions}
        return tuple(self._keeping(file) for file in stay.values())

    def place(self, path: FilePath) -> Place:
        """Where a path of the plan is."""
        return Place(base=self._roots[path.root], below=path.relative())

    def known(self, file: PlannedFile) -> Known:
        """A file of the plan."""
        return Known(place=self.place(file.path), stat=file.stat, digest=file.digest)

    def _act(self, victim: Victim) -> Act:
        file = self.known(victim.file)
        note = None
        kind = _KINDS.get(self._plan.action, ActKind.RENAME)
        if victim.carried_to is not None:
            kind, target = ActKind.RENAME, self._carried(victim.carried_to)
        else:
            match self._plan.action:
                case Action.QUARANTINE | Action.HARDLINK:
                    target = self._free(Place(base=file.place.base, below=self._quarantine + b"/" + file.place.below))
                case Action.REFLINK:
                    target = file.place
                case Action.MOVE:
                    target = self._free(self._in_folder(victim.file.path))
                case Action.SORT:
                    target = self._free(self._in_folder(victim.file.path, _DUPLICATES))
                case Action.TRASH:
                    trash = self._trashes[victim.file.path.root]
                    target = self._free(trash.file(file.place.name), trash)
                    note = trash.note(target.name)
                case _:
                    assert_never(self._plan.action)
        return Act(
            kind=kind,
            file=file,
            target=target,
            kept=self.known(victim.stays),
            is_exact=victim.is_exact,
            takes=victim.carried_to is None,
            path=file.place.path,
            names=self._names[_inode(victim.file)],
            note=note,
        )

    def _keeping(self, stays: PlannedFile) -> Act:
        file = self.known(stays)
        return Act(
            kind=ActKind.RENAME,
            file=file,
            target=self._free(self._in_folder(stays.path, _BEST)),
            kept=file,
            is_exact=False,
            takes=False,
            path=file.place.path,
        )

    def _carried(self, to: FilePath) -> Place:
        """A sidecar's new place must be its own: beside the kept picture, and under `best` where that will go."""
        return self._in_folder(to, _BEST) if self._plan.action is Action.SORT else self.place(to)

    def _in_folder(self, path: FilePath, below: bytes = b"") -> Place:
        root = self._roots[path.root].rstrip(b"/").rpartition(b"/")[2]
        return Place(base=self._plan.folder, below=b"/".join(filter(None, (below, root, path.relative()))))

    def _free(self, wanted: Place, trash: Trash | None = None) -> Place:
        """The place, or one beside it, that nothing has; with its note's, where there is one."""
        place, number = wanted, 1
        while not self._is_free(place, trash):
            number += 1
            place = wanted.beside(numbered(wanted.name, f"({number})"))
        self._given.add(place)
        return place  # should it be taken after all, the act finds that out: nothing is ever overwritten

    def _is_free(self, place: Place, trash: Trash | None) -> bool:
        if place in self._given or self._places.look(place) is not None:
            return False
        return trash is None or self._places.look(trash.note(place.name)) is None


def numbered(name: bytes, number: str) -> bytes:
    """A name with a number before its suffix: "a.jpg" → "a (2).jpg"."""
    stem, dot, suffix = name.rpartition(b".")
    if not stem:
        stem, dot, suffix = name, b"", b""
    return stem + b" " + number.encode() + dot + suffix


def _inode(file: PlannedFile) -> tuple[int, int]:
    return file.stat.dev, file.stat.ino
