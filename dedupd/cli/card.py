"""Walks the folders that `dedupctl have` is asked about and digests the photos. Reads only; follows no symlink."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dedupd.cli.asking import open_regular, told_by_name
from dedupd.core.errors import DedupdError
from dedupd.core.ignore_rules import IgnoreRules, may_be_picture, suffix_of

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A file that may be a picture."""

    path: bytes
    size_bytes: int


@dataclass(slots=True)
class Card:
    """What the folders hold."""

    folders: list[bytes]  # symlinks resolved
    photos: list[Photo] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[bytes, str]] = field(default_factory=list)  # directories and files that refuse a look

    def holds(self, path: bytes) -> bool:
        """Whether a path lies in one of the folders."""
        return any(path == folder or path.startswith(folder.rstrip(b"/") + b"/") for folder in self.folders)


def walk(names: Iterable[str]) -> Card:
    """List the folders (or single files), in order. NotFoundError or AccessError for a name that cannot be opened."""
    card = Card([])
    rules = IgnoreRules()
    for name in names:
        top = os.fsencode(os.path.realpath(name))
        with told_by_name(name):
            status = Path(name).stat()
            if stat.S_ISDIR(status.st_mode):
                os.scandir(top).close()  # what was named must be readable; what is below is told one by one
        if top in card.folders:
            continue
        card.folders.append(top)
        if stat.S_ISDIR(status.st_mode):
            _walk_directory(card, rules, top, b"")
        else:
            card.photos.append(Photo(path=top, size_bytes=status.st_size))
    return card


def _walk_directory(card: Card, rules: IgnoreRules, top: bytes, below: bytes) -> None:
    pending = [below]
    while pending:
        directory = pending.pop()
        absolute = top.rstrip(b"/") + b"/" + directory
        try:
            with os.scandir(absolute) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            card.unreadable.append((absolute, error.strerror or str(error)))
            continue
        subdirectories = [found for entry in entries if (found := _take(card, rules, directory, entry)) is not None]
        pending += reversed(subdirectories)


def _take(card: Card, rules: IgnoreRules, directory: bytes, entry: os.DirEntry[bytes]) -> bytes | None:
    """Note an entry; returns the directory to descend into, if it is one."""
    relative = directory + b"/" + entry.name if directory else entry.name
    if rules.is_ignored(directory, entry.name):
        card.passed_over["ignored"] += 1
    elif entry.is_symlink():
        card.passed_over["symlink"] += 1
    elif entry.is_dir(follow_symlinks=False):
        return relative
    elif not entry.is_file(follow_symlinks=False):
        card.passed_over["special"] += 1
    elif not may_be_picture(entry.name):
        card.passed_over[suffix_of(entry.name)] += 1
    else:
        try:
            size_bytes = entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            card.unreadable.append((entry.path, error.strerror or str(error)))
        else:
            card.photos.append(Photo(path=entry.path, size_bytes=size_bytes))
    return None


def digests_of(photos: Iterable[Photo]) -> Iterator[tuple[Photo, str, str]]:
    """Each photo with its BLAKE3 digest in hex, or "" and why it cannot be read."""
    from blake3 import blake3  # noqa: PLC0415 - only here, and other commands start without it

    for photo in photos:
        try:
            with told_by_name(photo.path), open_regular(photo.path, follow=False) as file:
                digest = blake3()
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except DedupdError as error:
            yield photo, "", str(error)
        else:
            yield photo, digest.hexdigest(), ""
