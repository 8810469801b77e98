"""Pending: which file is to be read next: arrivals first, then what the store holds as pending.

Reads no file; asks the store for rows. Owns the two queues, what is in flight, and what is put off for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from dedupd.core.events import Origin
from dedupd.core.ports import Library
from dedupd.core.records import FilePath, FileRecord, FileStage, FileStat, RootId
from dedupd.pipeline.stage import Clock
from dedupd.pipeline.work import Work

_FETCH = 256
_FRUITLESS_WAIT_S = 1.0  # until pending files are looked up again when none of them could be read …
_FRUITLESS_REST = 20  # … and this many times as long as the looking took, so that it costs at most 5 % of a core
_VANISHED_WAIT_S = 10.0  # for the intake stage to find a file gone, before it is asked for again


class Pending:
    """Owned by the describe thread; any may call `arrive`, `notice` and `is_idle`."""

    def __init__(
        self,
        *,
        library: Library,
        clock: Clock,
        root_path: Callable[[RootId], bytes | None],
        has_room: Callable[[], bool],
        allow_backlog: Callable[[], bool] = lambda: True,
        allow_arrivals: Callable[[], bool] = lambda: True,
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            clock: time.
            root_path: absolute path of a root that may be read now, None while it is suspect or unknown.
            has_room: whether what comes after keeps up; only arrivals are named while not.
            allow_backlog: whether what a scan found may be read now.
            allow_arrivals: whether what has just arrived may be.
        """
        self._library = library
        self._clock = clock
        self._root_path = root_path
        self._has_room = has_room
        self._allow_backlog = allow_backlog
        self._allow_arrivals = allow_arrivals
        self._arrivals: deque[tuple[FilePath, Origin]] = deque()
        self._backlog: deque[FilePath] = deque()
        self._has_news = True  # pending files may have come since they were last looked up
        self._look_up_at_s = 0.0  # without news, not before
        self._vanished: dict[FilePath, tuple[FileStat, float]] = {}  # not to be asked for again before
        self._in_flight: set[FilePath] = set()  # from the request to the commit, so that nothing is read twice

    def arrive(self, path: FilePath) -> None:
        """A pending file that appeared just now: it comes before any backlog. Thread-safe."""
        self._arrivals.append((path, Origin.ARRIVAL))

    def notice(self) -> None:
        """There are new pending files in the store. Thread-safe."""
        self._has_news = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight or has just arrived; the store may still hold pending files."""
        return not (self._in_flight or self._arrivals)

    @property
    def has_arrivals(self) -> bool:
        """Whether files that have just arrived wait to be named."""
        return bool(self._arrivals)

    # ------------------------------------------------------------------------------------------------------- what next

    def next_path(self) -> tuple[FilePath, Origin] | None:
        """The file to be read next and why, None if there is none now."""
        if self._arrivals and self._allow_arrivals():
            return self._arrivals.popleft()
        if not self._allow_backlog():
            return None
        if not self._backlog and self._has_room():
            self._look_up_backlog()
        return (self._backlog.popleft(), Origin.SCAN) if self._backlog else None

    def begin(self, path: FilePath, origin: Origin) -> Work | None:
        """What to ask the pool, unless the file has been seen to meanwhile or may not be read now.

        The file is in flight until `end` names it.
        """
        with self._library.view() as view:
            file = view.file(path)
        if file is None or file.stage is not FileStage.PENDING:
            return None
        root = self._root_path(path.root)
        if root is None or not self._may_be_read(file, self._clock.monotonic_s()):
            return None
        self._in_flight.add(path)
        return Work(path=path, absolute=root + b"/" + path.relative(), origin=origin, stat=file.stat)

    def _look_up_backlog(self) -> None:
        """Find pending files that may be read now, past any number that may not: those of a disk that is away.

        The store gives them in one order from the start, so what is passed over is paid for again each time; hence
        as many as a quarter of what was looked through are taken at once.
        """
        began_s = self._clock.monotonic_s()
        if not self._has_news and began_s < self._look_up_at_s:
            return
        self._has_news = False
        limit = len(self._in_flight) + _FETCH
        while True:
            with self._library.view() as view:
                pending = view.pending_files(limit)
            found = [file.path for file in pending if self._may_be_read(file, began_s)]
            if len(pending) < limit or 4 * len(found) >= limit:
                break
            limit *= 4
        self._backlog.extend(found)
        if not found:
            ended_s = self._clock.monotonic_s()
            self._look_up_at_s = ended_s + _FRUITLESS_WAIT_S + _FRUITLESS_REST * (ended_s - began_s)

    def _may_be_read(self, file: FileRecord, now_s: float) -> bool:
        if file.path in self._in_flight or self._root_path(file.path.root) is None:
            return False  # asked for already, or suspect: it stays pending until the root is back
        stat, again_at_s = self._vanished.get(file.path, (None, 0.0))
        return stat != file.stat or again_at_s <= now_s

    # -------------------------------------------------------------------------------------------------- what came of it

    def end(self, paths: set[FilePath]) -> None:
        """The reads of these files are committed, or given up."""
        self._in_flight -= paths

    def repeat(self, works: Iterable[Work]) -> None:
        """These are to be read once more, before any backlog."""
        self._arrivals.extend((work.path, work.origin) for work in works)

    def put_off(self, vanished: Iterable[Work]) -> None:
        """These were not there: let them be until the intake stage has looked; one registered anew is read at once."""
        now_s = self._clock.monotonic_s()
        self._vanished = {path: held for path, held in self._vanished.items() if held[1] > now_s}
        for work in vanished:
            self._vanished[work.path] = (work.stat, now_s + _VANISHED_WAIT_S)
