"""Runs of the clean-up (apply, undo, expire), told while they happen: one JSON object a line.

A run belongs to whoever acts on the files, not to the connection: it goes on when the client leaves, and its journal
tells what came of it. Owns one thread for each run that was asked for; who acts refuses a second run at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec

from dedupd.api.failures import failure_of
from dedupd.core.cleanup_plan import Outcome, RunEnd
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import DedupdError, RetryError
from dedupd.protocol.cleanup import RunFailureMessage, RunMessage
from dedupd.protocol.convert_cleanup import outcome_message, run_end_message

HEARTBEAT_S = 10.0  # below the silence after which a client takes a stream for dead
_LOOK_S = 0.25  # how often a stream looks whether the server stops
_STOPPING = "The daemon is stopping: what was told so far is done. `dedupctl quarantine list` shows what else is."

Work = Callable[[Tell], RunEnd]
Told = Outcome | RunEnd | Exception

_log = logging.getLogger(__name__)


class RunStreams:
    """Starts runs and makes the streams that tell of them."""

    def __init__(self, stopping: threading.Event, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._stopping = stopping
        self._heartbeat_s = heartbeat_s

    async def start(self, work: Work) -> AsyncIterator[bytes]:
        """Begin a run; returns its lines once it has told something.

        What goes wrong before that is raised, so that a refusal is an ordinary one. Where nothing is told for
        `heartbeat_s`, the lines begin anyway with an empty one, and a refusal is the last of them.
        """
        told: asyncio.Queue[Told] = asyncio.Queue()
        _begin(work, told)
        first = await self._next(told)
        if isinstance(first, Exception):
            raise first
        return self._lines(first, told)

    async def _lines(self, first: Outcome | RunEnd | None, told: asyncio.Queue[Told]) -> AsyncIterator[bytes]:
        item: Told | None = first
        while True:
            match item:
                case None:
                    yield b"\n"  # a sign of life
                case Outcome():
                    yield _line(outcome_message(item))
                case RunEnd():
                    yield _line(run_end_message(item))
                    return
                case _:
                    yield _line(RunFailureMessage(error=failure_of(item)))
                    return
            item = await self._next(told)

    async def _next(self, told: asyncio.Queue[Told]) -> Told | None:
        """What is told next; None after `heartbeat_s` without."""
        until_s = time.monotonic() + self._heartbeat_s
        while time.monotonic() < until_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    return await told.get()
            if self._stopping.is_set():
                return RetryError(_STOPPING)
        return None


def _begin(work: Work, told: asyncio.Queue[Told]) -> None:
    """Do the work in a thread of its own. Not in the server's pool: stopping must not wait for a run."""
    loop = asyncio.get_running_loop()

    def tell(item: Told) -> None:
        with suppress(RuntimeError):  # the server has stopped and its loop is closed: nobody listens
            loop.call_soon_threadsafe(told.put_nowait, item)

    def run() -> None:
        try:
            end = work(tell)
        except Exception as error:  # noqa: BLE001 - whatever ends a run is told to who asked for it
            if not isinstance(error, DedupdError):
                _log.exception("api.run-fault")
            tell(error)
        else:
            tell(end)

    threading.Thread(target=run, name="cleanup-run", daemon=True).start()


def _line(message: RunMessage) -> bytes:
    return msgspec.json.encode(message) + b"\n"
