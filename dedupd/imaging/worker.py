"""The decode worker: a child process that parses untrusted bytes for the pool, `python -m dedupd.imaging.worker FD`.

Gets open descriptors over one inherited socket, never a path; locks itself down before the first picture, after which
it can load no more code: everything is imported here. Ends when the socket closes. Does not decide what becomes of a
file, and writes nothing anywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import cv2
import numpy as np
import numpy.ma  # numpy loads it at the first median; a confined worker could not

from dedupd.core.arrays import Pixels
from dedupd.core.records import NOTHING_FOUND, FileStat, ProblemCode
from dedupd.imaging import wire
from dedupd.imaging.confinement import confine
from dedupd.imaging.decode import decode, decode_preview
from dedupd.imaging.digest import content_digest, pixel_digest
from dedupd.imaging.evidence import compare_images, prepare
from dedupd.imaging.examine import examine
from dedupd.imaging.fine_look import look_closely
from dedupd.imaging.full_picture import decode_full
from dedupd.imaging.glance import may_be_alike, pairs_worth_a_look
from dedupd.imaging.limits import MIB, DecodeLimits, UnreadableImageError
from dedupd.imaging.picture import prepare_decoders
from dedupd.imaging.prepared_side import PreparedSide
from dedupd.imaging.render import render
from dedupd.imaging.sketch import sketch_in, unpack

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_OOM_SCORE_ADJ = 800  # the kernel takes a decoder before anything that matters
_KEPT_SIDES = 64  # prepared sides of comparisons; about 2 MB each


def main() -> None:
    """Serve jobs until the pool closes the socket."""
    # The pool decides when a worker ends: Ctrl-C or a stop of the service's process group must not fail its job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        setup = wire.receive(sock, wire.request_decoder)
        assert isinstance(setup, wire.Setup)
        lock_down(setup.limits)
        silence()
        wire.send(sock, wire.Ready(confine() if setup.limits.is_confined else ()))
        Worker(sock, setup.limits).serve()


def lock_down(limits: DecodeLimits) -> None:
    """Give up everything that decoding does not need."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(limits.nice)
    with contextlib.suppress(OSError):  # a container may forbid it; then the kernel's own choice has to do
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ), encoding="ascii")
    cv2.setNumThreads(1)
    prepare_decoders(limits)
    _limit(resource.RLIMIT_CORE, 0)  # a core dump would hold the user's picture
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    # No RLIMIT_NPROC: HEIC is decoded in a thread of its own, and that limit sees no difference. The call filter
    # lets a worker have threads and no process.
    _limit(resource.RLIMIT_AS, limits.address_space_bytes)


