"""Everything that can go wrong, at every step of every action: no last copy of any bytes is lost, whatever is not
at its place is explained by the journal, settling is done once and for all, and undo brings everything back.

Each operation is done once undisturbed to count its system calls; then again and again, with one fault at one call.
By default each kind of fault strikes at every call that acts on a file and at every 29th of the others; with
DEDUPD_EVERY_STEP=1 at every call, which takes long.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import pytest
from fakes.cleanup_bench import Bench, FaultyCalls, Killed, name_of

from dedupd.core.cleanup_plan import Action, OutcomeKind, Plan, RunKind
from dedupd.core.errors import DedupdError, NotFoundError

STRIDE = 1 if os.environ.get("DEDUPD_EVERY_STEP") else 29
ACTING = {"rename", "exchange", "link", "unlink", "share"}
MEMORY = Path("/dev/shm")  # a file system without a disk behind it: thousands of syncs cost nothing

CONTENTS = {"a.jpg": b"a" * 3000, "a.raw": b"raw" * 900, "b.jpg": b"b" * 2000}
SIDECAR = b"<x:xmpmeta/>"
VICTIMS = ("copies/a.jpg", "copies/a.raw", "copies/a.xmp", "other/b.jpg")
KEEPERS = ("keep/a.jpg", "keep/a.raw", "keep/b.jpg")


@pytest.fixture
def fast_dir() -> Iterator[Callable[[], Path]]:
    """Makes directories as fast as this machine has them."""
    top = Path(tempfile.mkdtemp(prefix="dedupd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    numbers = itertools.count()

    def make() -> Path:
        directory = top / str(next(numbers))
        directory.mkdir()
        return directory

    yield make
    shutil.rmtree(top)


# --------------------------------------------------------------------------------------------------------- operations


@dataclass(frozen=True)
class Operation:
    """What is disturbed: an action, or the undo or the expiry of one that was applied undisturbed."""

    action: Action
    then: RunKind = RunKind.APPLY

    def __str__(self) -> str:
        return self.action.value if self.then is RunKind.APPLY else f"{self.then.value}-of-{self.action.value}"

    def prepared(self, directory: Path) -> tuple[Bench, Plan]:
        bench = Bench(directory, FaultyCalls())
        (directory / "home").mkdir()
        for name, content in CONTENTS.items():
            bench.write(f"keep/{name}", content)
        bench.write("copies/a.jpg", CONTENTS["a.jpg"])
        bench.write("copies/a.raw", CONTENTS["a.raw"])
        bench.write("copies/a.xmp", SIDECAR)
        bench.write("other/b.jpg", CONTENTS["b.jpg"])
        bundle = bench.item(
            1,
            "keep/a.jpg",
            bench.victim("copies/a.jpg", "keep/a.jpg"),
            bench.victim("copies/a.raw", "keep/a.raw"),
            bench.victim("copies/a.xmp", "keep/a.jpg", carried_to="keep/a.xmp"),
        )
        plan = bench.plan(bundle, bench.pair(2, "keep/b.jpg", "other/b.jpg"), action=self.action)
        if self.then is not RunKind.APPLY:
            assert bench.apply(plan).done == 3
        return bench, plan

    def run(self, bench: Bench, plan: Plan, calls: FaultyCalls) -> None:
        actor = bench.actor(calls)
        match self.then:
            case RunKind.APPLY:
                actor.apply(name_of(plan), plan, bench.told.append)
            case RunKind.UNDO:
                actor.undo(name_of(plan), None, bench.told.append)
            case RunKind.EXPIRE:
                actor.expire(bench.now_ns + 10**18, None, bench.told.append)


OPERATIONS = [
    *map(Operation, Action),
    *(Operation(action, RunKind.UNDO) for action in (Action.QUARANTINE, Action.HARDLINK, Action.SORT, Action.TRASH)),
    *(Operation(action, RunKind.EXPIRE) for action in (Action.QUARANTINE, Action.HARDLINK)),
]


@cache
def steps_of(operation: Operation) -> tuple[str, ...]:
    """The system calls that an undisturbed operation makes."""
    with tempfile.TemporaryDirectory(prefix="dedupd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as top:
        bench, plan = operation.prepared(Path(top))
        calls = FaultyCalls()
        operation.run(bench, plan, calls)
        bench.close()
        return tuple(calls.steps)


# -------------------------------------------------------------------------------------------------------------- faults


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def failing(code: int) -> Callable[[], None]:
    return raising(OSError(code, os.strerror(code)))


SYSTEM_FAULTS: dict[str, Callable[[int], FaultyCalls]] = {
    "killed-before": lambda at: FaultyCalls(at, before=raising(Killed())),
    "killed-after": lambda at: FaultyCalls(at, after=raising(Killed())),
    "failed-yet-done": lambda at: FaultyCalls(at, after=failing(errno.EIO)),
}
for _name in ("EIO", "ENOSPC", "EROFS", "EXDEV", "EMLINK", "EACCES"):
    _code = getattr(errno, _name)
    SYSTEM_FAULTS[_name] = lambda at, code=_code: FaultyCalls(at, before=failing(code))
    SYSTEM_FAULTS[f"{_name}-from-then-on"] = lambda at, code=_code: FaultyCalls(
        at, before=failing(code), is_lasting=True
    )


@dataclass
class Intruder:
    """Another program that does something to a file just before one of our system calls."""

    bench: Bench
    name: str
    touched: set[Path] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)  # inodes that are elsewhere, with their directory
    destroyed: set[bytes] = field(default_factory=set)
    brought: dict[Path, tuple[int, bytes]] = field(default_factory=dict)
    outside: dict[Path, tuple[int, bytes]] = field(default_factory=dict)

    def comes(self, deed: str) -> None:
        path = self.bench.root / self.name
        if not path.exists():
            return
        before = set(self.bench.everything().values())
        self.touched.add(path)
        getattr(self, deed)(path)
        self.destroyed = before - set(self.bench.everything().values())

    def changed(self, path: Path) -> None:
        times = path.stat()
        with path.open("r+b") as file:
            file.write(b"!")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as if it had not been

    def replaced(self, path: Path) -> None:
        new = path.with_name("new")
        new.write_bytes(b"a picture that just came")
        new.replace(path)
        self.brought[path] = (path.stat().st_ino, path.read_bytes())

    def renamed(self, path: Path) -> None:
        path.rename(path.with_name("renamed " + path.name))

    def hard_linked(self, path: Path) -> None:
        path.with_name("linked " + path.name).hardlink_to(path)

    def vanished(self, path: Path) -> None:
        path.unlink()

    def led_astray(self, path: Path) -> None:
        """The file's directory becomes a symlink to another, with a file of the same name and bytes."""
        outside = self.bench.directory / "outside"
        shutil.copytree(path.parent, outside)
        moved = path.parent.with_name("moved " + path.parent.name)
        self.moved |= {p.stat().st_ino for p in path.parent.iterdir()}
        path.parent.rename(moved)
        path.parent.symlink_to(outside)
        self.outside = {p: (p.stat().st_ino, p.read_bytes()) for p in outside.iterdir()}


