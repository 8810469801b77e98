"""Watches one root with watchdog's inotify observer and repairs what watchdog leaves to its caller.

watchdog 7.1 (source read, behaviour measured) rebuilds every watch on a queue overflow and tells nobody, which on a
large tree overflows again, for ever; it swallows ENOSPC below the root; it goes on reporting a directory that was moved
away under its old path; and its queues have no bound. So: an overflow is recorded and repaired later by `catch_up`;
each directory without a watch is counted; watches of what is gone are dropped; events become dirty directories in the
emitter's thread and are never queued a second time.

Each root has an inotify instance of its own, so that one root's storm costs no other root an event. Runs in the
watcher process only; the observer's threads and `DirtySet` are all it shares.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor
from watchdog.observers.inotify_move_event_grouper import (
    GroupedInotifyEvent,
    InotifyMoveEventGrouper,
    PathedInotifyEvent,
)

from dedupd.core.ignore_rules import IgnoreRules, may_be_picture
from dedupd.sources.dirty_set import DirtySet

# Without a filter the registration walk itself raises events and a tree of 6,000 directories live-locks (measured).
# Left out on purpose: modified (one event per write(); a plain write ends in a close, the settle rule re-stats until
# then), and opened and closed-without-write (our own reading). What is only in those, truncate(2) and chmod(2) by
# path, the hourly scan finds.
EVENT_FILTER: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]

# How long watchdog holds a moved-from back for its moved-to, and every event behind it. The kernel writes the two
# together; 0.5 s, the default, delays a whole burst (561 ms measured).
MOVE_PAIRING_S = 0.05

QUEUED_EVENTS = 65_536  # four kernel queues; about 30 MB. Past it the queue is dropped like an overflow
RETRIED_AT_ONCE = 1_000  # directories without a watch to try again in one check, about 2 ms


class _MoveGrouper(InotifyMoveEventGrouper):
    delay = MOVE_PAIRING_S


@dataclass(repr=False)
class RootWatchGroup(InotifyWatchGroup):
    """The watches of one root. The reader thread and `catch_up` change them under watchdog's lock."""

    ignore: IgnoreRules = field(default_factory=IgnoreRules)
    device: int = 0  # st_dev of the root; other filesystems below it are not descended into
    queued_events: int = QUEUED_EVENTS
    overflows: int = field(default=0, init=False)
    lost_events: bool = field(default=False, init=False)  # set by the reader thread, cleared by `catch_up`
    out_of_watches: bool = field(default=False, init=False)
    unwatched: set[bytes] = field(default_factory=set, init=False)  # out of watches, or not readable
    has_moved: bool = field(
        default=False, init=False
    )  # a directory; set by the reader thread, cleared by `repair_moved`

    def __post_init__(self) -> None:
        self._move_event_grouper = _MoveGrouper()
        self._put = 0
        self._taken = 0
        super().__post_init__()

    def __repr__(self) -> str:
        """Short: the inherited one names every watch, and watchdog formats it for each path watched a second time."""
        return f"RootWatchGroup({self.path!r})"

    @property
    def watched_directories(self) -> int:
        """How many directories have a watch."""
        return len(self._active_callbacks_by_watch)

    def on_queue_overflow(self) -> None:
        """Record that events were lost. The watches are all still there; what is missing, `catch_up` adds."""
        with self._lock:
            self._lose_events()

    def on_event(self, event: InotifyEvent) -> None:
        """Keep the watches in step with the tree and queue the event."""
        super().on_event(event)
        if event.is_directory and (event.is_moved_from or event.is_moved_to):
            self.has_moved = True
        self._put += 1
        if self._put - self._taken > self.queued_events:
            with self._lock:
                self._lose_events()

    def read_event(self) -> GroupedInotifyEvent | None:
        """Take the next event or pair; None when the group is closed."""
        event = super().read_event()
        if event is not None:
            self._taken += 1 if isinstance(event, PathedInotifyEvent) else 2
        return event

    def catch_up(self) -> None:
        """Walk the root and watch what the lost events would have told of; drop watches of what is gone.

        Watches that are in place stay. The lock is only held for one directory at a time: watchdog's own rebuild holds
        it throughout and so makes the reader overflow again.
        """
        self.lost_events = False
        with self._lock:
            self.unwatched.clear()
            self.out_of_watches = False
        self._watch_below(self.path)
        self.drop_gone(self.path)

    def repair_moved(self) -> list[bytes]:
        """Walk the root after directories were renamed; returns those that had no watch, or one known by another path.

        Events come late in a storm. A directory made in another that is renamed before its event is read cannot be
        watched where it no longer is, and of renames one after the other the paths of watches can end up exchanged:
        145 of 100,000 files of a storm were missed so. What came below such a directory meanwhile was not told.
        """
        self.has_moved = False
        wrong: list[bytes] = []
        for directory in self._directories(self.path):
            with self._lock:
                if not self.is_active:
                    return wrong
                wd = self._active_callbacks_by_path.get(directory)
                is_in_step = wd is not None and self._active_callbacks_by_watch.get(wd) == directory
                self._add_callback(directory)
                now = self._active_callbacks_by_path.get(directory)
                if now is not None and not (is_in_step and now == wd):
                    wrong.append(directory)
        self.drop_gone(self.path)
        return wrong

    def retry_unwatched(self) -> list[bytes]:
        """Try again to watch what could not be; returns the directories that now are, each with all below it."""
        with self._lock:
            tried = sorted(islice(self.unwatched, RETRIED_AT_ONCE))
            self.out_of_watches = False
        watched = []
        for path in tried:
            if path not in self.unwatched:  # it came with a directory above it
                continue
            with self._lock:
                if self.is_active:
                    self._add_callback(path)
            if self.out_of_watches:
                break
            if path not in self.unwatched:
                self._watch_below(path)
                watched.append(path)
        return watched

    def drop_gone(self, top: bytes) -> None:
        """Remove the watches of directories that are no longer where they were, at or below `top`."""
        prefix = top + b"/"
        with self._lock:
            if not self.is_active:
                return
            by_path = self._active_callbacks_by_path
            gone = [
                wd
                for wd, path in self._active_callbacks_by_watch.items()
                if (path == top or path.startswith(prefix))
                and (by_path.get(path) != wd or (path != self.path and not _is_directory(path)))
            ]
            self._remove_callbacks(gone)
            for path in [p for p, wd in by_path.items() if self._active_callbacks_by_watch.get(wd) != p]:
                del by_path[path]
            self.unwatched = {p for p in self.unwatched if not p.startswith(prefix) or _is_directory(p)}

    def _watch_below(self, top: bytes) -> None:
        """Watch a directory and all below it, taking the lock for one at a time."""
        for directory in self._directories(top):
            with self._lock:
                if not self.is_active:
                    return
                self._add_callback(directory)

    def _lose_events(self) -> None:
        self._move_event_grouper.discard_pending_events()
        self._put = self._taken  # an event being taken at this moment may be counted twice; the bound is no exact one
        self.overflows += 1
        self.lost_events = True

    def _add_all_callbacks(self, path: bytes) -> None:
        """Watch a directory and all below it that is not ignored; called with the lock held."""
        for directory in self._directories(path):
            self._add_callback(directory)

    def _add_callback(self, path: bytes) -> None:
        """Watch one directory, or count it as unwatched; only a root that cannot be watched at all raises."""
        try:
            wd = self._inotify_fd.add_callback(path, self.event_mask, self._callback, self._id)
        except OSError as error:
            self.unwatched.discard(path)
            if error.errno == errno.ENOSPC:
                self.out_of_watches = True
                self.unwatched.add(path)
            elif path == self.path:
                raise
            return
        if wd == WatchDescriptor(-1):  # watchdog passes over EACCES and keeps the failed call's -1
            self.unwatched.add(path)
            return
        self.unwatched.discard(path)
        self._active_callbacks_by_path[path] = wd
        self._active_callbacks_by_watch[wd] = path

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        """Forget a watch. watchdog's own raises where two watches had one path, which ends its reader thread."""
        path = self._active_callbacks_by_watch.pop(wd, None)
        if path is not None and self._active_callbacks_by_path.get(path) == wd:
            del self._active_callbacks_by_path[path]

    def _recursive_simulate(self, src_path: bytes) -> list[InotifyEvent]:  # noqa: ARG002 (watchdog calls it so)
        """Nothing: a new directory is reported as dirty with all below it."""
        return []

    def _directories(self, top: bytes) -> Iterator[bytes]:
        """A directory and those below it; each is yielded, and so watched, before it is listed."""
        below_root = top[len(self.path) :].strip(b"/")
        if below_root and self.ignore.is_path_ignored(below_root):
            return
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            yield directory
            relative = directory[len(self.path) :].strip(b"/")
            try:
                with os.scandir(directory) as entries:
                    waiting.extend(
                        entry.path
                        for entry in entries
                        if entry.is_dir(follow_symlinks=False)
                        and not self.ignore.is_ignored(relative, entry.name)
                        and entry.stat(follow_symlinks=False).st_dev == self.device
                    )
            except OSError:  # gone, or unreadable: then its watch failed too and it is counted
                continue


