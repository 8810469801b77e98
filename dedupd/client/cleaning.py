"""The clean-up's part of the API as methods. Owns nothing; decides nothing about files."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator
from contextlib import closing
from urllib.parse import quote

import msgspec

from dedupd.client.client import Client
from dedupd.client.exchange import ANSWER_TIMEOUT_S, SILENCE_S, Query, read_whole
from dedupd.client.refusals import error_of
from dedupd.core.errors import DaemonUnreachableError
from dedupd.protocol.cleanup import (
    RUN_MESSAGE_KINDS,
    ExpiryMessage,
    OutcomeMessage,
    PinMessage,
    PinsMessage,
    PlanMessage,
    PlansMessage,
    QuarantineMessage,
    RunEndMessage,
    RunFailureMessage,
    RunMessage,
    UnpinnedMessage,
    VerdictsMessage,
    WithdrawnMessage,
)
from dedupd.protocol.requests import (
    ExpireRequest,
    PictureName,
    PinRequest,
    PlanRequest,
    UndoRequest,
    VerdictRequest,
)

_DRAFT_TIMEOUT_S = 600.0  # a plan of a large library looks at all of it
_BROKEN_OFF = (
    "The connection ended before the run did; the daemon goes on with it.\n"
    "`dedupctl plans` and `dedupctl quarantine list` show what came of it."
)

Run = Iterator[OutcomeMessage | RunEndMessage]


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


class CleaningClient(Client):
    """A client that can also clean up: plans, runs, the quarantine, verdicts and pins.

    Apart from `Client`, which other commands start faster without. Runs are iterators: nothing is asked before the
    first step, and the last item is how the run ended. A run goes on in the daemon when nobody reads on.
    """

    def draft_plan(self, request: PlanRequest) -> PlanMessage:
        """Draw a plan up; touches nothing."""
        body = msgspec.json.encode(request)
        return self._ask("POST", "/v1/plans", PlanMessage, body=body, timeout_s=_DRAFT_TIMEOUT_S)

    def plans(self) -> PlansMessage:
        """The plans that are kept, the newest first."""
        return self._ask("GET", "/v1/plans", PlansMessage)

    def plan(self, plan: str) -> PlanMessage:
        """One plan, by its id or an unambiguous start of it."""
        return self._ask("GET", f"/v1/plans/{_in_path(plan)}", PlanMessage)

    def plan_csv(self, plan: str) -> bytes:
        """The same as CSV."""
        with closing(self._connect(ANSWER_TIMEOUT_S)) as connection:
            route = f"/v1/plans/{_in_path(plan)}"
            return read_whole(self._exchange(connection, "GET", route, query={"format": "csv"}))

    def apply_plan(self, plan: str) -> Run:
        """Do a plan."""
        return self._run(f"/v1/plans/{_in_path(plan)}/apply", None)

    def undo(self, plan: str = "", items: Iterable[int] | None = None) -> Run:
        """Put back what a plan took, or some of its items; "": what the plan applied last took."""
        return self._run("/v1/undo", UndoRequest(plan=plan, items=None if items is None else tuple(items)))

    def quarantine(self) -> QuarantineMessage:
        """What can still be put back, the oldest first."""
        return self._ask("GET", "/v1/quarantine", QuarantineMessage)

    def expiry(self, plan: str = "", *, now: bool = False) -> ExpiryMessage:
        """What an expiry would delete for good, and the token that confirms it; touches nothing."""
        query: Query = {"plan": plan, "now": int(now)}
        return self._ask("GET", "/v1/quarantine/expiry", ExpiryMessage, query=query)

    def expire(self, confirm: str, plan: str = "", *, now: bool = False) -> Run:
        """Delete for good what `expiry` showed with the same arguments; `confirm` is its token."""
        return self._run("/v1/quarantine/expire", ExpireRequest(confirm=confirm, plan=plan, now=now))

    def verdicts(self) -> VerdictsMessage:
        """Which pictures people said are no duplicates, the newest first."""
        return self._ask("GET", "/v1/verdicts", VerdictsMessage)

    def reject(self, pictures: Iterable[PictureName] = (), *, group: int = 0) -> VerdictsMessage:
        """Say that pictures, or those of a group, are no duplicates of each other; returns what was said."""
        body = msgspec.json.encode(VerdictRequest(pictures=tuple(pictures), group=group))
        return self._ask("POST", "/v1/verdicts", VerdictsMessage, body=body)

    def withdraw(self, pictures: Iterable[PictureName] = (), *, group: int = 0) -> WithdrawnMessage:
        """Take back what was said about any two of these."""
        body = msgspec.json.encode(VerdictRequest(pictures=tuple(pictures), group=group))
        return self._ask("DELETE", "/v1/verdicts", WithdrawnMessage, body=body)

    def pins(self) -> PinsMessage:
        """What people said to keep, the newest first."""
        return self._ask("GET", "/v1/pins", PinsMessage)

    def pin(self, file: PinRequest) -> PinMessage:
        """Keep a file, whatever a policy says."""
        return self._ask("POST", "/v1/pins", PinMessage, body=msgspec.json.encode(file))

    def unpin(self, file: PinRequest) -> UnpinnedMessage:
        """No longer; NotFoundError where it was not pinned."""
        return self._ask("DELETE", "/v1/pins", UnpinnedMessage, body=msgspec.json.encode(file))

    def _run(self, route: str, request: msgspec.Struct | None) -> Run:
        body = None if request is None else msgspec.json.encode(request)
        with closing(self._connect(SILENCE_S)) as connection:
            response = self._exchange(connection, "POST", route, body=body)
            try:
                for message in _messages_of(response):
                    if isinstance(message, RunFailureMessage):
                        raise error_of(message.error)
                    yield message
                    if isinstance(message, RunEndMessage):
                        return
            except (http.client.HTTPException, OSError, ValueError, msgspec.MsgspecError) as error:
                raise DaemonUnreachableError(_BROKEN_OFF) from error
        raise DaemonUnreachableError(_BROKEN_OFF)


def _messages_of(response: http.client.HTTPResponse) -> Iterator[RunMessage]:
    """The messages of a run. Empty lines are a sign of life; kinds that this version does not know are left out."""
    decoder: msgspec.json.Decoder[RunMessage] = msgspec.json.Decoder(RunMessage)
    while line := response.readline():
        if line.strip() and msgspec.json.decode(line, type=_Kind).kind in RUN_MESSAGE_KINDS:
            yield decoder.decode(line)


def _in_path(plan: str) -> str:
    """A plan as a part of a route; what is no plan's name stays a single part, and the daemon says so."""
    return quote(plan, safe="") or "-"
