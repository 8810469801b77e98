"""Opens a file for reading without following symlinks, waiting on pipes or touching devices.

Says what is wrong as a problem, never with the path in it. Reads nothing.
"""

from __future__ import annotations

import errno
import os
import stat

from dedupd.core.records import ProblemCode
from dedupd.imaging.limits import UnreadableImageError

# O_NONBLOCK: opening a pipe must not wait for a writer. O_NOFOLLOW: only the last component; roots are our caller's.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def open_regular(path: bytes) -> int:
    """A descriptor of the regular file at an absolute path; the caller closes it.

    Raises:
        UnreadableImageError: NOT_REGULAR, NO_PERMISSION, IO_ERROR ("vanished" where nothing is there).
    """
    try:
        check_regular(os.lstat(path).st_mode)  # before opening: to open a device can already set it in motion
        fd = _open(path)
    except OSError as error:
        raise _explained(error) from error
    try:
        check_regular(os.fstat(fd).st_mode)  # it may have been exchanged in between
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_regular(mode: int) -> None:
    """Raise UnreadableImageError(NOT_REGULAR) unless the mode is a regular file's."""
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something unknown")
    raise UnreadableImageError(ProblemCode.NOT_REGULAR, f"it is {kind}")


def _open(path: bytes) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NOATIME)  # dedupd's reading should leave no trace
    except PermissionError:  # EPERM: only a file's owner may ask for that
        return os.open(path, _FLAGS)


def _explained(error: OSError) -> UnreadableImageError:
    match error.errno:
        case errno.ELOOP | errno.ENXIO | errno.ENODEV:
            return UnreadableImageError(ProblemCode.NOT_REGULAR, "it is a link, a socket or a device")
        case errno.EACCES | errno.EPERM:
            return UnreadableImageError(ProblemCode.NO_PERMISSION, "dedupd may not read it")
        case errno.ENOENT | errno.ENOTDIR:
            return UnreadableImageError(ProblemCode.IO_ERROR, "it vanished before it was read")
        case _:
            return UnreadableImageError(ProblemCode.IO_ERROR, f"opening failed: {error.strerror}")
