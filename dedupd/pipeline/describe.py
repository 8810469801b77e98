"""Describe: read pending files, decode what is new, embed it, and commit contents and descriptors in batches.

Work comes from the store (pending files), arrivals jump the queue. A content is decoded once: copies, moves and hard
links are recognised by their digest while the file is being read. Does not compare pictures; the link stage does.

It is the thread of `Pending` (what to read next), `Claims` (who decodes what) and `Catalogue` (its rows).
Owns the results that are not committed yet.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace

from dedupd.core.errors import RetryError
from dedupd.core.events import Origin
from dedupd.core.grouping import Tie
from dedupd.core.ports import Embedder, ImageReader, Library, LibraryTransaction, PreviewCache, Priority, ReadFile
from dedupd.core.records import ContentId, FilePath, FileStage, FileStat, Problem, ProblemCode, RootId
from dedupd.pipeline.catalogue import Catalogue
from dedupd.pipeline.claims import Claims
from dedupd.pipeline.embed_batch import embed_batch
from dedupd.pipeline.facts import Newcomer
from dedupd.pipeline.pending import Pending
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.stage import Clock, OnCrash, Stage
from dedupd.pipeline.work import Done, Work

_log = logging.getLogger(__name__)

_BATCH_FILES = 16  # one commit, for which an arrival may have to wait: about 40 ms, most of it describing
_ARRIVALS_MORE = 4  # reads that arrivals may ask for beyond what is in flight for the backlog
_BATCH_WAIT_S = 0.25
_NO_WORKER_WAIT_S = 5.0  # until the pool is asked again when it could not start a worker


class Describe(Stage):
    """See the module; one thread."""

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
        allow_backlog: Callable[[], bool] = lambda: True,
        allow_arrivals: Callable[[], bool] = lambda: True,
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
            allow_backlog: whether what a scan found may be read now.
            allow_arrivals: whether what has just arrived may be.
        """
        super().__init__("describe", on_crash)
        self._library = library
        self._reader = reader
        self._embedder = embedder
        self._clock = clock
        self._rates = rates
        self._stat_of = stat_of
        self._on_described = on_described
        self._on_vanished = on_vanished
        self._capacity = 2 * workers + 2
        self._reading = 0  # how many files the pool has
        self._resume_at_s = 0.0  # no worker could be started
        self._results: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._pending = Pending(
            library=library,
            clock=clock,
            root_path=root_path,
            has_room=has_room,
            allow_backlog=allow_backlog,
            allow_arrivals=allow_arrivals,
        )
        self._claims = Claims(library)
        self._catalogue = Catalogue(
            previews=previews,
            model=embedder.model.tag,
            clock=clock,
            root_path=root_path,
            stat_of=stat_of,
            ties=ties,
        )

    def arrive(self, path: FilePath) -> None:
        """A pending file that appeared just now: read it before any backlog. Thread-safe."""
        self._pending.arrive(path)
        self._wake()

    def notice(self) -> None:
        """There are new pending files in the store. Thread-safe."""
        self._pending.notice()
        self._wake()

    def expect(self, path: FilePath, content: ContentId) -> None:
        """A file that held this content is to be read again; if it holds it still there is nothing to tell."""
        self._catalogue.expect(path, content)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing under way; the store may still hold pending files."""
        return self._pending.is_idle

    def _wake(self) -> None:
        self._results.put(None)

    def _step(self) -> None:
        self._refill()
        batch = self._gather()
        arrived = [done for done in batch if done.work.origin is Origin.ARRIVAL]
        others = [done for done in batch if done.work.origin is not Origin.ARRIVAL]
        for part in (arrived, others):
            if part:
                self._commit(part)

    # ------------------------------------------------------------------------------------------------ asking the pool

    def _refill(self) -> None:
        if self._clock.monotonic_s() < self._resume_at_s:
            return
        while not self.is_stopping:
            if self._reading >= self._capacity + (_ARRIVALS_MORE if self._pending.has_arrivals else 0):
                return
            taken = self._pending.next_path()
            if taken is None:
                return
            work = self._pending.begin(*taken)
            if work is None:
                continue
            self._reading += 1
            priority = Priority.ARRIVAL if work.origin is Origin.ARRIVAL else Priority.BACKLOG
            future = self._reader.read(work.absolute, is_known=self._claims.claimer(work.path), priority=priority)
            future.add_done_callback(lambda f, w=work: self._receive(w, f))  # type: ignore[misc]  # mypy: no lambda defaults

    def _receive(self, work: Work, future: Future[ReadFile | Problem]) -> None:
        try:
            self._results.put(Done(work, future.result()))
        except (CancelledError, RetryError):
            self._results.put(Done(work, None))  # the file stays pending in the store
        except Exception as error:  # noqa: BLE001 - a fault in the pool must not vanish in a callback
            self._on_crash(self.name, error)

    def _gather(self) -> list[Done]:
        """Finished reads: a full batch, or what there is after a short wait; arrivals do not wait for company.

        Nor does anything while no more reads are under way.
        """
        batch: list[Done] = []
        deadline = self._clock.monotonic_s() + _BATCH_WAIT_S
        while len(batch) < _BATCH_FILES:
            hurry = any(done.work.origin is Origin.ARRIVAL for done in batch)
            is_last = bool(batch) and not self._reading
            left = 0.0 if hurry or is_last else deadline - self._clock.monotonic_s()
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

    def _commit(self, batch: Sequence[Done]) -> None:
        fresh, failed = embed_batch(self._embedder, [done for done in batch if done.image is not None])
        others = [done for done in batch if done.image is None] + failed
        described: dict[ContentId, Newcomer] = {}
        again: list[Work] = []
        vanished: list[Work] = []
        with self._library.transaction() as txn:
            for done, descriptor in fresh:
                if self._is_still_asked(txn, done.work, again):
                    content = self._catalogue.add_content(txn, done, descriptor)
                    described.setdefault(content.id, Newcomer(done.work.path, done.work.origin))
                    self._catalogue.index_file(txn, done, content)
            for done in others:
                if self._is_still_asked(txn, done.work, again):
                    self._take_in(txn, done, again, vanished)
        self._release(batch)
        self._pending.repeat(again)
        self._report_vanished(vanished)
        self._rates.count(read=len(batch), decoded=len(fresh), now_s=self._clock.monotonic_s())
        if described:
            self._on_described(described)

    def _take_in(self, txn: LibraryTransaction, done: Done, again: list[Work], vanished: list[Work]) -> None:
        """Record a read that brought no new picture."""
        match done.outcome:
            case None:
                again.append(done.work)
            case ReadFile(digest=digest, image=None):
                known = txn.content_by_digest(digest)
                if known is not None:
                    self._catalogue.index_file(txn, done, known)
                elif self._claims.is_claimed(digest):
                    self._claims.wait(digest, done)
                else:  # whoever decoded it failed meanwhile
                    again.append(done.work)
            case Problem(code=ProblemCode.IO_ERROR) if self._has_vanished(done.work):
                vanished.append(done.work)
            case ReadFile(image=Problem() as problem) | (Problem() as problem):
                self._catalogue.set_aside(txn, done, problem)

    def _is_still_asked(self, txn: LibraryTransaction, work: Work, again: list[Work]) -> bool:
        """Whether the row still waits for this read; one that was registered anew meanwhile is read once more."""
        record = txn.file(work.path)
        if record is None or record.stage is not FileStage.PENDING:
            return False  # its root was forgotten, or it has become something else
        if record.stat != work.stat:
            again.append(work)
            return False
        return True

    def _has_vanished(self, work: Work) -> bool:
        try:
            return self._stat_of(work.absolute) is None
        except OSError:
            return False

    def _report_vanished(self, vanished: Sequence[Work]) -> None:
        """Leave these to the intake stage, which knows whether the root can be believed; they stay pending."""
        if not vanished:
            return
        self._pending.put_off(vanished)
        for work in vanished:
            self._on_vanished(work.path)

    def _release(self, batch: Sequence[Done]) -> None:
        """Give back the batch's claims and let the copies that waited for them go on."""
        paths = {done.work.path for done in batch}
        self._pending.end(paths - self._claims.waiting())
        for done in self._claims.release(paths):
            self._results.put(replace(done, is_second_look=True))
