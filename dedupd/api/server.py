"""Runs the application under uvicorn in a thread of its own. Owns that thread; the socket's path is listen.py's."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn

from dedupd.api.app import Application
from dedupd.api.connection import limited_by
from dedupd.api.limits import Limits
from dedupd.api.listen import BACKLOG
from dedupd.core.errors import StopError

_MAX_HEADER_BYTES = 32 * 1024  # explain's query: two paths of 4096 bytes (PATH_MAX), each byte at most three characters
_ACCEPTED_AT_ONCE = 4  # so that a flood of connections does not come before the request of one among them is read
_GRACE_S = 1  # how long answers under way may take when stopping; event streams end by themselves before
_START_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class ApiServer:
    """The API on a bound, listening socket: `start()`, then `stop()`.

    No signal handlers (uvicorn sets none outside the main thread) and no access log. Closing the socket is part of
    stopping; removing its path is left to `ListeningSocket.close()`.
    """

    def __init__(self, app: Application, listening: socket.socket, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._app = app
        self._socket = listening
        self._ready = threading.Event()
        config = uvicorn.Config(
            app,
            http=limited_by(limits),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_ACCEPTED_AT_ONCE,  # asyncio takes so many in one round of its loop
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        )
        self._server = _AnnouncingServer(config, self._ready)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the server's thread runs; the supervisor looks."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Serve; returns once connections are answered. StopError if that does not come about."""
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S) or not self._server.started:
            raise StopError("The API did not start. The log says why.")

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop taking connections, end streams, give answers a second; True when the thread has ended."""
        self._app.stop()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:  # noqa: BLE001 - a thread's last words go to the log; the supervisor sees it gone
            _log.exception("api.server-failed")
        finally:
            self._ready.set()


class _AnnouncingServer(uvicorn.Server):
    """uvicorn's server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._announced = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the waiting thread."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(BACKLOG)  # asyncio listens again, with the number that it accepts at once
        self._announced.set()
