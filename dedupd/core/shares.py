"""Shares: how much of the processor and the disk the backlog may take. Pure: time and what was spent come in.

An allowance fills with time and is spent by what dedupd's processes did, whoever asked for it: what arrives is never
held up, and the backlog makes room for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SAVED_S: Final = 1.0  # of the allowance are kept while nothing is done
_OWED_S: Final = 10.0  # of it at most are owed: many arrivals do not hold up the backlog for hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process took since it began."""

    cpu_s: float = 0.0  # user and system
    read_bytes: int = 0  # from a disk or a share; what the page cache gave is free


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRules:
    """What the backlog may take; 0: all of it."""

    cpu_percent: float = 0.0  # of all cores
    read_bytes_per_s: float = 0.0

    @property
    def is_any_set(self) -> bool:
        """Whether anything has to be measured."""
        return bool(self.cpu_percent or self.read_bytes_per_s)


def spent_between(before: Mapping[int, Spent], after: Mapping[int, Spent]) -> Spent:
    """What processes, by their ids, took between two looks; of one that ended meanwhile nothing is known."""
    cpu_s, read_bytes = 0.0, 0
    for pid, now in after.items():
        then = before.get(pid, Spent())
        cpu_s += max(0.0, now.cpu_s - then.cpu_s)  # less: another process with an old one's number
        read_bytes += max(0, now.read_bytes - then.read_bytes)
    return Spent(cpu_s=cpu_s, read_bytes=read_bytes)


class Allowance:
    """So much of something a second, on the long run exactly; not thread-safe."""

    def __init__(self, per_s: float, now_s: float) -> None:
        """Begin with what a second gives; 0 a second: without a limit."""
        self._per_s = per_s
        self._left = per_s * _SAVED_S
        self._at_s = now_s

    def spend(self, amount: float, now_s: float) -> bool:
        """Take what was spent since the last call, and say whether more may be begun now."""
        earned = self._per_s * (now_s - self._at_s)
        self._at_s = now_s
        self._left = min(self._per_s * _SAVED_S, self._left + earned) - amount
        self._left = max(self._left, -self._per_s * _OWED_S)
        return self._left > 0 or not self._per_s
