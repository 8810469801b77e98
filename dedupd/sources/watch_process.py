"""The watcher process: keeps watches on the roots and tells its parent which directories became dirty.

Run as `python -m dedupd.sources.watch_process FD` by local_watch, never by a person. A process of its own because the
reader of inotify must never wait for another thread's bytecode: with four busy threads beside it 6,898 of 50,000 files
were missed, alone none of 100,000. It is not niced for the same reason: a late reader costs a full scan. Stores
nothing, decides nothing about files, touches no network filesystem.

It lives as long as its parent: it ends when the socket closes or the parent dies, and leaves signals to the parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from pathlib import Path

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.sources.dirty_set import DirtySet
from dedupd.sources.inotify_root import RootObserver, RootWatchGroup
from dedupd.sources.mounts import Mount, is_below, is_network_filesystem, mount_of, read_mounts
from dedupd.sources.watch_wire import Dirty, Frames, Health, Message, Ready, RootHealth, Watch, WatchedRoot, frame

FLUSH_INTERVAL_S = 0.05  # the first change after a quiet time goes out at once, a storm at most this often
RECEIVE_BYTES = 65_536

_Identity = tuple[int, int, bool]  # st_dev, st_ino, whether it may be read

_MAX_USER_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_MAX_USER_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = logging.getLogger(__name__)


class RootWatch:
    """One root as this process sees it: watched, polled, or not there."""

    def __init__(self, root: WatchedRoot, ignore: IgnoreRules, dirty: DirtySet) -> None:
        self.root = root
        self._ignore = ignore
        self._dirty = dirty
        self._path = root.path  # without symlinks once placed
        self._observer: RootObserver | None = None
        self._seen: _Identity | None = None  # what is watched
        self._is_polled = False
        self._trouble = ""
        self._past_overflows = 0  # of observers that ended

    def place(self, mounts: list[Mount]) -> None:
        """Put watches on what is there now, unless it is to be polled."""
        self.end()
        self._path, self._seen, self._trouble = self.root.path, None, ""
        self._is_polled = self.root.must_poll or self._is_on_network(mounts)
        if not self._is_polled:  # only now: resolving touches the filesystem
            self._path = os.path.realpath(self.root.path)
            self._is_polled = self._is_on_network(mounts)
        if self._is_polled:
            return
        self._seen = _identity(self._path)
        if self._seen is None:
            self._trouble = "the directory is not there or does not answer; watching begins when it does"
            return
        try:
            self._observer = RootObserver(root=self.root.id, path=self._path, ignore=self._ignore, dirty=self._dirty)
            self._observer.watch()
        except OSError as error:
            self._trouble = f"cannot be watched, only polled: {_remedy(error)}"
            self.end()

    def check(self, mounts: list[Mount]) -> None:
        """Repair what events do not tell: another filesystem or directory at the path, an overflow, missing watches."""
        if self._is_polled != (self.root.must_poll or self._is_on_network(mounts)):
            self._place_again(mounts)
        if self._is_polled:
            return
        group = self._observer.group if self._observer is not None else None
        if _identity(self.root.path) != self._seen:
            self._place_again(mounts)
        elif group is None:
            if self._seen is not None:  # it could not be watched; perhaps now
                self.place(mounts)
                if self._observer is not None:
                    self._mark_all()
        else:
            try:
                self._repair(group)
            except OSError:  # the root broke in this moment; the other roots' watches must not end with it
                self._place_again(mounts)

    def _repair(self, group: RootWatchGroup) -> None:
        """Add the watches that an overflow, a limit or a rename cost. OSError: the root cannot be watched."""
        if group.lost_events:
            _log.warning("queue-overflowed root=%r overflows=%d", self.root.path, group.overflows)
            group.catch_up()
            self._mark_all()
        elif group.unwatched:
            self._mark_below(group.retry_unwatched())
        if group.has_moved:
            self._mark_below(group.repair_moved())

    def is_working(self) -> bool:
        """False when a thread of watchdog died, for which nothing but a new process is known to help."""
        return self._observer is None or self._observer.is_working()

    def mounts_changed(self, points: set[bytes]) -> None:
        """Something was mounted or unmounted at these points; an unmount raises no event."""
        if any(is_below(point, self._path) or is_below(self._path, point) for point in points):
            self._mark_all()

    def health(self) -> RootHealth:
        """How this root is watched."""
        group = self._observer.group if self._observer is not None else None
        unwatched = len(group.unwatched) if group is not None else 0
        message = self._trouble
        if self._is_polled:
            state = "polling"
        elif group is None:
            state = "failed"
        else:
            state = "partial" if group.out_of_watches else "watching"
            message = _unwatched_message(unwatched, is_limit=group.out_of_watches) if unwatched else ""
        return RootHealth(
            root=self.root.id,
            state=state,
            watched_directories=group.watched_directories if group is not None else 0,
            unwatched_directories=unwatched,
            overflows=self._past_overflows + (group.overflows if group is not None else 0),
            message=message,
        )

    def end(self) -> None:
        """Drop the watches."""
        if self._observer is not None:
            group = self._observer.group
            self._past_overflows += group.overflows if group is not None else 0
            self._observer.end()
            self._observer = None

    def _place_again(self, mounts: list[Mount]) -> None:
        self.place(mounts)
        self._mark_all()

    def _mark_below(self, paths: list[bytes]) -> None:
        """Mark directories with all below them; those above come first in the list."""
        marked: set[bytes] = set()
        for path in paths:
            if not any(is_below(path, above) for above in marked):
                marked.add(path)
                self._dirty.mark(self.root.id, path[len(self._path) :].strip(b"/"), is_recursive=True)

    def _mark_all(self) -> None:
        self._dirty.mark(self.root.id, b"", is_recursive=True)

    def _is_on_network(self, mounts: list[Mount]) -> bool:
        mount = mount_of(self._path, mounts)
        return mount is not None and is_network_filesystem(mount.filesystem)


class Watcher:
    """All roots. The main thread owns them; the flushing thread only takes from the dirty set."""

    def __init__(self, parent: socket.socket, check_interval_s: float) -> None:
        self._parent = parent
        self._check_interval_s = check_interval_s
        self._sending = threading.Lock()
        self._dirty = DirtySet()
        self._roots: dict[int, RootWatch] = {}
        self._mounts = read_mounts()
        self._ignore = IgnoreRules()
        self._last_health: list[RootHealth] = []
        self._flusher = threading.Thread(target=self._flush, name="flush", daemon=True)

    def run(self) -> None:
        """Serve until the parent closes the socket; raises when a thread of watchdog died."""
        self._flusher.start()
        frames = Frames()
        check_at_s = time.monotonic() + self._check_interval_s
        while True:
            timeout_s = max(0.0, check_at_s - time.monotonic())
            if select.select([self._parent], [], [], timeout_s)[0]:
                received = self._parent.recv(RECEIVE_BYTES)
                if not received:
                    return
                for message in frames.feed(received):
                    assert isinstance(message, Watch)
                    self._watch(message)
            if time.monotonic() >= check_at_s:
                self._check()
                check_at_s = time.monotonic() + self._check_interval_s

    def _watch(self, wanted: Watch) -> None:
        """Watch exactly the wanted roots; those that were watched already keep their watches."""
        if tuple(wanted.ignore_globs) != self._ignore.globs:
            self._ignore = IgnoreRules(wanted.ignore_globs)
        self._mounts = read_mounts()
        roots = {root.id: root for root in wanted.roots}
        for id_, watch in list(self._roots.items()):
            if roots.get(id_) != watch.root:
                self._roots.pop(id_).end()
        for id_, root in roots.items():
            if id_ not in self._roots:
                self._roots[id_] = RootWatch(root, self._ignore, self._dirty)
                self._roots[id_].place(self._mounts)
        self._tell_health()
        self._send(Ready(generation=wanted.generation))

    def _check(self) -> None:
        if not self._flusher.is_alive():
            raise RuntimeError("the flushing thread stopped")
        before, self._mounts = self._mounts, read_mounts()
        points = {mount.point for mount in set(before) ^ set(self._mounts)}
        for watch in self._roots.values():
            if not watch.is_working():
                raise RuntimeError(f"watchdog stopped watching {watch.root.path!r}")
            watch.check(self._mounts)
            if points:
                watch.mounts_changed(points)
        self._tell_health()

    def _tell_health(self) -> None:
        health = [watch.health() for watch in self._roots.values()]
        if health != self._last_health:
            self._last_health = health
            self._send(Health(roots=health))

    def _flush(self) -> None:
        try:
            while True:
                entries = self._dirty.take(None)
                self._send(Dirty(entries=entries))
                time.sleep(FLUSH_INTERVAL_S)  # what comes meanwhile goes out together
        except OSError:
            os._exit(0)  # the parent is gone

    def _send(self, message: Message) -> None:
        with self._sending:
            self._parent.sendall(frame(message))


def _identity(path: bytes) -> _Identity | None:
    """What directory is there and whether it may be read; None when there is none that can be told.

    A dead disk fails already here, or answers from memory. Losing the permission raises no event that is listened to.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        facts = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return facts.st_dev, facts.st_ino, os.access(path, os.R_OK | os.X_OK, effective_ids=True)


