"""Turns the daemon's error answers into the errors that core names."""

from __future__ import annotations

import msgspec

from dedupd.core import errors
from dedupd.core.undecodable import UNDECODABLE
from dedupd.protocol.failures import Failure, FailureMessage

_KINDS: dict[str, type[errors.DedupdError]] = {
    kind.code: kind
    for kind in (
        errors.DegradedError,
        errors.RetryError,
        errors.RequestError,
        errors.NotFoundError,
        errors.AccessError,
        errors.StoreDamagedError,
        errors.StoreWriteError,
        errors.DiskFullError,
        errors.DedupdError,
    )
}


class PictureRefusedError(errors.UnreadableImageError):
    """The picture that was sent cannot be read; says which records.ProblemCode."""

    def __init__(self, message: str, problem_code: str) -> None:
        super().__init__(message)
        self.problem_code = problem_code


def refusal(status: int, body: bytes) -> errors.DedupdError:
    """The error that an answer of status 400 and above stands for."""
    try:
        failure = msgspec.json.decode(body, type=FailureMessage).error
    except UNDECODABLE:  # uvicorn's own refusals are plain text
        text = body[:200].decode("utf-8", "replace").strip()
        if status == 503:
            return errors.RetryError("The daemon has too many connections.\nTry again in a moment.")
        return errors.RequestError(f"The daemon refused the request ({status}): {text}")
    return error_of(failure)


def error_of(failure: Failure) -> errors.DedupdError:
    """The error that a failure on the wire stands for; its next step is on a second line."""
    message = failure.message.replace("\n", "\\n")  # a file name in it must not look like a next step
    if failure.hint:
        message += f"\n{failure.hint}"
    if failure.code == errors.UnreadableImageError.code:
        return PictureRefusedError(message, failure.problem if isinstance(failure.problem, str) else "")
    return _KINDS.get(failure.code, errors.RequestError)(message)
