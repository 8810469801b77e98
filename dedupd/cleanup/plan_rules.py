"""What must hold of any plan before the first of its files is touched, whoever drew it up. Pure.

The planner keeps to these rules already; the actor does not take its word for it, because a plan that breaks one of
them could take the last copy of a picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dedupd.cleanup.checks import is_digest, same_digest
from dedupd.cleanup.targets import QUARANTINE
from dedupd.core.cleanup_plan import EXACT_ONLY, WITH_FOLDER, Action, Plan, PlanItem, PlannedFile, Victim
from dedupd.core.errors import RequestError
from dedupd.core.records import FilePath

_AGAIN = "Draw the plan up again."


def check_plan(plan: Plan) -> None:
    """Refuse a plan that could do harm.

    Raises:
        RequestError: names the file and what is wrong.
    """
    if plan.action in WITH_FOLDER and not plan.folder.startswith(b"/"):
        raise RequestError(f"The plan moves files but names no folder by its absolute path. {_AGAIN}")
    roots = {root.id for root in plan.roots}
    for item in plan.items:
        for file in _files(item):
            _check_path(file.path, roots)
            if not is_digest(file.digest):
                raise _refused(file, "has no digest, and so equals nothing")
            if file.stat.size_bytes == 0:
                raise _refused(file, "is empty, and so is no duplicate of anything")
        for victim in item.victims:
            if victim.carried_to is not None:
                _check_path(victim.carried_to, roots)
            else:
                _check_equality(victim, plan.action)
    _check_apart(plan)


def _check_equality(victim: Victim, action: Action) -> None:
    if victim.is_exact and not same_digest(victim.file.digest, victim.stays.digest):
        raise _refused(victim.file, "is said to equal the kept file, but has another digest")
    if action in EXACT_ONLY and not victim.is_exact:
        raise _refused(victim.file, f"is no exact copy; {action.value} is for files that are equal byte for byte")


def _check_apart(plan: Plan) -> None:
    """Nothing is taken twice, and nothing that stays is taken: neither by its path nor by its inode (rmlint #757)."""
    numbers = {item.number for item in plan.items}
    if len(numbers) != len(plan.items):
        raise RequestError(f"Two items of the plan have one number. {_AGAIN}")
    staying = [stays for item in plan.items for stays in _staying(item)]
    paths = {file.path for file in staying}
    inodes = {_inode(file) for file in staying}
    taken: set[FilePath] = set()
    for item in plan.items:
        for victim in item.victims:
            if victim.file.path in paths or _inode(victim.file) in inodes:
                raise _refused(victim.file, "would go although another item keeps it")
            if victim.file.path in taken:
                raise _refused(victim.file, "would go twice")
            taken.add(victim.file.path)


def _check_path(path: FilePath, roots: Iterable[object]) -> None:
    parts = path.relative().split(b"/")
    is_plain = all(part not in {b"", b".", b".."} and b"\0" not in part for part in parts)
    if path.root not in set(roots) or not is_plain or b"/" in path.name:
        raise RequestError(f"{path.relative()!r} is no path beneath a root of the plan. {_AGAIN}")
    if QUARANTINE in parts:
        raise RequestError(f"{path.relative()!r} lies in the quarantine, from which no plan takes. {_AGAIN}")


def _files(item: PlanItem) -> Iterator[PlannedFile]:
    yield from _staying(item)
    for victim in item.victims:
        yield victim.file


def _staying(item: PlanItem) -> Iterator[PlannedFile]:
    yield item.keeper
    yield from item.companions
    for victim in item.victims:
        yield victim.stays


def _inode(file: PlannedFile) -> tuple[int, int]:
    return file.stat.dev, file.stat.ino


def _refused(file: PlannedFile, why: str) -> RequestError:
    return RequestError(f"{file.path.relative()!r} {why}. {_AGAIN}")
