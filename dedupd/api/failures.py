"""Errors to answers: one JSON shape, a status by the kind of error, a next step where there is one."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from dedupd.core.errors import (
    AccessError,
    DedupdError,
    NotFoundError,
    RequestError,
    RetryError,
    StopError,
    UnreadableImageError,
)
from dedupd.core.records import Problem
from dedupd.protocol.failures import Failure, FailureMessage

_STATUS: tuple[tuple[type[DedupdError], int], ...] = (
    (RequestError, 400),
    (AccessError, 403),
    (NotFoundError, 404),
    (UnreadableImageError, 422),
    (RetryError, 503),
    (StopError, 503),
)
_HINTS = {
    RetryError.code: "Try again in a moment.",
}


class RefusedError(Exception):
    """An error whose HTTP status says more than its kind does (408, 413, 405), or that leaves a body unread."""

    def __init__(self, status: int, error: DedupdError) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error


class BadPictureError(UnreadableImageError):
    """The picture that was sent cannot be read; carries the problem's code for the answer."""

    def __init__(self, problem: Problem, which: str = "The picture") -> None:
        super().__init__(f"{which} cannot be read: {problem.detail or problem.code}")
        self.problem = problem


def failure_response(error: Exception) -> Response:
    """The answer for an error. What is not ours is a 500 that says nothing of the inside."""
    match error:
        case RefusedError():
            response = _answer(error.status, error.error)
            # Part of the body may be on its way still; without this uvicorn would read on and drop it, without end.
            response.headers["connection"] = "close"
            return response
        case DedupdError():
            return _answer(next((status for kind, status in _STATUS if isinstance(error, kind)), 503), error)
        case _:
            return _answer(500, error)


def failure_of(error: Exception) -> Failure:
    """An error on the wire. What is not ours is told without anything of the inside."""
    if not isinstance(error, DedupdError):
        hidden = DedupdError("A fault in the daemon.")
        return Failure(code=hidden.code, message=str(hidden), hint="The daemon's log has the details.")
    return Failure(
        code=error.code,
        message=str(error),
        hint=_HINTS.get(error.code, ""),
        problem=error.problem.code if isinstance(error, BadPictureError) else UNSET,
    )


def _answer(status: int, error: Exception) -> Response:
    body = msgspec.json.encode(FailureMessage(error=failure_of(error)))
    return Response(body, status_code=status, media_type="application/json")
