"""HTTP over a Unix socket, and what to say when nobody answers there. Owns no state but an open connection."""

from __future__ import annotations

import grp
import http.client
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from dedupd.core.errors import AccessError, DaemonUnreachableError

START_IT = (
    "Start it with `dedupd run FOLDER`, or the service with `systemctl start dedupd`; "
    "--socket or DEDUPD_SOCKET names another socket."
)


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a socket that is connected already."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("dedupd")  # only fills the Host header
        self.sock = connected

    def connect(self) -> None:
        """A closed connection is not opened again behind the caller's back."""
        raise DaemonUnreachableError(f"The connection to dedupd is closed.\n{START_IT}")


def connect(paths: Iterable[Path], timeout_s: float) -> UnixConnection:
    """Connect to the first socket that answers.

    Raises:
        AccessError: a daemon may be there, but this user may not ask it.
        DaemonUnreachableError: nobody answers on any of them.
    """
    tried: list[str] = []
    refused: Path | None = None
    for path in paths:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(timeout_s)
        try:
            connected.connect(os.fsencode(path))
        except PermissionError:
            refused = refused or path
        except OSError as error:  # not there, stale, no socket at all, or its path too long
            tried.append(f"{path} ({error.strerror or error})")
        else:
            return UnixConnection(connected)
        connected.close()
    if refused is not None:
        raise AccessError(
            f"You may not use the socket {refused}.\n"
            f"It is open to the group {_group_of(refused)}: join it (`sudo usermod -aG GROUP $USER`, "
            "then log in again), or ask as the user who runs dedupd."
        )
    raise DaemonUnreachableError(f"No dedupd answers on {', '.join(tried)}.\n{START_IT}")


def _group_of(path: Path) -> str:
    """The group of the socket, or of the nearest directory above it that can be looked at."""
    for candidate in (path, *path.parents):
        try:
            gid = candidate.stat().st_gid
        except OSError:
            continue
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)
    return "of the daemon"
