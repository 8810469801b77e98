"""One decode worker as the pool sees it: started, asked, killed.

Owns the child process and the pool's end of its socket. One thread asks at a time; `kill` may come from any thread.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import msgspec

from dedupd.core.errors import RetryError
from dedupd.imaging import wire
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.spawn import Spawned, spawn

_START_S = 60.0  # importing numpy, OpenCV and Pillow takes 0.4 s of CPU, on a cold disk of a busy NAS many times that
_REAP_S = 2.0  # a killed process that hangs in the kernel (dead network mount) is left to the next reaping


class WorkerDiedError(Exception):
    """The worker ended, or said what no worker says, while it had a job."""


class WorkerTimeoutError(Exception):
    """The worker did not answer in time; it must be killed, its socket is out of step."""


class WorkerProcess:
    """A running worker. Made in its constructor, which returns once the worker is ready."""

    def __init__(
        self,
        limits: DecodeLimits,
        on_spawned: Callable[[WorkerProcess], None] = lambda _: None,
        spawned: Spawned | None = None,
    ) -> None:
        """Start it, or take the one that was `spawned` before.

        `on_spawned` gets it when there is a process to kill, long before it is ready.
        """
        self.jobs = 0
        self.unconfined: tuple[str, ...] = ()  # what the kernel could not take from it
        self._limits = limits
        try:
            self._process, self._sock = spawned or spawn()
        except OSError as error:
            raise RetryError(f"no decode worker could be started: {error}; free memory or processes") from error
        try:
            on_spawned(self)
            self._begin(limits)
        except BaseException:
            self.kill()
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: wire.Request, *, fd: int | None = None) -> wire.Reply:
        """Send a request and wait for its reply, at most `limits.job_s`.

        Raises:
            WorkerTimeoutError: no reply in time.
            WorkerDiedError: the worker is gone, or its reply is none.
        """
        try:
            self._sock.settimeout(self._limits.job_s)
            wire.send(self._sock, request, fd=fd)
            return wire.receive(self._sock, wire.reply_decoder)
        except TimeoutError as error:
            raise WorkerTimeoutError from error
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise WorkerDiedError(str(error)) from error

    def kill(self) -> None:
        """End the process now; whoever asks it gets WorkerDiedError."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process, reap it and close the socket; only by the thread that asks."""
        self._sock.close()
        self._process.kill()
        try:
            self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            return

    def _begin(self, limits: DecodeLimits) -> None:
        try:
            self._sock.settimeout(_START_S)
            wire.send(self._sock, wire.Setup(limits))
            ready = wire.receive(self._sock, wire.reply_decoder)
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise RetryError(
                f"the decode worker (process {self.pid}) did not start: {error or 'it ended'}; "
                "what it printed on standard error says why"
            ) from error
        self.unconfined = ready.unconfined if isinstance(ready, wire.Ready) else ()
