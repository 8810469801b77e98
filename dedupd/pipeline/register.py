"""Register: wait until a file has stopped changing, then give it a row that says it is to be read.

Lists no directory and decides nothing about absence. Owns the settle state, which settling files are arrivals, the rows
and fingerprints that are not committed yet, and the directories to be listed once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from dedupd.core.events import FileSetAside
from dedupd.core.ports import DirtyDirectory, Library, LibraryView
from dedupd.core.records import ContentId, FilePath, FileRecord, FileStage, FileStat, Problem, RootId
from dedupd.core.settle import LookAgainAt, Settled, Settling
from dedupd.core.stat_key import pack, unpack
from dedupd.pipeline.known_directories import KnownDirectories
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.stage import Clock

_ROWS_A_COMMIT = 512


class Register:
    """Owned by the intake thread; `is_idle` may be asked by any."""

    def __init__(
        self,
        *,
        library: Library,
        settling: Settling,
        roots: RootBook,
        directories: KnownDirectories,
        clock: Clock,
        stat_now: Callable[[FilePath], FileStat | None],
        on_settling: Callable[[], None],
        on_arrival: Callable[[FilePath], None],
        on_pending: Callable[[], None],
        on_reread: Callable[[FilePath, ContentId], None],
    ) -> None:
        """Hand it its collaborators; `stat_now` is None where nothing is there or its root is not believed."""
        self._library = library
        self._settling = settling
        self._roots = roots
        self._directories = directories
        self._clock = clock
        self._stat_now = stat_now
        self._on_settling = on_settling
        self._on_arrival = on_arrival
        self._on_pending = on_pending
        self._on_reread = on_reread
        self._arriving: set[FilePath] = set()  # settling files that appeared while watching
        self._to_put: list[FileRecord] = []
        self._unchanged: set[tuple[RootId, bytes]] = set()  # directories whose fingerprints are to be kept
        self._relist: dict[tuple[RootId, bytes], float] = {}  # no room in settling, or a hard link was written to

    @property
    def is_idle(self) -> bool:
        """Whether nothing settles, waits to be committed or is to be listed once more."""
        return not (self._to_put or self._unchanged or self._relist or len(self._settling))

    # --------------------------------------------------------------------------------------------------------- settling

    def look(self, path: FilePath, packed: bytes, *, was_closed: bool, is_arrival: bool) -> None:
        """Take in one look at a file that is new or has changed; once it has settled it gets its row."""
        verdict = self._settling.look(
            path, packed, now_s=self._clock.monotonic_s(), wall_now_ns=self._clock.wall_ns(), was_closed=was_closed
        )
        if is_arrival:
            self._arriving.add(path)
        match verdict:
            case Settled():
                self._prepare_row(path, packed)
            case LookAgainAt(at_s=at_s, is_tracked=False):
                self._relist[path.root, path.directory] = at_s
            case LookAgainAt():
                self._on_settling()
            case _:
                assert_never(verdict)

    def look_at_due(self) -> None:
        """Stat the settling files whose quiet time is over."""
        for path in self._settling.due(self._clock.monotonic_s()):
            stat = self._stat_now(path)
            if stat is None:
                self.forget(path)
                continue
            self.look(path, pack(stat), was_closed=False, is_arrival=path in self._arriving)

    def next_due(self) -> float | None:
        """When `look_at_due` will have something to do, monotonic seconds; None while nothing settles."""
        return self._settling.next_due()

    def take_places_due(self) -> list[DirtyDirectory]:
        """Directories that are to be listed once more now."""
        now_s = self._clock.monotonic_s()
        due = [place for place, at_s in self._relist.items() if at_s <= now_s]
        for place in due:
            del self._relist[place]
        return [DirtyDirectory(root=root, directory=directory) for root, directory in due]

    def forget(self, path: FilePath) -> None:
        """The file is gone: it neither settles nor arrives any more."""
        self._settling.forget(path)
        self._arriving.discard(path)

    def stop_settling(self, path: FilePath) -> None:
        """The file's whole directory is gone; if it comes back, the file is as much of an arrival as before."""
        self._settling.forget(path)

    # ------------------------------------------------------------------------------------------------------------- rows

    def put(self, records: Iterable[FileRecord]) -> None:
        """Have these rows committed with the next flush."""
        self._to_put += records

    def set_aside(self, root: RootId, directory: bytes, odd: Mapping[bytes, Problem]) -> None:
        """Record names of a directory that cannot be read as files, and why."""
        now_ns = self._clock.wall_ns()
        self.put(
            FileRecord(
                path=FilePath(root=root, directory=directory, name=name),
                stat=FileStat(dev=0, ino=0, size_bytes=0, mtime_ns=0, ctime_ns=0),
                stage=FileStage.SET_ASIDE,
                content=None,
                first_seen_ns=now_ns,
                problem=replace(problem, at_ns=now_ns),
            )
            for name, problem in odd.items()
        )

    def keep_fingerprint(self, root: RootId, directory: bytes) -> None:
        """A directory was found as the store knows it: have that remembered with the next flush."""
        self._unchanged.add((root, directory))

    def flush_when_full(self) -> None:
        """Commit what was prepared if it is enough for a transaction."""
        if len(self._to_put) >= _ROWS_A_COMMIT:
            self.flush()

    def flush(self) -> None:
        """Commit what was prepared and tell who reads it."""
        if not (self._to_put or self._unchanged):
            return
        records, self._to_put = self._to_put, []
        unchanged, self._unchanged = self._unchanged, set()
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
            for root, directory in unchanged:
                txn.keep_fingerprint(root, directory)
        arrived = [p for p in pending if p in self._arriving]
        for path in arrived:
            self._arriving.discard(path)
            self._on_arrival(path)
        if len(arrived) < len(pending):
            self._on_pending()

    def _prepare_row(self, path: FilePath, packed: bytes) -> None:
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
