"""The actor as the daemon sees it: another process behind a socket. Implements the `Actor` port.

Touches no file. Owns nothing but the connection of the call under way; the process belongs to whoever `connect` asks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec

from dedupd.cleanup import actor_wire as wire
from dedupd.cleanup.plan_file import encode_plan
from dedupd.core.cleanup_plan import Outcome, Plan, Quarantined, RunEnd
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import AccessError, DedupdError, DegradedError, NotFoundError, RequestError, RetryError

_KINDS: tuple[type[DedupdError], ...] = (RequestError, RetryError, NotFoundError, AccessError)


class RemoteActor:
    """See the module; thread-safe, one connection a call."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        """Hand it a way to the actor.

        Args:
            connect: a fresh connection; raises a DedupdError where there is no actor.
        """
        self._connect = connect

    def apply(self, plan_id: str, plan: Plan, tell: Tell) -> RunEnd:
        """Do a plan; see the port."""
        return self._run(wire.Apply(plan_id=plan_id, plan=msgspec.Raw(encode_plan(plan))), tell)

    def undo(self, plan_id: str | None, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back; see the port."""
        return self._run(wire.Undo(plan_id=plan_id, items=items), tell)

    def expire(self, before_ns: int, plan_id: str | None, tell: Tell) -> RunEnd:
        """Delete for good; see the port."""
        return self._run(wire.Expire(before_ns=before_ns, plan_id=plan_id), tell)

    def quarantined(self) -> list[Quarantined]:
        """What can still be put back; see the port."""
        match self._ask(wire.ListQuarantined(), _tell_nobody):
            case wire.Held(entries=entries):
                return entries
            case reply:
                raise _unexpected(reply)

    def outcomes(self, after: int, limit: int) -> list[Outcome]:
        """The journal's outcomes; see the port."""
        match self._ask(wire.ListOutcomes(after=after, limit=limit), _tell_nobody):
            case wire.Listed(outcomes=outcomes):
                return outcomes
            case reply:
                raise _unexpected(reply)

    def done_since(self, since_ns: int) -> tuple[int, int]:
        """Files and bytes taken since a moment; see the port."""
        match self._ask(wire.DoneSince(since_ns=since_ns), _tell_nobody):
            case wire.Counted(files=files, bytes_=bytes_):
                return files, bytes_
            case reply:
                raise _unexpected(reply)

    def close(self) -> None:
        """Nothing to end: a run goes on in the actor, and its journal tells of it later."""

    def _run(self, request: wire.Request, tell: Tell) -> RunEnd:
        match self._ask(request, tell):
            case wire.Ended(end=end):
                return end
            case reply:
                raise _unexpected(reply)

    def _ask(self, request: wire.Request, tell: Tell) -> wire.Reply:
        """The reply that ends a request; what is told before goes to `tell`."""
        try:
            reply = self._reply(request, tell)
        except ValueError as error:
            raise RequestError(f"The plan was not applied: {error}.") from error
        except (OSError, wire.BrokenTalkError) as error:
            raise RetryError(
                f"The actor went away: {error}. What it did stands in its journal and is taken up when it starts "
                "again; ask `dedupctl quarantine list`."
            ) from error
        if isinstance(reply, wire.Refused):
            kind = next((kind for kind in _KINDS if kind.code == reply.code), DegradedError)
            raise kind(reply.message)
        return reply

    def _reply(self, request: wire.Request, tell: Tell) -> wire.Reply:
        """Ask once more where nobody took the first call: an idle actor may have been about to end.

        A plan is done once only, whatever was heard of the first call.
        """
        try:
            return self._heard(request, tell)
        except wire.NobodyThereError:
            return self._heard(request, tell)

    def _heard(self, request: wire.Request, tell: Tell) -> wire.Reply:
        with self._connect() as sock:
            try:
                wire.send(sock, request)
                reply = wire.receive_reply(sock)
            except (OSError, wire.BrokenTalkError) as error:
                raise wire.NobodyThereError(str(error)) from error
            while isinstance(reply, wire.Told):
                tell(reply.outcome)
                reply = wire.receive_reply(sock)
            return reply


def _tell_nobody(_outcome: Outcome) -> None:
    """Questions have no outcomes."""


def _unexpected(reply: wire.Reply) -> DegradedError:
    return DegradedError(f"The actor answered with {type(reply).__name__}; daemon and actor are of different versions.")
