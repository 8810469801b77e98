"""Intake: look at dirty directories and whole roots, and bring the store's files in line with the disk.

An event only says where to look; the stat decides. Reads no picture. Owns the settle state, the running scans and what
was noticed gone; asks the root book whether a root can be believed before anything is marked missing.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from dedupd.core.events import FileSetAside, ScanFinished
from dedupd.core.ports import ChangeSource, DirtyDirectory, Library, LibraryView, Lister, Listing
from dedupd.core.records import ContentId, FilePath, FileRecord, FileStage, FileStat, RootId, RootRecord, RootState
from dedupd.core.settle import LookAgainAt, Settled, Settling
from dedupd.core.stat_key import pack, unpack
from dedupd.pipeline.known_directories import KnownDirectories
from dedupd.pipeline.reconcile import Changes, compare_listing
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.stage import Clock, OnCrash, Stage

_IDLE_WAIT_S = 0.5
_SCAN_SLICE_S = 0.1  # how long scanning goes on before arrivals are looked at again
_GONE_PATIENCE_S = 2.0  # a rename shows its new name within this time; only then is a file gone
_RECHECK_SUSPECT_S = 5.0
_FLUSH_FILES = 512


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
            on_arrival: told of a file that appeared while watching and is pending now.
            on_pending: told that the store has new pending files from a scan.
            on_reread: told what a known file held that is pending again because its stat changed.
            on_crash: see Stage.
        """
        super().__init__("intake", on_crash)
        self._library = library
        self._lister = lister
        self._changes = changes
        self._settling = settling
        self._roots = roots
        self._clock = clock
        self._stat_of = stat_of
        self._on_arrival = on_arrival
        self._on_pending = on_pending
        self._on_reread = on_reread
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._scans: deque[_Scan] = deque()
        self._arriving: set[FilePath] = set()  # settling files that appeared while watching
        self._to_put: list[FileRecord] = []
        self._gone: dict[FilePath, float] = {}  # when it was noticed
        self._directories = KnownDirectories()
        self._relist: dict[tuple[RootId, bytes], float] = {}  # directories whose files found no room in settling
        self._next_recheck_s = 0.0
        self._is_busy = False  # at a step that has something to do
        self.others: dict[RootId, dict[str, int]] = {}  # of the last full scan, by suffix

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
        return {scan.root for scan in list(self._scans) if scan.is_full}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being scanned, settling, or waiting for a verdict."""
        return self._commands.empty() and not (
            self._is_busy or self._scans or self._gone or self._to_put or self._relist or len(self._settling)
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
        self._look_at_settling()
        self._flush()
        self._judge_gone()
        self._recheck_roots()
        self._scan_some()
        self._is_busy = False

    def _wait_s(self) -> float:
        if self._scans or not self._commands.empty():
            return 0.0
        next_due = self._settling.next_due()
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
                            self._begin_scan(root.id, b"", is_arrival=False)
                case _Accept(root=root_id):
                    self._roots.accept(root_id)
                    self._begin_scan(root_id, b"", is_arrival=False)
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
            self._begin_scan(root_id, b"", is_arrival=False)

    # ----------------------------------------------------------------------------------------------- looking at places

    def _look_at(self, places: Iterable[DirtyDirectory]) -> None:
        """Bring dirty directories in line; each root is judged once, as nothing is marked missing here."""
        believed: dict[RootId, RootRecord | None] = {}
        for dirty in places:
            if self.is_stopping:
                return  # the scan at the next start sees the rest
            self._beat()
            if dirty.root not in believed:
                believed[dirty.root] = self._roots.check(dirty.root)
            root = believed[dirty.root]
            if root is None:
                continue
            if dirty.is_recursive:
                self._begin_scan(root.id, dirty.directory, is_arrival=True)
                continue
            listing = self._lister.listing(root, dirty.directory)
            if listing.is_complete:
                self._reconcile(root, listing, is_arrival=True, closed=dirty.closed)
                self._notice_vanished_subtrees(root.id, listing)
            if len(self._to_put) >= _FLUSH_FILES:
                self._flush()

    def _begin_scan(self, root: RootId, start: bytes, *, is_arrival: bool) -> None:
        if any(s.root == root and not s.visited and _lies_in(start, {s.start}) for s in self._scans):
            return  # one that has not begun yet will see it
        scan = _Scan(root=root, start=start, is_arrival=is_arrival, began_s=self._clock.monotonic_s(), todo=[start])
        if is_arrival and start:
            self._scans.appendleft(scan)
        else:
            self._scans.append(scan)

    def _scan_some(self) -> None:
        until_s = self._clock.monotonic_s() + _SCAN_SLICE_S
        while self._scans and self._clock.monotonic_s() < until_s:
            scan = self._scans[0]
            root = self._roots.check(scan.root) if not scan.visited else self._roots.online(scan.root)
            if root is None:
                self._scans.popleft()
                continue
            while scan.todo and self._clock.monotonic_s() < until_s:
                self._scan_directory(scan, root, scan.todo.pop())
            if not scan.todo:
                self._flush()
                self._scans.popleft()
                self._finish_scan(scan, root)
        self._flush()

    def _scan_directory(self, scan: _Scan, root: RootRecord, directory: bytes) -> None:
        scan.visited.add(directory)
        listing = self._lister.listing(root, directory)
        if not listing.is_complete:
            scan.unreadable.add(directory)
            return
        prefix = directory + b"/" if directory else b""
        scan.todo.extend(prefix + name for name in reversed(listing.subdirectories))
        scan.files += len(listing.files)
        for suffix, count in listing.others.items():
            scan.others[suffix] = scan.others.get(suffix, 0) + count
        changes = self._reconcile(root, listing, is_arrival=scan.is_arrival, closed=frozenset())
        scan.added += len(changes.new)
        scan.changed += len(changes.changed)
        scan.gone += len(changes.gone)
        if len(self._to_put) >= _FLUSH_FILES:
            self._flush()

    def _finish_scan(self, scan: _Scan, root: RootRecord) -> None:
        if scan.start in scan.unreadable:
            if scan.is_full:
                self._roots.check(scan.root)
                self._roots.settled(scan.root)
            return
        for directory in self._directories.below(scan.root, scan.start):
            if directory not in scan.visited and not _lies_in(directory, scan.unreadable):
                scan.gone += self._notice_gone_directory(scan.root, directory)
        if not scan.is_full:
            return
        self.others[scan.root] = scan.others
        self._roots.scanned(scan.root, scan.files)
        if not any(path.root == scan.root for path in self._gone):
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

    # ---------------------------------------------------------------------------------------------- what is different

    def _reconcile(self, root: RootRecord, listing: Listing, *, is_arrival: bool, closed: frozenset[bytes]) -> Changes:
        with self._library.view() as view:
            changes = compare_listing(view, root.id, listing)
        for name in (*changes.new, *changes.changed):
            path = FilePath(root=root.id, directory=listing.directory, name=name)
            self._gone.pop(path, None)
            self._settle(path, listing.files[name], was_closed=name in closed, is_arrival=is_arrival)
        now_ns = self._clock.wall_ns()
        self._to_put += changes.refreshed
        for name, problem in changes.odd.items():
            self._to_put.append(
                FileRecord(
                    path=FilePath(root=root.id, directory=listing.directory, name=name),
                    stat=FileStat(dev=0, ino=0, size_bytes=0, mtime_ns=0, ctime_ns=0),
                    stage=FileStage.SET_ASIDE,
                    content=None,
                    first_seen_ns=now_ns,
                    problem=replace(problem, at_ns=now_ns),
                )
            )
        for name in changes.gone:
            path = FilePath(root=root.id, directory=listing.directory, name=name)
            self._gone.setdefault(path, self._clock.monotonic_s())
            self._settling.forget(path)
            self._arriving.discard(path)
        return changes

    def _settle(self, path: FilePath, packed: bytes, *, was_closed: bool, is_arrival: bool) -> None:
        verdict = self._settling.look(
            path, packed, now_s=self._clock.monotonic_s(), wall_now_ns=self._clock.wall_ns(), was_closed=was_closed
        )
        if is_arrival:
            self._arriving.add(path)
        match verdict:
            case Settled():
                self._register(path, packed)
            case LookAgainAt(at_s=at_s, is_tracked=False):
                self._relist[path.root, path.directory] = at_s
            case LookAgainAt():
                pass
            case _:
                assert_never(verdict)

    def _look_at_settling(self) -> None:
        now_s = self._clock.monotonic_s()
        due = [place for place, at_s in self._relist.items() if at_s <= now_s]
        for place in due:
            del self._relist[place]
        self._look_at([DirtyDirectory(root=root, directory=directory) for root, directory in due])
        for path in self._settling.due(self._clock.monotonic_s()):
            stat = self._stat_now(path)
            if stat is None:
                self._settling.forget(path)
                self._arriving.discard(path)
                continue
            self._settle(path, pack(stat), was_closed=False, is_arrival=path in self._arriving)

    def _stat_now(self, path: FilePath) -> FileStat | None:
        root = self._roots.online(path.root)
        try:
            return self._stat_of(root.path + b"/" + path.relative()) if root else None
        except OSError:
            return None  # the next listing finds it again

    def _register(self, path: FilePath, packed: bytes) -> None:
        """Have a settled file read: new, or no longer what was read before."""
        with self._library.view() as view:
            known = view.file(path)
            if known is not None:
                self._look_at_hard_links(view, known)
        self._directories.add(path.root, path.directory)
        if known is None:
            self._roots.count_new(path.root)
        elif known.content is not None and known.missing_since_ns is None:
            self._on_reread(path, known.content)
        self._to_put.append(
            FileRecord(
                path=path,
                stat=unpack(packed),
                stage=FileStage.PENDING,
                content=None,
                first_seen_ns=known.first_seen_ns if known else self._clock.wall_ns(),
                problem=known.problem if known else None,  # so that the same trouble is not told again
            )
        )

    def _look_at_hard_links(self, view: LibraryView, changed: FileRecord) -> None:
        """A write through one name changes all names of the inode, but only the one's directory is told of."""
        stat = changed.stat
        for path in view.files_at_inode(stat.dev, stat.ino) if stat.ino else ():
            other = view.file(path) if path != changed.path else None
            if other is not None and other.stat == stat and other.missing_since_ns is None:
                self._relist[path.root, path.directory] = self._clock.monotonic_s()

    def _flush(self) -> None:
        if not self._to_put:
            return
        records, self._to_put = self._to_put, []
        pending: list[FilePath] = []
        with self._library.transaction() as txn:
            for prepared in records:
                record = prepared
                if record.content is not None and txn.content(record.content) is None:
                    record = replace(record, stage=FileStage.PENDING, content=None)  # swept since it was prepared
                txn.put_file(record)
                if record.stage is FileStage.PENDING:
                    pending.append(record.path)
                elif record.stage is FileStage.SET_ASIDE and record.problem is not None:
                    problem = record.problem
                    txn.append(FileSetAside(path=record.path, code=problem.code, detail=problem.detail), problem.at_ns)
        arrived = [p for p in pending if p in self._arriving]
        for path in arrived:
            self._arriving.discard(path)
            self._on_arrival(path)
        if len(arrived) < len(pending):
            self._on_pending()

    # -------------------------------------------------------------------------------------------------- what is gone

    def _notice_vanished_subtrees(self, root: RootId, listing: Listing) -> None:
        there = set(listing.subdirectories)
        prefix = listing.directory + b"/" if listing.directory else b""
        for directory in self._directories.below(root, listing.directory):
            if directory != listing.directory and directory[len(prefix) :].split(b"/", 1)[0] not in there:
                self._notice_gone_directory(root, directory)

    def _notice_gone_directory(self, root: RootId, directory: bytes) -> int:
        now_s = self._clock.monotonic_s()
        with self._library.view() as view:
            names = view.packed_stats_in(root, directory).keys()
        for name in names:
            path = FilePath(root=root, directory=directory, name=name)
            self._gone.setdefault(path, now_s)
            self._settling.forget(path)
        return len(names)

    def _judge_gone(self) -> None:
        """Mark missing what really is, root by root, once its root has been found trustworthy."""
        ripe_s = self._clock.monotonic_s() - _GONE_PATIENCE_S
        if not self._gone or min(self._gone.values()) > ripe_s:
            return
        by_root: dict[RootId, list[FilePath]] = {}
        for path in self._gone:
            by_root.setdefault(path.root, []).append(path)
        for root_id, paths in by_root.items():
            if any(s.root == root_id for s in self._scans):
                continue  # the walk may still meet the new names
            missing, waiting, moved = self._really_gone(root_id, paths)
            for path in paths:
                if path in waiting:
                    self._gone[path] = self._clock.monotonic_s()  # not looked at in every step while they are read
                else:
                    del self._gone[path]
            if self._roots.check(root_id, gone=missing) is not None:
                self._mark_missing(missing)
                self._roots.settled(root_id, lost=len(missing) + moved)

    def _really_gone(self, root_id: RootId, paths: Iterable[FilePath]) -> tuple[list[FilePath], set[FilePath], int]:
        """Which of these are not there under any name, which wait until their new name is read, how many have moved.

        What a complete listing does not show is not there for us: deleted, or ignored from now on. Where a directory
        or one on the way to it cannot be read, or something is mounted over it, absence means nothing.
        """
        root = self._roots.online(root_id)
        if root is None:
            return [], set(), 0
        by_directory: dict[bytes, list[FilePath]] = {}
        for path in paths:
            by_directory.setdefault(path.directory, []).append(path)
        missing: list[FilePath] = []
        waiting: set[FilePath] = set()
        moved = 0
        is_open: dict[bytes, bool] = {}
        for directory, here in by_directory.items():
            self._beat()
            listing = self._lister.listing(root, directory)
            is_open[directory] = listing.is_complete
            if not self._is_reachable(root, directory, is_open):
                continue
            with self._library.view() as view:
                for path in here:
                    record = view.file(path)
                    moved += record is None  # describe dropped the row when it read the new name
                    if record is None or record.missing_since_ns is not None:
                        continue
                    if path.name in listing.files or path.name in listing.odd:
                        continue
                    if self._is_becoming(view, record):
                        waiting.add(path)
                    else:
                        missing.append(path)
        return missing, waiting, moved

    def _is_reachable(self, root: RootRecord, directory: bytes, is_open: dict[bytes, bool]) -> bool:
        """Whether a directory and all that lead to it can be read; `is_open` remembers what was asked."""
        while True:
            if directory not in is_open:
                is_open[directory] = self._lister.listing(root, directory).is_complete
            if not is_open[directory]:
                return False
            if not directory:
                return True
            directory = directory.rpartition(b"/")[0]

    def _is_becoming(self, view: LibraryView, old: FileRecord) -> bool:
        """Whether another path holds the file's inode now and has not been read yet: it was moved.

        Describe drops the old row once it has read the new name and found the same content. The new name must really
        be there: of a file moved twice in a moment both older names are pending, and would wait for each other.
        """
        inode = old.stat.dev, old.stat.ino
        for path in view.files_at_inode(*inode) if old.stat.ino else ():
            other = view.file(path) if path != old.path else None
            if other is not None and other.stage is FileStage.PENDING and other.missing_since_ns is None:
                there = self._stat_now(path)
                if there is not None and (there.dev, there.ino) == inode:
                    return True
        return False

    def _mark_missing(self, paths: Sequence[FilePath]) -> None:
        now_ns = self._clock.wall_ns()
        for start in range(0, len(paths), _FLUSH_FILES):
            if self.is_stopping:
                return  # the scan at the next start finds the rest
            self._beat()
            with self._library.transaction() as txn:
                for path in paths[start : start + _FLUSH_FILES]:
                    record = txn.file(path)
                    if record is not None and record.missing_since_ns is None:
                        txn.put_file(replace(record, missing_since_ns=now_ns))

    def _recheck_roots(self) -> None:
        """Look whether a root that was not believed is itself again."""
        if self._clock.monotonic_s() < self._next_recheck_s:
            return
        self._next_recheck_s = self._clock.monotonic_s() + _RECHECK_SUSPECT_S
        for root in self._roots.watched():
            if root.state is not RootState.ONLINE and self._roots.check(root.id) is not None:
                self._begin_scan(root.id, b"", is_arrival=False)


def _lies_in(directory: bytes, places: Collection[bytes]) -> bool:
    """Whether a directory is one of the places or below one; b"" is the root, in which all lie."""
    while True:
        if directory in places:
            return True
        if not directory:
            return False
        directory = directory.rpartition(b"/")[0]
