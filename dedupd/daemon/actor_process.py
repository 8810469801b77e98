"""The daemon's way to the actor: systemd's socket, or a process of its own that is started when it is needed.

Owns the child; the child owns the listening socket, so that whoever waits for an answer hears when it dies. It outlives
a killed daemon until it is idle; its journal has what it did.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from dedupd.api.listen import bind_socket
from dedupd.cleanup.journal import has_history
from dedupd.core.errors import DegradedError
from dedupd.daemon.log import fields

_log = logging.getLogger(__name__)

_STOP_S = 20.0  # one large file may be being read when it is asked to stop
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "HOME", "XDG_DATA_HOME")


class NamedActorSocket:
    """An actor that somebody else starts, systemd as a rule."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connect(self) -> socket.socket:
        """A connection.

        Raises:
            DegradedError: nobody listens there.
        """
        return _connected(self._path, "`cleanup.actor_socket` names it; is dedupd-actor.socket started?")

    def has_history(self) -> bool:
        """Whether it may have done anything; only it knows."""
        return True

    def close(self) -> None:
        """Nothing of ours."""


class OwnActorProcess:
    """An actor as a child of the daemon. Starts with the first question."""

    def __init__(self, directory: Path, keep_days: float) -> None:
        self._directory = directory
        self._keep_days = keep_days
        self._path = self._directory / "actor.sock"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> socket.socket:
        """A connection; starts the actor where none runs. One that a killed daemon left behind will do, too.

        Raises:
            DegradedError: it cannot be started.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                with suppress(DegradedError):
                    return _connected(self._path, "")
                self._start()
            return _connected(self._path, "The log says why the actor ended.")

    def has_history(self) -> bool:
        """Whether an actor ever acted here; asking does not start one."""
        return has_history(self._directory)

    def close(self) -> None:
        """Ask the actor to end after the item under way, and wait for it."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    _log.warning("actor.slow %s", fields(pid=self._process.pid))

    def _start(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        listening = bind_socket(self._path).socket
        fd = listening.fileno()
        command = [sys.executable, "-m", "dedupd.daemon.main", "actor"]
        command += ["--directory", os.fspath(self._directory), "--listen-fd", str(fd)]
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()
        command += ["--keep-days", str(self._keep_days), "--log-level", "error" if level == "critical" else level]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=environment, pass_fds=(fd,), start_new_session=True
            )
        except OSError as error:
            raise DegradedError(f"The actor cannot be started: {error.strerror}. Nothing was touched.") from error
        finally:
            listening.close()
        _log.info("actor.started %s", fields(pid=self._process.pid))


def _connected(path: Path, advice: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(os.fspath(path))
    except OSError as error:
        sock.close()
        raise DegradedError(f"The actor at {path} does not answer: {error.strerror}. {advice}") from error
    return sock
