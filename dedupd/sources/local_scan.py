"""Reads directories of a root: names by scandir, facts by fstatat, packed for comparing.

Decides nothing, remembers nothing and opens no file. Every directory is opened component by component below the root
with O_NOFOLLOW, so a symlink put in the way leads nowhere; only the root itself, which a person named, may be one.
Names and stats of plain directories are read by a compiled part (`_dir_stats.c`, docs/decisions/0029) where it could be
built at installation; without it os.listdir and os.lstat give the same, and a look at what did not change takes longer.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Iterator
from itertools import starmap
from operator import attrgetter

from dedupd.core.ignore_rules import IgnoreRules, may_be_picture, suffix_of
from dedupd.core.ports import Listing
from dedupd.core.records import Problem, ProblemCode, RootIdentity, RootRecord
from dedupd.core.root_trust import MISSING_DIRECTORY
from dedupd.core.stat_key import pack_fields, pack_plain
from dedupd.sources.mounts import mount_of, read_mounts

try:
    from dedupd.sources import _dir_stats
except ImportError:  # no compiler, or a wheel for any machine
    IS_BUILT = False
else:
    IS_BUILT = True

_REGULAR = stat.S_IFREG >> 12
_STAT_FIELDS = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK


class LocalLister:
    """Lists directories of the local machine. Stateless, thread-safe; no descriptor outlives a call."""

    def __init__(self, ignore: IgnoreRules, *, is_compiled: bool = IS_BUILT) -> None:
        """Hand it what to pass over, and whether to read plain directories by the compiled part."""
        self._ignore = ignore
        self._names_in = _dir_stats.names_in if is_compiled else names_in
        self._stats_of = _dir_stats.stats_of if is_compiled else stats_of

    def listing(self, root: RootRecord, directory: bytes) -> Listing:
        """One directory as it is now.

        A directory below a readable root that is not there (any more), or is ignored, lists as complete and empty: no
        file of the library is in it. A root that is not there, a directory that cannot be read, and one on another
        filesystem than the root (something is mounted over it) are incomplete: absence means nothing.
        """
        if self._ignore.is_path_ignored(directory):
            return _nothing_in(directory)
        try:
            fd = os.open(root.path, _DIRECTORY_FLAGS)
        except OSError as error:
            return _unreadable(directory, describe(error))
        try:
            device = os.fstat(fd).st_dev
            for name in directory.split(b"/") if directory else ():
                below = os.open(name, _DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = below
            if os.fstat(fd).st_dev != device:
                return _unreadable(directory, "another filesystem is mounted here; add it as a root of its own")
            return self._read(fd, device, directory)
        except (FileNotFoundError, NotADirectoryError):  # O_DIRECTORY | O_NOFOLLOW: a symlink is ENOTDIR, open(2)
            return _nothing_in(directory)
        except OSError as error:
            return _unreadable(directory, describe(error))
        finally:
            os.close(fd)

    def walk(self, root: RootRecord) -> Iterator[Listing]:
        """Every directory of a root, the root first; those that cannot be read too, as incomplete listings."""
        waiting = [b""]
        while waiting:
            listing = self.listing(root, waiting.pop())
            yield listing
            prefix = listing.directory + b"/" if listing.directory else b""
            waiting.extend(prefix + name for name in listing.subdirectories)

    def identify(self, path: bytes) -> RootIdentity | str:
        """What filesystem is there now, or why it cannot be told: MISSING_DIRECTORY, or the system's words."""
        try:
            fd = os.open(path, _DIRECTORY_FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            return MISSING_DIRECTORY
        except OSError as error:
            return describe(error)
        try:
            facts = os.fstat(fd)
            fsid = os.fstatvfs(fd).f_fsid
            with os.scandir(fd) as entries:  # a dead disk or a stale share answers fstat from memory, but not this
                next(entries, None)
        except OSError as error:
            return describe(error)
        finally:
            os.close(fd)
        mount = mount_of(os.path.realpath(path), read_mounts())
        filesystem = mount.filesystem if mount else "unknown"
        return RootIdentity(dev=facts.st_dev, fsid=fsid, ino=facts.st_ino, filesystem=filesystem)

    def is_empty(self, root: RootRecord) -> bool:
        """Whether the root directory has no entry at all, ignored ones counted; False when it cannot be read."""
        try:
            with os.scandir(root.path) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    def _read(self, fd: int, device: int, directory: bytes) -> Listing:
        """List an open directory; plainly named regular files, as most are, cost a third less than anything else."""
        names = self._names_in(fd)
        others: dict[str, int] = {}
        folders: list[bytes] = []
        if not self._ignore.are_plain_pictures(names):
            names, folders = self._worth_a_stat(fd, directory, others)
        files = self._stats_of(fd, names)
        if files is None:
            files, look_at = {}, names + folders
        else:
            look_at = folders
        subdirectories: list[bytes] = []
        odd: dict[bytes, Problem] = {}
        for name in look_at:
            try:
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since scandir
            except OSError as error:
                odd[name] = _problem(error)
                continue
            mode = facts.st_mode
            if stat.S_ISREG(mode):
                files[name] = pack_fields(
                    facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
                )
            elif stat.S_ISDIR(mode):
                if facts.st_dev == device:
                    subdirectories.append(name)
                else:  # a root of its own, if a person wants it; not passed over in silence
                    others["mount point"] = others.get("mount point", 0) + 1
            elif stat.S_ISLNK(mode):
                others["symlink"] = others.get("symlink", 0) + 1
            else:
                odd[name] = _not_regular(mode)
        return Listing(
            directory=directory,
            files=files,
            subdirectories=tuple(subdirectories),
            others=others,
            odd=odd,
            is_complete=True,
            trouble="",
        )

    def _worth_a_stat(self, fd: int, directory: bytes, others: dict[str, int]) -> tuple[list[bytes], list[bytes]]:
        """Names of what may be a picture, names of directories; what is passed over is counted by suffix."""
        names: list[bytes] = []
        folders: list[bytes] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if self._ignore.is_ignored(directory, name):
                    continue
                if entry.is_symlink():
                    others["symlink"] = others.get("symlink", 0) + 1
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif may_be_picture(name):
                    names.append(name)
                else:
                    word = suffix_of(name) if entry.is_file(follow_symlinks=False) else "special"
                    others[word] = others.get(word, 0) + 1
        return names, folders


def names_in(fd: int) -> list[bytes]:
    """All names in an open directory, nearly in order: `fingerprint` sorts them, and text is sorted faster."""
    names = os.listdir(fd)
    names.sort()
    return os.fsencode("/".join(names)).split(b"/") if names else []


def stats_of(fd: int, names: list[bytes]) -> dict[bytes, bytes] | None:
    """Name → packed stat, in an open directory; None where one is no regular file, or its stat is anything unusual."""
    look = os.lstat
    try:
        facts = [look(name, dir_fd=fd) for name in names]
        if any(kind != _REGULAR for kind in {f.st_mode >> 12 for f in facts}):
            return None
        return dict(zip(names, starmap(pack_plain, map(_STAT_FIELDS, facts)), strict=True))
    except (OSError, struct.error):
        return None


def describe(error: OSError) -> str:
    """An operating system error in one line without the path, which the caller names."""
    return error.strerror or type(error).__name__


def _problem(error: OSError) -> Problem:
    code = ProblemCode.NO_PERMISSION if isinstance(error, PermissionError) else ProblemCode.IO_ERROR
    return Problem(code=code, detail=describe(error), at_ns=time.time_ns(), retry_at_ns=None)


def _not_regular(mode: int) -> Problem:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
    detail = f"it is {kinds.get(stat.S_IFMT(mode), 'no regular file')} with a picture's name"
    return Problem(code=ProblemCode.NOT_REGULAR, detail=detail, at_ns=time.time_ns(), retry_at_ns=None)


def _nothing_in(directory: bytes) -> Listing:
    return Listing(directory=directory, files={}, subdirectories=(), others={}, odd={}, is_complete=True, trouble="")


def _unreadable(directory: bytes, trouble: str) -> Listing:
    return Listing(
        directory=directory, files={}, subdirectories=(), others={}, odd={}, is_complete=False, trouble=trouble
    )
