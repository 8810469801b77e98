"""What the watcher process and its parent say to each other: msgpack values, each after its length.

Imports nothing heavy: the watcher process starts with it. Stateless but for the half-received value in `Frames`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

_LENGTH = struct.Struct("<I")


class WatchedRoot(msgspec.Struct, frozen=True):
    """A root to watch."""

    id: int
    path: bytes  # absolute, as configured
    must_poll: bool


class Watch(msgspec.Struct, tag="watch", frozen=True):
    """To the watcher: watch exactly these from now on."""

    generation: int
    roots: list[WatchedRoot]
    ignore_globs: list[bytes]  # on top of the built-in ones


class Dirt(msgspec.Struct, frozen=True):
    """A directory to look at, as ports.DirtyDirectory, without what that imports."""

    root: int
    directory: bytes
    closed: frozenset[bytes] = frozenset()
    is_recursive: bool = False


class Dirty(msgspec.Struct, tag="dirty", frozen=True):
    """From the watcher: look at these."""

    entries: list[Dirt]


class RootHealth(msgspec.Struct, frozen=True):
    """One root's watching; the fields of ports.WatchHealth."""

    root: int
    state: str
    watched_directories: int
    unwatched_directories: int
    overflows: int
    message: str


class Health(msgspec.Struct, tag="health", frozen=True):
    """From the watcher: how all roots stand, sent when it changed."""

    roots: list[RootHealth]


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """From the watcher: every watch that `Watch` of this generation asked for is in place."""

    generation: int


Message = Watch | Dirty | Health | Ready

_decoder = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    """A message as it goes over the socket."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, received: bytes) -> Iterator[Message]:
        """The messages that are complete with these bytes."""
        self._received += received
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            end = _LENGTH.size + length
            if len(self._received) < end:
                return
            message = _decoder.decode(memoryview(self._received)[_LENGTH.size : end].tobytes())
            del self._received[:end]
            yield message
