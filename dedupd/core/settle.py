"""Has this file stopped changing? A file is only read once it has.

A file has settled when its inode, size and mtime were equal over two looks and it was quiet in between: briefly after
a close or a rename into place, longer after a plain write. Does not stat, wait or know any clock: looks, the monotonic
`now_s` and the wall clock come in as arguments. The intake thread owns the state.

One look is enough for a file whose mtime is older than the longer quiet time: writes set the mtime, so nobody wrote
meanwhile. That rule needs no memory, which is why the memory may be bounded: a file that finds no room is found again
by listing its directory later, when its mtime is old.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from dedupd.core import stat_key
from dedupd.core.records import FilePath

QUIET_AFTER_CLOSE_S = 0.5  # the writer said that it is done; some close twice (data, then metadata)
QUIET_AFTER_WRITE_S = 10.0  # nobody said anything: a stalled copy may go on (reliability notes, Syncthing's default)

# FAT stores mtime in steps of 2 s, some servers in whole seconds: a second write within the same step is invisible.
COARSE_MTIME_S = 2.0

_SAME_CONTENT = slice(0, 32)  # dev, ino, size and mtime of a packed stat; not ctime, which chmod and link move too
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Settled:
    """The file may be read now; it is no longer tracked."""


@dataclass(frozen=True, slots=True)
class LookAgainAt:
    """The file may still be changing."""

    at_s: float  # monotonic
    is_tracked: bool = True  # False: no room; `due` will not name it, so list its directory again at that time


@dataclass(slots=True)
class _Waiting:
    content: bytes  # packed[_SAME_CONTENT] of the last look
    since_s: float  # the look that first showed it
    was_closed: bool  # since it last changed
    due_s: float


class Settling:
    """The files that were seen changing. Not thread-safe."""

    def __init__(
        self,
        *,
        quiet_after_close_s: float = QUIET_AFTER_CLOSE_S,
        quiet_after_write_s: float = QUIET_AFTER_WRITE_S,
        limit: int = 100_000,  # tracked files, about half a kilobyte each
    ) -> None:
        self._quiet_after_close_s = quiet_after_close_s
        self._quiet_after_write_s = quiet_after_write_s
        self._limit = limit
        self._waiting: dict[FilePath, _Waiting] = {}
        self._heap: list[tuple[float, FilePath]] = []  # may hold outdated entries; due_s of the file decides

    def __len__(self) -> int:
        """How many files are tracked."""
        return len(self._waiting)

    def look(
        self, path: FilePath, packed_stat: bytes, *, now_s: float, wall_now_ns: int, was_closed: bool
    ) -> Settled | LookAgainAt:
        """Take in one look at a file.

        Args:
            path: the file.
            packed_stat: core.stat_key.pack of what lstat says now.
            now_s: monotonic seconds.
            wall_now_ns: CLOCK_REALTIME, compared with the file's mtime.
            was_closed: a close or a rename into place was reported since the last look.
        """
        content = packed_stat[_SAME_CONTENT]
        mtime_ns = stat_key.unpack(packed_stat).mtime_ns
        known = self._waiting.get(path)
        if known is None:
            if wall_now_ns - mtime_ns >= self._quiet_after_write_s * _NS_PER_S:
                return Settled()
            if len(self._waiting) >= self._limit:
                return LookAgainAt(now_s + self._quiet_after_write_s, is_tracked=False)
            known = self._waiting[path] = _Waiting(content, now_s, was_closed, now_s)
        elif known.content != content:
            known.content, known.since_s, known.was_closed = content, now_s, was_closed
        else:
            known.was_closed |= was_closed

        settled_s = known.since_s + self._quiet_s(known, mtime_ns, wall_now_ns, now_s)
        if settled_s <= now_s and known.since_s < now_s:
            del self._waiting[path]
            return Settled()
        self._put_off(path, known, settled_s)
        return LookAgainAt(settled_s)

    def forget(self, path: FilePath) -> None:
        """The file is gone, or no longer of interest. Unknown ones are no error."""
        self._waiting.pop(path, None)
        if not self._waiting:
            self._heap.clear()

    def due(self, now_s: float) -> list[FilePath]:
        """Files to look at now, the longest due first.

        Each is to be answered with `look` or `forget`; one that is not comes again after the longer quiet time.
        """
        paths: list[FilePath] = []
        while self._heap and self._heap[0][0] <= now_s:
            due_s, path = heapq.heappop(self._heap)
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due_s == due_s:
                paths.append(path)
                self._put_off(path, waiting, now_s + self._quiet_after_write_s)
        return paths

    def next_due(self) -> float | None:
        """When `due` will name a file next, monotonic seconds; None while nothing is tracked."""
        while self._heap:
            due_s, path = self._heap[0]
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due_s == due_s:
                return due_s
            heapq.heappop(self._heap)
        return None

    def _quiet_s(self, known: _Waiting, mtime_ns: int, wall_now_ns: int, now_s: float) -> float:
        """How long after `since_s` the file may be taken as settled."""
        quiet_s = self._quiet_after_close_s if known.was_closed else self._quiet_after_write_s
        age_s = (wall_now_ns - mtime_ns) / _NS_PER_S
        if mtime_ns % _NS_PER_S == 0 and 0 <= age_s < COARSE_MTIME_S:
            quiet_s = max(quiet_s, now_s - known.since_s + COARSE_MTIME_S - age_s)
        return quiet_s

    def _put_off(self, path: FilePath, waiting: _Waiting, due_s: float) -> None:
        waiting.due_s = due_s
        if len(self._heap) > 2 * len(self._waiting) + 64:  # mostly outdated entries: start afresh
            self._heap = [(w.due_s, p) for p, w in self._waiting.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due_s, path))
