"""Memory: how many decode workers a ceiling leaves room for, and which are to be renewed. Pure: measurements come in.

Counted is what belongs to the processes alone (anonymous and shared memory). Pages of the store's file and of programs
are not: the kernel takes them back whenever something else needs them. No work is lost by any of this: it waits longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MIB: Final = 1 << 20
FRESH_BYTES: Final = 32 * MIB  # a worker that has just started; measured 29 MiB
_LARGE_BYTES: Final = 2 * FRESH_BYTES
TYPICAL_BYTES: Final = 160 * MIB  # a worker among photos of 12 megapixels, until one was seen that has more
_FORGET: Final = 0.995  # a look; so that one huge picture is forgotten after some minutes of looks


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """What the processes hold at one moment, bytes."""

    own_bytes: int = 0  # the daemon, its watcher, device workers
    workers: Mapping[int, int] = field(default_factory=dict)  # decode worker's process id → bytes
    mapped_bytes: int = 0  # pages of files that the daemon has mapped; not counted

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.own_bytes + sum(self.workers.values())

    @property
    def is_resting(self) -> bool:
        """Whether no decode worker has more than a fresh one."""
        return all(held <= _LARGE_BYTES for held in self.workers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMeasures:
    """What a ceiling asks for."""

    workers: int  # that may work, at least one
    renew: frozenset[int] = frozenset()  # process ids of those that are to end after the job in hand
    trouble: str = ""  # why the ceiling cannot be held, with the remedy; "": it can


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStanding:
    """How memory stands, for status."""

    use: MemoryUse
    ceiling_bytes: int
    workers_allowed: int
    trouble: str = ""


def need_after(need_bytes: int, use: MemoryUse) -> int:
    """What a worker must be expected to need after one more look, bytes."""
    return max(TYPICAL_BYTES, int(need_bytes * _FORGET), *use.workers.values())


def measures(use: MemoryUse, *, ceiling_bytes: int, workers: int, need_bytes: int) -> MemoryMeasures:
    """What is to be done that the ceiling is held.

    Args:
        use: what is held now.
        ceiling_bytes: what may be held.
        workers: decode workers that there may be at most.
        need_bytes: what each must be expected to need, see `need_after`.
    """
    room = ceiling_bytes - use.own_bytes
    allowed = min(workers, max(1, room // need_bytes))
    renew: set[int] = set()
    excess = use.total_bytes - ceiling_bytes
    for pid, held in sorted(use.workers.items(), key=lambda worker: -worker[1]):
        if excess <= 0 or held <= _LARGE_BYTES:
            break
        renew.add(pid)
        excess -= held - FRESH_BYTES
    return MemoryMeasures(workers=allowed, renew=frozenset(renew), trouble=_trouble(use, ceiling_bytes))


def _trouble(use: MemoryUse, ceiling_bytes: int) -> str:
    least = use.own_bytes + FRESH_BYTES
    if least <= ceiling_bytes:
        return ""
    enough = math.ceil((use.own_bytes + TYPICAL_BYTES) / (50 * MIB)) * 50
    return (
        f"the memory ceiling of {ceiling_bytes // MIB} MiB cannot be held: what is known of the library takes "
        f"{use.own_bytes // MIB} MiB, and one decode worker {FRESH_BYTES // MIB} more. Pictures are read one at a time "
        f"now; nothing is lost. Set limits.memory_mb to {enough} or more (in a service, MemoryHigh to a quarter more)"
    )
