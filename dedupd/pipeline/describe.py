"""Describe: read pending files, decode what is new, embed it, and commit contents and descriptors in batches.

Work comes from the store (pending files), arrivals jump the queue. A content is decoded once: copies, moves and hard
links are recognised by their digest while the file is being read. Does not compare pictures; the link stage does.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace

from dedupd.core.errors import RetryError
from dedupd.core.events import FileSetAside, Origin
from dedupd.core.grouping import Tie
from dedupd.core.ports import (
    DecodedImage,
    Descriptor,
    Embedder,
    EmbedItem,
    ImageReader,
    Library,
    LibraryTransaction,
    NewContent,
    PreviewCache,
    Priority,
    ReadFile,
)
from dedupd.core.records import (
    ContentId,
    ContentRecord,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Problem,
    ProblemCode,
    RootId,
)
from dedupd.pipeline.facts import Newcomer, duplicate_found, same_bytes_matches, tied_matches
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.stage import Clock, OnCrash, Stage

_log = logging.getLogger(__name__)

_BATCH_FILES = 64  # one commit: full sync costs 0.2 % of decoding then (notes, LMDB)
_BATCH_WAIT_S = 0.25
_BACKLOG_FETCH = 256
_FRUITLESS_WAIT_S = 1.0  # until pending files are looked up again when none of them could be read …
_FRUITLESS_REST = 20  # … and this many times as long as the looking took, so that it costs at most 5 % of a core
_VANISHED_WAIT_S = 10.0  # for the intake stage to find a file gone, before it is asked for again
_NO_WORKER_WAIT_S = 5.0  # until the pool is asked again when it could not start a worker
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


@dataclass(frozen=True, slots=True)
class _Work:
    path: FilePath
    absolute: bytes
    origin: Origin
    stat: FileStat  # of the row when the read was asked for; another at the commit: it was registered anew


@dataclass(frozen=True, slots=True)
class _Done:
    work: _Work
    outcome: ReadFile | Problem | None  # None: no worker could be started, which is no fault of the file
    is_second_look: bool = False  # it waited for the one that decodes its content


class Describe(Stage):
    """Owns the claims on digests that are being decoded, and what is in flight."""

    def __init__(
        self,
        *,
        library: Library,
        reader: ImageReader,
        embedder: Embedder,
        previews: PreviewCache,
        clock: Clock,
        rates: Rates,
        root_path: Callable[[RootId], bytes | None],
        stat_of: Callable[[bytes], FileStat | None],
        ties: Callable[[ContentId], dict[ContentId, Tie]],
        has_room: Callable[[], bool],
        on_described: Callable[[dict[ContentId, Newcomer]], None],
        on_vanished: Callable[[FilePath], None],
        workers: int,
        on_crash: OnCrash,
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            reader: the decode workers.
            embedder: makes descriptors.
            previews: where small images go.
            clock: time.
            rates: is told what was read and decoded.
            root_path: absolute path of a root that may be read now, None while it is suspect or unknown.
            stat_of: lstat of an absolute path, None when nothing is there.
            ties: verified duplicates of a content.
            has_room: whether the link stage keeps up; backlog waits while not.
            on_described: told of contents that can be linked.
            on_vanished: told of a pending file that was not there any more when its turn came.
            workers: decode processes; twice as many files are in flight.
            on_crash: see Stage.
        """
        super().__init__("describe", on_crash)
        self._library = library
        self._reader = reader
        self._embedder = embedder
        self._previews = previews
        self._clock = clock
        self._rates = rates
        self._root_path = root_path
        self._stat_of = stat_of
        self._ties = ties
        self._has_room = has_room
        self._on_described = on_described
        self._on_vanished = on_vanished
        self._capacity = 2 * workers + 2
        self._arrivals: deque[tuple[FilePath, Origin]] = deque()
        self._backlog: deque[FilePath] = deque()
        self._has_news = True  # pending files may have come since they were last looked up
        self._look_up_at_s = 0.0  # without news, not before
        self._resume_at_s = 0.0  # no worker could be started
        self._vanished: dict[FilePath, tuple[FileStat, float]] = {}  # not to be asked for again before
        self._expected: dict[FilePath, ContentId] = {}  # what a file held before it was registered anew
        self._in_flight: set[FilePath] = set()  # from the request to the commit, so that nothing is read twice
        self._reading = 0  # of them, how many the pool has
        self._results: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._claims: dict[bytes, FilePath] = {}  # digest → who decodes it
        self._claims_lock = threading.Lock()
        self._waiting: dict[bytes, list[_Done]] = {}  # copies of what another is decoding

    def arrive(self, path: FilePath) -> None:
        """A pending file that appeared just now: read it before any backlog. Thread-safe."""
        self._arrivals.append((path, Origin.ARRIVAL))
        self._wake()

    def notice(self) -> None:
        """There are new pending files in the store. Thread-safe."""
        self._has_news = True
        self._wake()

    def expect(self, path: FilePath, content: ContentId) -> None:
        """A file that held this content is to be read again; if it holds it still there is nothing to tell."""
        if len(self._expected) < _EXPECTED_LIMIT:
            self._expected[path] = content

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing under way; the store may still hold pending files."""
        return not (self._in_flight or self._arrivals)

    def _wake(self) -> None:
        self._results.put(None)

    def _step(self) -> None:
        self._refill()
        batch = self._gather()
        if batch:
            self._commit(batch)

    # ------------------------------------------------------------------------------------------------ asking the pool

    def _refill(self) -> None:
        if self._clock.monotonic_s() < self._resume_at_s:
            return
        while self._reading < self._capacity and not self.is_stopping:
            taken = self._next_path()
            if taken is None:
                return
            work = self._work_for(*taken)
            if work is None:
                continue
            self._in_flight.add(work.path)
            self._reading += 1
            priority = Priority.ARRIVAL if work.origin is Origin.ARRIVAL else Priority.BACKLOG
            future = self._reader.read(work.absolute, is_known=self._claimer(work.path), priority=priority)
            future.add_done_callback(lambda f, w=work: self._receive(w, f))  # type: ignore[misc]  # mypy: no lambda defaults

    def _next_path(self) -> tuple[FilePath, Origin] | None:
        if self._arrivals:
            return self._arrivals.popleft()
        if not self._backlog and self._has_room():
            self._look_up_backlog()
        return (self._backlog.popleft(), Origin.SCAN) if self._backlog else None

    def _look_up_backlog(self) -> None:
        """Find pending files that may be read now, past any number that may not: those of a disk that is away.

        The store gives them in one order from the start, so what is passed over is paid for again each time; hence
        as many as a quarter of what was looked through are taken at once.
        """
        began_s = self._clock.monotonic_s()
        if not self._has_news and began_s < self._look_up_at_s:
            return
        self._has_news = False
        limit = len(self._in_flight) + _BACKLOG_FETCH
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

    def _work_for(self, path: FilePath, origin: Origin) -> _Work | None:
        """What to ask the pool, unless the file has been seen to meanwhile or may not be read now."""
        with self._library.view() as view:
            file = view.file(path)
        if file is None or file.stage is not FileStage.PENDING:
            return None
        root = self._root_path(path.root)
        if root is None or not self._may_be_read(file, self._clock.monotonic_s()):
            return None
        return _Work(path=path, absolute=root + b"/" + path.relative(), origin=origin, stat=file.stat)

    def _claimer(self, path: FilePath) -> Callable[[bytes], bool]:
        """Build the pool's question "do you know this digest?": yes also while another worker decodes it.

        The pool asks again when a worker died and the file gets its second attempt: its own claim is no yes then.
        """

        def is_known(digest: bytes) -> bool:
            with self._claims_lock:
                if digest in self._claims:
                    return self._claims[digest] != path
                with self._library.view() as view:
                    if view.content_by_digest(digest) is not None:
                        return True
                self._claims[digest] = path
                return False

        return is_known

    def _receive(self, work: _Work, future: Future[ReadFile | Problem]) -> None:
        try:
            self._results.put(_Done(work, future.result()))
        except (CancelledError, RetryError):
            self._results.put(_Done(work, None))  # the file stays pending in the store
        except Exception as error:  # noqa: BLE001 - a fault in the pool must not vanish in a callback
            self._on_crash(self.name, error)

    def _gather(self) -> list[_Done]:
        """Finished reads: a full batch, or what there is after a short wait; arrivals do not wait for company."""
        batch: list[_Done] = []
        deadline = self._clock.monotonic_s() + _BATCH_WAIT_S
        while len(batch) < _BATCH_FILES:
            hurry = any(done.work.origin is Origin.ARRIVAL for done in batch)
            left = 0.0 if hurry else deadline - self._clock.monotonic_s()
            try:
                done = self._results.get(timeout=left) if left > 0 else self._results.get_nowait()
            except queue.Empty:
                break
            if done is None:
                if self.is_stopping:
                    break
                self._refill()
                continue
            batch.append(done)
            if done.outcome is None:
                self._rest()
            self._reading -= not done.is_second_look
            self._refill()
        return batch

    def _rest(self) -> None:
        """No worker could be started: ask none for a while."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._resume_at_s and not self.is_stopping:
            _log.warning("describe.delayed reason=no-decode-worker wait_s=%g", _NO_WORKER_WAIT_S)
        self._resume_at_s = now_s + _NO_WORKER_WAIT_S

    # ------------------------------------------------------------------------------------------------------ committing

    def _commit(self, batch: Sequence[_Done]) -> None:
        fresh, failed = self._embed([done for done in batch if _image_of(done.outcome) is not None])
        others = [done for done in batch if _image_of(done.outcome) is None] + failed
        described: dict[ContentId, Newcomer] = {}
        again: list[_Work] = []
        vanished: list[_Work] = []
        with self._library.transaction() as txn:
            for done, descriptor in fresh:
                if self._is_still_asked(txn, done.work, again):
                    content = self._add_content(txn, done, descriptor)
                    described.setdefault(content.id, Newcomer(done.work.path, done.work.origin))
                    self._index_file(txn, done, content)
            for done in others:
                if self._is_still_asked(txn, done.work, again):
                    self._take_in(txn, done, again, vanished)
        self._release(batch)
        self._arrivals.extend((work.path, work.origin) for work in again)
        self._report_vanished(vanished)
        self._rates.count(read=len(batch), decoded=len(fresh), now_s=self._clock.monotonic_s())
        if described:
            self._on_described(described)

    def _take_in(self, txn: LibraryTransaction, done: _Done, again: list[_Work], vanished: list[_Work]) -> None:
        """Record a read that brought no new picture."""
        match done.outcome:
            case None:
                again.append(done.work)
            case ReadFile(digest=digest, image=None):
                known = txn.content_by_digest(digest)
                if known is not None:
                    self._index_file(txn, done, known)
                elif digest in self._claims:
                    self._waiting.setdefault(digest, []).append(done)
                else:  # whoever decoded it failed meanwhile
                    again.append(done.work)
            case Problem(code=ProblemCode.IO_ERROR) if self._has_vanished(done.work):
                vanished.append(done.work)
            case ReadFile(image=Problem() as problem) | (Problem() as problem):
                self._set_aside(txn, done, problem)

    def _is_still_asked(self, txn: LibraryTransaction, work: _Work, again: list[_Work]) -> bool:
        """Whether the row still waits for this read; one that was registered anew meanwhile is read once more."""
        record = txn.file(work.path)
        if record is None or record.stage is not FileStage.PENDING:
            return False  # its root was forgotten, or it has become something else
        if record.stat != work.stat:
            again.append(work)
            return False
        return True

    def _has_vanished(self, work: _Work) -> bool:
        try:
            return self._stat_of(work.absolute) is None
        except OSError:
            return False

    def _report_vanished(self, vanished: Sequence[_Work]) -> None:
        """Leave these to the intake stage, which knows whether the root can be believed; they stay pending."""
        if not vanished:
            return
        now_s = self._clock.monotonic_s()
        self._vanished = {path: held for path, held in self._vanished.items() if held[1] > now_s}
        for work in vanished:
            self._vanished[work.path] = (work.stat, now_s + _VANISHED_WAIT_S)
            self._on_vanished(work.path)

    def _embed(self, fresh: Sequence[_Done]) -> tuple[list[tuple[_Done, Descriptor]], list[_Done]]:
        """Describe the batch's new pictures; the model's failure on one must not stop the others."""
        described: list[tuple[_Done, Descriptor]] = []
        failed: list[_Done] = []
        if not fresh:
            return described, failed
        try:
            descriptors = self._embedder.embed([_item_of(done) for done in fresh]).result()
            return list(zip(fresh, descriptors, strict=True)), failed
        except Exception:  # noqa: BLE001 - the same
            _log.exception("describe.batch-failed files=%d", len(fresh))
        for done in fresh:
            try:
                described += zip([done], self._embedder.embed([_item_of(done)]).result(), strict=True)
            except Exception as error:  # noqa: BLE001 - recorded with the file; the stage must outlive one picture
                detail = f"the model failed on it: {type(error).__name__}"
                failed.append(replace(done, outcome=_problem(ProblemCode.NOT_DESCRIBED, detail)))
        return described, failed

    def _add_content(self, txn: LibraryTransaction, done: _Done, descriptor: Descriptor) -> ContentRecord:
        read, image = done.outcome, _image_of(done.outcome)
        assert isinstance(read, ReadFile)
        assert image is not None
        new = NewContent(
            digest=read.digest,
            size_bytes=read.stat.size_bytes,
            image=image,
            descriptor=descriptor,
            first_seen_ns=self._clock.wall_ns(),
        )
        content = txn.add_content(new, self._embedder.model.tag)
        self._previews.put(content.id, image.preview)
        return content

    def _index_file(self, txn: LibraryTransaction, done: _Done, content: ContentRecord) -> None:
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
        matches = same_bytes_matches(copies, content.id)
        if is_link or was_moved or was_only_touched or not matches:
            return
        fact = duplicate_found(path, content, done.work.origin, matches + tied_matches(txn, self._ties(content.id)))
        if fact is not None:
            txn.append(fact, self._clock.wall_ns())

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

    def _set_aside(self, txn: LibraryTransaction, done: _Done, problem: Problem) -> None:
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

    def _release(self, batch: Sequence[_Done]) -> None:
        """Give back the batch's claims and let the copies that waited for them go on."""
        paths = {done.work.path for done in batch}
        self._in_flight -= paths
        self._in_flight |= {done.work.path for waiting in self._waiting.values() for done in waiting}
        with self._claims_lock:
            freed = [digest for digest, path in self._claims.items() if path in paths]
            for digest in freed:
                del self._claims[digest]
        for digest in freed:
            for done in self._waiting.pop(digest, []):
                self._results.put(replace(done, is_second_look=True))


def _item_of(done: _Done) -> EmbedItem:
    assert isinstance(done.outcome, ReadFile)
    assert isinstance(done.outcome.image, DecodedImage)
    return EmbedItem(digest=done.outcome.digest, path=done.work.absolute, small=done.outcome.image.small)


def _problem(code: ProblemCode, detail: str) -> Problem:
    return Problem(code=code, detail=detail, at_ns=0, retry_at_ns=None)


def _image_of(outcome: ReadFile | Problem | None) -> DecodedImage | None:
    if isinstance(outcome, ReadFile) and isinstance(outcome.image, DecodedImage):
        return outcome.image
    return None
