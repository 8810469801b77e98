"""The socket: bound by us with the right permissions from its first moment, or taken over from systemd.

Does not serve. Whoever binds owns the path and removes it at the end; an inherited socket belongs to systemd.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dedupd.core.errors import AccessError, AlreadyRunningError, ConfigError

_DIRECTORY_MODE = 0o750  # the group may reach the socket, others may not
_SOCKET_UMASK = 0o117
_SOCKET_MODE = 0o660  # connecting needs write permission (unix(7))
BACKLOG = 4096  # SOMAXCONN; when a crowd fills the queue, connecting fails at once with EAGAIN (unix(7))
_LONGEST_PATH_BYTES = 107  # sun_path holds 108 with its NUL (unix(7))
_CONNECT_TIMEOUT_S = 2.0
_FIRST_INHERITED_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningSocket:
    """A Unix socket that takes connections, and where it is."""

    socket: socket.socket
    path: Path | None  # None: inherited from systemd, who keeps it
    inode: tuple[int, int] | None  # (dev, ino) of what we bound

    def close(self) -> None:
        """Close, and remove the path if it is still ours."""
        self.socket.close()
        if self.path is None:
            return
        with suppress(FileNotFoundError):
            now = os.lstat(self.path)
            if (now.st_dev, now.st_ino) == self.inode:
                self.path.unlink()


def bind_socket(path: Path) -> ListeningSocket:
    """Bind a path; call it before threads start, for it sets the process's umask for a moment.

    Raises:
        AlreadyRunningError: a daemon answers there.
        ConfigError: the path is too long or something else than a socket.
        AccessError: the directory cannot be made or written.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
        raise ConfigError(f"The socket path {path} is over {_LONGEST_PATH_BYTES} bytes. Choose a shorter one.")
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        with _locked_directory(path.parent):
            _remove_stale(path)
            return _bind(path)
    except PermissionError as error:
        raise AccessError(
            f"The socket {path} cannot be made: {error.strerror}. Run as the user who owns {path.parent}, "
            "or set DEDUPD_SOCKET to a path that you may write."
        ) from error
    except (NotADirectoryError, FileExistsError) as error:
        raise ConfigError(f"The socket {path} cannot be made: {error.strerror}. Choose another path.") from error


def inherited_socket(environ: MutableMapping[str, str] = os.environ) -> ListeningSocket | None:
    """The socket that systemd passed (LISTEN_FDS), None without one; the variables are taken out of `environ`.

    Raises:
        ConfigError: systemd passed something else than one listening Unix stream socket.
    """
    passed_to, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if passed_to != str(os.getpid()) or count in ("", "0"):
        return None
    if count != "1":
        raise ConfigError(f"systemd passed {count} sockets; dedupd takes one. Check the .socket unit.")
    try:
        os.set_inheritable(_FIRST_INHERITED_FD, False)
        taken = socket.socket(fileno=_FIRST_INHERITED_FD)
    except OSError as error:
        raise ConfigError(f"What systemd passed is no socket: {error.strerror}. Check the .socket unit.") from error
    is_listening = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    if taken.family != socket.AF_UNIX or taken.type != socket.SOCK_STREAM or not is_listening:
        taken.detach()
        raise ConfigError("What systemd passed is no listening Unix stream socket. Use ListenStream=/path.")
    taken.setblocking(False)
    return ListeningSocket(socket=taken, path=None, inode=None)


@contextmanager
def _locked_directory(directory: Path) -> Iterator[None]:
    """Two daemons that start at once must not remove each other's fresh socket as stale."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; refuse to touch anything else."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there and is no socket. Move it away or choose another socket path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_TIMEOUT_S)
        outcome = probe.connect_ex(os.fsencode(path))
    if outcome == errno.ECONNREFUSED:
        path.unlink()
    elif outcome == errno.EACCES:
        raise AccessError(f"{path} belongs to another user's daemon. Set DEDUPD_SOCKET to a path of your own.")
    elif outcome != errno.ENOENT:  # connected, or its queue is full: somebody is there
        raise AlreadyRunningError(f"A dedupd answers on {path} already. Stop it first, or set DEDUPD_SOCKET.")


def _bind(path: Path) -> ListeningSocket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        umask = os.umask(_SOCKET_UMASK)
        try:
            bound.bind(os.fsencode(path))
        finally:
            os.umask(umask)
        path.chmod(_SOCKET_MODE)
        bound.listen(BACKLOG)
        bound.setblocking(False)
        status = os.lstat(path)
    except BaseException:
        bound.close()
        raise
    return ListeningSocket(socket=bound, path=path, inode=(status.st_dev, status.st_ino))