class RootEmitter(InotifyEmitter):
    """Turns one root's events into dirty directories, in its own thread."""

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        timeout: float,
        event_filter: list[type[FileSystemEvent]] | None,
        inotify_fd: InotifyFD,
        root: int,
        path: bytes,
        ignore: IgnoreRules,
        dirty: DirtySet,
    ) -> None:
        super().__init__(event_queue, watch, timeout=timeout, event_filter=event_filter, inotify_fd=inotify_fd)
        self._root, self._path, self._ignore, self._dirty = root, path, ignore, dirty

    @property
    def group(self) -> RootWatchGroup | None:
        """The root's watches; None before the start and after the end."""
        return self._inotify if isinstance(self._inotify, RootWatchGroup) else None

    def on_thread_start(self) -> None:
        """Put the watches in place; returns when they are."""
        self._inotify = RootWatchGroup(
            self._inotify_fd,
            self._path,
            is_recursive=True,
            event_mask=self.get_event_mask_from_filter(),
            follow_symlink=False,
            ignore=self._ignore,
            device=os.lstat(self._path).st_dev,
        )

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = False) -> None:  # noqa: ARG002 (watchdog calls it so)
        """Mark what an event, or the two of a move, touched."""
        if not isinstance(event, PathedInotifyEvent):
            for one in event:
                self._mark(one)
            return
        self._mark(event)
        if event.ev.is_moved_from and event.ev.is_directory and self.group is not None:
            self.group.drop_gone(event.path)  # moved out of the root

    def _mark(self, event: PathedInotifyEvent) -> None:
        if event.path == self._path:  # the root itself went; whoever supervises looks for what is there now
            self._dirty.mark(self._root, b"", is_recursive=True)
            return
        directory, _, name = event.path[len(self._path) :].strip(b"/").rpartition(b"/")
        if self._ignore.is_path_ignored(directory) or self._ignore.is_ignored(directory, name):
            return
        if event.ev.is_directory:
            if not event.ev.is_delete_self:  # its parent reports it too
                self._dirty.mark(self._root, directory + b"/" + name if directory else name, is_recursive=True)
        elif may_be_picture(name):
            is_complete = event.ev.is_close_write or event.ev.is_moved_to
            self._dirty.mark(self._root, directory, closed=(name,) if is_complete else ())


