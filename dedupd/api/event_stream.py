"""Server-sent events out of the store's outbox, with resume. Owns only the count of open streams.

Nothing is queued for a client: each stream reads on from where it is, at the pace at which the client takes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import anyio.to_thread
import msgspec

from dedupd.core.errors import DedupdError, RetryError
from dedupd.core.ports import Library
from dedupd.core.records import Sequence
from dedupd.protocol.convert_events import event_message
from dedupd.protocol.events import EventMessage, GapEvent

MAX_STREAMS = 16  # each holds a waiting thread
HEARTBEAT_S = 15.0  # below the 60 s after which clients usually give up
_WAIT_S = 0.5  # one wait for the store: bounds how long a stream outlives its client and the server
_PAGE = 256  # events read in one view
FROM_NOW = -1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one view of the outbox gave."""

    messages: list[EventMessage]
    start: int  # where the messages begin: a client that has seen nothing yet resumes here
    after: int  # where to look on
    was_empty: bool  # the outbox held nothing, so that whatever comes first is no gap
    is_behind: bool  # there may be more at once


class EventStreams:
    """Makes streams; bounded in number."""

    def __init__(self, library: Library, stopping: threading.Event, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._library = library
        self._stopping = stopping
        self._heartbeat_s = heartbeat_s
        self._open = 0
        self._limiter = anyio.CapacityLimiter(MAX_STREAMS)

    def open(self, after: int, *, follow: bool) -> AsyncIterator[bytes]:
        """The frames after a sequence; FROM_NOW: only what comes. RetryError when too many streams are open.

        The first frame carries the position alone, and so does each heartbeat: a client that saw no event yet still
        knows where to resume. Must be called on the event loop.
        """
        if self._open >= MAX_STREAMS:
            raise RetryError(f"{MAX_STREAMS} clients follow the events already.")
        return self._frames(after, follow=follow)

    async def _frames(self, after: int, *, follow: bool) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            look = await anyio.to_thread.run_sync(_look, self._library, after, after <= 0, limiter=self._limiter)
            yield _position(look.start)
            sent_at = time.monotonic()
            while True:
                for message in look.messages:
                    yield _frame(message)
                    sent_at = time.monotonic()
                if self._stopping.is_set() or not (follow or look.is_behind):
                    return
                if time.monotonic() - sent_at >= self._heartbeat_s:
                    yield b": heartbeat\n" + _position(look.after)
                    sent_at = time.monotonic()
                if not look.is_behind:
                    await anyio.to_thread.run_sync(
                        self._library.wait_for_events, Sequence(look.after), _WAIT_S, limiter=self._limiter
                    )
                look = await anyio.to_thread.run_sync(
                    _look, self._library, look.after, look.was_empty, limiter=self._limiter
                )
        except DedupdError as error:  # the store closes or fails: the client resumes with the next daemon
            _log.warning("api.event-stream-ended", extra={"code": error.code})
        finally:
            self._open -= 1


def _look(library: Library, after: int, was_empty: bool) -> _Look:  # noqa: FBT001 - run_sync passes no keywords
    """What came after a sequence, with a gap event first where some of it may be gone.

    Vector changes count sequences too, so a range without events looks like one whose events were trimmed. `was_empty`
    says that there can be nothing to miss; otherwise a range that can no longer be vouched for is told as a gap.
    """
    with library.view() as view:
        newest, oldest = view.sequence(), view.oldest_event()
        if after == FROM_NOW:
            after = newest
        start = after
        messages: list[EventMessage] = []
        if after > newest or (after + 1 < oldest and not was_empty):
            start = min(oldest - 1, newest)  # beyond the newest: the client comes from another or a restored library
            messages.append(GapEvent(sequence=start, after=after, oldest=oldest))
        events = view.events(Sequence(start), _PAGE)
        root_paths = {root.id: root.path for root in view.roots()} if events else {}
    messages += [event_message(event, root_paths) for event in events]
    is_behind = len(events) == _PAGE
    return _Look(
        messages=messages,
        start=after if messages else start,
        after=events[-1].sequence if events else newest,
        was_empty=oldest > newest,
        is_behind=is_behind,
    )


def _position(sequence: int) -> bytes:
    """A frame without data: sets the client's last event id and nothing else (HTML standard, 9.2.6)."""
    return b"id: %d\n\n" % sequence


def _frame(message: EventMessage) -> bytes:
    kind = type(message).__struct_config__.tag
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (message.sequence, str(kind).encode(), msgspec.json.encode(message))