def silence() -> None:
    """Drop what decoder libraries print about broken pictures; until here a failing start could be read."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


class Worker:
    """Answers jobs one after the other; owns the prepared sides that it keeps for later comparisons."""

    def __init__(self, sock: socket.socket, limits: DecodeLimits) -> None:
        self._sock = sock
        self._limits = limits
        self._sides: OrderedDict[int, PreparedSide] = OrderedDict()
        self._beside = ThreadPoolExecutor(1) if limits.threads > 1 else None

    def serve(self) -> None:
        """Take jobs until EOFError says that the pool is gone."""
        while True:
            request, fd = wire.receive_with_descriptor(self._sock, wire.request_decoder)
            try:
                reply = self._answer(request, fd)
            except UnreadableImageError as error:
                reply = wire.Failed(error.code, error.detail)
            except (EOFError, ConnectionError):
                raise
            except MemoryError:
                reply = wire.Failed(ProblemCode.TOO_MANY_PIXELS, "it needs more memory than a worker may have")
            except Exception as error:  # noqa: BLE001 - the worker outlives one file; parsers raise anything
                reply = wire.Failed(ProblemCode.DAMAGED, f"the decoder failed: {type(error).__name__}")
            finally:
                if fd is not None:
                    os.close(fd)
            wire.send(self._sock, reply)

    def _answer(self, request: wire.Request, fd: int | None) -> wire.Reply:
        if fd is None:
            return self._answer_of_previews(request)
        match request:
            case wire.Read():
                return self._read(fd)
            case wire.DigestPixels():
                data, _ = read_unchanged(fd, self._limits)
                return wire.PixelsDigested(pixel_digest(data, self._limits))
            case wire.CompareFully():
                return self._compare_fully(request, fd)
            case wire.Render():
                return self._render(fd, request.digest)
            case _:
                raise EOFError  # not a pool of this version

    def _answer_of_previews(self, request: wire.Request) -> wire.Reply:
        match request:
            case wire.DecodePreview():
                return _rendered(decode_preview(request.preview))
            case wire.Glance():
                return wire.Glanced(tuple(pairs_worth_a_look([unpack(s) for s in request.sketches], request.pairs)))
            case wire.Compare():
                return self._compare(request)
            case wire.Illustrate():
                return self._illustrate(request)
            case _:
                raise EOFError

    def _read(self, fd: int) -> wire.Reply:
        data, stat = read_unchanged(fd, self._limits)
        wire.send(self._sock, wire.Digested(content_digest(data), stat))
        verdict = wire.receive(self._sock, wire.request_decoder)
        if not isinstance(verdict, wire.Verdict) or verdict.is_known:
            return wire.Skipped()
        image = decode(data, self._limits)
        height, width, _ = image.small.shape
        return wire.Described(
            format=image.format,
            width_px=image.width_px,
            height_px=image.height_px,
            image_digest=image.image_digest,
            capture=image.capture,
            quality=image.quality,
            decoder=image.decoder,
            small=image.small.tobytes(),
            small_width_px=width,
            small_height_px=height,
            preview=image.preview,
            trailing_bytes=image.trailing_bytes,
        )

    def _compare(self, request: wire.Compare) -> wire.Reply:
        a, b = sketch_in(request.a.preview), sketch_in(request.b.preview)
        if a is not None and b is not None and not may_be_alike(a, b):
            return wire.Compared(NOTHING_FOUND)
        return wire.Compared(compare_images(self._prepared(request.a), self._prepared(request.b)))

    def _compare_fully(self, request: wire.CompareFully, fd: int) -> wire.Reply:
        with self._decoding(fd, request.digest_a) as first:
            wire.send(self._sock, wire.AwaitingSecond())
            second, fd_b = wire.receive_with_descriptor(self._sock, wire.request_decoder)
            if fd_b is None or not isinstance(second, wire.Second):
                raise EOFError  # not a pool of this version
            try:
                full_b = self._full(fd_b, request.digest_b)
            finally:
                os.close(fd_b)
            full_a = first()
        a, b = self._prepared(request.a), self._prepared(request.b)
        return wire.Compared(look_closely(a, full_a, b, full_b, request.evidence))

    @contextlib.contextmanager
    def _decoding(self, fd: int, digest: bytes) -> Iterator[Callable[[], Pixels]]:
        """Decode a picture in full, beside what else is done where two threads may be; gives what waits for it."""
        if self._beside is None:
            pixels = self._full(fd, digest)
            yield lambda: pixels
            return
        future = self._beside.submit(self._full, fd, digest)
        try:
            yield future.result
        finally:
            wait((future,))  # until then it may read the descriptor

    def _full(self, fd: int, digest: bytes) -> Pixels:
        return decode_full(read_expected(fd, digest, self._limits), self._limits)

    def _render(self, fd: int, digest: bytes) -> wire.Reply:
        return _rendered(render(read_expected(fd, digest, self._limits), self._limits))

    def _illustrate(self, request: wire.Illustrate) -> wire.Reply:
        large_a, large_b = (_pixels(large) for large in (request.large_a, request.large_b))
        a, b = self._prepared(request.a), self._prepared(request.b)
        return wire.Shown(examine(a, b, large_a=large_a, large_b=large_b, words=request.words))

    def _prepared(self, side: wire.Side) -> PreparedSide:
        if side.content is not None and side.content in self._sides:
            self._sides.move_to_end(side.content)
            return self._sides[side.content]
        prepared = prepare(decode_preview(side.preview), side.width_px, side.height_px)
        if side.content is not None:
            self._sides[side.content] = prepared
            if len(self._sides) > _KEPT_SIDES:
                self._sides.popitem(last=False)
        return prepared


def _rendered(pixels: Pixels) -> wire.Rendered:
    height, width, _ = pixels.shape
    return wire.Rendered(pixels.tobytes(), width, height)


def _pixels(large: wire.Rendered | None) -> Pixels | None:
    if large is None:
        return None
    return np.frombuffer(large.pixels, np.uint8).reshape(large.height_px, large.width_px, 3)


def read_expected(fd: int, digest: bytes, limits: DecodeLimits) -> bytes:
    """All bytes of a regular file that must hold a known content.

    Raises:
        UnreadableImageError: CHANGING if it holds another one by now, and what `read_unchanged` raises.
    """
    data, _ = read_unchanged(fd, limits)
    if content_digest(data) != digest:
        raise UnreadableImageError(ProblemCode.CHANGING, "the file holds another picture by now")
    return data


def read_unchanged(fd: int, limits: DecodeLimits) -> tuple[bytes, FileStat]:
    """All bytes of a regular file from its start, and its stat, equal before and after.

    Raises:
        UnreadableImageError: EMPTY, TOO_LARGE, CHANGING, IO_ERROR.
    """
    try:
        before = _stat(fd)
        if before.size_bytes == 0:
            raise UnreadableImageError(ProblemCode.EMPTY, "the file holds no bytes")
        if before.size_bytes > limits.max_file_bytes:
            limit = limits.max_file_bytes // MIB
            raise UnreadableImageError(
                ProblemCode.TOO_LARGE, f"{before.size_bytes // MIB} MiB is over the limit of {limit} MiB"
            )
        # One byte more than there should be: a file that grew shows itself. pread: the offset is shared with the pool.
        data = os.pread(fd, before.size_bytes + 1, 0)
        while data and len(data) < before.size_bytes:  # network filesystems return less than asked for
            more = os.pread(fd, before.size_bytes + 1 - len(data), len(data))
            if not more:
                break
            data += more
        after = _stat(fd)
    except OSError as error:
        raise UnreadableImageError(ProblemCode.IO_ERROR, f"reading failed: {error.strerror}") from error
    if after != before or len(data) != before.size_bytes:
        raise UnreadableImageError(ProblemCode.CHANGING, "the file changed while it was read")
    return data, after


def _stat(fd: int) -> FileStat:
    found = os.fstat(fd)
    return FileStat(
        dev=found.st_dev,
        ino=found.st_ino,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
    )


if __name__ == "__main__":
    main()
