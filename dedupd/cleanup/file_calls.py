"""Every system call on people's files, and on the actor's journal, in one object: what is not here is not done to them.

Works by directory descriptors and single names, never follows a symlink, never overwrites a name. A test puts its own
subclass in its place and lets any call fail, or the process die before or after it. Decides nothing; owns nothing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

READ_BYTES = 1 << 20
SHARE_BYTES = 16 << 20  # some kernels take no more in one FIDEDUPERANGE request

# O_NONBLOCK: opening a pipe must not wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_OPENAT2 = 437  # the same number on every architecture that Linux names today but alpha
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_NOREPLACE = 1  # renameat2(2)
_EXCHANGE = 2

_FIDEDUPERANGE = 0xC0189436  # _IOWR(0x94, 54, struct file_dedupe_range), linux/fs.h
_SHARE_HEAD = struct.Struct("=QQHHI")  # offset and length at the source, how many targets, reserved
_SHARE_TARGET = struct.Struct("=qQQiI")  # descriptor, offset, bytes shared, status, reserved
_DIFFERS = 1  # FILE_DEDUPE_RANGE_DIFFERS

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class FileCalls:
    """See the module. Thread-safe: it has no state. Every method raises OSError as the system gave it."""

    def call(self, step: str, act: Callable[[], T]) -> T:
        """Make one system call, named for tests, again where a signal interrupted it."""
        del step
        while True:
            try:
                return act()
            except InterruptedError:
                continue

    # ----------------------------------------------------------------------------------------------------- opening

    def open_base(self, path: bytes) -> int:
        """A descriptor of a directory by its absolute path: a root, a folder, the top of a filesystem."""
        return self.call("open-base", lambda: os.open(path, _DIRECTORY_FLAGS | os.O_NOFOLLOW))

    def open_directory(self, directory: int, below: bytes) -> int:
        """A descriptor of a directory beneath another, no symlink on the way; b"" for the same one."""
        return self.call("open-directory", lambda: _openat2(directory, below or b".", _DIRECTORY_FLAGS, 0))

    def open_file(self, directory: int, name: bytes) -> int:
        """A descriptor for reading a file of a directory."""
        return self.call("open-file", lambda: _open_quietly(directory, name))

    def create(self, directory: int, name: bytes, mode: int) -> int:
        """A descriptor for writing a file that was not there; FileExistsError where it was."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return self.call("create", lambda: _openat2(directory, name, flags, mode))

    def close(self, fd: int) -> None:
        """Close a descriptor. Nothing that is written depends on it: what must last is synced before."""
        with suppress(OSError):
            os.close(fd)

    # ----------------------------------------------------------------------------------------------------- looking

    def stat(self, fd: int) -> os.stat_result:
        """The facts of an open file."""
        return self.call("stat", lambda: os.fstat(fd))

    def filesystem_id(self, fd: int) -> int:
        """The f_fsid of its filesystem; 0 where it has none."""
        return self.call("filesystem-id", lambda: os.fstatvfs(fd).f_fsid)

    def look(self, directory: int, name: bytes) -> os.stat_result | None:
        """The facts of a name in a directory, of the symlink itself where it is one; None: nothing is there."""
        try:
            return self.call("look", lambda: os.stat(name, dir_fd=directory, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def names(self, directory: int) -> list[bytes]:
        """What is in a directory."""
        return [os.fsencode(name) for name in self.call("names", lambda: os.listdir(directory))]

    def read(self, fd: int, offset: int) -> bytes:
        """Up to `READ_BYTES` from an offset; b"" at the end."""
        return self.call("read", lambda: os.pread(fd, READ_BYTES, offset))

    def is_open_for_writing(self, fd: int) -> bool | None:
        """Whether anybody has the file open for writing; None where that cannot be told here.

        Asks for a read lease, which the kernel refuses with EAGAIN then, and gives it back at once.
        """
        try:
            # Whoever opens the file in this moment makes the kernel send a signal: one that is ignored by default,
            # because the usual SIGIO would end the process.
            self.call("lease", lambda: fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG))
            self.call("lease", lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK))
        except OSError as error:
            return True if error.errno == errno.EAGAIN else None
        with suppress(OSError):  # closing the descriptor gives it back as well
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    # ------------------------------------------------------------------------------------------------------ acting

    def rename(self, directory: int, name: bytes, to_directory: int, to_name: bytes) -> None:
        """Give a file another name; FileExistsError where that is taken, never overwriting."""
        self.call("rename", lambda: _renameat2(directory, name, to_directory, to_name, _NOREPLACE))

    def exchange(self, directory: int, name: bytes, other_directory: int, other_name: bytes) -> None:
        """Let two names change places in one step: neither is ever missing."""
        self.call("exchange", lambda: _renameat2(directory, name, other_directory, other_name, _EXCHANGE))

    def link(self, directory: int, name: bytes, to_directory: int, to_name: bytes) -> None:
        """Give a file a second name; FileExistsError where that is taken."""
        self.call(
            "link",
            lambda: os.link(name, to_name, src_dir_fd=directory, dst_dir_fd=to_directory, follow_symlinks=False),
        )

    def unlink(self, directory: int, name: bytes) -> None:
        """Remove a name, and the file with its last one."""
        self.call("unlink", lambda: os.unlink(name, dir_fd=directory))

    def make_directory(self, directory: int, name: bytes, mode: int) -> None:
        """Make a directory; FileExistsError where the name is taken."""
        self.call("make-directory", lambda: os.mkdir(name, mode, dir_fd=directory))

    def remove_directory(self, directory: int, name: bytes) -> None:
        """Remove a directory; OSError where it is not empty."""
        self.call("remove-directory", lambda: os.rmdir(name, dir_fd=directory))

    def write(self, fd: int, content: bytes) -> None:
        """Write all of it at the end."""
        rest = memoryview(content)
        while rest:
            written = self.call("write", lambda rest=rest: os.write(fd, rest))  # type: ignore[misc]
            rest = rest[written:]

    def set_mode_and_times(self, fd: int, facts: os.stat_result) -> None:
        """Give an open file the mode and times of another."""
        self.call("set-mode", lambda: os.fchmod(fd, facts.st_mode & 0o7777))
        self.call("set-times", lambda: os.utime(fd, ns=(facts.st_atime_ns, facts.st_mtime_ns)))

    def sync(self, fd: int) -> None:
        """Return once a file or a directory is on the disk."""
        self.call("sync", lambda: os.fsync(fd))

    def share(self, source: int, target: int, size_bytes: int) -> bool:
        """Let two files of equal size share their blocks; False where the kernel finds that they differ.

        The kernel compares under lock, so a writer cannot come between. Never FICLONE, which compares nothing.
        """
        offset = 0
        while offset < size_bytes:
            length = min(SHARE_BYTES, size_bytes - offset)
            step = self.call("share", lambda at=offset, length=length: _share(source, target, at, length))  # type: ignore[misc]
            if step is None:
                return False
            offset += step
        return True


