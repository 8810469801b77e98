"""What this process and all that it started take of processor and disk. Owns nothing.

Sources: proc_pid_stat(5), proc_pid_io(5), proc_pid_task(5) on `children`. What cannot be read counts as nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dedupd.core.shares import Spent

_PROC = Path("/proc")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME_AFTER_NAME = 11  # words after the name in parentheses, which may hold spaces


def spending_now() -> dict[int, Spent]:
    """What each of them took since it began, by process id."""
    return {pid: spent_by(pid) for pid in _family(os.getpid())}


def spent_by(pid: int) -> Spent:
    """What one process took since it began."""
    return Spent(cpu_s=_cpu_s(pid), read_bytes=_read_bytes(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found = children.read_text("ascii").split()
        except OSError:
            continue  # a thread that has just ended
        for child in found:
            yield from _family(int(child))


def _cpu_s(pid: int) -> float:
    try:
        words = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(words[_UTIME_AFTER_NAME]) + int(words[_UTIME_AFTER_NAME + 1])) / _TICKS_A_SECOND


def _read_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "io").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("read_bytes:")), 0)
