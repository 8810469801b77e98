"""Examination: what stands in the way of dedupd on this machine, each thing with its remedy. Pure: facts come in.

Nothing here is an error of a file; `dedupctl problems` has those.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dedupd.core.memory_rules import MemoryStanding

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_FEW_WATCHES: Final = 0.75  # of the limit; other programs of the user share it
_WATCHES_WITHOUT_COUNT: Final = 65_536  # enough for most libraries; kernels before 5.11 allow 8,192
_OPEN_FILES: Final = 1024  # 64 clients, decode workers, and the store's and watcher's own
_CLOCK_JUMP_S: Final = 5.0


class Verdict(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARNING = "warning"  # works, and may soon not
    PROBLEM = "problem"  # something does not work now


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str  # "watches", "open-files", "state-directory", "root", "socket", "actor", "index", "model", "clock", …
    verdict: Verdict
    words: str  # what was found
    remedy: str = ""  # what a person can do; "" where there is nothing to do


def examine_watches(*, limit: int | None, watched: int, unwatched: int) -> Finding:
    """Whether there are inotify watches for every directory. `limit`: max_user_watches, None: not known."""
    needed = watched + unwatched
    remedy = f"sysctl fs.inotify.max_user_watches={max(2 * needed, 524_288)}, and the same in /etc/sysctl.d"
    if unwatched:
        words = f"{unwatched:,} of {needed:,} directories have no watch and are polled; the limit is {limit or 0:,}"
        return Finding(subject="watches", verdict=Verdict.PROBLEM, words=words, remedy=remedy)
    if limit is None:
        return Finding(subject="watches", verdict=Verdict.OK, words="this kernel names no limit of watches")
    is_few = watched > _FEW_WATCHES * limit or (not watched and limit < _WATCHES_WITHOUT_COUNT)
    words = f"{watched:,} directories are watched, {limit:,} watches are allowed"
    return Finding(
        subject="watches",
        verdict=Verdict.WARNING if is_few else Verdict.OK,
        words=words,
        remedy=remedy if is_few else "",
    )


def examine_open_files(*, limit: int, used: int) -> Finding:
    """Whether there is room for descriptors."""
    is_few = limit < _OPEN_FILES or 2 * used > limit
    return Finding(
        subject="open-files",
        verdict=Verdict.WARNING if is_few else Verdict.OK,
        words=f"{used:,} descriptors are open, {limit:,} are allowed",
        remedy=f"LimitNOFILE={max(4 * used, 4096)} in the unit, or `ulimit -n`" if is_few else "",
    )


def examine_disk(*, directory: str, free_bytes: int, total_bytes: int) -> Finding:
    """Whether there is room for the state."""
    words = f"{free_bytes / _GIB:.1f} GiB of {total_bytes / _GIB:.1f} GiB are free at {directory}"
    verdict = Verdict.OK
    if free_bytes < 256 * _MIB:
        verdict = Verdict.PROBLEM
    elif free_bytes < 2 * _GIB and free_bytes < 0.05 * total_bytes:
        verdict = Verdict.WARNING
    remedy = "" if verdict is Verdict.OK else "make room there, or set state_dir to another local disk"
    return Finding(subject="disk-space", verdict=verdict, words=words, remedy=remedy)


def examine_clock(*, is_synchronised: bool | None, jumped_s: float) -> Finding:
    """Whether dates can be believed. `jumped_s`: how far the clock was set since the daemon's start."""
    if abs(jumped_s) > _CLOCK_JUMP_S:
        words = f"the clock was set by {jumped_s:+.0f} s since the start"
        remedy = "synchronise it (timedatectl set-ntp true); times of events before and after do not compare"
        return Finding(subject="clock", verdict=Verdict.WARNING, words=words, remedy=remedy)
    if is_synchronised is False:
        return Finding(
            subject="clock",
            verdict=Verdict.WARNING,
            words="the clock is not synchronised",
            remedy="timedatectl set-ntp true",
        )
    words = "the clock is synchronised" if is_synchronised else "the kernel does not say whether it is synchronised"
    return Finding(subject="clock", verdict=Verdict.OK, words=words)


def examine_index(*, indexed: int, linked: int) -> Finding:
    """Whether the index holds every content that was compared."""
    words = f"{indexed:,} of {linked:,} pictures are in the index"
    if indexed < linked:
        return Finding(
            subject="index", verdict=Verdict.WARNING, words=words, remedy="restart dedupd: it builds the index again"
        )
    return Finding(subject="index", verdict=Verdict.OK, words=words)


def examine_memory(standing: MemoryStanding) -> Finding:
    """Whether the memory ceiling is held."""
    words = f"{standing.use.total_bytes // _MIB:,} MiB are used, {standing.ceiling_bytes // _MIB:,} are allowed"
    if not standing.trouble:
        return Finding(subject="memory", verdict=Verdict.OK, words=words)
    return Finding(subject="memory", verdict=Verdict.WARNING, words=words, remedy=standing.trouble)


def examine_jpeg_decoder(*, is_compiled: bool) -> Finding:
    """Whether large JPEGs are decoded the fast way. Both ways give the same pictures."""
    if is_compiled:
        return Finding(subject="jpeg-decoder", verdict=Verdict.OK, words="large JPEGs are decoded the fast way")
    words = "large JPEGs take twice as long as they could: dedupd was installed without gcc or python3-dev"
    return Finding(subject="jpeg-decoder", verdict=Verdict.OK, words=words)


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The gravest verdict of all."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in (Verdict.PROBLEM, Verdict.WARNING) if verdict in found), Verdict.OK)
