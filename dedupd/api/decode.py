"""Requests to messages: query strings, JSON bodies and numbers in paths, all strict. Opens nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from dedupd.api.failures import RefusedError
from dedupd.api.limits import limits_in
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.undecodable import UNDECODABLE

MessageT = TypeVar("MessageT", bound=msgspec.Struct)

_LONGEST_NUMBER = 15  # digits; contents end at 2**48


def query_of(request: Request, kind: type[MessageT]) -> MessageT:
    """The query string as a message; unknown, repeated or ill-typed parameters are a RequestError.

    Bytes that are not UTF-8 stay exact as surrogates, so that os.fsencode gives back the path that was asked for.
    """
    raw: bytes = request.scope["query_string"]
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestError("A query parameter is given twice.")
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RequestError(f"The query is wrong: {error}. See docs/api.md.") from error


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; a 408 when it stops coming, or comes so slowly that it only holds a place."""
    pieces = aiter(request.stream())
    loop, limits = asyncio.get_running_loop(), limits_in(request)
    began_s, size_bytes = loop.time(), 0
    while True:
        left_s = began_s + limits.body_s + size_bytes / limits.slowest_body_bytes_s - loop.time()
        try:
            async with asyncio.timeout(max(0.0, min(limits.body_s, left_s))):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise RefusedError(408, RequestError("The body did not arrive in time.")) from None
        if piece is None:
            return
        size_bytes += len(piece)
        yield piece


async def json_of(request: Request, kind: type[MessageT], *, limit_bytes: int) -> MessageT:
    """The body as a message; an empty body is an empty object."""
    body = bytearray()
    async for piece in pieces_of(request):
        body += piece
        if len(body) > limit_bytes:
            raise RefusedError(413, RequestError(f"The body is over {limit_bytes} bytes. Ask in smaller pieces."))
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=kind)
    except UNDECODABLE as error:
        raise RequestError(f"The body is wrong: {error}. See docs/api.md.") from error


def number_in_path(request: Request) -> int:
    """The {id} of the path; what is no such number names nothing."""
    text = str(request.path_params["id"])
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise NotFoundError(f"{text!r} is no id: ids are numbers.")
    return int(text)
