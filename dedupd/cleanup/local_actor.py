"""The `Actor` port in this process: one run at a time over one journal. What a run does stands in the modules it calls.

Owns the journal's directory and its lock. Never acts before what an earlier process left open is settled, as far as
the disks that it concerns are there.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from dedupd.cleanup.applying import Applying
from dedupd.cleanup.book import Book
from dedupd.cleanup.compaction import Compaction
from dedupd.cleanup.expire import Expiring, expires
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.history import SetAside
from dedupd.cleanup.journal import Journal
from dedupd.cleanup.recovery import Recovery
from dedupd.cleanup.undo import Undoing
from dedupd.core.cleanup_plan import Outcome, Plan, Quarantined, RunEnd
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import AlreadyRunningError, RetryError

_log = logging.getLogger(__name__)

KEEP_S = 30 * 86_400  # how long the quarantine keeps a file
_NS = 1_000_000_000


class LocalActor:
    """See `core.cleanup_ports.Actor`."""

    def __init__(
        self,
        journal_dir: Path,
        calls: FileCalls,
        clock: Callable[[], int],
        *,
        keep_s: float = KEEP_S,
        data_home: bytes | None = None,
    ) -> None:
        """Load the journal and settle what was left open.

        Args:
            journal_dir: absolute; made if need be.
            calls: the system.
            clock: CLOCK_REALTIME in ns.
            keep_s: how long the quarantine keeps a file; only shown, since `expire` is told its moment.
            data_home: the user's data directory, whose trash is used for its filesystem; None: of the environment.

        Raises:
            AlreadyRunningError: another process acts by this journal.
            StoreDamagedError: the journal cannot be believed.
            StoreWriteError: it cannot be written.
        """
        self._running = threading.Lock()
        self._stopping = threading.Event()
        self._calls = calls
        self._clock = clock
        self._keep_ns = int(keep_s * _NS)
        journal = Journal(journal_dir, calls)
        self._lock_fd: int | None = _lock(journal_dir)
        self._book = _loaded(journal, clock)
        self._applying = Applying(
            book=self._book,
            calls=calls,
            now_ns=clock,
            is_stopping=self._stopping.is_set,
            home=_data_home() if data_home is None else data_home,
        )
        self._undoing = Undoing(book=self._book, calls=calls, now_ns=clock, is_stopping=self._stopping.is_set)
        self._expiring = Expiring(book=self._book, calls=calls, is_stopping=self._stopping.is_set)
        self._recover()

    def apply(self, plan_id: str, plan: Plan, tell: Tell) -> RunEnd:
        """Do a plan."""
        with self._alone():
            return self._applying.run(plan_id, plan, tell)

    def undo(self, plan_id: str | None, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back what a plan took."""
        with self._alone():
            return self._undoing.run(plan_id, items, tell)

    def expire(self, before_ns: int, plan_id: str | None, tell: Tell) -> RunEnd:
        """Delete for good what was set aside before a moment."""
        with self._alone():
            return self._expiring.run(before_ns, plan_id, tell)

    def quarantined(self) -> list[Quarantined]:
        """What can still be put back, the oldest first."""
        with self._book.reading() as history:
            return [self._shown(aside) for aside in history.set_aside.values()]

    def outcomes(self, after: int, limit: int) -> list[Outcome]:
        """The journal's outcomes with a sequence above `after`, in order."""
        return list(islice(self._book.outcomes(after), limit))

    def done_since(self, since_ns: int) -> tuple[int, int]:
        """Files and bytes that plans have taken since a moment and that were not put back."""
        with self._book.reading() as history:
            return history.done_since(since_ns)

    def close(self) -> None:
        """End after the item under way. Does nothing when closed already."""
        self._stopping.set()
        with self._running:
            self._book.close()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    def _recover(self) -> None:
        Recovery(book=self._book, calls=self._calls, now_ns=self._clock()).settle_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._running.acquire(blocking=False):
            raise RetryError("Another clean-up, undo or expiry is under way. Try again when it is over.")
        try:
            if self._stopping.is_set():
                raise RetryError("The actor is ending. Try again when it is started anew.")
            self._recover()  # a disk that was away may be back
            yield
        finally:
            self._running.release()

    def _shown(self, aside: SetAside) -> Quarantined:
        outcome = aside.outcome
        stays = aside.held or ("" if expires(aside) else outcome.detail)
        return Quarantined(
            plan=outcome.plan,
            item=outcome.item,
            action=aside.action,
            path=outcome.path,
            now_at=outcome.now_at,
            kept=outcome.kept,
            digest=outcome.digest,
            size_bytes=outcome.size_bytes,
            since_ns=outcome.at_ns,
            expires_at_ns=outcome.at_ns + self._keep_ns if expires(aside) else None,
            held=stays,
        )


def _loaded(journal: Journal, clock: Callable[[], int]) -> Book:
    """The book over a journal whose old files are made smaller first, where that is worth it."""
    compaction = Compaction(clock())
    book = Book(journal, clock, compaction.note)
    try:
        rewritten = compaction.run(journal, book.history)
    except OSError as error:  # each file is whole all the same
        _log.warning("actor.not-compacted reason=%s", error)
    else:
        if not rewritten:
            return book
        _log.info("actor.compacted files=%d", rewritten)
    return Book(journal, clock)  # records stand in other places now


def _lock(directory: Path) -> int:
    """Hold the journal for this process; the kernel lets go of it when the process ends."""
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise AlreadyRunningError(
            f"{directory}: another process acts by this clean-up journal. Stop it first."
        ) from error
    return fd


def _data_home() -> bytes:
    """XDG_DATA_HOME, or its default; b"" where there is no home."""
    named = os.environb.get(b"XDG_DATA_HOME", b"")
    home = os.environb.get(b"HOME", b"")
    return named or (home.rstrip(b"/") + b"/.local/share" if home else b"")