def _openat2(directory: int, path: bytes, flags: int, mode: int) -> int:
    how = _OpenHow(flags, mode, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    fd = _libc.syscall(_OPENAT2, directory, ctypes.c_char_p(path), ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        raise _last_error("openat2", path)
    return int(fd)


def _open_quietly(directory: int, name: bytes) -> int:
    try:
        return _openat2(directory, name, _FILE_FLAGS | os.O_NOATIME, 0)
    except PermissionError:  # EPERM: only a file's owner may ask for that
        return _openat2(directory, name, _FILE_FLAGS, 0)


def _renameat2(directory: int, name: bytes, to_directory: int, to_name: bytes, flags: int) -> None:
    if _libc.renameat2(directory, ctypes.c_char_p(name), to_directory, ctypes.c_char_p(to_name), flags) != 0:
        raise _last_error("renameat2", name)


def _last_error(call: str, name: bytes) -> OSError:
    code = ctypes.get_errno()
    if code == errno.ENOSYS:
        text = (
            f"this system lacks {call}: clean-up needs Linux 5.6 or later, and a container that lets the call through"
        )
        return OSError(code, text, os.fsdecode(name))
    return OSError(code, os.strerror(code), os.fsdecode(name))


def _share(source: int, target: int, offset: int, length: int) -> int | None:
    """Share one piece: how many bytes are shared now, None where the kernel found a difference."""
    request = bytearray(_SHARE_HEAD.pack(offset, length, 1, 0, 0) + _SHARE_TARGET.pack(target, offset, 0, 0, 0))
    fcntl.ioctl(source, _FIDEDUPERANGE, request, True)
    return _shared_bytes(request)


def _shared_bytes(reply: bytes | bytearray) -> int | None:
    """What the kernel wrote into a request."""
    _, _, shared, status, _ = _SHARE_TARGET.unpack_from(reply, _SHARE_HEAD.size)
    if status == _DIFFERS:
        return None
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    if shared == 0:
        raise OSError(errno.EIO, "the filesystem shared nothing and did not say why")
    return int(shared)
