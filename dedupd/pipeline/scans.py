"""Scans: the walks below directories that are under way, a slice of one at a time.

A walk lists what is there, has each listing brought in line, and at its end notices which known directories it did not
meet. Owns the queue of walks and what the last full scan of each root passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dedupd.core.events import ScanFinished
from dedupd.core.ports import Library, Lister, Listing
from dedupd.core.records import RootId, RootRecord
from dedupd.pipeline.absence import Absence
from dedupd.pipeline.known_directories import KnownDirectories
from dedupd.pipeline.reconcile import DIRECTORIES_AT_ONCE, Changes
from dedupd.pipeline.register import Register
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.stage import Clock

_SLICE_S = 0.1  # how long scanning goes on before arrivals are looked at again


class Reconcile(Protocol):
    """Brings the store in line with the listings of some directories and says what differed in each."""

    def __call__(self, root: RootRecord, listings: Sequence[Listing], *, is_arrival: bool) -> list[Changes]: ...


@dataclass(slots=True)
class _Scan:
    """One walk below a directory: a full scan of a root, or a subtree that events cannot describe."""

    root: RootId
    start: bytes
    is_arrival: bool
    began_s: float
    todo: list[bytes]
    visited: set[bytes] = field(default_factory=set)
    unreadable: set[bytes] = field(default_factory=set)
    others: dict[str, int] = field(default_factory=dict)
    files: int = 0
    added: int = 0
    changed: int = 0
    gone: int = 0

    @property
    def is_full(self) -> bool:
        return self.start == b""


class Scans:
    """Owned by the intake thread; `full`, the length and `others` may be asked by any."""

    def __init__(
        self,
        *,
        library: Library,
        lister: Lister,
        roots: RootBook,
        directories: KnownDirectories,
        register: Register,
        absence: Absence,
        reconcile: Reconcile,
        clock: Clock,
    ) -> None:
        self._library = library
        self._lister = lister
        self._roots = roots
        self._directories = directories
        self._register = register
        self._absence = absence
        self._reconcile = reconcile
        self._clock = clock
        self._scans: deque[_Scan] = deque()
        self.others: dict[RootId, dict[str, int]] = {}  # of the last full scan, by suffix

    def __len__(self) -> int:
        """How many walks are under way or wait."""
        return len(self._scans)

    def full(self) -> set[RootId]:
        """Roots with a full scan under way."""
        return {scan.root for scan in list(self._scans) if scan.is_full}

    def is_walked(self, root: RootId) -> bool:
        """Whether a walk goes on or waits in a root."""
        return any(scan.root == root for scan in self._scans)

    def begin(self, root: RootId, start: bytes, *, is_arrival: bool) -> None:
        """Walk below a directory soon, b"" for the whole root; an arrival's subtree comes before all other walks."""
        if any(s.root == root and not s.visited and _lies_in(start, {s.start}) for s in self._scans):
            return  # one that has not begun yet will see it
        scan = _Scan(root=root, start=start, is_arrival=is_arrival, began_s=self._clock.monotonic_s(), todo=[start])
        if is_arrival and start:
            self._scans.appendleft(scan)
        else:
            self._scans.append(scan)

    def walk_some(self) -> None:
        """Go on for a slice of time."""
        until_s = self._clock.monotonic_s() + _SLICE_S
        while self._scans and self._clock.monotonic_s() < until_s:
            scan = self._scans[0]
            root = self._roots.check(scan.root) if not scan.visited else self._roots.online(scan.root)
            if root is None:
                self._scans.popleft()
                continue
            while scan.todo and self._clock.monotonic_s() < until_s:
                self._visit_some(scan, root, until_s)
            if not scan.todo:
                self._register.flush()
                self._scans.popleft()
                self._finish(scan, root)
        self._register.flush()

    def _visit_some(self, scan: _Scan, root: RootRecord, until_s: float) -> None:
        """List the next directories and bring them in line together."""
        listings: list[Listing] = []
        while scan.todo and len(listings) < DIRECTORIES_AT_ONCE and self._clock.monotonic_s() < until_s:
            directory = scan.todo.pop()
            scan.visited.add(directory)
            listing = self._lister.listing(root, directory)
            if not listing.is_complete:
                scan.unreadable.add(directory)
                continue
            prefix = directory + b"/" if directory else b""
            scan.todo.extend(prefix + name for name in reversed(listing.subdirectories))
            scan.files += len(listing.files)
            for suffix, count in listing.others.items():
                scan.others[suffix] = scan.others.get(suffix, 0) + count
            listings.append(listing)
        for changes in self._reconcile(root, listings, is_arrival=scan.is_arrival):
            scan.added += len(changes.new)
            scan.changed += len(changes.changed)
            scan.gone += len(changes.gone)
        self._register.flush_when_full()

    def _finish(self, scan: _Scan, root: RootRecord) -> None:
        if scan.start in scan.unreadable:
            if scan.is_full:
                self._roots.check(scan.root)
                self._roots.settled(scan.root)
            return
        for directory in self._directories.below(scan.root, scan.start):
            if directory not in scan.visited and not _lies_in(directory, scan.unreadable):
                scan.gone += self._absence.notice_directory(scan.root, directory)
        if not scan.is_full:
            return
        self.others[scan.root] = scan.others
        self._roots.scanned(scan.root, scan.files)
        if not self._absence.waits_in(scan.root):
            self._roots.settled(scan.root)
        fact = ScanFinished(
            root=scan.root,
            root_path=root.path,
            files=scan.files,
            added=scan.added,
            changed=scan.changed,
            missing=scan.gone,
            duration_s=self._clock.monotonic_s() - scan.began_s,
        )
        with self._library.transaction() as txn:
            txn.append(fact, self._clock.wall_ns())


def _lies_in(directory: bytes, places: Collection[bytes]) -> bool:
    """Whether a directory is one of the places or below one; b"" is the root, in which all lie."""
    while True:
        if directory in places:
            return True
        if not directory:
            return False
        directory = directory.rpartition(b"/")[0]
