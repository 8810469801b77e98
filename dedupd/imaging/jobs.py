"""What the pool asks a worker to do, one class per kind: the talk with the worker and the making of the answer.

A job belongs to one pool thread while it runs. Knows nothing of queues, threads or processes' lives.
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np

from dedupd.core.ports import SMALL_SIDE_PX, DecodedImage, EvidenceSide, ReadFile
from dedupd.core.records import DIGEST_BYTES, Evidence, Problem, ProblemCode
from dedupd.imaging import wire
from dedupd.imaging.opening import check_regular, open_regular
from dedupd.imaging.worker_process import WorkerDiedError, WorkerProcess

_Answer = TypeVar("_Answer")


def problem(code: ProblemCode, detail: str) -> Problem:
    """A Problem of now. When to try again is the caller's to say: only it knows how often it tried."""
    return Problem(code=code, detail=detail, at_ns=time.time_ns(), retry_at_ns=None)


class Source:
    """A file to read: a path that is opened when its turn comes, or a descriptor that is open already."""

    def __init__(self, path: bytes | None, fd: int | None = None) -> None:
        self._path = path
        self._fd = fd

    def descriptor(self) -> int:
        """The open descriptor, the same one at a second attempt; UnreadableImageError if it is no regular file."""
        if self._fd is None:
            assert self._path is not None
            self._fd = open_regular(self._path)
        else:
            check_regular(os.fstat(self._fd).st_mode)
        return self._fd

    def close(self) -> None:
        """Close the descriptor if there is one; a second call does nothing."""
        if self._fd is not None:
            with contextlib.suppress(OSError):  # the caller of read_descriptor may have closed it
                os.close(self._fd)
        self._fd = None


class Job(ABC, Generic[_Answer]):
    """One unit of work for one worker, tried at most twice."""

    def __init__(self) -> None:
        self.future: Future[_Answer | Problem] = Future()

    @abstractmethod
    def attempt(self, worker: WorkerProcess) -> _Answer | Problem:
        """Do it. UnreadableImageError, WorkerDiedError and WorkerTimeoutError go to the pool."""

    def answer_for(self, found: Problem) -> _Answer | Problem:
        """What a problem with this job looks like to who asked."""
        return found

    def close(self) -> None:
        """Let go of what the job holds."""


class ReadJob(Job[ReadFile]):
    """Read, digest and, unless the digest is known, decode."""

    def __init__(self, source: Source, is_known: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._source = source
        self._is_known = is_known
        self._digested: wire.Digested | None = None

    def attempt(self, worker: WorkerProcess) -> ReadFile | Problem:
        self._digested = None
        reply = worker.ask(wire.Read(), fd=self._source.descriptor())
        if isinstance(reply, wire.Digested):
            if len(reply.digest) != DIGEST_BYTES:
                raise WorkerDiedError("a digest of the wrong length")
            self._digested = reply
            reply = worker.ask(wire.Verdict(self._verdict(worker, reply.digest)))
        match reply:
            case wire.Failed():
                return self.answer_for(problem(reply.code, reply.detail))
            case wire.Skipped() if self._digested is not None:
                return ReadFile(digest=self._digested.digest, stat=self._digested.stat, image=None)
            case wire.Described() if self._digested is not None:
                return ReadFile(digest=self._digested.digest, stat=self._digested.stat, image=_decoded(reply))
            case _:
                raise WorkerDiedError("an answer to another question")

    def answer_for(self, found: Problem) -> ReadFile | Problem:
        """Once the bytes are digested, a problem is one of the content."""
        if self._digested is None:
            return found
        return ReadFile(digest=self._digested.digest, stat=self._digested.stat, image=found)

    def close(self) -> None:
        self._source.close()

    def _verdict(self, worker: WorkerProcess, digest: bytes) -> bool:
        try:
            return self._is_known(digest)
        except BaseException:
            worker.ask(wire.Verdict(True))  # leave the worker in step; who asked gets the callback's error
            raise


class PixelDigestJob(Job[bytes]):
    """Digest all pixels."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def attempt(self, worker: WorkerProcess) -> bytes | Problem:
        match worker.ask(wire.DigestPixels(), fd=self._source.descriptor()):
            case wire.PixelsDigested(digest):
                return digest
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")

    def close(self) -> None:
        self._source.close()


class CompareJob(Job[Evidence]):
    """Compare two previews."""

    def __init__(self, a: EvidenceSide, b: EvidenceSide) -> None:
        super().__init__()
        self._request = wire.Compare(_side(a), _side(b))

    def attempt(self, worker: WorkerProcess) -> Evidence | Problem:
        match worker.ask(self._request):
            case wire.Compared(evidence):
                return evidence
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")


def _side(side: EvidenceSide) -> wire.Side:
    return wire.Side(side.content, side.preview, side.width_px, side.height_px)


def _decoded(reply: wire.Described) -> DecodedImage:
    """The picture as the rest of dedupd sees it. `small` is read-only."""
    width, height = reply.small_width_px, reply.small_height_px
    if not (0 < width <= SMALL_SIDE_PX and 0 < height <= SMALL_SIDE_PX and len(reply.small) == width * height * 3):
        raise WorkerDiedError("a small image of another size than it says")
    return DecodedImage(
        format=reply.format,
        width_px=reply.width_px,
        height_px=reply.height_px,
        image_digest=reply.image_digest,
        capture=reply.capture,
        quality=reply.quality,
        decoder=reply.decoder,
        small=np.frombuffer(reply.small, np.uint8).reshape(height, width, 3),
        preview=reply.preview,
    )