class RootObserver(InotifyObserver):
    """watchdog's observer with one root in it, in which every event goes straight to the dirty set."""

    def __init__(self, *, root: int, path: bytes, ignore: IgnoreRules, dirty: DirtySet) -> None:
        """`path` is absolute and without symlinks."""
        super().__init__()
        self._emitter_class = RootEmitter
        self._emitter_kwargs |= {"root": root, "path": path, "ignore": ignore, "dirty": dirty}
        self._path = path
        self._root_emitter: RootEmitter | None = None

    def watch(self) -> None:
        """Put the watches in place; returns when they are. OSError: the root cannot be watched."""
        self.start()
        self.schedule(FileSystemEventHandler(), os.fsdecode(self._path), recursive=True, event_filter=EVENT_FILTER)
        (emitter,) = self.emitters
        assert isinstance(emitter, RootEmitter)
        self._root_emitter = emitter

    @property
    def group(self) -> RootWatchGroup | None:
        """The root's watches; None unless watching."""
        return self._root_emitter.group if self._root_emitter is not None else None

    def is_working(self) -> bool:
        """Whether every thread that an event passes through lives."""
        threads = (self, self._inotify_fd, self._root_emitter)
        return all(thread is not None and thread.is_alive() for thread in threads)

    def end(self) -> None:
        """Drop all watches and end the threads."""
        self.stop()
        self.join()


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
