"""The state directory: one process at a time, on a local disk.

Owns the lock file. Knows nothing of LMDB beyond where it must not be.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from pathlib import Path

from dedupd.core.errors import AlreadyRunningError, StopError
from dedupd.store.trouble import os_error

# Shared memory maps are not coherent there, so LMDB loses data (lmdb.h, "Caveats").
_NETWORK_FILESYSTEM = re.compile(r"nfs|cifs|smb|fuse|9p|afs|ceph|glusterfs|ncpfs|vboxsf")
_OCTAL = re.compile(rb"\\([0-7]{3})")


def lock_state(state_dir: Path) -> int:
    """Take the state directory for this process, creating it (0700) where needed.

    Returns:
        The descriptor of the lock file; closing it gives the directory back. A killed process gives it back too.

    Raises:
        AlreadyRunningError: another process has it.
        AccessError: the directory cannot be made or written.
    """
    path = state_dir / "lock"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise os_error(error, state_dir) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise os_error(error, state_dir) from error
        raise AlreadyRunningError(
            f"{state_dir}: process {holder} uses this state directory. Ask that one with dedupctl, stop it first, or "
            "name another state directory"
        ) from error
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        os.close(fd)
        raise os_error(error, state_dir) from error
    return fd


def filesystem_of(path: bytes, mountinfo: bytes) -> str:
    """Type of the filesystem that holds an absolute, resolved path, from the text of /proc/self/mountinfo; "" unknown.

    Source: proc(5). Of mounts at the same place the last one is on top.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(b" - ")
        left, right = before.split(b" "), after.split(b" ")
        if len(left) < 5 or not right[0]:
            continue
        mount = _OCTAL.sub(lambda m: bytes((int(m[1], 8),)), left[4]).rstrip(b"/")
        if len(mount) >= best and (path + b"/").startswith(mount + b"/"):
            best, kind = len(mount), right[0].decode("ascii", "replace")
    return kind


def check_filesystem(state_dir: Path) -> tuple[str, ...]:
    """Refuse a network filesystem; say what is doubtful about others.

    Raises:
        StopError: it is a network filesystem.
    """
    try:
        mountinfo = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return (f"{state_dir}: cannot tell its filesystem without /proc; make sure that it is a local disk",)
    kind = filesystem_of(os.fsencode(state_dir.resolve()), mountinfo)
    refuse_network_filesystem(kind, state_dir)
    if kind == "overlay":
        return (f"{state_dir}: on the overlay filesystem of a container; what is known goes with the container",)
    return ()


def refuse_network_filesystem(kind: str, state_dir: Path) -> None:
    """Raise StopError for a filesystem type on which LMDB would lose data."""
    if _NETWORK_FILESYSTEM.match(kind):
        raise StopError(
            f"{state_dir}: the state directory is on {kind}, where LMDB loses data. Set state_dir to a directory on a "
            "local disk; the photos themselves may be on any filesystem"
        )
