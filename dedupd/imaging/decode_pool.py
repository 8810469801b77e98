"""The ImageReader: worker processes behind a queue that takes the most urgent work first.

Owns the queue, one thread per worker and, through each thread, the worker's life: a worker that dies is replaced, a
job that it died on is tried once more, a worker that takes too long is killed. Those that had nothing to do for long
end, and the last of them is exchanged for a fresh one, which holds little. Parses no picture itself.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import replace
from enum import Enum, auto
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
    GlanceJob,
    IllustrateJob,
    Job,
    PixelDigestJob,
    ReadJob,
    Source,
    problem,
)
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError
from dedupd.imaging.spawn import Spawned
from dedupd.imaging.worker_process import WorkerDiedError, WorkerProcess, WorkerTimeoutError

_log = logging.getLogger(__name__)

DEFAULT_LIMITS = DecodeLimits()
_CLOSE_GRACE_S = 0.5  # for jobs under way; a usual one takes 0.03 s
_CLOSE_KILL_S = 1.0  # for threads to notice that their worker was killed
# Usual workers that leave the backlog alone while the one for what is urgent works: so it has a core to itself, and the
# daemon another for what it does with the answer.
_MAKE_WAY = 2
_Answer = TypeVar("_Answer")


class _Turn(Enum):
    """What a thread is to do when it gets no job."""

    WARM_UP = auto()  # have a worker ready
    REST = auto()  # end the worker
    RENEW = auto()  # have a fresh one in its place
    CLOSE = auto()


class DecodePool:
    """Reads, digests and compares pictures in `workers` processes. Implements `core.ports.ImageReader`.

    Callers bound the queue by the futures they hold. After `close` every future is cancelled at once.

    Args:
        workers: how many there may be.
        limits: what each may spend.
        rest_after_s: how long a worker that has nothing to do is kept as it is.
        starts_warm: whether all are started at once; else when they are needed.
        has_urgent: whether there is one more worker, in nobody's way otherwise, for what has arrived and for
            questions: with the niceness of the daemon itself, and never busy with a backlog's picture.
        started: workers that are on their way already, at most as many as there may be.
    """

    def __init__(
        self,
        workers: int,
        *,
        limits: DecodeLimits = DEFAULT_LIMITS,
        rest_after_s: float = math.inf,
        starts_warm: bool = True,
        has_urgent: bool = False,
        started: Sequence[Spawned] = (),
    ) -> None:
        self._limits = limits
        self._rest_after_s = rest_after_s
        self._queue: list[tuple[int, int, Job[Any]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()  # guards queue, order, closing, the totals, and the slots' flags
        self._closing = False
        self._allowed = workers  # how many may work now
        self._is_expecting = False  # somebody said that there will be work soon
        self._is_told = False  # that the kernel cannot confine workers
        self.read_total = 0  # files read to their end
        self.decoded_total = 0  # pictures decoded; copies and moves are read but not decoded
        self.compared_total = 0  # pairs compared
        self.died_total = 0  # workers that died on a job
        self.timeout_total = 0  # jobs that took too long
        self._slots = [
            _Slot(limits, number, is_up=starts_warm or number < len(started), spawned=spawned)
            for number, spawned in zip(range(workers), itertools.chain(started, itertools.repeat(None)), strict=False)
        ]
        self._usual = workers
        if has_urgent:
            self._slots.append(_Slot(replace(limits, nice=0, threads=2), workers, is_up=False, least=Priority.ARRIVAL))
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"decode-{slot.number}", daemon=True)
            for slot in self._slots
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

    def glance(
        self, previews: Sequence[bytes], pairs: Sequence[tuple[int, int]], *, priority: Priority
    ) -> Future[tuple[bool, ...] | Problem]:
        """See the port."""
        return self._submit(GlanceJob(previews, pairs), priority)

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

    def expect(self) -> None:
        """There will be work soon: have one worker ready. Cheap, may be called for each file that settles."""
        with self._changed:
            first = self._slots[self._usual :] or self._slots
            if not self._is_expecting and not any(slot.is_up for slot in first):
                self._is_expecting = True
                self._changed.notify_all()

    def allow(self, workers: int) -> None:
        """Let so many work from now on, at least one; who is over that ends after the job in hand."""
        with self._changed:
            self._allowed = max(1, min(workers, self._usual))
            self._changed.notify_all()

    @property
    def allowed(self) -> int:
        """How many may work now."""
        return self._allowed

    def renew(self, pids: Collection[int]) -> None:
        """Have these workers end after the job in hand; where there is work others take their place."""
        with self._changed:
            for slot in self._slots:
                process = slot.process
                slot.is_to_end |= process is not None and process.pid in pids
            self._changed.notify_all()

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
                self._changed.notify_all()  # which of them may take it is for `_turn` to say
        if is_closing:
            job.future.cancel()
            job.close()
        return job.future

    def _turn(self, slot: _Slot) -> Job[Any] | _Turn:
        """Wait for what a thread is to do next: the most urgent job, the oldest of its kind, or something else.

        A thread without a worker takes a job only where those with one are too few: starting one takes longer than
        most jobs.
        """
        with self._changed:
            slot.is_free = slot.is_up
            if slot.is_urgent:
                self._changed.notify_all()  # who made way for it may go on
            rest_at_s = time.monotonic() + self._rest_after_s if slot.is_up else math.inf
            while (turn := self._turn_now(slot, is_rested=(left_s := rest_at_s - time.monotonic()) <= 0)) is None:
                if left_s <= 0:
                    rest_at_s = left_s = math.inf  # it is fresh, and the last
                self._changed.wait(left_s if left_s < threading.TIMEOUT_MAX else None)
            slot.is_up = turn not in {_Turn.REST, _Turn.CLOSE}
            slot.is_free = turn in {_Turn.WARM_UP, _Turn.RENEW}
            if not slot.is_up or slot.is_urgent:
                self._changed.notify_all()  # a job that was left to this one, or lay behind it, is another's now
            return turn

    def _turn_now(self, slot: _Slot, *, is_rested: bool) -> Job[Any] | _Turn | None:
        if self._closing:
            return _Turn.CLOSE
        is_allowed = slot.number < self._allowed or (slot.is_urgent and self._allowed == self._usual)
        if slot.is_up and (slot.is_to_end or not is_allowed):
            return _Turn.REST
        if is_allowed and self._is_for(slot) and not self._makes_way(slot):
            return heapq.heappop(self._queue)[2]
        if slot.is_up:
            return self._rest_of(slot) if is_rested else None
        if is_allowed and self._is_expecting and slot.is_urgent == (len(self._slots) > self._usual):
            self._is_expecting = False
            return _Turn.WARM_UP
        return None

    def _is_for(self, slot: _Slot) -> bool:
        """Whether the most urgent job is one for this worker to take, or to be started for."""
        if not self._queue or self._queue[0][0] > slot.least:
            return False
        fitting = [s for s in self._slots if s.is_free and self._queue[0][0] <= s.least and not self._makes_way(s)]
        if slot.is_up:
            return slot.is_urgent or not any(s.is_urgent for s in fitting)  # left to the one that has nothing else
        return len(self._queue) > len(fitting)

    def _makes_way(self, slot: _Slot) -> bool:
        """Whether a worker leaves the first job alone, which is not urgent, while one is at work on what is."""
        if slot.is_urgent or slot.number < self._usual - _MAKE_WAY or self._queue[0][0] <= Priority.ARRIVAL:
            return False
        return any(s.is_urgent and s.is_up and not s.is_free for s in self._slots)

    def _rest_of(self, slot: _Slot) -> _Turn | None:
        if sum(each.is_up for each in self._slots) > 1:
            return _Turn.REST
        has_worked = slot.process is None or slot.process.jobs > 0
        return _Turn.RENEW if has_worked else None

    def _serve(self, slot: _Slot) -> None:
        """One thread's life: take a job, answer it, and have a worker as long as there are some."""
        turn: Job[Any] | _Turn = _Turn.WARM_UP if slot.is_up else _Turn.REST
        while turn is not _Turn.CLOSE:
            match turn:
                case _Turn.REST:
                    slot.discard()
                case _Turn.WARM_UP | _Turn.RENEW:
                    if turn is _Turn.RENEW:
                        slot.discard()
                    with contextlib.suppress(RetryError):  # said again, to who asks, by the first job
                        self._tell_unconfined(slot.ready().unconfined)
                case _:
                    self._do(slot, turn)
            turn = self._turn(slot)
        slot.stop()
        slot.discard()

    def _do(self, slot: _Slot, job: Job[Any]) -> None:
        if job.future.set_running_or_notify_cancel():
            try:
                answer = self._answer(slot, job)
            except BaseException as error:  # noqa: BLE001 - the thread outlives one job; the future carries it on
                job.future.set_exception(error)
            else:
                self._count(answer)
                slot.is_free = True  # who hears of the answer may ask again at once, and means this worker
                job.future.set_result(answer)
        job.close()

    def _tell_unconfined(self, missing: tuple[str, ...]) -> None:
        if self._is_told or not missing:
            return
        with self._changed:
            is_news, self._is_told = bool(missing) and not self._is_told, self._is_told or bool(missing)
        if is_news:
            _log.warning("decode.unconfined missing=%s", "; ".join(missing))

    def _answer(self, slot: _Slot, job: Job[_Answer]) -> _Answer | Problem:
        for _ in range(2):
            worker = slot.ready()
            self._tell_unconfined(worker.unconfined)
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
            elif isinstance(answer, tuple):
                self.compared_total += answer.count(False)  # the others are compared


