"""Catalogue: turns what came of reading a file into rows and events: a new content, a copy, a move, a link, a problem.

Opens no transaction; writes in the one that it is given. Does not compare pictures. Owns what files held that are being
read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dedupd.core.events import CleanedReturned, FileSetAside
from dedupd.core.grouping import Tie
from dedupd.core.ports import Descriptor, LibraryTransaction, NewContent, PreviewCache, ReadFile
from dedupd.core.records import (
    ContentId,
    ContentRecord,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Problem,
    ProblemCode,
    RootId,
)
from dedupd.pipeline.facts import duplicate_found, same_bytes_matches, tied_matches
from dedupd.pipeline.stage import Clock
from dedupd.pipeline.work import Done

_EXPECTED_LIMIT = 100_000  # files remembered as "probably only touched"; about 300 bytes each
_COPIES_LOOKED_AT = 8  # of the same bytes; a person reads the first few, and some contents have thousands

# Temporary trouble is tried again: 1, 5, 30 minutes, then daily. Others wait until the file or the decoder changes.
_RETRY_AFTER_S = (60, 300, 1800, 86_400)
_TEMPORARY = frozenset({
    ProblemCode.TRUNCATED,
    ProblemCode.IO_ERROR,
    ProblemCode.CHANGING,
    ProblemCode.TIMEOUT,
    ProblemCode.NO_PERMISSION,
})  # fmt: skip


class Catalogue:
    """Owned by the describe thread; `expect` may be called by the intake thread."""

    def __init__(
        self,
        *,
        previews: PreviewCache,
        model: ModelTag,
        clock: Clock,
        root_path: Callable[[RootId], bytes | None],
        stat_of: Callable[[bytes], FileStat | None],
        ties: Callable[[ContentId], dict[ContentId, Tie]],
    ) -> None:
        """Hand it its collaborators.

        Args:
            previews: where small images go.
            model: whose descriptors it is given.
            clock: time.
            root_path: absolute path of a root that may be read now, None while it is suspect or unknown.
            stat_of: lstat of an absolute path, None when nothing is there.
            ties: verified duplicates of a content.
        """
        self._previews = previews
        self._model = model
        self._clock = clock
        self._root_path = root_path
        self._stat_of = stat_of
        self._ties = ties
        self._expected: dict[FilePath, ContentId] = {}  # what a file held before it was registered anew

    def expect(self, path: FilePath, content: ContentId) -> None:
        """A file that held this content is to be read again; if it holds it still there is nothing to tell."""
        if len(self._expected) < _EXPECTED_LIMIT:
            self._expected[path] = content

    def add_content(self, txn: LibraryTransaction, done: Done, descriptor: Descriptor) -> ContentRecord:
        """Store a decoded picture with its descriptor; the known content if another brought it meanwhile."""
        read, image = done.outcome, done.image
        assert isinstance(read, ReadFile)
        assert image is not None
        new = NewContent(
            digest=read.digest,
            size_bytes=read.stat.size_bytes,
            image=image,
            descriptor=descriptor,
            first_seen_ns=self._clock.wall_ns(),
        )
        content = txn.add_content(new, self._model)
        self._previews.put(content.id, image.preview)
        return content

    def index_file(self, txn: LibraryTransaction, done: Done, content: ContentRecord) -> None:
        """Hang the file on its content; tell of the copies that really lie elsewhere."""
        assert isinstance(done.outcome, ReadFile)
        stat, path = done.outcome.stat, done.work.path
        record = txn.file(path)
        assert record is not None  # it is still asked for
        copies, is_link, was_moved = self._other_files(txn, content.id, path, stat)
        txn.put_file(
            replace(
                record,
                stat=stat,
                stage=FileStage.INDEXED,
                content=content.id,
                attempts=0,
                problem=None,
                missing_since_ns=None,
                link_of_same_inode=is_link,
            )
        )
        was_only_touched = self._expected.pop(path, None) == content.id
        if not (is_link or was_moved or was_only_touched):
            self._tell_returned(txn, done, content)
        matches = same_bytes_matches(copies, content.id)
        if is_link or was_moved or was_only_touched or not matches:
            return
        fact = duplicate_found(path, content, done.work.origin, matches + tied_matches(txn, self._ties(content.id)))
        if fact is not None:
            txn.append(fact, self._clock.wall_ns())

    def _tell_returned(self, txn: LibraryTransaction, done: Done, content: ContentRecord) -> None:
        """Say that a content that was cleaned up has a file again; the one that was kept for it does not count."""
        stone, path = txn.tombstone(content.digest), done.work.path
        if stone is None or stone.kept == done.work.absolute:
            return
        fact = CleanedReturned(
            path=path,
            content=content.id,
            size_bytes=content.size_bytes,
            origin=done.work.origin,
            cleaned_at_ns=stone.cleaned_at_ns,
            plan=stone.plan,
            kept=stone.kept,
            is_kept_there=self._holds_a_file(stone.kept),
        )
        txn.append(fact, self._clock.wall_ns())

    def _holds_a_file(self, path: bytes) -> bool:
        """Whether something is at an absolute path; a disk that does not answer has not lost it."""
        try:
            return self._stat_of(path) is not None
        except OSError:
            return True

    def set_aside(self, txn: LibraryTransaction, done: Done, problem: Problem) -> None:
        """Record why the file is not indexed and when to try again; told once for each kind of trouble."""
        record = txn.file(done.work.path)
        assert record is not None  # it is still asked for
        attempts = record.attempts + 1
        retry_at_ns = None
        if problem.code in _TEMPORARY:
            wait_s = _RETRY_AFTER_S[min(attempts, len(_RETRY_AFTER_S)) - 1]
            retry_at_ns = self._clock.wall_ns() + wait_s * 1_000_000_000
        stat = done.outcome.stat if isinstance(done.outcome, ReadFile) else record.stat
        aside = replace(
            record,
            stat=stat,
            stage=FileStage.SET_ASIDE,
            content=None,
            attempts=attempts,
            problem=replace(problem, at_ns=self._clock.wall_ns(), retry_at_ns=retry_at_ns),
        )
        txn.put_file(aside)
        if record.problem is None or record.problem.code is not problem.code:
            txn.append(
                FileSetAside(path=done.work.path, code=problem.code, detail=problem.detail), self._clock.wall_ns()
            )

    def _other_files(
        self, txn: LibraryTransaction, content: ContentId, path: FilePath, stat: FileStat
    ) -> tuple[list[FileRecord], bool, bool]:
        """The content's other files that are really there, whether one is this very inode, and whether it moved here.

        A row whose file is gone while this path holds its inode was moved here: the row goes, and there is nothing to
        tell.
        """
        is_link, was_moved = False, False
        for other in txn.files_at_inode(stat.dev, stat.ino):
            record = txn.file(other) if other != path else None
            if record is None or record.content != content:
                continue
            match self._is_there(other, stat):
                case True:
                    is_link = True
                case False:
                    txn.remove_file(other)
                    was_moved = True
                case None:
                    pass
        copies = [
            other
            for other in txn.some_files_of(content, _COPIES_LOOKED_AT)
            if other.path != path
            and (other.stat.dev, other.stat.ino) != (stat.dev, stat.ino)
            and self._is_there(other.path, other.stat)
        ]
        return copies, is_link, was_moved

    def _is_there(self, path: FilePath, stat: FileStat) -> bool | None:
        """Whether a path holds that inode now; None when its disk does not answer or is not believed."""
        root = self._root_path(path.root)
        try:
            there = self._stat_of(root + b"/" + path.relative()) if root is not None else None
        except OSError:
            return None
        if root is None:
            return None
        return there is not None and (there.dev, there.ino) == (stat.dev, stat.ino)
