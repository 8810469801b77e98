"""`dedupd actor`: the only process that may rename or link a photo. Does what a plan says, journals it, puts back.

Started by systemd's socket unit or by the daemon, each with a listening socket. Reads no configuration, opens no store,
decodes nothing. Ends by itself when nobody has asked for a while.
"""

from __future__ import annotations

import logging
import os
import pwd
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dedupd.api.listen import bind_socket, inherited_socket
from dedupd.cleanup.actor_server import ActorServer
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.local_actor import LocalActor
from dedupd.core.errors import AlreadyRunningError, ConfigError
from dedupd.daemon.log import fields

_log = logging.getLogger(__name__)

_Close = Callable[[], None]

IDLE_EXIT_S = 60.0
_LOCK_WAIT_S = 90.0  # an actor before this one ends when it has been idle for IDLE_EXIT_S
_LOCK_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOptions:
    """What `dedupd actor` was asked for."""

    directory: Path  # its journal
    listen_fd: int | None  # a listening socket that the parent passed
    socket_path: Path | None  # where to listen without one
    for_users: tuple[str, ...]  # whose processes may ask, besides this user's and root's
    keep_days: float = 30.0  # how long the quarantine keeps files; only told
    idle_exit_s: float = IDLE_EXIT_S


def run_actor(options: ActorOptions) -> None:
    """Serve until told to stop or idle.

    Raises:
        StopError: it cannot start, or its journal cannot be written.
    """
    listening, close = _listening(options)
    try:
        allowed = _uids(options.for_users)
        # A lease that is broken is told by SIGIO, which would end the process in the middle of an act.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        actor = _made(options)
        server = ActorServer(actor, listening, allowed_uids=allowed, idle_exit_s=options.idle_exit_s)
        _stop_on_signals(server)
        _log.info("actor.ready %s", fields(journal=options.directory))
        server.serve()
        _log.info("actor.stopped")
    finally:
        close()


def _listening(options: ActorOptions) -> tuple[socket.socket, _Close]:
    if options.listen_fd is not None:
        passed = socket.socket(fileno=options.listen_fd)
        return passed, passed.close
    if (inherited := inherited_socket()) is not None:
        return inherited.socket, inherited.close
    if options.socket_path is None:
        raise ConfigError(
            "the actor has no socket to listen on. Start it by its systemd socket, or name --socket PATH."
        )
    bound = bind_socket(options.socket_path)
    return bound.socket, bound.close


def _made(options: ActorOptions) -> LocalActor:
    """The actor, once the one before it has ended."""
    until_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            return LocalActor(options.directory, FileCalls(), time.time_ns, keep_s=options.keep_days * 86_400)
        except AlreadyRunningError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_LOCK_LOOK_S)


def _uids(names: Sequence[str]) -> frozenset[int]:
    uids = {0, os.getuid()}
    for name in names:
        try:
            uids.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            raise ConfigError(f"there is no user {name!r}. Check --for-user.") from None
    return frozenset(uids)


def _stop_on_signals(server: ActorServer) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
