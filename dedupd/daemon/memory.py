"""Holds the memory ceiling: measures all processes, allows fewer decode workers, gives back what nobody uses.

Owns one thread. `core.memory_rules` decides; this looks and does. Sources: proc_pid_status(5), malloc_trim(3),
https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dedupd.core.memory_rules import (
    MIB,
    TYPICAL_BYTES,
    MemoryMeasures,
    MemoryStanding,
    MemoryUse,
    measures,
    need_after,
)
from dedupd.daemon.log import fields

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_LOOK_AT_WORKERS_EVERY_S = 0.5  # one may grow by 200 MiB in a second; a look costs a millisecond
_WORTH_GIVING_BACK = 8 * MIB  # that came since the last time, mapped pages too
_STILL = MIB  # who grows by less from look to look is not at work
_OF_THE_GROUP = 0.8  # of what the control group may have: the kernel must not be first
_OF_THE_MACHINE = 0.5
_OWN = ("RssAnon:", "RssShmem:")
_GROUPS = Path("/sys/fs/cgroup")


class Workers(Protocol):
    """What is done to the decode workers."""

    def worker_pids(self) -> list[int]: ...
    def allow(self, workers: int) -> None: ...
    def renew(self, pids: frozenset[int]) -> None: ...


class MemoryKeeper:
    """Looks from `start` to `stop`, more often while workers are large; `standing` may be asked by any thread.

    Args:
        reader: the decode workers.
        workers: how many of them there may be at most.
        ceiling_bytes: what all processes may hold.
        give_back: has the store's pages unmapped.
        tell: told once of trouble that begins.
        use_now: measures; decode workers are named by process id.
    """

    def __init__(
        self,
        *,
        reader: Workers,
        workers: int,
        ceiling_bytes: int,
        give_back: Callable[[], None],
        tell: Callable[[str], None],
        use_now: Callable[[list[int]], MemoryUse] | None = None,
    ) -> None:
        self._reader = reader
        self._workers = workers
        self._ceiling_bytes = ceiling_bytes
        self._give_back = give_back
        self._tell = tell
        self._use_now = use_now or used_now
        self._need_bytes = TYPICAL_BYTES
        self._measures = MemoryMeasures(workers=workers)
        self._use = MemoryUse()
        self._kept_bytes = 0  # after giving back
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    @property
    def standing(self) -> MemoryStanding:
        """How memory stood at the last look."""
        return MemoryStanding(
            use=self._use,
            ceiling_bytes=self._ceiling_bytes,
            workers_allowed=self._measures.workers,
            trouble=self._measures.trouble,
        )

    def configure(self, ceiling_bytes: int) -> None:
        """Hold this ceiling from the next look on."""
        self._ceiling_bytes = ceiling_bytes

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; it waits for a look under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Measure once, and do what the rules ask for."""
        use = self._use_now(self._reader.worker_pids())
        self._need_bytes = need_after(self._need_bytes, use)
        asked = measures(use, ceiling_bytes=self._ceiling_bytes, workers=self._workers, need_bytes=self._need_bytes)
        if asked.workers != self._measures.workers:
            _log.info(
                "memory.workers %s", fields(allowed=asked.workers, held_mib=use.total_bytes // MIB, of=self._workers)
            )
        self._reader.allow(asked.workers)
        if asked.renew:
            self._reader.renew(asked.renew)
        is_news = bool(asked.trouble) and not self._measures.trouble
        is_still = _resident(use) <= _resident(self._use) + _STILL
        self._use, self._measures = use, asked
        if is_news:
            self._tell(asked.trouble)
        if is_still and use.is_resting and _resident(use) > self._kept_bytes + _WORTH_GIVING_BACK:
            self._rest()

    def _rest(self) -> None:
        """Nothing is being read, and there was something: what the allocator and the kernel keep for it goes back."""
        with contextlib.suppress(AttributeError):  # a libc without it
            ctypes.CDLL(None).malloc_trim(0)
        self._give_back()
        self._use = self._use_now(self._reader.worker_pids())
        self._kept_bytes = _resident(self._use)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S if self._use.is_resting else _LOOK_AT_WORKERS_EVERY_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the ceiling is a courtesy; the daemon goes on without one look
                _log.exception("memory.look")


def _resident(use: MemoryUse) -> int:
    return use.own_bytes + use.mapped_bytes


def used_now(workers: list[int]) -> MemoryUse:
    """What this process and its children hold, the named decode workers apart."""
    own = _rss(os.getpid(), _OWN)
    found: dict[int, int] = {}
    for pid in _children():
        held = _rss(pid, _OWN)
        if pid in workers:
            found[pid] = held
        else:
            own += held
    return MemoryUse(own_bytes=own, workers=found, mapped_bytes=_rss(os.getpid(), ("RssFile:",)))


def ceiling_bytes(memory_mb: int) -> int:
    """The ceiling that the configuration asks for; 0: by what the control group or the machine has."""
    if memory_mb:
        return memory_mb * MIB
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = group_limit_bytes()
    return int(machine * _OF_THE_MACHINE) if group is None else int(min(group, machine) * _OF_THE_GROUP)


def group_limit_bytes(groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The lowest memory.high or memory.max of this process's control group and those around it; None: no limit."""
    try:
        [name] = [line[3:] for line in own.read_text().splitlines() if line.startswith("0::")]
    except (OSError, ValueError):
        return None
    limits: list[int] = []
    group = groups / name.lstrip("/")
    for each in (group, *group.parents):
        for file in ("memory.high", "memory.max"):
            with contextlib.suppress(OSError, ValueError):  # "max" is no number
                limits.append(int((each / file).read_text()))
        if each == groups:
            break
    return min(limits, default=None)


def _rss(pid: int, names: tuple[str, ...]) -> int:
    """Kinds of a process's resident memory, bytes; 0 for one that has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(names))
    return 0


def _children() -> list[int]:
    """The process's own children; none where the kernel does not tell."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found
