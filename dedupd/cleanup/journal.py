"""The actor's journal: files of checksummed lines, appended to, on the disk before `append` returns.

One file a run, named by its number; a line is a checksum, a space and a record as JSON. Old files are rewritten as a
whole (`compaction` says how). Owns its directory. Knows no photo, and settles nothing: `recovery` does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Record
from dedupd.core.errors import DiskFullError, StoreDamagedError, StoreWriteError
from dedupd.core.undecodable import UNDECODABLE

_SUFFIX = ".journal"
_NUMBER_DIGITS = 8
_SUM_DIGITS = 32  # half of BLAKE3-256
_FILE_MODE = 0o600


class Position(NamedTuple):
    """Where a record stands."""

    file: int  # its number
    offset: int  # bytes
    line: int  # 1 …


def has_history(directory: Path) -> bool:
    """Whether any run was ever journalled here; opens nothing."""
    return any(directory.glob(f"*{_SUFFIX}"))


class Journal:
    """See the module. Used by one thread at a time; `begin` a file before `append`."""

    def __init__(self, directory: Path, calls: FileCalls) -> None:
        _make(directory)
        self._directory = directory
        self._calls = calls
        self._fd: int | None = None
        self._lines = 0
        self._bytes = 0  # of the file under way
        self._number = max(self._numbers(), default=0)
        self._is_broken = False

    @property
    def number(self) -> int:
        """Of the newest file; 0 where there is none."""
        return self._number

    def load(self, since: Position | None = None) -> Iterator[tuple[Position, Record]]:
        """The records, the oldest first, all of them or those at a position and after it, each with its own.

        A torn last line of a file was never acknowledged and is left out. May be gone through while records are
        appended by another thread: the last one is then there or not.

        Raises:
            StoreDamagedError: a line cannot be believed; names the file and the line.
        """
        for number in self._numbers():
            if since is None or number > since.file:
                yield from self.load_file(number)
            elif number == since.file:
                yield from self._load(since)

    def load_file(self, number: int) -> Iterator[tuple[Position, Record]]:
        """The records of one file; see `load`."""
        return self._load(Position(number, 0, 1))

    def _load(self, at: Position) -> Iterator[tuple[Position, Record]]:
        """The records of one file from a position on."""
        path = self._directory / _file_name(at.file)
        damaged: int | None = None
        with path.open("rb") as lines:
            lines.seek(at.offset)
            for text in lines:
                if damaged is not None:  # it was not the last one
                    raise StoreDamagedError(
                        f"{path}: line {damaged} of the clean-up journal is "
                        "damaged. Nothing is touched until it is whole again: restore the file from a backup, or move "
                        "it away, then what it tells of can only be put back by hand"
                    )
                record = _record(at.line, text.removesuffix(b"\n"))
                if record is None:
                    damaged = at.line
                else:
                    yield at, record
                if not text.endswith(b"\n"):  # torn, or being written now: what comes next is no line of its own
                    return
                at = Position(at.file, at.offset + len(text), at.line + 1)

    def begin(self) -> int:
        """Start the next file and return its number. Nothing is on the disk before the first `append`."""
        self.end()
        self._check_usable()
        self._number += 1
        self._lines = self._bytes = 0
        with self._stops_on_failure():
            directory = self._calls.open_base(bytes(self._directory))
            try:
                self._fd = self._calls.create(directory, _file_name(self._number).encode(), _FILE_MODE)
                self._calls.sync(directory)
            finally:
                self._calls.close(directory)
        return self._number

    def append(self, record: Record) -> Position:
        """Write a record and return once it is on the disk.

        Raises:
            StoreWriteError: it may not be. The journal takes nothing more until it is loaded anew.
        """
        self._check_usable()
        assert self._fd is not None, "begin comes before append"
        at = Position(self._number, self._bytes, self._lines + 1)
        text = _line(at.line, msgspec.json.encode(record))
        with self._stops_on_failure():
            self._calls.write(self._fd, text)
            self._calls.sync(self._fd)
        self._lines, self._bytes = at.line, at.offset + len(text)
        return at

    def rewrite(self, number: int, records: Iterable[Record]) -> None:
        """Have other records in a file that is not the newest, at once and whole: on the disk when this returns.

        Raises:
            OSError: the file is as it was, or as it is to be.
        """
        assert number < self._number, "the newest file may be written to"
        name, temporary = _file_name(number).encode(), b".rewritten"
        directory = self._calls.open_base(bytes(self._directory))
        try:
            if self._calls.look(directory, temporary) is not None:  # of an actor that was killed here
                self._calls.sync(directory)
                self._calls.unlink(directory, temporary)
            fd = self._calls.create(directory, temporary, _FILE_MODE)
            try:
                for line, record in enumerate(records, start=1):
                    self._calls.write(fd, _line(line, msgspec.json.encode(record)))
                self._calls.sync(fd)
            finally:
                self._calls.close(fd)
            self._calls.exchange(directory, temporary, directory, name)
            self._calls.sync(directory)
            self._calls.unlink(directory, temporary)
        finally:
            self._calls.close(directory)

    def end(self) -> None:
        """Close the file under way."""
        if self._fd is not None:
            self._calls.close(self._fd)
            self._fd = None

    def _numbers(self) -> list[int]:
        stems = (path.stem for path in self._directory.iterdir() if path.suffix == _SUFFIX)
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def _check_usable(self) -> None:
        if self._is_broken:
            raise StoreWriteError(
                f"{self._directory}: writing the clean-up journal failed before. Start the actor anew: it "
                "looks at the disk and settles what was under way"
            )

    @contextmanager
    def _stops_on_failure(self) -> Iterator[None]:
        """Take nothing more after a failed write or sync: what it left behind is not known."""
        try:
            yield
        except OSError as error:
            self._is_broken = True
            is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            kind = DiskFullError if is_full else StoreWriteError
            step = "Free some space on its filesystem" if is_full else "Check the disk"
            raise kind(
                f"{self._directory}: writing the clean-up journal failed: {error.strerror}. No photo is "
                f"lost and none is touched any more. {step}, then start dedupd again: it settles what was under way"
            ) from error


def _make(directory: Path) -> None:
    """Make the directory, on the disk before anything is written into it."""
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700, parents=True)
    above = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _file_name(number: int) -> str:
    return str(number).zfill(_NUMBER_DIGITS) + _SUFFIX


def _line(number: int, body: bytes) -> bytes:
    return _sum(number, body) + b" " + body + b"\n"


def _sum(number: int, body: bytes) -> bytes:
    """Over the line's number too, so that a missing or repeated line is damage."""
    return blake3(str(number).encode() + b":" + body).hexdigest().encode()[:_SUM_DIGITS]


def _record(number: int, text: bytes) -> Record | None:
    """The record of a line; None where it cannot be believed."""
    if text[:_SUM_DIGITS] != _sum(number, text[_SUM_DIGITS + 1 :]):
        return None
    with suppress(*UNDECODABLE):
        return _DECODER.decode(text[_SUM_DIGITS + 1 :])
    return None


_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
