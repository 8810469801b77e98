"""One client's connection: how long it may take, how many one user and all may hold, who gives way when it is full.

Does not read requests (h11 does) nor bodies (`decode`). Owns its connection's timers; uvicorn keeps the list of all.

A connection that has asked nothing yet costs its client nothing, so it gives way: at a limit the one that has waited
longest is closed for the newcomer. Who is being answered is never cut off; when all are, the newcomer gets a 503. So a
thousand half-open connections of one user take nothing from others, and little from that user.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import h11
import msgspec

from dedupd.api.failures import failure_of
from dedupd.api.limits import KEY, Limits
from dedupd.api.peer import Peer, PeerProtocol
from dedupd.core.errors import DedupdError, RequestError, RetryError
from dedupd.protocol.failures import FailureMessage

_STATUS = {408: b"408 Request Timeout", 503: b"503 Service Unavailable"}


class LimitedProtocol(PeerProtocol):
    """uvicorn's HTTP/1.1 with limits."""

    limits = Limits()
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _has_begun = False  # a byte of a request that is not whole yet has come
    waits_since_s = 0.0  # of the loop's clock

    @property
    def uid(self) -> int | None:
        """The user at the other end."""
        peer = self.app_state.get("peer")
        return peer.uid if isinstance(peer, Peer) else None

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is asked here now."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as H11Protocol has it
        """Let it in if there is room or somebody gives way."""
        super().connection_made(transport)
        self.app_state[KEY] = self.limits
        self.waits_since_s = self.loop.time()
        self._header_timer = self.loop.call_later(self.limits.header_s, self._header_is_late)
        if not self._find_room():
            self._refuse(503, RetryError("Too many clients are being answered."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_header_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; whatever begins a request starts the clock of its header."""
        if self.transport.is_closing():
            return  # refused, or gave way
        super().data_received(data)
        if not self.is_waiting:
            self._has_begun = False
            self._stop_header_timer()
        else:
            self._has_begun = True
            if self._header_timer is None:
                self._header_timer = self.loop.call_later(self.limits.header_s, self._header_is_late)

    def on_response_complete(self) -> None:
        """Wait for the next request; do not read on a body that nobody wanted."""
        self.waits_since_s = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def pause_writing(self) -> None:
        """Give a client that takes nothing a long while, not for ever."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.stuck_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes again."""
        self._stop_write_timer()
        super().resume_writing()

    def give_way(self) -> None:
        """Close at once, for somebody else."""
        self.connections.discard(self)
        self.transport.abort()

    def _find_room(self) -> bool:
        """Whether this connection is within the limits, once others that wait have given way."""
        everybody = [other for other in self.connections if isinstance(other, LimitedProtocol)]
        held = Counter(other.uid for other in everybody)
        if held[self.uid] > self.limits.of_one_user:
            rivals = [other for other in everybody if other.uid == self.uid]
        elif len(everybody) > self.limits.connections:
            rivals = everybody
        else:
            return True
        waiting = [other for other in rivals if other.is_waiting and other is not self]
        if not waiting:
            return False
        min(waiting, key=lambda other: (-held[other.uid], other.waits_since_s)).give_way()
        return True

    def _header_is_late(self) -> None:
        self._header_timer = None
        if self.transport.is_closing():
            return
        if self._has_begun:
            self._refuse(408, RequestError("The request's header did not arrive in time."))
        else:
            self.transport.close()

    def _refuse(self, status: int, error: DedupdError) -> None:
        """Answer without having read, and close: the shape is that of every other refusal."""
        body = msgspec.json.encode(FailureMessage(error=failure_of(error)))
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.connections.discard(self)
        self.transport.write(head % (_STATUS[status], len(body)) + body)
        self.transport.close()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def limited_by(limits: Limits) -> type[LimitedProtocol]:
    """The protocol with these limits; uvicorn makes its connections of a class."""

    class Limited(LimitedProtocol):
        pass

    Limited.limits = limits
    return Limited