DEEDS = ("changed", "replaced", "renamed", "hard_linked", "vanished", "led_astray")
AIMS = ("copies/a.jpg", "other/b.jpg", "keep/a.jpg", "keep/b.jpg")


# --------------------------------------------------------------------------------------------------------- the promise


def photos(bench: Bench) -> dict[Path, tuple[int, bytes]]:
    """Inode and bytes of each photo at its own place."""
    places = [bench.root / name for name in (*KEEPERS, *VICTIMS)]
    return {path: (path.stat().st_ino, path.read_bytes()) for path in places if path.exists()}


def check_promises(bench: Bench, before: dict[Path, tuple[int, bytes]], intruder: Intruder | None = None) -> None:
    destroyed = intruder.destroyed if intruder else set()
    bench.actor().close()  # the next start settles
    settled = bench.everything(), bench.actor().outcomes(0, 10_000), bench.actor().quarantined()
    bench.actor().close()
    assert settled == (bench.everything(), bench.actor().outcomes(0, 10_000), bench.actor().quarantined())

    here = set(settled[0].values())
    every_byte = {content for _, content in before.values()}
    if intruder:
        every_byte |= {content for _, content in intruder.brought.values()}
    assert every_byte - here - destroyed == set(), "a last copy is gone"

    outcomes = {Path(os.fsdecode(outcome.path)): outcome for outcome in settled[1]}
    at_home = dict(before)
    if intruder:
        at_home = {
            path: (ino, content)
            for path, (ino, content) in before.items()
            if path not in intruder.touched and ino not in intruder.moved
        }
        at_home |= intruder.brought
        for path, known in intruder.outside.items():
            assert (path.stat().st_ino, path.read_bytes()) == known, "a file outside was touched"
    for path, (ino, content) in at_home.items():
        if path.exists() and path.stat().st_ino == ino:
            continue
        outcome = outcomes.get(path)
        assert outcome is not None, f"{path} went and the journal does not say so"
        if outcome.now_at == b"":
            assert (outcome.run, outcome.kind) == (RunKind.EXPIRE, OutcomeKind.DONE)
        else:
            lies = Path(os.fsdecode(outcome.now_at))
            led_astray = lies.parent.with_name(f"moved {lies.parent.name}") / lies.name  # it went with its directory
            found = [place for place in (lies, led_astray) if place.exists()]
            is_there = any(place.stat().st_ino == ino for place in found)
            is_written_back = outcome.detail.endswith("written back.") and lies.read_bytes() == content
            assert is_there or is_written_back, f"{path} is not where the journal says: {outcome}"


