"""Says which directories of the local roots to look at: owns the watcher process and the polling.

Implements ports.ChangeSource. Reads no directory itself: what it hands out are hints, and where it cannot have any
(network filesystems, no watches left, the watcher dead) it hints at everything, every poll interval. When the watcher
dies it is started again with back-off, and all roots are marked once the new one watches.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.ports import DirtyDirectory, WatchHealth, WatchState
from dedupd.core.records import RootId, RootRecord
from dedupd.sources.dirty_set import DirtySet
from dedupd.sources.watch_wire import (
    Dirt,
    Dirty,
    Frames,
    Health,
    Ready,
    RootHealth,
    Watch,
    WatchedRoot,
    frame,
)

RECEIVE_BYTES = 1 << 20
FIRST_RESTART_S = 0.2
LONGEST_RESTART_S = 60.0
HEALTHY_AFTER_S = 60.0  # a watcher that lived this long starts the back-off afresh
START_ATTEMPTS = 3  # after that `start` goes on without events: scans and polling still find everything
END_S = 2.0  # how long the watcher may take to end before it is killed

_NEEDS_POLLING = frozenset({WatchState.POLLING, WatchState.PARTIAL, WatchState.FAILED})

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    channel: socket.socket


class LocalWatch:
    """The change source for local directories. Thread-safe; `take` is meant for one thread."""

    def __init__(
        self,
        *,
        ignore: IgnoreRules,
        poll_interval_s: float,
        poll_always: frozenset[bytes] = frozenset(),
        check_interval_s: float = 2.0,
        program: str = "dedupd.sources.watch_process",
    ) -> None:
        """Make ready; `start` begins.

        Args:
            ignore: what is not looked at is not watched either.
            poll_interval_s: how often roots without (enough) events are marked as a whole.
            poll_always: paths of roots to poll even where events would work.
            check_interval_s: how often mounts, root directories and the watcher's threads are checked.
            program: the module that is run as the watcher process; it ends in that `main`.
        """
        self._program = program
        self._ignore_globs = list(ignore.globs)
        self._poll_interval_s = poll_interval_s
        self._poll_always = poll_always
        self._check_interval_s = check_interval_s
        self._dirty = DirtySet()
        self._changed = threading.Condition()  # guards all below
        self._wanted = Watch(generation=0, roots=[], ignore_globs=self._ignore_globs)
        self._ready_generation = 0
        self._failed_starts = 0  # since a watcher was last ready
        self._has_gap = False  # a watcher died: until the next is ready, changes went unseen
        self._health: dict[int, RootHealth] = {}
        self._child: _Child | None = None
        self._is_closing = False
        self._threads: list[threading.Thread] = []

    def start(self, roots: Sequence[RootRecord]) -> None:
        """Begin watching; returns once every root is watched, or known to be polled or unwatchable."""
        for work in (self._supervise, self._poll):
            thread = threading.Thread(target=work, name=f"watch{work.__name__}", daemon=True)
            self._threads.append(thread)
        with self._changed:
            self._want(roots)
            for thread in self._threads:
                thread.start()
            self._wait_until_ready()

    def set_roots(self, roots: Sequence[RootRecord]) -> None:
        """Watch these from now on; unchanged roots keep their watches. Returns like `start`."""
        with self._changed:
            self._want(roots)
            if self._child is not None:
                self._tell(self._child)
            self._wait_until_ready()

    def take(self, timeout_s: float) -> list[DirtyDirectory]:
        """What became dirty, merged by directory; empty after the timeout. Roots no longer wanted are left out."""
        entries = self._dirty.take(timeout_s)
        with self._changed:
            wanted = {root.id for root in self._wanted.roots}
        return [_dirty_directory(entry) for entry in entries if entry.root in wanted]

    def health(self) -> list[WatchHealth]:
        """How each root is watched now."""
        with self._changed:
            is_up = self._child is not None
            return [self._health_of(root.id, is_up=is_up) for root in self._wanted.roots]

    @property
    def process_id(self) -> int | None:
        """The watcher process; None while there is none."""
        with self._changed:
            return self._child.process.pid if self._child is not None else None

    def close(self) -> None:
        """End the watcher. What was not taken is dropped."""
        with self._changed:
            self._is_closing = True
            if self._child is not None:
                with contextlib.suppress(OSError):  # it died just now
                    self._child.channel.shutdown(socket.SHUT_RDWR)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._dirty.close()

    def _want(self, roots: Sequence[RootRecord]) -> None:
        watched = [WatchedRoot(id=r.id, path=r.path, must_poll=r.path in self._poll_always) for r in roots]
        generation = self._wanted.generation + 1
        self._wanted = Watch(generation=generation, roots=watched, ignore_globs=self._ignore_globs)
        self._health = {id_: health for id_, health in self._health.items() if id_ in {r.id for r in roots}}

    def _wait_until_ready(self) -> None:
        generation = self._wanted.generation
        self._changed.wait_for(
            lambda: self._ready_generation >= generation or self._failed_starts >= START_ATTEMPTS or self._is_closing
        )

    def _health_of(self, root: int, *, is_up: bool) -> WatchHealth:
        known = self._health.get(root)
        if known is not None and is_up:
            state, message = WatchState(known.state), known.message
        elif self._has_gap:
            state, message = WatchState.FAILED, "the watcher process died and is being restarted; scans go on"
        else:
            state, message = WatchState.STARTING, ""
        return WatchHealth(
            root=RootId(root),
            state=state,
            watched_directories=known.watched_directories if known and is_up else 0,
            unwatched_directories=known.unwatched_directories if known and is_up else 0,
            overflows=known.overflows if known else 0,
            message=message,
        )

    def _supervise(self) -> None:
        """Keep a watcher running until `close`; also the thread whose death would kill it, prctl(2)."""
        back_off_s = FIRST_RESTART_S / 2
        while True:
            started_s = time.monotonic()
            try:
                self._serve()
            except OSError as error:
                _log.warning("watcher-not-started cause=%s", error)
            with self._changed:
                if self._is_closing:
                    return
                lived_s = time.monotonic() - started_s
                back_off_s = FIRST_RESTART_S if lived_s >= HEALTHY_AFTER_S else min(2 * back_off_s, LONGEST_RESTART_S)
                self._has_gap = True
                self._failed_starts += 1
                self._health.clear()
                self._changed.notify_all()
                _log.warning("watcher-died lived_s=%.1f restart_in_s=%.1f", lived_s, back_off_s)
                if self._changed.wait_for(lambda: self._is_closing, back_off_s):
                    return

    def _serve(self) -> None:
        """Start a watcher and take in what it says until it ends."""
        child = self._spawn()
        frames = Frames()
        try:
            with self._changed:
                if self._is_closing:
                    return
                self._child = child
                self._tell(child)
            while received := child.channel.recv(RECEIVE_BYTES):
                for message in frames.feed(received):
                    match message:
                        case Dirty():
                            self._mark(message.entries)
                        case Health():
                            with self._changed:
                                self._health = {health.root: health for health in message.roots}
                        case Ready():
                            self._take_ready(message.generation)
        except ConnectionError:
            pass  # killed with something unread
        finally:
            with self._changed:
                self._child = None
                self._ready_generation = 0
            child.channel.close()
            _end(child.process)

    def _take_ready(self, generation: int) -> None:
        with self._changed:
            if self._has_gap:  # only now: watch first, then list
                self._mark_roots({root.id for root in self._wanted.roots})
            self._has_gap = False
            self._failed_starts = 0
            self._ready_generation = generation
            self._changed.notify_all()

    def _spawn(self) -> _Child:
        ours, theirs = socket.socketpair()
        arguments = [str(theirs.fileno()), str(os.getpid()), str(self._check_interval_s)]
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", self._program, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Child(process, ours)

    def _tell(self, child: _Child) -> None:
        try:
            child.channel.sendall(frame(self._wanted))
        except OSError:
            _log.debug("watcher-gone")  # the supervising thread sees its end too and tells the next one

    def _poll(self) -> None:
        """Mark roots without enough events, every interval."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._is_closing, self._poll_interval_s):
                    return
            self._mark_roots({health.root for health in self.health() if health.state in _NEEDS_POLLING})

    def _mark_roots(self, roots: set[RootId] | set[int]) -> None:
        for root in roots:
            self._dirty.mark(root, b"", is_recursive=True)

    def _mark(self, entries: list[Dirt]) -> None:
        for entry in entries:
            self._dirty.mark(entry.root, entry.directory, closed=entry.closed, is_recursive=entry.is_recursive)


def _dirty_directory(entry: Dirt) -> DirtyDirectory:
    return DirtyDirectory(
        root=RootId(entry.root), directory=entry.directory, closed=entry.closed, is_recursive=entry.is_recursive
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a watcher that was told to end, or make it."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
