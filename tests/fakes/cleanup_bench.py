"""Real files, real plans and a real actor for the tests of clean-up; and system calls that fail or die where told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from dedupd.cleanup.file_calls import READ_BYTES, FileCalls
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.core.cleanup_plan import (
    Action,
    Limits,
    Outcome,
    Plan,
    PlanItem,
    PlannedFile,
    PlannedRoot,
    Role,
    RunEnd,
    Victim,
)
from dedupd.core.records import ContentId, FilePath, FileStat, Relation, RootId, RootIdentity

DAY_NS = 86_400 * 10**9
START_NS = 1_790_000_000 * 10**9
ROOT = RootId(1)
NO_LIMITS = Limits(files_per_run=0, files_per_day=0, conflicts=0)


class Killed(BaseException):
    """The process is gone: nothing after it runs."""


class Bench:
    """One root `photos` in a directory, a clock that stands still, and actors over one journal."""

    def __init__(self, directory: Path, calls: FileCalls | None = None) -> None:
        self.directory = directory
        self.root = directory / "photos"
        self.root.mkdir(exist_ok=True)
        self.folder = directory / "sorted"
        self.folder.mkdir(exist_ok=True)
        self.calls = calls or FileCalls()
        self.now_ns = START_NS
        self.told: list[Outcome] = []
        self._actor: LocalActor | None = None

    # ------------------------------------------------------------------------------------------------------- files

    def write(self, name: str, content: bytes, *, mtime_ns: int = 1_600_000_000_123_456_789) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def planned(self, name: str) -> PlannedFile:
        path = self.root / name
        facts = path.lstat()
        directory, _, base = os.fsencode(name).rpartition(b"/")
        return PlannedFile(
            path=FilePath(root=ROOT, directory=directory, name=base),
            stat=FileStat(
                dev=facts.st_dev,
                ino=facts.st_ino,
                size_bytes=facts.st_size,
                mtime_ns=facts.st_mtime_ns,
                ctime_ns=facts.st_ctime_ns,
            ),
            digest=blake3(path.read_bytes()).digest(),
        )

    def victim(self, name: str, stays: str, *, is_exact: bool = True, carried_to: str | None = None) -> Victim:
        to = None
        if carried_to is not None:
            directory, _, base = os.fsencode(carried_to).rpartition(b"/")
            to = FilePath(root=ROOT, directory=directory, name=base)
        return Victim(
            file=self.planned(name),
            role=Role.PICTURE if to is None else Role.SIDECAR,
            stays=self.planned(stays),
            is_exact=is_exact and to is None,
            carried_to=to,
        )

    # ------------------------------------------------------------------------------------------------------- plans

    def item(self, number: int, keeper: str, *victims: Victim, companions: tuple[str, ...] = ()) -> PlanItem:
        return PlanItem(
            number=number,
            group=ContentId(number),
            relation=Relation.SAME_BYTES,
            similarity=1.0,
            probability=1.0,
            reason="equal byte for byte",
            keep_reason="shorter path",
            keeper=self.planned(keeper),
            victims=victims,
            frees_bytes=sum(victim.file.stat.size_bytes for victim in victims),
            companions=tuple(map(self.planned, companions)),
        )

    def pair(self, number: int, keeper: str, victim: str) -> PlanItem:
        return self.item(number, keeper, self.victim(victim, keeper))

    def plan(self, *items: PlanItem, action: Action = Action.QUARANTINE, limits: Limits = NO_LIMITS) -> Plan:
        has_folder = action in {Action.MOVE, Action.SORT}
        return Plan(
            created_at_ns=self.now_ns,
            expires_at_ns=self.now_ns + DAY_NS,
            policy="best",
            keep=("resolution",),
            relations=(Relation.SAME_BYTES,),
            action=action,
            folder=bytes(self.folder) if has_folder else b"",
            limits=limits,
            roots=(self.planned_root(),),
            items=items,
            left_alone=(),
            groups_mark=b"mark",
        )

    def planned_root(self) -> PlannedRoot:
        facts = self.root.stat()
        fsid = os.statvfs(self.root).f_fsid
        identity = RootIdentity(dev=facts.st_dev, fsid=fsid, ino=facts.st_ino, filesystem="ext4")
        return PlannedRoot(id=ROOT, path=bytes(self.root), identity=identity)

    # ------------------------------------------------------------------------------------------------------- acting

    def actor(self, calls: FileCalls | None = None) -> LocalActor:
        """A new actor over the bench's journal, as after a start; the one before it is closed."""
        self.close()
        self._actor = LocalActor(
            self.directory / "journal",
            calls or self.calls,
            lambda: self.now_ns,
            data_home=bytes(self.directory / "home"),
        )
        return self._actor

    def close(self) -> None:
        """Close the actor under way."""
        if self._actor is not None:
            self._actor.close()

    def apply(self, plan: Plan, actor: LocalActor | None = None) -> RunEnd:
        return (actor or self.actor()).apply(name_of(plan), plan, self.told.append)

    def undo(self, plan: Plan | None = None, items: frozenset[int] | None = None) -> RunEnd:
        return self.actor().undo(plan and name_of(plan), items, self.told.append)

    def expire(self, *, days: float = 31, plan: Plan | None = None) -> RunEnd:
        return self.actor().expire(self.now_ns + int(days * DAY_NS), plan and name_of(plan), self.told.append)

    # ------------------------------------------------------------------------------------------------------- looking

    def tree(self) -> dict[str, bytes]:
        """The bytes of every file below the root, but for the quarantine."""
        return {name: content for name, content in self.everything().items() if name.startswith("photos/")}

    def everything(self) -> dict[str, bytes]:
        """The bytes of every photo in the root, the folder and the trash; what is set aside is under its path there."""
        found = {}
        for top in ("photos", "sorted", "home"):
            for path in sorted((self.directory / top).rglob("*")):
                name = str(path.relative_to(self.directory))
                if (
                    path.is_file()
                    and not path.is_symlink()
                    and path.name != "README.txt"
                    and path.suffix != ".trashinfo"
                ):
                    key = name.replace("photos/.dedupd-quarantine/", "quarantine/")
                    found[key] = path.read_bytes()
        return found


