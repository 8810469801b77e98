"""Who is at the other end of a connection: what the kernel says of the process that connected (SO_PEERCRED, unix(7)).

Decides nothing about it; `admins` does. Owns no state.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_UCRED = struct.Struct("iII")  # struct ucred: pid_t, uid_t, gid_t (linux/socket.h)
_KEY = "peer"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as it was when it did. A process cannot claim another user's id."""

    pid: int
    uid: int
    gid: int


class HasOptions(Protocol):
    """A socket, or asyncio's view of one."""

    @property
    def family(self) -> int: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the peer of each connection in the state of its requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as H11Protocol has it
        """Ask the kernel once: a connection's peer never changes."""
        super().connection_made(transport)
        # A dictionary of this connection's own: uvicorn's is shared by all, and each request gets a copy of it.
        self.app_state = {**self.app_state, _KEY: peer_of(transport.get_extra_info("socket"))}


def peer_of(connected: HasOptions | None) -> Peer | None:
    """The peer of a connected Unix socket; None for any other kind."""
    if connected is None or connected.family != socket.AF_UNIX:
        return None
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:
        return None
    return Peer(*_UCRED.unpack(raw))


def peer_in(request: Request) -> Peer | None:
    """The peer of a request; None where the server cannot say."""
    peer = request.scope.get("state", {}).get(_KEY)
    return peer if isinstance(peer, Peer) else None
