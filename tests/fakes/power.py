"""A disk whose power can be cut: a filesystem in a file, and the ioctl that shuts a filesystem down at once.

What was not on the disk is gone with the shutdown, as in a power cut: the page cache and the unwritten journal. It does
not reorder what a drive has in its cache, and tears no sector.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
_NO_LOG_FLUSH = 2
_IMAGE_BYTES = 400 << 20  # mkfs.xfs takes no less than 300 MiB
_MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
_OPTIONS = {"ext4": "loop", "xfs": "loop,nouuid"}
FILESYSTEMS = tuple(_MAKERS)
MEMORY = Path("/dev/shm")  # where the image lies: what a sync costs is not the point here


class NoSuchDiskError(Exception):
    """It cannot be made here; says why."""


class CutDisk:
    """One filesystem, mounted at `mount`. Close it."""

    def __init__(self, kind: str, mount: Path) -> None:
        if os.getuid() != 0:
            raise NoSuchDiskError("cutting the power of a filesystem needs root")
        command, *options = _MAKERS[kind]
        maker = shutil.which(command) or shutil.which(command, path="/sbin:/usr/sbin")
        if maker is None:
            raise NoSuchDiskError(f"{command} is not installed")
        folder = MEMORY if _has_room(MEMORY) else mount.parent
        self._image = folder / f"dedupd-power-{os.getpid()}-{kind}.0"
        self._kind = kind
        self.mount = mount
        mount.mkdir(exist_ok=True)
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        try:
            _run(maker, *options, self._image)
            self.switch_on()
        except NoSuchDiskError:
            self._image.unlink()
            raise

    def switch_on(self) -> None:
        """Mount it; the filesystem replays its journal."""
        _run("mount", "-t", self._kind, "-o", _OPTIONS[self._kind], self._image, self.mount)
        self._fd = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)

    def cut(self) -> None:
        """Everything that is not on the disk at this moment is lost; all that is asked of it from now on fails."""
        fcntl.ioctl(self._fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))

    def switch_off(self) -> None:
        """Unmount it; nobody may use it any more.

        What it holds goes to another file. A mount namespace that was made meanwhile (by a service, a container) keeps
        the filesystem that was shut down, and mounting the same file again would give that one.
        """
        os.close(self._fd)
        _run("umount", self.mount)
        fresh = self._image.with_suffix(f".{1 + int(self._image.suffix[1:])}")
        _run("cp", "--sparse=always", self._image, fresh)
        self._image.unlink()
        self._image = fresh

    def close(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            os.close(self._fd)
        subprocess.run(["umount", "-l", self.mount], check=False)
        self._image.unlink()


def sync(place: Path) -> None:
    """Bring what lies on the filesystem of a place to its disk."""
    fd = os.open(place, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)


def _has_room(folder: Path) -> bool:
    """Whether an image may lie there; a container's shared memory often has 64 MiB."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2 * _IMAGE_BYTES


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    if done.returncode:
        raise NoSuchDiskError(f"{command[0]}: {os.fsdecode(done.stderr).strip()}")