def name_of(plan: Plan) -> str:
    """The plan's id."""
    return plan_id(encode_plan(plan))


class ComparingCalls(FileCalls):
    """Compares as FIDEDUPERANGE does and shares nothing, for filesystems that cannot."""

    def share(self, source: int, target: int, size_bytes: int) -> bool:
        """Whether both are equal."""
        offset = 0
        while offset < size_bytes:
            one = self.call("share", lambda at=offset: os.pread(source, READ_BYTES, at))
            if one != os.pread(target, READ_BYTES, offset):
                return False
            offset += READ_BYTES
        return True


class FaultyCalls(ComparingCalls):
    """Counts the calls, and does something before or after one of them.

    `before` and `after` may raise: an OSError for a call that fails, `Killed` for a process that dies, after which
    every later call dies as well. With `is_lasting` an OSError comes from then on for every call but looking.
    """

    def __init__(
        self,
        at: int = 0,
        *,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
        is_lasting: bool = False,
    ) -> None:
        self.steps: list[str] = []
        self._at = at
        self._before = before
        self._after = after
        self._is_lasting = is_lasting
        self._is_dead = False

    @property
    def has_struck(self) -> bool:
        """Whether the call in question was made."""
        return len(self.steps) >= self._at > 0

    def call(self, step, act):
        """Make a call, unless it is the one."""
        if self._is_dead:
            raise Killed
        self.steps.append(step)
        is_now = len(self.steps) == self._at or (self._is_lasting and self.has_struck)
        try:
            if is_now and self._before is not None:
                self._before()
            result = super().call(step, act)
            if is_now and self._after is not None:
                if step.startswith("open") or step == "create":
                    os.close(result)
                self._after()
        except Killed:
            self._is_dead = True
            raise
        return result


class DeedCalls(ComparingCalls):
    """Does something once, just before the call of a name that `skip` others of that name came before."""

    def __init__(self, step: str, deed: Callable[[], object], *, skip: int = 0) -> None:
        self._step = step
        self._deed = deed
        self._rest = skip

    def call(self, step, act):
        """Make a call, after the deed where it is time for it."""
        if step == self._step:
            self._rest -= 1
            if self._rest == -1:
                self._deed()
        return super().call(step, act)


def failing(code: int) -> Callable[[], None]:
    """A deed that makes the call fail."""

    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return fail


class DyingCalls(ComparingCalls):
    """The process dies just after the call of a name that `skip` others of that name came before; or before it."""

    def __init__(self, step: str, *, skip: int = 0, is_done: bool = True) -> None:
        self._step = step
        self._rest = skip
        self._is_done = is_done
        self._is_dead = False

    def call(self, step, act):
        """Make a call, unless the process is dead."""
        is_last = False
        if step == self._step:
            self._rest -= 1
            is_last = self._rest == -1
        self._is_dead = self._is_dead or (is_last and not self._is_done)
        if self._is_dead:
            raise Killed
        result = super().call(step, act)
        if is_last:
            self._is_dead = True
            raise Killed
        return result
