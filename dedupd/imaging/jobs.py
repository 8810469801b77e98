"""What the pool asks a worker to do, one class per kind: the talk with the worker and the making of the answer.

A job belongs to one pool thread while it runs. Knows nothing of queues, threads or processes' lives.
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.core.illustration import Illustrated, SheetWords
from dedupd.core.ports import SMALL_SIDE_PX, DecodedImage, EvidenceSide, FullSide, ReadFile, ShownSide
from dedupd.core.records import DIGEST_BYTES, Evidence, Problem, ProblemCode
from dedupd.imaging import wire
from dedupd.imaging.limits import RENDER_SIDE_PX, UnreadableImageError
from dedupd.imaging.opening import check_regular, open_regular
from dedupd.imaging.preview_segment import body_in
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

    @classmethod
    def of(cls, source: bytes | int) -> Source:
        """Of a path or a descriptor."""
        return cls(None, source) if isinstance(source, int) else cls(source)

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


class DecodePreviewJob(Job[Pixels]):
    """Decode one preview."""

    def __init__(self, preview: bytes) -> None:
        super().__init__()
        self._request = wire.DecodePreview(preview)

    def attempt(self, worker: WorkerProcess) -> Pixels | Problem:
        match worker.ask(self._request):
            case wire.Rendered(pixels, width, height):
                return _small(pixels, width, height)
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")


class GlanceJob(Job[tuple[bool, ...]]):
    """Tell of pairs of previews whether to compare them."""

    def __init__(self, previews: Sequence[bytes], pairs: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._request = wire.Glance(tuple(body_in(preview) or b"" for preview in previews), tuple(pairs))

    def attempt(self, worker: WorkerProcess) -> tuple[bool, ...] | Problem:
        match worker.ask(self._request):
            case wire.Glanced(answers) if len(answers) == len(self._request.pairs):
                return answers
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")


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


class CompareFullyJob(Job[Evidence]):
    """Compare two full pictures."""

    def __init__(self, a: FullSide, b: FullSide, evidence: Evidence) -> None:
        super().__init__()
        self._sources = Source.of(a.source), Source.of(b.source)
        self._request = wire.CompareFully(_side(a.side), _side(b.side), a.digest, b.digest, evidence)

    def attempt(self, worker: WorkerProcess) -> Evidence | Problem:
        first, second = (source.descriptor() for source in self._sources)
        reply = worker.ask(self._request, fd=first)
        if isinstance(reply, wire.AwaitingSecond):
            reply = worker.ask(wire.Second(), fd=second)
        match reply:
            case wire.Compared(evidence):
                return evidence
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")

    def close(self) -> None:
        for source in self._sources:
            source.close()


class IllustrateJob(Job[Illustrated]):
    """Compare two previews, measure the figures, draw the sheet from the files where they can be read."""

    def __init__(self, a: ShownSide, b: ShownSide, words: SheetWords | None) -> None:
        super().__init__()
        self._sides = _side(a.side), _side(b.side)
        self._sources = _source(a.source), _source(b.source)
        self._digests = a.digest, b.digest
        self._words = words
        self._is_first_attempt = True

    def attempt(self, worker: WorkerProcess) -> Illustrated | Problem:
        # A worker that died may have died of a file: the second attempt draws from the previews.
        may_render, self._is_first_attempt = self._is_first_attempt and self._words is not None, False
        large_a, large_b = (
            self._rendered(worker, source, digest) if may_render else None
            for source, digest in zip(self._sources, self._digests, strict=True)
        )
        match worker.ask(wire.Illustrate(*self._sides, large_a, large_b, self._words)):
            case wire.Shown(illustrated):
                return illustrated
            case wire.Failed(code, detail):
                return problem(code, detail)
            case _:
                raise WorkerDiedError("an answer to another question")

    def close(self) -> None:
        for source in self._sources:
            if source is not None:
                source.close()

    def _rendered(self, worker: WorkerProcess, source: Source | None, digest: bytes) -> wire.Rendered | None:
        """The picture in a size for people; None where its file cannot be read, then its preview has to do."""
        if source is None:
            return None
        try:
            reply = worker.ask(wire.Render(digest), fd=source.descriptor())
        except UnreadableImageError:
            return None
        match reply:
            case wire.Rendered(pixels, width, height):
                if not _is_rendered(pixels, width, height):
                    raise WorkerDiedError("a picture of another size than it says")
                return reply
            case wire.Failed():
                return None
            case _:
                raise WorkerDiedError("an answer to another question")


def _is_rendered(pixels: bytes, width_px: int, height_px: int) -> bool:
    """Whether raw RGB bytes are a picture of that size, no larger than a sheet's panel."""
    is_bounded = 0 < width_px <= RENDER_SIDE_PX and 0 < height_px <= RENDER_SIDE_PX
    return is_bounded and len(pixels) == width_px * height_px * 3


def _source(source: bytes | int | None) -> Source | None:
    return None if source is None else Source.of(source)


def _side(side: EvidenceSide) -> wire.Side:
    return wire.Side(side.content, side.preview, side.width_px, side.height_px)


def _small(pixels: bytes, width_px: int, height_px: int) -> Pixels:
    """Raw RGB bytes as a small image, read-only."""
    is_small = 0 < width_px <= SMALL_SIDE_PX and 0 < height_px <= SMALL_SIDE_PX
    if not is_small or len(pixels) != width_px * height_px * 3:
        raise WorkerDiedError("a small image of another size than it says")
    return np.frombuffer(pixels, np.uint8).reshape(height_px, width_px, 3)


def _decoded(reply: wire.Described) -> DecodedImage:
    """The picture as the rest of dedupd sees it. `small` is read-only."""
    return DecodedImage(
        format=reply.format,
        width_px=reply.width_px,
        height_px=reply.height_px,
        image_digest=reply.image_digest,
        capture=reply.capture,
        quality=reply.quality,
        decoder=reply.decoder,
        small=_small(reply.small, reply.small_width_px, reply.small_height_px),
        preview=reply.preview,
        trailing_bytes=reply.trailing_bytes,
    )
