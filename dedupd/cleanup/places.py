"""Where a file is for the actor: a base directory and a path beneath it, and the descriptors that lead there.

A base (a root, a folder, the top of a filesystem) is opened once a run by its path, everything else beneath it by
descriptors, one directory after another, never through a symlink. Owns the bases' descriptors. Renames nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from dedupd.cleanup.file_calls import FileCalls


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a directory beneath a base."""

    base: bytes  # absolute
    below: bytes  # relative to it, no slash at either end

    @property
    def directory(self) -> bytes:
        """The directory beneath the base; b"" for the base itself."""
        return self.below.rpartition(b"/")[0]

    @property
    def name(self) -> bytes:
        """The last component."""
        return self.below.rpartition(b"/")[2]

    @property
    def path(self) -> bytes:
        """Absolute."""
        return self.base.rstrip(b"/") + b"/" + self.below

    def beside(self, name: bytes) -> Place:
        """Another name in the same directory."""
        return Place(base=self.base, below=b"/".join(filter(None, (self.directory, name))))


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A base as it was when a run opened it."""

    path: bytes
    dev: int
    ino: int
    fsid: int  # 0 where the filesystem has none


def is_same_base(one: Base, other: Base) -> bool:
    """Whether two looks saw one directory of one filesystem; a device's number may change at a reboot."""
    is_same_filesystem = one.dev == other.dev or (one.fsid != 0 and one.fsid == other.fsid)
    return is_same_filesystem and one.ino == other.ino


class Places:
    """The bases of one run. Used by one thread; close it."""

    def __init__(self, calls: FileCalls) -> None:
        self._calls = calls
        self._bases: dict[bytes, int] = {}

    def close(self) -> None:
        """Close all bases."""
        for fd in self._bases.values():
            self._calls.close(fd)
        self._bases.clear()

    def base(self, path: bytes) -> int:
        """The descriptor of a base, opened the first time; OSError where it cannot be."""
        if path not in self._bases:
            self._bases[path] = self._calls.open_base(path)
        return self._bases[path]

    def seen(self, path: bytes) -> Base:
        """What a base is now."""
        fd = self.base(path)
        facts = self._calls.stat(fd)
        return Base(path=path, dev=facts.st_dev, ino=facts.st_ino, fsid=self._calls.filesystem_id(fd))

    @contextmanager
    def directory(self, place: Place) -> Iterator[int]:
        """The directory that a place is in; OSError where it is not there."""
        fd = self._calls.open_directory(self.base(place.base), place.directory)
        try:
            yield fd
        finally:
            self._calls.close(fd)

    @contextmanager
    def made_directory(self, place: Place, mode: int) -> Iterator[int]:
        """The directory that a place is in, made with all that is missing above it."""
        fd = self._calls.open_directory(self.base(place.base), b"")
        try:
            for name in filter(None, place.directory.split(b"/")):
                fd = self._step_into(fd, name, mode)
            yield fd
        finally:
            self._calls.close(fd)

    def look(self, place: Place) -> os.stat_result | None:
        """The facts of a place; None: nothing is there, nor perhaps its directory."""
        try:
            with self.directory(place) as directory:
                return self._calls.look(directory, place.name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def tidy(self, place: Place, keep: bytes) -> None:
        """Remove the directories above a place that are empty now, up to `keep` beneath its base, which stays."""
        directory = place.directory
        while directory.startswith(keep + b"/"):
            gone = Place(base=place.base, below=directory)
            with suppress(OSError), self.directory(gone) as above:
                self._calls.remove_directory(above, gone.name)
                self._calls.sync(above)
                directory = gone.directory
                continue
            return

    def _step_into(self, parent: int, name: bytes, mode: int) -> int:
        """The descriptor of a directory in another, made if need be; closes the other's."""
        try:
            try:
                return self._calls.open_directory(parent, name)
            except FileNotFoundError:
                with suppress(FileExistsError):  # somebody else made it in between
                    self._calls.make_directory(parent, name, mode)
                self._calls.sync(parent)
                return self._calls.open_directory(parent, name)
        finally:
            self._calls.close(parent)
