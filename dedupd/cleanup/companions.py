"""Looks at folders for the drawing up of a plan: names, facts and digests of files, by descriptor, reading only.

Follows no symlink below a root, writes nothing, and decides nothing; what belongs to a picture is `core.bundle`'s.
"""

from __future__ import annotations

import os
import stat as modes
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from blake3 import blake3

from dedupd.core.bundle import DirectoryNames
from dedupd.core.records import FileStat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK_BYTES = 1 << 20
_NAMES_KEPT = 200_000  # about 40 MB; groups jump between folders


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    """A file as it is now."""

    stat: FileStat
    links: int  # how many names it has, known or not
    is_regular: bool


class Folders:
    """Folders below roots as they are now. Owns the lists of names that it read last; one for each plan."""

    def __init__(self, names_kept: int = _NAMES_KEPT) -> None:
        """Keep so many names in memory."""
        self._names_kept = names_kept
        self._names: OrderedDict[tuple[bytes, bytes], DirectoryNames | None] = OrderedDict()
        self._kept = 0  # names

    def names(self, root: bytes, directory: bytes) -> DirectoryNames | None:
        """The names in a folder, read once; None where it cannot be listed."""
        key = root, directory
        if key not in self._names:
            self._names[key] = _listed(root, directory)
            self._kept += _size(self._names[key])
            while self._kept > self._names_kept and len(self._names) > 1:
                self._kept -= _size(self._names.popitem(last=False)[1])
        self._names.move_to_end(key)
        return self._names[key]

    def seen(self, root: bytes, directory: bytes, name: bytes) -> SeenFile | None:
        """What a name is now, a symlink as itself; None where there is nothing, or it cannot be looked at."""
        try:
            with _opened(root, directory) as folder:
                return _seen(os.stat(name, dir_fd=folder, follow_symlinks=False))
        except (OSError, ValueError):
            return None

    def digest(self, root: bytes, directory: bytes, name: bytes, expected: FileStat) -> bytes | None:
        """BLAKE3-256 of a regular file's bytes; None where it cannot be read or is not what was expected."""
        try:
            with _opened(root, directory) as folder:
                fd = os.open(name, _FILE, dir_fd=folder)
                with os.fdopen(fd, "rb", buffering=0) as file:
                    before = _seen(os.fstat(fd))
                    if not before.is_regular or before.stat != expected:
                        return None
                    hasher = blake3()
                    while chunk := file.read(_CHUNK_BYTES):
                        hasher.update(chunk)
                    return hasher.digest() if _seen(os.fstat(fd)) == before else None
        except (OSError, ValueError):
            return None

    def device(self, path: bytes) -> int | None:
        """The device of a folder that may not be there yet: that of the nearest one above it that is."""
        while path:
            try:
                return os.stat(path).st_dev  # noqa: PTH116 - bytes
            except FileNotFoundError:
                path = os.path.dirname(path)  # noqa: PTH120 - bytes
            except (OSError, ValueError):
                return None
        return None


@contextmanager
def _opened(root: bytes, directory: bytes) -> Iterator[int]:
    """A descriptor of a folder, opened one component after another; OSError where a symlink is on the way."""
    fd = os.open(root, _DIRECTORY)
    try:
        for component in directory.split(b"/") if directory else ():
            inner = os.open(component, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def _listed(root: bytes, directory: bytes) -> DirectoryNames | None:
    try:
        with _opened(root, directory) as folder:
            return DirectoryNames(map(os.fsencode, os.listdir(folder)))  # noqa: PTH208 - of a descriptor
    except (OSError, ValueError):
        return None


def _size(names: DirectoryNames | None) -> int:
    return 1 if names is None else len(names.all)


def _seen(facts: os.stat_result) -> SeenFile:
    return SeenFile(
        stat=FileStat(
            dev=facts.st_dev,
            ino=facts.st_ino,
            size_bytes=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            ctime_ns=facts.st_ctime_ns,
        ),
        links=facts.st_nlink,
        is_regular=modes.S_ISREG(facts.st_mode),
    )
