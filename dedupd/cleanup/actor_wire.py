"""What the daemon and the actor say to each other over a Unix socket: one request, outcomes as they come, one answer.

Each message is a JSON object behind its length (4 bytes, big-endian). Both ends are dedupd of one version; who may be
at the other end is `actor_server`'s question. Owns nothing.
"""

from __future__ import annotations

import socket
import struct

import msgspec

from dedupd.core.cleanup_plan import Outcome, Quarantined, RunEnd
from dedupd.core.undecodable import UNDECODABLE

MOST_BYTES = 1 << 30  # of one message; a plan takes about 1 kB an item
_LENGTH = struct.Struct(">I")


class Apply(msgspec.Struct, frozen=True, kw_only=True, tag="apply"):
    """Do a plan. Its bytes travel as they are, so that the actor checks them against the name by itself."""

    plan_id: str
    plan: msgspec.Raw


class Undo(msgspec.Struct, frozen=True, kw_only=True, tag="undo"):
    """Put back; None: the plan applied last, all items."""

    plan_id: str | None
    items: frozenset[int] | None


class Expire(msgspec.Struct, frozen=True, kw_only=True, tag="expire"):
    """Delete for good what was set aside before a moment."""

    before_ns: int
    plan_id: str | None


class ListQuarantined(msgspec.Struct, frozen=True, kw_only=True, tag="quarantined"):
    """What can still be put back."""


class ListOutcomes(msgspec.Struct, frozen=True, kw_only=True, tag="outcomes"):
    """What the journal holds after a sequence."""

    after: int
    limit: int


class DoneSince(msgspec.Struct, frozen=True, kw_only=True, tag="done-since"):
    """What was taken since a moment."""

    since_ns: int


Request = Apply | Undo | Expire | ListQuarantined | ListOutcomes | DoneSince


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """One outcome of the run under way."""

    outcome: Outcome


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The run is over."""

    end: RunEnd


class Held(msgspec.Struct, frozen=True, kw_only=True, tag="held"):
    """The answer to ListQuarantined."""

    entries: list[Quarantined]


class Listed(msgspec.Struct, frozen=True, kw_only=True, tag="listed"):
    """The answer to ListOutcomes."""

    outcomes: list[Outcome]


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag="counted"):
    """The answer to DoneSince."""

    files: int
    bytes_: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The actor did not do it; `code` as in `core.errors`."""

    code: str
    message: str


Reply = Told | Ended | Held | Listed | Counted | Refused

_encode = msgspec.json.Encoder().encode
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class BrokenTalkError(Exception):
    """The other end went away, or said what none of ours says."""


class NobodyThereError(BrokenTalkError):
    """The other end went away before it said anything."""


def send(sock: socket.socket, message: Request | Reply) -> None:
    """Send one message.

    Raises:
        OSError: the other end is gone.
        ValueError: the message is too large.
    """
    body = _encode(message)
    if len(body) > MOST_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is too large for the actor; plan fewer files")
    sock.sendall(_LENGTH.pack(len(body)) + body)


def receive_request(sock: socket.socket) -> Request | None:
    """The next request; None when the other end has hung up between two messages."""
    body = _receive(sock)
    if body is None:
        return None
    try:
        return _requests.decode(body)
    except UNDECODABLE as error:
        raise BrokenTalkError(f"not a request: {error}") from error


def receive_reply(sock: socket.socket) -> Reply:
    """The next reply."""
    body = _receive(sock)
    if body is None:
        raise BrokenTalkError("the actor ended")
    try:
        return _replies.decode(body)
    except UNDECODABLE as error:
        raise BrokenTalkError(f"not a reply: {error}") from error


def _receive(sock: socket.socket) -> bytes | None:
    head = _exactly(sock, _LENGTH.size, may_end=True)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise BrokenTalkError(f"a message of {length} bytes is announced")
    return _exactly(sock, length, may_end=False)


def _exactly(sock: socket.socket, count: int, *, may_end: bool) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < count:
        try:
            piece = sock.recv(min(count - len(pieces), 1 << 20))
        except OSError as error:
            raise BrokenTalkError(f"the other end cannot be heard: {error}") from error
        if not piece:
            if may_end and not pieces:
                return None
            raise BrokenTalkError("the other end went away in the middle of a message")
        pieces += piece
    return bytes(pieces)
