"""The actor's side of its socket: who may ask, one thread a connection, ends by itself when nobody asks any more.

Decides nothing about files; the `Actor` that it is handed does. Owns the connections, not the listening socket.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import assert_never

from dedupd.cleanup import actor_wire as wire
from dedupd.cleanup.plan_file import decode_plan
from dedupd.core.cleanup_plan import Outcome
from dedupd.core.cleanup_ports import Actor, Tell
from dedupd.core.errors import DedupdError, FaultError, StopError

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 16
_QUIET_S = 30.0  # for a request to arrive once somebody is connected
_LOOK_S = 0.5
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)


class ActorServer:
    """Serves an actor on a listening Unix socket: `serve()` returns after `stop()`, or when idle for long enough."""

    def __init__(
        self, actor: Actor, listening: socket.socket, *, allowed_uids: frozenset[int], idle_exit_s: float
    ) -> None:
        """Hand it the actor and the socket.

        Args:
            actor: does what is asked.
            listening: bound and listening; closed by its owner.
            allowed_uids: whose processes are answered; others are hung up on.
            idle_exit_s: without a connection for so long it ends; whoever passed the socket starts it again.
        """
        self._actor = actor
        self._listening = listening
        self._allowed = allowed_uids
        self._idle_exit_s = idle_exit_s
        self._slots = threading.Semaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._open = 0
        self._stopping = threading.Event()
        self._failure: StopError | None = None

    def stop(self) -> None:
        """End after the item under way. Thread-safe, and safe in a signal handler."""
        self._stopping.set()

    def serve(self) -> None:
        """Answer until told to stop, or idle.

        Raises:
            StopError: the journal could not be written; nothing more may be done without it.
        """
        self._listening.setblocking(False)
        last_busy_s = time.monotonic()
        threads: list[threading.Thread] = []
        while not self._stopping.is_set():
            readable, _, _ = select.select([self._listening], [], [], _LOOK_S)
            threads = [thread for thread in threads if thread.is_alive()]
            now_s = time.monotonic()
            if readable or threads:
                last_busy_s = now_s
            if readable and self._slots.acquire(blocking=False) and (thread := self._take()) is not None:
                threads.append(thread)
            if now_s - last_busy_s > self._idle_exit_s:
                break
        self._actor.close()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _take(self) -> threading.Thread | None:
        """A thread for the next connection, if it is allowed to ask."""
        try:
            sock, _ = self._listening.accept()
        except OSError:
            self._slots.release()
            return None
        uid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
        if uid not in self._allowed:
            _log.warning("actor.refused uid=%d", uid)
            sock.close()
            self._slots.release()
            return None
        sock.settimeout(_QUIET_S)
        thread = threading.Thread(target=self._answer, args=(sock,), name="actor-answer")
        thread.start()
        return thread

    def _answer(self, sock: socket.socket) -> None:
        try:
            with sock, suppress(wire.BrokenTalkError, OSError):
                request = wire.receive_request(sock)
                if request is not None:
                    wire.send(sock, self._reply(request, _Teller(sock).tell))
        finally:
            self._slots.release()

    def _reply(self, request: wire.Request, tell: Tell) -> wire.Reply:
        try:
            return self._done(request, tell)
        except StopError as error:  # the journal cannot be trusted any more: say so, and end
            _log.critical("actor.stopped code=%s %s", error.code, error)
            self._failure = error
            self._stopping.set()
            return wire.Refused(code=error.code, message=str(error))
        except DedupdError as error:
            return wire.Refused(code=error.code, message=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may act on files after it
            _log.exception("actor.fault")
            self._failure = FaultError(f"a fault in the actor: {error!r}")
            self._stopping.set()
            return wire.Refused(code=FaultError.code, message="A fault in the actor; its log has the details.")

    def _done(self, request: wire.Request, tell: Tell) -> wire.Reply:
        match request:
            case wire.Apply(plan_id=plan_id, plan=plan):
                return wire.Ended(end=self._actor.apply(plan_id, decode_plan(bytes(plan), plan_id), tell))
            case wire.Undo(plan_id=plan_or_none, items=items):
                return wire.Ended(end=self._actor.undo(plan_or_none, items, tell))
            case wire.Expire(before_ns=before_ns, plan_id=plan_or_none):
                return wire.Ended(end=self._actor.expire(before_ns, plan_or_none, tell))
            case wire.ListQuarantined():
                return wire.Held(entries=self._actor.quarantined())
            case wire.ListOutcomes(after=after, limit=limit):
                return wire.Listed(outcomes=self._actor.outcomes(after, limit))
            case wire.DoneSince(since_ns=since_ns):
                files, bytes_ = self._actor.done_since(since_ns)
                return wire.Counted(files=files, bytes_=bytes_)
            case _:
                assert_never(request)


class _Teller:
    """Tells outcomes until nobody listens any more; the run goes on, since its journal tells the rest later."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._is_heard = True

    def tell(self, outcome: Outcome) -> None:
        """Send one outcome."""
        if self._is_heard:
            try:
                wire.send(self._sock, wire.Told(outcome=outcome))
            except OSError:
                self._is_heard = False
