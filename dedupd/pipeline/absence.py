"""Absence: what was noticed gone, and the judgement whether it really is before it is marked missing.

Absence is never believed on a root that is not online, nor where a directory cannot be read, nor while the file may
have moved. Removes no row. Owns what waits for a judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dedupd.core.ports import Library, LibraryView, Lister, Listing
from dedupd.core.records import FilePath, FileRecord, FileStage, FileStat, RootId, RootRecord
from dedupd.pipeline.known_directories import KnownDirectories
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.stage import Clock

_PATIENCE_S = 2.0  # a rename shows its new name within this time; only then is a file gone
_ROWS_A_COMMIT = 512


class Absence:
    """Owned by the intake thread; its length may be asked by any."""

    def __init__(
        self,
        *,
        library: Library,
        lister: Lister,
        roots: RootBook,
        directories: KnownDirectories,
        clock: Clock,
        stat_now: Callable[[FilePath], FileStat | None],
        on_directory_gone: Callable[[FilePath], None],
        goes_on: Callable[[], bool],
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            lister: reads directories.
            roots: decides which roots can be believed.
            directories: which directories hold known files; only asked.
            clock: time.
            stat_now: lstat of a file, None where nothing is there or its root is not believed.
            on_directory_gone: told of each known file whose whole directory was noticed gone.
            goes_on: shows life within a long judgement; False once it should end.
        """
        self._library = library
        self._lister = lister
        self._roots = roots
        self._directories = directories
        self._clock = clock
        self._stat_now = stat_now
        self._on_directory_gone = on_directory_gone
        self._goes_on = goes_on
        self._gone: dict[FilePath, float] = {}  # when it was noticed

    def __len__(self) -> int:
        """How many files wait for a judgement."""
        return len(self._gone)

    def waits_in(self, root: RootId) -> bool:
        """Whether a file of this root waits for a judgement."""
        return any(path.root == root for path in self._gone)

    # --------------------------------------------------------------------------------------------------------- noticing

    def notice(self, path: FilePath) -> None:
        """A known file was not in its directory's listing."""
        self._gone.setdefault(path, self._clock.monotonic_s())

    def withdraw(self, path: FilePath) -> None:
        """The file is there (again)."""
        self._gone.pop(path, None)

    def notice_directory(self, root: RootId, directory: bytes) -> int:
        """A directory that holds known files was not found; how many it holds."""
        now_s = self._clock.monotonic_s()
        with self._library.view() as view:
            names = view.packed_stats_in(root, directory).keys()
        for name in names:
            path = FilePath(root=root, directory=directory, name=name)
            self._gone.setdefault(path, now_s)
            self._on_directory_gone(path)
        return len(names)

    def notice_vanished_subtrees(self, root: RootId, listing: Listing) -> None:
        """Notice the known directories below a listed one that it does not lead to any more."""
        there = set(listing.subdirectories)
        prefix = listing.directory + b"/" if listing.directory else b""
        for directory in self._directories.below(root, listing.directory):
            if directory != listing.directory and directory[len(prefix) :].split(b"/", 1)[0] not in there:
                self.notice_directory(root, directory)

    # ---------------------------------------------------------------------------------------------------------- judging

    def judge(self, is_walked: Callable[[RootId], bool]) -> None:
        """Mark missing what really is, root by root, once its root has been found trustworthy.

        Args:
            is_walked: whether a walk goes on in a root, which may still meet the new names.
        """
        ripe_s = self._clock.monotonic_s() - _PATIENCE_S
        if not self._gone or min(self._gone.values()) > ripe_s:
            return
        by_root: dict[RootId, list[FilePath]] = {}
        for path in self._gone:
            by_root.setdefault(path.root, []).append(path)
        for root_id, paths in by_root.items():
            if is_walked(root_id):
                continue
            missing, waiting, renamed, moved = self._really_gone(root_id, paths)
            for path in paths:
                if path in waiting:
                    self._gone[path] = self._clock.monotonic_s()  # not looked at in every step while they are read
                else:
                    del self._gone[path]
            if self._roots.check(root_id, gone=missing) is not None:
                self._mark_missing([*missing, *renamed])
                self._roots.settled(root_id, lost=len(missing) + len(renamed) + moved)

    def _really_gone(
        self, root_id: RootId, paths: Iterable[FilePath]
    ) -> tuple[list[FilePath], set[FilePath], list[FilePath], int]:
        """Which are not there under any name, which wait until their new name is read, which need not, how many moved.

        A file that was renamed before it was read need not wait: nothing is known of it that its new name could take
        over. In a storm of renames the store would lag behind the disk by all the reading.

        What a complete listing does not show is not there for us: deleted, or ignored from now on. Where a directory
        or one on the way to it cannot be read, or something is mounted over it, absence means nothing.
        """
        root = self._roots.online(root_id)
        if root is None:
            return [], set(), [], 0
        by_directory: dict[bytes, list[FilePath]] = {}
        for path in paths:
            by_directory.setdefault(path.directory, []).append(path)
        missing: list[FilePath] = []
        waiting: set[FilePath] = set()
        renamed: list[FilePath] = []
        moved = 0
        is_open: dict[bytes, bool] = {}
        for directory, here in by_directory.items():
            self._goes_on()  # as a sign of life only
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
                    if not self._is_becoming(view, record):
                        missing.append(path)
                    elif record.stage is FileStage.PENDING and record.content is None:
                        renamed.append(path)
                    else:
                        waiting.add(path)
        return missing, waiting, renamed, moved

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
        for start in range(0, len(paths), _ROWS_A_COMMIT):
            if not self._goes_on():
                return  # the scan at the next start finds the rest
            with self._library.transaction() as txn:
                for path in paths[start : start + _ROWS_A_COMMIT]:
                    record = txn.file(path)
                    if record is not None and record.missing_since_ns is None:
                        txn.put_file(replace(record, missing_since_ns=now_ns))
