"""Intake: look at dirty directories and whole roots, and bring the store's files in line with the disk.

An event only says where to look; the stat decides. Reads no picture. It is the thread of `Register` (what settles and
gets a row), `Scans` (the walks) and `Absence` (what is gone), and hands each what the listings show; asks the root book
whether a root can be believed. Owns the commands.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from dedupd.core.ports import ChangeSource, DirtyDirectory, Library, Lister, Listing
from dedupd.core.records import ContentId, FilePath, FileStat, RootId, RootRecord, RootState
from dedupd.core.settle import Settling
from dedupd.pipeline.absence import Absence
from dedupd.pipeline.known_directories import KnownDirectories
from dedupd.pipeline.reconcile import Changes, compare_listings
from dedupd.pipeline.register import Register
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.scans import Scans
from dedupd.pipeline.stage import Clock, OnCrash, Stage
from dedupd.pipeline.watch_trouble import WatchTrouble

_IDLE_WAIT_S = 0.5
_RECHECK_SUSPECT_S = 5.0


@dataclass(frozen=True, slots=True)
class _ScanRequest:
    roots: tuple[RootId, ...] | None


@dataclass(frozen=True, slots=True)
class _Accept:
    root: RootId


@dataclass(frozen=True, slots=True)
class _Configure:
    paths: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _LookAgain:
    path: FilePath


_Command = _ScanRequest | _Accept | _Configure | _LookAgain


class Intake(Stage):
    """See the module; one thread."""

    def __init__(
        self,
        *,
        library: Library,
        lister: Lister,
        changes: ChangeSource,
        settling: Settling,
        roots: RootBook,
        clock: Clock,
        stat_of: Callable[[bytes], FileStat | None],
        on_settling: Callable[[], None] = lambda: None,
        on_arrival: Callable[[FilePath], None],
        on_pending: Callable[[], None],
        on_reread: Callable[[FilePath, ContentId], None],
        on_crash: OnCrash,
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            lister: reads directories.
            changes: says what became dirty.
            settling: decides when a file has stopped changing.
            roots: decides which roots can be believed.
            clock: time.
            stat_of: lstat of an absolute path, None when nothing is there.
            on_settling: told that a file begins to settle, or still does: it will be read soon.
            on_arrival: told of a file that appeared while watching and is pending now.
            on_pending: told that the store has new pending files from a scan.
            on_reread: told what a known file held that is pending again because its stat changed.
            on_crash: see Stage.
        """
        super().__init__("intake", on_crash)
        self._library = library
        self._lister = lister
        self._changes = changes
        self._roots = roots
        self._clock = clock
        self._stat_of = stat_of
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._next_recheck_s = 0.0
        self._watch_trouble = WatchTrouble(library, clock)
        self._is_busy = False  # at a step that has something to do
        self._directories = KnownDirectories()  # the register adds to them, the others ask
        self._register = Register(
            library=library,
            settling=settling,
            roots=roots,
            directories=self._directories,
            clock=clock,
            stat_now=self._stat_now,
            on_settling=on_settling,
            on_arrival=on_arrival,
            on_pending=on_pending,
            on_reread=on_reread,
        )
        self._absence = Absence(
            library=library,
            lister=lister,
            roots=roots,
            directories=self._directories,
            clock=clock,
            stat_now=self._stat_now,
            on_directory_gone=self._register.stop_settling,
            goes_on=self._goes_on,
        )
        self._scans = Scans(
            library=library,
            lister=lister,
            roots=roots,
            directories=self._directories,
            register=self._register,
            absence=self._absence,
            reconcile=self._reconcile,
            clock=clock,
        )

    # -------------------------------------------------------------------------------------- asked from other threads

    def scan(self, roots: Sequence[RootId] | None) -> None:
        """Scan these roots, or all, as soon as possible. Thread-safe."""
        self._commands.put(_ScanRequest(None if roots is None else tuple(roots)))

    def accept(self, root: RootId) -> None:
        """A person believes what a suspect root shows. Thread-safe."""
        self._commands.put(_Accept(root))

    def configure(self, paths: Sequence[bytes]) -> None:
        """Watch these directories from now on. Thread-safe."""
        self._commands.put(_Configure(tuple(paths)))

    def look_again(self, path: FilePath) -> None:
        """A pending file was not there when it was to be read: look at its directory. Thread-safe."""
        self._commands.put(_LookAgain(path))

    def scanning(self) -> set[RootId]:
        """Roots with a full scan under way. Thread-safe."""
        return self._scans.full()

    @property
    def others(self) -> dict[RootId, dict[str, int]]:
        """What the last full scan of each root passed over, by suffix. Thread-safe."""
        return self._scans.others

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being scanned, settling, or waiting for a verdict."""
        return (
            self._commands.empty()
            and not (self._is_busy or len(self._scans) or len(self._absence))
            and self._register.is_idle
        )

    # ------------------------------------------------------------------------------------------------------- the loop

    def _prepare(self) -> None:
        with self._library.view() as view:
            for root in view.roots():
                self._directories.load(root.id, view.directories(root.id))

    def _step(self) -> None:
        self._is_busy = not self._commands.empty()
        self._run_commands()
        self._is_busy = False
        dirty = self._changes.take(self._wait_s())
        self._is_busy = bool(dirty)
        self._look_at(dirty)
        self._look_at(self._register.take_places_due())
        self._register.look_at_due()
        self._register.flush()
        self._absence.judge(self._scans.is_walked)
        self._recheck_roots()
        self._scans.walk_some()
        self._is_busy = False

    def _wait_s(self) -> float:
        if len(self._scans) or not self._commands.empty():
            return 0.0
        next_due = self._register.next_due()
        if next_due is None:
            return _IDLE_WAIT_S
        return min(_IDLE_WAIT_S, max(0.0, next_due - self._clock.monotonic_s()))

    def _run_commands(self) -> None:
        missed: set[tuple[RootId, bytes]] = set()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            match command:
                case _ScanRequest(roots=wanted):
                    for root in self._roots.watched():
                        if wanted is None or root.id in wanted:
                            self._scans.begin(root.id, b"", is_arrival=False)
                case _Accept(root=root_id):
                    self._roots.accept(root_id)
                    self._scans.begin(root_id, b"", is_arrival=False)
                case _Configure(paths=paths):
                    self._configure(paths)
                case _LookAgain(path=path):
                    missed.add((path.root, path.directory))
                case _:
                    assert_never(command)
        self._look_at([DirtyDirectory(root=root_id, directory=directory) for root_id, directory in missed])

    def _configure(self, paths: Sequence[bytes]) -> None:
        fresh = self._roots.configure(paths)
        self._changes.set_roots(self._roots.watched())
        for root_id in fresh:
            self._scans.begin(root_id, b"", is_arrival=False)

    # ----------------------------------------------------------------------------------------------- looking at places

    def _look_at(self, places: Iterable[DirtyDirectory]) -> None:
        """Bring dirty directories in line; each root is judged once, as nothing is marked missing here."""
        believed: dict[RootId, RootRecord | None] = {}
        for dirty in places:
            if not self._goes_on():
                return  # the scan at the next start sees the rest
            if dirty.root not in believed:
                believed[dirty.root] = self._roots.check(dirty.root)
            root = believed[dirty.root]
            if root is None:
                continue
            if dirty.is_recursive:
                self._scans.begin(root.id, dirty.directory, is_arrival=True)
                continue
            listing = self._lister.listing(root, dirty.directory)
            if listing.is_complete:
                self._reconcile(root, [listing], is_arrival=True, closed=dirty.closed)
                self._absence.notice_vanished_subtrees(root.id, listing)
            self._register.flush_when_full()

    def _reconcile(
        self,
        root: RootRecord,
        listings: Sequence[Listing],
        *,
        is_arrival: bool,
        closed: frozenset[bytes] = frozenset(),
    ) -> list[Changes]:
        """Hand on what differs in some directories."""
        found = compare_listings(self._library, root.id, listings)
        for listing, changes in zip(listings, found, strict=True):
            self._hand_on(root, listing, changes, is_arrival=is_arrival, closed=closed)
        return found

    def _hand_on(
        self, root: RootRecord, listing: Listing, changes: Changes, *, is_arrival: bool, closed: frozenset[bytes]
    ) -> None:
        if changes.lacks_fingerprint:
            self._register.keep_fingerprint(root.id, listing.directory)
        for name in (*changes.new, *changes.changed):
            path = FilePath(root=root.id, directory=listing.directory, name=name)
            self._absence.withdraw(path)
            self._register.look(path, listing.files[name], was_closed=name in closed, is_arrival=is_arrival)
        self._register.put(changes.refreshed)
        self._register.set_aside(root.id, listing.directory, changes.odd)
        for name in changes.gone:
            path = FilePath(root=root.id, directory=listing.directory, name=name)
            self._absence.notice(path)
            self._register.forget(path)

    def _stat_now(self, path: FilePath) -> FileStat | None:
        root = self._roots.online(path.root)
        try:
            return self._stat_of(root.path + b"/" + path.relative()) if root else None
        except OSError:
            return None  # the next listing finds it again

    def _recheck_roots(self) -> None:
        """Look whether a root that was not believed is itself again, and how all are watched."""
        if self._clock.monotonic_s() < self._next_recheck_s:
            return
        self._next_recheck_s = self._clock.monotonic_s() + _RECHECK_SUSPECT_S
        for root in self._roots.watched():
            if root.state is not RootState.ONLINE and self._roots.check(root.id) is not None:
                self._scans.begin(root.id, b"", is_arrival=False)
        self._watch_trouble.look(self._changes.health(), believed=self._roots.online)
