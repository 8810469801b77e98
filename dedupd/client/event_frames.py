"""Reads server-sent events (HTML standard, 9.2) as far as dedupd sends them. Owns nothing."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from dedupd.protocol.events import EVENT_KINDS, EventMessage

_DECODER: msgspec.json.Decoder[EventMessage] = msgspec.json.Decoder(EventMessage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the stream is, and an event unless the frame only told the position."""

    sequence: int
    event: EventMessage | None


def frames_of(response: http.client.HTTPResponse) -> Iterator[Frame]:
    """The frames of a response until it ends. Kinds that this version does not know only move the position."""
    sequence: int | None = None
    kind = ""
    text = b""
    while line := response.readline():
        field, _, value = line.rstrip(b"\n").partition(b": ")
        match field:
            case b"id":
                sequence = int(value)
            case b"event":
                kind = value.decode("ascii", "replace")
            case b"data":
                text = value
            case b"" if line == b"\n" and sequence is not None:
                yield Frame(sequence=sequence, event=_DECODER.decode(text) if kind in EVENT_KINDS else None)
                sequence, kind, text = None, "", b""
            case _:
                pass  # a comment: only a sign of life
