"""Where the socket and the state directory are, the same for the daemon and its clients.

Reads the environment that it is given and looks whether sockets exist; creates nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM_RUNTIME_DIR = Path("/run/dedupd")
SYSTEM_STATE_DIR = Path("/var/lib/dedupd")
SOCKET_NAME = "dedupd.sock"


def state_dir_for(*, is_system: bool, environ: Mapping[str, str] = os.environ) -> Path:
    """The state directory: the service's, or the user's by the XDG base directory specification."""
    if is_system:
        return SYSTEM_STATE_DIR
    base = _absolute(environ.get("XDG_STATE_HOME")) or Path(environ.get("HOME") or "~").expanduser() / ".local/state"
    return base / "dedupd"


def socket_path_for(*, is_system: bool, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the daemon puts its socket: $DEDUPD_SOCKET, else the runtime directory, else the state directory."""
    if named := environ.get("DEDUPD_SOCKET"):
        return Path(named)
    if is_system:
        return SYSTEM_RUNTIME_DIR / SOCKET_NAME
    if runtime := _absolute(environ.get("XDG_RUNTIME_DIR")):
        return runtime / "dedupd" / SOCKET_NAME
    return state_dir_for(is_system=False, environ=environ) / SOCKET_NAME


def default_socket_paths(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where a client looks, in this order: $DEDUPD_SOCKET alone if set; else the user's daemon, then the service.

    A daemon that was started without a session (cron, ssh without a login manager) has its socket in the state
    directory, so that is looked at as well.
    """
    own = socket_path_for(is_system=False, environ=environ)
    if environ.get("DEDUPD_SOCKET"):
        return (own,)
    in_state = state_dir_for(is_system=False, environ=environ) / SOCKET_NAME
    return tuple(dict.fromkeys((own, in_state, SYSTEM_RUNTIME_DIR / SOCKET_NAME)))


def _absolute(text: str | None) -> Path | None:
    """The specification says that relative values are to be ignored."""
    return Path(text) if text and text.startswith("/") else None
