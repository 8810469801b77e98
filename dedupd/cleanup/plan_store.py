"""Plans on disk, each under the name that is the hash of its content; written once, never changed.

Owns one directory in the state directory. A plan is there whole or not at all: temporary name, sync, rename, sync of
the directory. Says nothing of what became of a plan; the actor's journal does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dedupd.cleanup.plan_file import ID_DIGITS, decode_plan, encode_plan, plan_id
from dedupd.core.cleanup_plan import Plan
from dedupd.core.errors import NotFoundError, RequestError

FEWEST_DIGITS = 8
_SUFFIX = ".plan"
_NAME = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{{ID_DIGITS}}}\.")
_START = re.compile(rf"[0-9a-f]{{{FEWEST_DIGITS},{ID_DIGITS}}}")
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedPlan:
    """A file that is not the plan that its name stands for."""

    id: str  # hex, 64 digits
    detail: str  # one sentence for a person


class PlanStore:
    """The stored plans. Thread-safe: files appear whole and never change."""

    def __init__(self, directory: Path) -> None:
        """Use a directory, made for its owner alone where it is not there yet."""
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, plan: Plan) -> str:
        """Store a plan; returns its name. The same plan again changes nothing."""
        data = encode_plan(plan)
        name = plan_id(data)
        path = self._path(name)
        if not self._holds(path, data):
            temporary = path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
            try:
                _write_new(temporary, data)
                temporary.rename(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_directory(self._directory)
        return name

    def get(self, start: str) -> tuple[str, Plan]:
        """The plan of a name, or of the start of one, with its whole name.

        Raises:
            NotFoundError: there is none.
            RequestError: it is no name of a plan, the start fits several, or the file is damaged.
        """
        if not _START.fullmatch(start):
            raise RequestError(
                f"{start!r} is no name of a plan: that is {ID_DIGITS} hexadecimal digits, or their first "
                f"{FEWEST_DIGITS} or more. `dedupctl plans` lists them."
            )
        found = [name for name in self.names() if name.startswith(start)]
        if not found:
            raise NotFoundError(f"There is no plan {start}. `dedupctl plans` lists those that are kept.")
        if len(found) > 1:
            raise RequestError(f"{start} is the start of {len(found)} plans. Write more digits.")
        try:
            data = self._path(found[0]).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"There is no plan {start} any more. Draw it up again.") from None
        return found[0], decode_plan(data, found[0])

    def names(self) -> list[str]:
        """The names of the plans that are kept, in order."""
        names = (path.name.removesuffix(_SUFFIX) for path in self._directory.glob(f"*{_SUFFIX}"))
        return sorted(name for name in names if _NAME.fullmatch(name))

    def all(self) -> tuple[list[tuple[str, Plan]], list[DamagedPlan]]:
        """All plans, the newest first, and what is damaged among them."""
        plans: list[tuple[str, Plan]] = []
        damaged: list[DamagedPlan] = []
        for name, plan in self._read():
            if isinstance(plan, Plan):
                plans.append((name, plan))
            else:
                damaged.append(plan)
        plans.sort(key=lambda named: (-named[1].created_at_ns, named[0]))
        return plans, damaged

    def remove_older(self, days: float, now_ns: int, kept: frozenset[str] = frozenset()) -> list[str]:
        """Forget plans that were drawn up more days ago, but for those named, and temporary files left behind.

        Damaged ones stay to be told. Returns the names of those that went.
        """
        gone = []
        for name, plan in self._read():
            if isinstance(plan, Plan) and name not in kept and now_ns - plan.created_at_ns > days * _DAY_NS:
                self._path(name).unlink(missing_ok=True)
                gone.append(name)
        for path in self._directory.glob(".*"):
            with suppress(OSError):
                if _TEMPORARY.match(path.name) and now_ns - path.lstat().st_mtime_ns > _DAY_NS:
                    path.unlink()
        _sync_directory(self._directory)
        return gone

    def _read(self) -> Iterator[tuple[str, Plan | DamagedPlan]]:
        for name in self.names():
            try:
                yield name, decode_plan(self._path(name).read_bytes(), name)
            except FileNotFoundError:
                continue  # removed meanwhile
            except (RequestError, OSError) as error:
                yield name, DamagedPlan(id=name, detail=str(error))

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_SUFFIX}"

    def _holds(self, path: Path, data: bytes) -> bool:
        """Whether the plan is there already and not damaged."""
        try:
            return path.read_bytes() == data
        except OSError:
            return False


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
