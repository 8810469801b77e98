"""Whether a file is what a plan or the journal says, asked of the disk at the moment of the act. Changes nothing.

Refuses by raising `RefusalError`, whose text goes to a person. Owns only the ctimes that the actor's own acts left.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from blake3 import blake3

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind, Known
from dedupd.cleanup.places import Place, Places
from dedupd.core.cleanup_plan import OutcomeKind

_SINCE = "since the plan was drawn up"


class RefusalError(Exception):
    """Something is not as planned, so nothing may be done: a CONFLICT, told with its reason."""

    kind = OutcomeKind.CONFLICT


class StrandedError(RefusalError):
    """A file could not be put back where it was; it lies at the act's target, untouched."""

    kind = OutcomeKind.STRANDED

    def __init__(self, detail: str, ino: int) -> None:
        super().__init__(detail)
        self.ino = ino  # of what lies there


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened, and what it was then."""

    fd: int
    facts: os.stat_result


class Checks:
    """See the module. Of one run."""

    def __init__(self, calls: FileCalls, places: Places, *, without_leases: frozenset[bytes] = frozenset()) -> None:
        self._calls = calls
        self._places = places
        self._without_leases = without_leases  # bases whose filesystem refuses a lease for reasons of its own
        self._own_ctimes: dict[tuple[int, int], int] = {}  # by (dev, ino): renaming and linking change it

    @contextmanager
    def opened(self, known: Known, word: str) -> Iterator[Opened]:
        """The file, open for reading and just as planned. `word` names it in a refusal: "the kept file"."""
        with self._opened(known.place, word) as file:
            self._must_be_as_planned(file.facts, known, word)
            yield file

    @contextmanager
    def reopened(self, place: Place, word: str) -> Iterator[Opened]:
        """The regular file that is at a place now, open for reading, whatever it holds."""
        with self._opened(place, word) as file:
            yield file

    def must_be_a_pair(self, act: Act, kept: Opened, file: Opened) -> None:
        """Refuse unless one may go for the other: two files, nobody writes, and both hold what the plan says."""
        if (kept.facts.st_dev, kept.facts.st_ino) == (file.facts.st_dev, file.facts.st_ino):
            raise RefusalError("It is the kept file itself under another name.")
        if file.facts.st_dev != self._places.seen(act.file.place.base).dev:
            raise RefusalError("It lies on another filesystem than its root.")
        if file.facts.st_size == 0 or kept.facts.st_size == 0:
            raise RefusalError("An empty file is no duplicate of anything.")
        self.must_be_unwritten(act.file.place, file, "The file")
        self.must_be_unwritten(act.kept.place, kept, "The kept file")
        if act.is_exact:
            self._must_be_equal(act, kept, file)
        else:
            self.must_hold(kept, act.kept.digest, "The kept file")
            self.must_hold(file, act.file.digest, "The file")

    def must_be_unwritten(self, place: Place, file: Opened, word: str) -> None:
        """Refuse where anybody has the file open for writing."""
        if place.base not in self._without_leases and self._calls.is_open_for_writing(file.fd):
            raise RefusalError(f"{word} is open for writing.")

    def must_hold(self, file: Opened, digest: bytes, word: str) -> None:
        """Refuse unless the open file holds just these bytes."""
        if not same_digest(self.digest(file), digest):
            raise RefusalError(f"{word} holds other bytes than planned.")

    def digest(self, file: Opened) -> bytes:
        """BLAKE3-256 of all bytes of an open file."""
        hasher = blake3()
        offset = 0
        while piece := self._calls.read(file.fd, offset):
            hasher.update(piece)
            offset += len(piece)
        return hasher.digest()

    def must_still_be_kept(self, act: Act, kept: Opened) -> None:
        """Refuse unless the kept file is still at its path, linked and unchanged since it was read."""
        with self._opened(act.kept.place, "The kept file") as now:
            if now.facts.st_ino != kept.facts.st_ino or now.facts.st_dev != kept.facts.st_dev:
                raise RefusalError("The kept file was replaced meanwhile.")
            self.must_be_unwritten(act.kept.place, now, "The kept file")
            if act.kind is ActKind.LINK:  # our own link changed its ctime, which would tell of any other change
                self.must_hold(now, act.kept.digest, "The kept file")
            elif _marks(now.facts) != _marks(kept.facts):
                raise RefusalError("The kept file was changed meanwhile.")

    def own(self, *files: Opened) -> None:
        """Take the files' ctimes as they are now for the work of our own acts."""
        for file in files:
            facts = self._calls.stat(file.fd)
            self._own_ctimes[facts.st_dev, facts.st_ino] = facts.st_ctime_ns

    @contextmanager
    def _opened(self, place: Place, word: str) -> Iterator[Opened]:
        try:
            with self._places.directory(place) as directory:
                before = self._calls.look(directory, place.name)  # to open a device can already set it in motion
                if before is None:
                    raise RefusalError(f"{word} is no longer there.")
                _must_be_regular(before, word)
                fd = self._calls.open_file(directory, place.name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RefusalError(f"{word} is no longer there.") from error
        try:
            facts = self._calls.stat(fd)
            _must_be_regular(facts, word)
            yield Opened(fd, facts)
        finally:
            self._calls.close(fd)

    def _must_be_as_planned(self, facts: os.stat_result, known: Known, word: str) -> None:
        planned = known.stat
        if (facts.st_dev, facts.st_ino) != (planned.dev, planned.ino):
            raise RefusalError(f"{word} was replaced {_SINCE}.")
        if (facts.st_size, facts.st_mtime_ns) != (planned.size_bytes, planned.mtime_ns):
            raise RefusalError(f"{word} was changed {_SINCE}.")
        if facts.st_ctime_ns not in {planned.ctime_ns, self._own_ctimes.get((facts.st_dev, facts.st_ino))}:
            raise RefusalError(f"{word} was changed {_SINCE}: its name, links, owner or mode.")

    def _must_be_equal(self, act: Act, kept: Opened, file: Opened) -> None:
        """Refuse unless both hold the planned bytes and, compared byte by byte, the same."""
        hasher = blake3()
        offset = 0
        while piece := self._calls.read(file.fd, offset):
            other = self._read_exactly(kept.fd, offset, len(piece))
            if piece != other:
                raise RefusalError("The files differ, although they were equal when the plan was drawn up.")
            hasher.update(piece)
            offset += len(piece)
        if self._calls.read(kept.fd, offset):
            raise RefusalError("The files differ, although they were equal when the plan was drawn up.")
        for digest, word in ((act.file.digest, "The file"), (act.kept.digest, "The kept file")):
            if not same_digest(hasher.digest(), digest):
                raise RefusalError(f"{word} holds other bytes than planned.")

    def _read_exactly(self, fd: int, offset: int, size: int) -> bytes:
        content = b""
        while len(content) < size and (piece := self._calls.read(fd, offset + len(content))):
            content += piece
        return content[:size]


def _marks(facts: os.stat_result) -> tuple[int, int, int]:
    """What no change of a file's bytes leaves as it was: a writer can set mtime back, but never ctime."""
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def is_digest(digest: bytes) -> bool:
    """Whether this names bytes: a missing or an all-zero digest equals nothing, not even itself (rmlint #672)."""
    return len(digest) == blake3().digest_size and any(digest)


def same_digest(one: bytes, other: bytes) -> bool:
    """Whether two digests name the same bytes."""
    return is_digest(one) and is_digest(other) and one == other


def _must_be_regular(facts: os.stat_result, word: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise RefusalError(f"{word} is no regular file any more.")
