"""One question and its answer over a connection of their own. Raises the errors of core.errors, owns nothing."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from dedupd.client.body import Pieces
from dedupd.client.connection import START_IT, UnixConnection, connect
from dedupd.client.refusals import refusal
from dedupd.core.errors import DaemonUnreachableError, RequestError
from dedupd.core.undecodable import UNDECODABLE

T = TypeVar("T")
Query = Mapping[str, str | bytes | int]

ANSWER_TIMEOUT_S = 60.0
SILENCE_S = 40.0  # a stream says something every 15 s or sooner; after two and a half of these it is taken for dead


class Exchanges:
    """Asks whoever listens on the first of some sockets that answers."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def _connect(self, timeout_s: float) -> UnixConnection:
        return connect(self._paths, timeout_s)

    def _ask(
        self,
        method: str,
        route: str,
        answer: type[T],
        *,
        query: Query | None = None,
        body: bytes | IO[bytes] | Pieces | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> T:
        with closing(self._connect(timeout_s)) as connection:
            content = read_whole(self._exchange(connection, method, route, query=query, body=body))
        try:
            return msgspec.json.decode(content, type=answer)
        except UNDECODABLE as error:
            raise RequestError(
                f"The daemon's answer to {method} {route} is not understood: {error}\n"
                "Is it of another version? `dedupctl version` compares."
            ) from error

    def _exchange(
        self,
        connection: UnixConnection,
        method: str,
        route: str,
        *,
        query: Query | None = None,
        body: bytes | IO[bytes] | Pieces | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request and read the answer's head; raises the error that a refusal stands for."""
        target = f"{route}?{urlencode(query, quote_via=quote)}" if query else route
        headers = {"Connection": "close"}
        if body is not None and not isinstance(body, bytes):
            size_bytes = sum(body.sizes) if isinstance(body, Pieces) else os.fstat(body.fileno()).st_size
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        elif body is not None:
            headers["Content-Type"] = "application/json"
        try:
            # Refused before all of it was sent (too large): the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            raise lost(error) from error
        if response.status >= 400:
            raise refusal(response.status, read_whole(response))
        return response


def read_whole(response: http.client.HTTPResponse) -> bytes:
    """The rest of an answer."""
    try:
        return response.read()
    except (http.client.HTTPException, OSError) as error:
        raise lost(error) from error


def lost(error: Exception) -> Exception:
    """A broken connection as an error of ours; our own errors stay what they are."""
    if not isinstance(error, http.client.HTTPException | OSError):
        return error
    if isinstance(error, TimeoutError):
        return DaemonUnreachableError("dedupd did not answer in time.\n`systemctl status dedupd` or its log says why.")
    return DaemonUnreachableError(f"dedupd ended the connection ({error}).\n{START_IT}")
