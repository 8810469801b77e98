"""Takes a picture that a client sends into an unlinked temporary file: nothing is left behind, whatever happens."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from dedupd.api.decode import BODY_TIMEOUT_S
from dedupd.api.failures import RefusedError
from dedupd.core.errors import RequestError

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


async def _receive_into(file: IO[bytes], request: Request, limit_bytes: int) -> int:
    size_bytes = 0
    pending = bytearray()
    pieces = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise RefusedError(408, RequestError("The body did not arrive in time.")) from None
        if piece is not None:
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise _too_large(limit_bytes)
            pending += piece
        if len(pending) >= _PIECE_BYTES or piece is None:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
        if piece is None:
            return size_bytes


def _temporary_file(directory: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=directory, prefix="dedupd-", buffering=0)


def _too_large(limit_bytes: int) -> RefusedError:
    return RefusedError(413, RequestError(f"The picture is over the limit of {limit_bytes // 1024**2} MiB."))