class _Slot:
    """A thread's place for its worker; `stop` and reading `process` are for other threads too."""

    def __init__(
        self,
        limits: DecodeLimits,
        number: int,
        *,
        is_up: bool,
        least: Priority = Priority.BACKGROUND,
        spawned: Spawned | None = None,
    ) -> None:
        self._limits = limits
        self.least = least  # the least urgent work that it takes
        self.is_urgent = least < Priority.BACKGROUND
        self._stopped = threading.Event()
        self._spawning: WorkerProcess | None = None  # the newest, ready or not
        self._on_its_way = spawned  # the first one, if it was started before
        self.number = number
        self.is_up = is_up  # has a worker, or is about to start one
        self.is_free = is_up  # and no job
        self.is_to_end = False  # the worker ends after the job in hand
        self.process: WorkerProcess | None = None

    def ready(self) -> WorkerProcess:
        """A live worker that may take one more job; RetryError if none can be started."""
        process = self.process
        if process is not None and (process.jobs >= self._limits.jobs_per_worker or not process.is_alive()):
            self.discard()
            process = None
        if process is None:
            spawned, self._on_its_way = self._on_its_way, None
            process = self.process = WorkerProcess(self._limits, self._spawned, spawned)
            if self._stopped.is_set():
                self.discard()
                raise RetryError("the decode pool is closed")
        return process

    def discard(self) -> None:
        """End the worker, if there is one."""
        self.is_to_end = False
        if self.process is not None:
            self.process.close()
        self.process = None

    def stop(self) -> None:
        """Kill the worker now, and one that is starting."""
        self._stopped.set()
        for process in (self.process, self._spawning):
            if process is not None:
                process.kill()

    def _spawned(self, process: WorkerProcess) -> None:
        self._spawning = process
        if self._stopped.is_set():
            process.kill()
