"""The ImageReader: worker processes behind a queue that takes the most urgent work first.

Owns the queue, one thread per worker and, through each thread, the worker's life: a worker that dies is replaced, a
job that it died on is tried once more, a worker that takes too long is killed. Parses no picture itself.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from dedupd.core.arrays import Pixels
from dedupd.core.errors import RetryError
from dedupd.core.illustration import Illustrated, SheetWords
from dedupd.core.ports import EvidenceSide, FullSide, Priority, ReadFile, ShownSide
from dedupd.core.records import Evidence, Problem, ProblemCode
from dedupd.imaging.jobs import (
    CompareFullyJob,
    CompareJob,
    DecodePreviewJob,
    IllustrateJob,
    Job,
    PixelDigestJob,
    ReadJob,
    Source,
    problem,
)
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError
from dedupd.imaging.worker_process import WorkerDiedError, WorkerProcess, WorkerTimeoutError

_log = logging.getLogger(__name__)

DEFAULT_LIMITS = DecodeLimits()
_CLOSE_GRACE_S = 0.5  # for jobs under way; a usual one takes 0.03 s
_CLOSE_KILL_S = 1.0  # for threads to notice that their worker was killed
_Answer = TypeVar("_Answer")


class DecodePool:
    """Reads, digests and compares pictures in `workers` processes. Implements `core.ports.ImageReader`.

    Callers bound the queue by the futures they hold. After `close` every future is cancelled at once.
    """

    def __init__(self, workers: int, *, limits: DecodeLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._queue: list[tuple[int, int, Job[Any]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()  # guards queue, order, closing and the totals
        self._closing = False
        self._is_told = False  # that the kernel cannot confine workers
        self.read_total = 0  # files read to their end
        self.decoded_total = 0  # pictures decoded; copies and moves are read but not decoded
        self.compared_total = 0  # pairs compared
        self.died_total = 0  # workers that died on a job
        self.timeout_total = 0  # jobs that took too long
        self._slots = [_Slot(limits) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"decode-{number}", daemon=True)
            for number, slot in enumerate(self._slots)
        ]
        for thread in self._threads:
            thread.start()

    def read(self, path: bytes, *, is_known: Callable[[bytes], bool], priority: Priority) -> Future[ReadFile | Problem]:
        """See the port. An exception of `is_known` becomes the future's."""
        return self._submit(ReadJob(Source(path), is_known), priority)

    def read_descriptor(self, fd: int, *, priority: Priority) -> Future[ReadFile | Problem]:
        """See the port. Reads from the start, whatever the descriptor's offset."""
        return self._submit(ReadJob(Source(None, fd), lambda _: False), priority)

    def pixel_digest(self, source: bytes | int, *, priority: Priority) -> Future[bytes | Problem]:
        """See the port. Reads a descriptor from the start, whatever its offset."""
        return self._submit(PixelDigestJob(Source.of(source)), priority)

    def decode_preview(self, preview: bytes, *, priority: Priority) -> Future[Pixels | Problem]:
        """See the port. The answer is read-only."""
        return self._submit(DecodePreviewJob(preview), priority)

    def compare(self, a: EvidenceSide, b: EvidenceSide, *, priority: Priority) -> Future[Evidence | Problem]:
        """See the port."""
        return self._submit(CompareJob(a, b), priority)

    def compare_fully(
        self, a: FullSide, b: FullSide, evidence: Evidence, *, priority: Priority
    ) -> Future[Evidence | Problem]:
        """See the port. Reads descriptors from the start, whatever their offset."""
        return self._submit(CompareFullyJob(a, b, evidence), priority)

    def illustrate(
        self, a: ShownSide, b: ShownSide, words: SheetWords | None, *, priority: Priority
    ) -> Future[Illustrated | Problem]:
        """See the port. Reads descriptors from the start, whatever their offset."""
        return self._submit(IllustrateJob(a, b, words), priority)

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [process.pid for slot in self._slots if (process := slot.process) is not None and process.is_alive()]

    def close(self) -> None:
        """Stop within about 1.5 s. Work not begun is cancelled; work under way gets half a second, then RetryError."""
        with self._changed:
            self._closing = True
            waiting, self._queue = self._queue, []
            self._changed.notify_all()
        for _, _, job in waiting:
            job.future.cancel()
            job.close()
        deadline = time.monotonic() + _CLOSE_GRACE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for slot in self._slots:
            slot.stop()
        deadline = time.monotonic() + _CLOSE_KILL_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _submit(self, job: Job[_Answer], priority: Priority) -> Future[_Answer | Problem]:
        with self._changed:
            is_closing = self._closing
            if not is_closing:
                heapq.heappush(self._queue, (int(priority), next(self._order), job))
                self._changed.notify()
        if is_closing:
            job.future.cancel()
            job.close()
        return job.future

    def _take(self) -> Job[Any] | None:
        """The most urgent job, the oldest of its kind; None when the pool closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return None if self._closing else heapq.heappop(self._queue)[2]

    def _serve(self, slot: _Slot) -> None:
        """One thread's life: have a worker ready, take a job, answer it."""
        with contextlib.suppress(RetryError):  # said again, to who asks, by the first job
            self._tell_unconfined(slot.ready().unconfined)
        while (job := self._take()) is not None:
            if job.future.set_running_or_notify_cancel():
                try:
                    answer = self._answer(slot, job)
                except BaseException as error:  # noqa: BLE001 - the thread outlives one job; the future carries it on
                    job.future.set_exception(error)
                else:
                    self._count(answer)
                    job.future.set_result(answer)
            job.close()
        slot.stop()
        slot.discard()

    def _tell_unconfined(self, missing: tuple[str, ...]) -> None:
        with self._changed:
            is_news, self._is_told = bool(missing) and not self._is_told, self._is_told or bool(missing)
        if is_news:
            _log.warning("decode.unconfined missing=%s", "; ".join(missing))

    def _answer(self, slot: _Slot, job: Job[_Answer]) -> _Answer | Problem:
        for _ in range(2):
            worker = slot.ready()
            worker.jobs += 1
            try:
                return job.attempt(worker)
            except UnreadableImageError as error:
                return job.answer_for(problem(error.code, error.detail))
            except WorkerTimeoutError:
                slot.discard()
                with self._changed:
                    self.timeout_total += 1
                detail = f"it took longer than {self._limits.job_s:g} s"
                return job.answer_for(problem(ProblemCode.TIMEOUT, detail))
            except WorkerDiedError as error:
                slot.discard()
                if self._closing:
                    raise RetryError("the decode pool was closed while it worked on this") from error
                with self._changed:
                    self.died_total += 1
        return job.answer_for(problem(ProblemCode.DECODER_DIED, "the decoder process died on it twice"))

    def _count(self, answer: object) -> None:
        with self._changed:
            if isinstance(answer, ReadFile):
                self.read_total += 1
                self.decoded_total += answer.image is not None and not isinstance(answer.image, Problem)
            elif isinstance(answer, Evidence):
                self.compared_total += 1


class _Slot:
    """A thread's place for its worker; `stop` and reading `process` are for other threads too."""

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._stopped = threading.Event()
        self.process: WorkerProcess | None = None

    def ready(self) -> WorkerProcess:
        """A live worker that may take one more job; RetryError if none can be started."""
        process = self.process
        if process is not None and (process.jobs >= self._limits.jobs_per_worker or not process.is_alive()):
            self.discard()
            process = None
        if process is None:
            process = self.process = WorkerProcess(self._limits)
            if self._stopped.is_set():
                self.discard()
                raise RetryError("the decode pool is closed")
        return process

    def discard(self) -> None:
        """End the worker, if there is one."""
        if self.process is not None:
            self.process.close()
        self.process = None

    def stop(self) -> None:
        """Kill the worker now, and any that may still be starting when it is ready."""
        self._stopped.set()
        process = self.process
        if process is not None:
            process.kill()
