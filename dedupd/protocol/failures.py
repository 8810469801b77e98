"""How an error looks on the wire."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.fields import ProblemName


class Failure(Struct, frozen=True, kw_only=True):
    """Why a request was not answered; `code` is stable, `hint` is the next step ("" when there is none)."""

    code: str
    message: str
    hint: str
    problem: ProblemName | UnsetType = UNSET  # with code "unreadable-image": what is wrong with the picture


class FailureMessage(Struct, frozen=True, kw_only=True):
    """The one shape of every error answer."""

    error: Failure