def before_all(bench: Bench) -> dict[Path, tuple[int, bytes]]:
    """Each photo by the place that it had in the beginning, also where it was set aside before the operation."""
    known = photos(bench)
    for entry in bench.actor().quarantined():
        path, now = Path(os.fsdecode(entry.path)), Path(os.fsdecode(entry.now_at))
        known[path] = (now.stat().st_ino, now.read_bytes())
    return known


def must_come_back(bench: Bench, plan: Plan) -> None:
    """After faults of the system alone, undo makes everything as it was."""
    try:
        end = bench.actor().undo(name_of(plan), None, bench.told.append)
        assert (end.conflicts, end.failed) == (0, 0)
    except NotFoundError:
        pass
    expected = {f"photos/keep/{name}": content for name, content in CONTENTS.items()}
    expected |= {"photos/copies/a.jpg": CONTENTS["a.jpg"], "photos/copies/a.raw": CONTENTS["a.raw"]}
    expected |= {"photos/copies/a.xmp": SIDECAR, "photos/other/b.jpg": CONTENTS["b.jpg"]}
    assert bench.everything() == expected


def steps_to_disturb(operation: Operation, number: int) -> list[int]:
    """Those that act, and every `STRIDE`th, each fault beginning at another, so that together they fall on all."""
    steps = enumerate(steps_of(operation), start=1)
    return [at for at, step in steps if step in ACTING or (at - number) % STRIDE == 0]


@pytest.mark.parametrize("fault", SYSTEM_FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_fault_of_the_system_at_any_step_loses_nothing(fast_dir, operation, fault):
    for at in steps_to_disturb(operation, list(SYSTEM_FAULTS).index(fault)):
        bench, plan = operation.prepared(fast_dir())
        before = before_all(bench)
        calls = SYSTEM_FAULTS[fault](at)
        with suppress(Killed, DedupdError):
            operation.run(bench, plan, calls)
        assert calls.has_struck
        check_promises(bench, before)
        if operation.then is not RunKind.EXPIRE:
            must_come_back(bench, plan)
        bench.close()
        shutil.rmtree(bench.directory)


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_another_program_at_any_step_loses_nothing(fast_dir, operation, deed, aim):
    for at in steps_to_disturb(operation, DEEDS.index(deed) * len(AIMS) + AIMS.index(aim)):
        bench, plan = operation.prepared(fast_dir())
        before = before_all(bench)
        intruder = Intruder(bench, aim)
        with suppress(DedupdError):
            operation.run(bench, plan, FaultyCalls(at, before=partial(intruder.comes, deed)))
        check_promises(bench, before, intruder)
        bench.close()
        shutil.rmtree(bench.directory)


def test_the_matrix_is_as_large_as_promised():
    system = sum(len(steps_to_disturb(op, number)) for op in OPERATIONS for number in range(len(SYSTEM_FAULTS)))
    others = sum(len(steps_to_disturb(op, number)) for op in OPERATIONS for number in range(len(DEEDS) * len(AIMS)))
    assert len(OPERATIONS) >= 8
    assert system + others >= 400