def _remedy(error: OSError) -> str:
    """Why a root cannot be watched, with what to do where a person can do something."""
    words = error.strerror or str(error)
    if error.errno != errno.EMFILE:
        return words
    limit = int(_MAX_USER_INSTANCES.read_bytes())
    return f"{words}; raise the limit with: sysctl fs.inotify.max_user_instances={max(512, 2 * limit)}"


def _unwatched_message(unwatched: int, *, is_limit: bool) -> str:
    folders = "1 folder" if unwatched == 1 else f"{unwatched} folders"
    if not is_limit:
        return f"{folders} may not be read by dedupd; give its user read permission"
    limit = int(_MAX_USER_WATCHES.read_bytes())
    return (
        f"inotify watches ran out: {folders} can only be polled; "
        f"raise the limit with: sysctl fs.inotify.max_user_watches={max(524_288, 2 * limit)}"
    )


def _die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies, prctl(2); the parent may have died before the call."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)


def main(arguments: list[str]) -> None:
    """Serve on an inherited socket: FD PARENT_PID CHECK_INTERVAL_S."""
    fd, parent_pid, check_interval_s = int(arguments[0]), int(arguments[1]), float(arguments[2])
    _die_with_parent(parent_pid)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the stop order is the parent's
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")  # hold no disk that someone may want to unmount
    logging.basicConfig(level=logging.WARNING, format="dedupd-watch: %(message)s")  # unless it was set up already
    logging.getLogger("watchdog").setLevel(logging.ERROR)  # it warns of overflows, which are reported as health
    warnings.simplefilter("ignore", RuntimeWarning)  # it warns where a path is watched again, as catching up does
    with socket.socket(fileno=fd) as parent, contextlib.suppress(ConnectionError):  # the parent is gone
        Watcher(parent, check_interval_s).run()
    os._exit(0)  # closing the inotify instances drops every watch; undoing them one by one takes seconds on large trees


if __name__ == "__main__":
    main(sys.argv[1:])
