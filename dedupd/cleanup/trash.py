"""The trash of the freedesktop.org specification, version 1.0: where it is for a root, and the note beside each file.

Never across filesystems. The actor's own user is the owner: with a system service that is its user, so the quarantine
is the default. Source: https://specifications.freedesktop.org/trash-spec/
"""

from __future__ import annotations

import stat
import time
import urllib.parse
from dataclasses import dataclass

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.places import Place, Places

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trash:
    """A trash directory, beneath a base."""

    base: bytes  # absolute: the top of the filesystem, or the home's data directory
    below: bytes  # ".Trash/1000", ".Trash-1000" or "Trash"

    def file(self, name: bytes) -> Place:
        """Where a file goes."""
        return Place(base=self.base, below=self.below + b"/files/" + name)

    def note(self, name: bytes) -> Place:
        """Where its note goes."""
        return Place(base=self.base, below=self.below + b"/info/" + name + b".trashinfo")


def trash_for(root: bytes, calls: FileCalls, *, uid: int, home: bytes) -> Trash:
    """The trash for files of a root.

    Args:
        root: absolute, without symlinks.
        calls: the system.
        uid: whose trash.
        home: the user's data directory (XDG_DATA_HOME); its trash serves the filesystem that it is on.

    Raises:
        OSError: the root or the top of its filesystem cannot be opened.
    """
    device = _device(calls, root)
    if home and _is_on(calls, home, device):
        return Trash(base=home, below=b"Trash")
    top = root
    while top != b"/" and _is_on(calls, _above(top), device):
        top = _above(top)
    number = str(uid).encode()
    fd = calls.open_base(top)
    try:
        shared = calls.look(fd, b".Trash")
    finally:
        calls.close(fd)
    # A .Trash that is a symlink or lacks the sticky bit could be another user's trap; the specification says so.
    if shared is not None and stat.S_ISDIR(shared.st_mode) and shared.st_mode & stat.S_ISVTX:
        return Trash(base=top, below=b".Trash/" + number)
    return Trash(base=top, below=b".Trash-" + number)


def trash_note(path: bytes, note: Place, now_ns: int) -> bytes:
    """The text of a note about the file that was at an absolute path."""
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now_ns // _NS))
    return _head(path, note) + f"DeletionDate={date}\n".encode()


def remove_note(calls: FileCalls, places: Places, note: Place, path: bytes) -> None:
    """Remove the note about a file if it is ours, also one that a kill left half written; OSError as it comes."""
    with places.directory(note) as directory:
        fd = calls.open_file(directory, note.name)
        try:
            text = calls.read(fd, 0)
        finally:
            calls.close(fd)
        head = _head(path, note)
        if text.startswith(head) or head.startswith(text):
            calls.unlink(directory, note.name)
            calls.sync(directory)


def _head(path: bytes, note: Place) -> bytes:
    """In the trash of a filesystem's top the path is relative to that top, in the home's it is absolute."""
    if note.below.startswith(b".Trash"):
        path = path[len(note.base.rstrip(b"/")) + 1 :]
    return f"[Trash Info]\nPath={urllib.parse.quote(path)}\n".encode()


def _above(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] or b"/"


def _device(calls: FileCalls, path: bytes) -> int:
    fd = calls.open_base(path)
    try:
        return calls.stat(fd).st_dev
    finally:
        calls.close(fd)


def _is_on(calls: FileCalls, path: bytes, device: int) -> bool:
    try:
        return _device(calls, path) == device
    except OSError:
        return False
