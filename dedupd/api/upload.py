"""Takes a picture that a client sends into an unlinked temporary file: nothing is left behind, whatever happens."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Protocol
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from dedupd.api.decode import pieces_of
from dedupd.api.failures import RefusedError
from dedupd.api.peer import peer_in
from dedupd.core.errors import RequestError

_UPLOADS_OF_ONE_USER = 4
_PIECE_BYTES = 1024 * 1024  # written at once, in a thread: the loop never waits for the disk


async def receive_image(request: Request, *, limit_bytes: int, directory: Path | None) -> int:
    """A descriptor of the whole body, at its start; the caller closes it. Refuses empty and oversize bodies."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)
    with await run_in_threadpool(_temporary_file, directory) as file:
        size_bytes = await _receive_into(file, request, limit_bytes)
        if size_bytes == 0:
            raise RequestError("The body is empty: send the picture's bytes.")
        file.seek(0)
        return os.dup(file.fileno())


@asynccontextmanager
async def receive_pair(
    request: Request, *, a_bytes: int | None, limit_bytes: int, directory: Path | None
) -> AsyncIterator[tuple[int, int | None]]:
    """Descriptors of what the body holds, closed at the end: of one picture, or of A's first bytes and of the rest.

    Args:
        request: whose body it is.
        a_bytes: how many bytes are the first picture's; None: the body is one picture.
        limit_bytes: of one picture.
        directory: where the unlinked files are made.
    """
    if a_bytes is None:
        fd = await receive_image(request, limit_bytes=limit_bytes, directory=directory)
        try:
            yield fd, None
        finally:
            os.close(fd)
        return
    if not 0 < a_bytes <= limit_bytes:
        raise RequestError(f"a_bytes must say how many of the body's bytes are A's, 1 … {limit_bytes}.")
    with (
        await run_in_threadpool(_temporary_file, directory) as a,
        await run_in_threadpool(_temporary_file, directory) as b,
    ):
        size_bytes = await _receive_into(_Split(a, b, a_bytes), request, a_bytes + limit_bytes)
        if size_bytes <= a_bytes:
            raise RequestError("The body ends before B begins: send A's bytes, then B's.")
        yield a.fileno(), b.fileno()


class UploadSlots:
    """How many bodies of one user are received at a time: who sends slowly keeps nobody waiting but himself."""

    def __init__(self) -> None:
        self._of_user: WeakValueDictionary[int | None, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, request: Request) -> asyncio.Semaphore:
        """The slots of the user who asks."""
        peer = peer_in(request)
        uid = None if peer is None else peer.uid
        return self._of_user.setdefault(uid, asyncio.Semaphore(_UPLOADS_OF_ONE_USER))


class _Split:
    """Writes the first bytes into one file and the rest into another."""

    def __init__(self, first: IO[bytes], rest: IO[bytes], first_bytes: int) -> None:
        self._first, self._rest = first, rest
        self._left_bytes = first_bytes

    def write(self, piece: bytes, /) -> int:
        head, tail = piece[: self._left_bytes], piece[self._left_bytes :]
        if head:
            self._first.write(head)
            self._left_bytes -= len(head)
        if tail:
            self._rest.write(tail)
        return len(piece)


class _Sink(Protocol):
    def write(self, piece: bytes, /) -> int: ...


async def _receive_into(file: _Sink, request: Request, limit_bytes: int) -> int:
    size_bytes = 0
    pending = bytearray()
    async for piece in pieces_of(request):
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        pending += piece
        if len(pending) >= _PIECE_BYTES:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(file.write, bytes(pending))
    return size_bytes


def _temporary_file(directory: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=directory, prefix="dedupd-", buffering=0)


def _too_large(limit_bytes: int) -> RefusedError:
    return RefusedError(413, RequestError(f"The picture is over the limit of {limit_bytes // 1024**2} MiB."))
