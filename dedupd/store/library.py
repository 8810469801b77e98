"""The store as one object: opens it, hands out views and transactions, ends it. The `Library` port.

Owns the environment, the lock on the state directory, the one place of the writer, and the bell for new events. One
process has one; never fork with it open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import lmdb

from dedupd import __version__
from dedupd.core.errors import StopError, StoreWriteError
from dedupd.core.records import ContentId, Sequence
from dedupd.store.environment import MAP_BYTES, open_store
from dedupd.store.mapped_pages import give_back_pages
from dedupd.store.reader import LmdbView
from dedupd.store.trouble import reading_error, writing_error
from dedupd.store.writer import LmdbTransaction


class LmdbLibrary:
    """See `core.ports.Library`. Thread-safe.

    Args:
        state_dir: made (0700) if it is not there; must be on a local disk.
        map_bytes: address space for the store; it opens with more when the store needs more. Smaller only where
            address space is scarce.

    Raises:
        AlreadyRunningError, AccessError, DiskFullError, StoreDamagedError, StoreTooNewError, StopError: see
            `environment.open_store`.
    """

    warnings: tuple[str, ...]  # what an administrator should know about the place of the store
    was_closed_cleanly: bool  # False after a kill or a power cut, True for a new store

    def __init__(self, state_dir: Path, *, map_bytes: int = MAP_BYTES) -> None:
        self._store = open_store(state_dir, map_bytes=map_bytes)
        self.warnings = self._store.warnings
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._failure: StoreWriteError | None = None
        self._is_closed = False
        self._bell = threading.Condition()
        self._last_event = Sequence(0)
        self._listeners: list[Callable[[frozenset[ContentId]], None]] = []
        try:
            self.was_closed_cleanly = self._begin_use()
        except BaseException:
            self._store.close()
            raise

    def _begin_use(self) -> bool:
        with self.transaction() as txn:
            was_closed_cleanly = not txn.is_in_use()
            txn.mark_in_use(True, __version__)
            self._last_event = txn.last_event()
        return was_closed_cleanly

    @contextmanager
    def view(self) -> Iterator[LmdbView]:
        """A consistent look; close it within a second, as an open one keeps replaced pages from being used again."""
        self._refuse_if_ended()
        try:
            with self._store.env.begin() as txn:
                yield LmdbView(txn, self._store.tables)
        except lmdb.Error as error:
            self._refuse_if_ended()
            raise reading_error(error, self._store.directory) from error

    @contextmanager
    def transaction(self) -> Iterator[LmdbTransaction]:
        """Commits on a clean exit, aborts on an exception. One at a time; others wait.

        Raises:
            StoreWriteError: writing or committing failed, now or before: end the process. DiskFullError where that
                was the cause.
        """
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("this thread has a transaction open")
        with self._write_lock:
            self._refuse_if_ended()
            self._writing_thread = threading.get_ident()
            try:
                with self._store.env.begin(write=True) as txn:  # leaving it commits; an exception aborts
                    transaction = LmdbTransaction(txn, self._store.tables)
                    yield transaction
                    last_event = transaction.last_event()
            except lmdb.Error as error:
                self._failure = writing_error(error, self._store.directory)
                self._ring(self._last_event)
                raise self._failure from error
            finally:
                self._writing_thread = None
            self._ring(last_event)
            self._tell_of(transaction.changed_contents)

    def on_changed_contents(self, listener: Callable[[frozenset[ContentId]], None]) -> None:
        """Call it after each commit with the contents that may be in another group by it; see the port."""
        self._listeners.append(listener)

    def _tell_of(self, contents: set[ContentId]) -> None:
        if contents:
            for listener in self._listeners:
                listener(frozenset(contents))

    def copy_to(self, out: IO[bytes]) -> None:
        """Write a consistent copy of the LMDB file while everything goes on; it is a view for as long as it takes."""
        self._refuse_if_ended()
        try:
            self._store.env.copyfd(out.fileno(), compact=True)
        except lmdb.Error as error:
            self._refuse_if_ended()
            raise reading_error(error, self._store.directory) from error

    def give_back_pages(self) -> None:
        """Let go of the store's pages that this process has mapped; whoever reads one has it again."""
        give_back_pages(self._store.directory / "data.mdb")

    def wait_for_events(self, after: Sequence, timeout_s: float) -> bool:
        """True as soon as an event newer than `after` is committed; False at the timeout or when the library ends."""
        with self._bell:
            self._bell.wait_for(lambda: self._last_event > after or self._has_ended(), timeout_s)
            return self._last_event > after

    def close(self) -> None:
        """Wait for the transaction under way, note the clean end, close. Views still open fail from then on."""
        if not self._has_ended():
            # A failure here costs only the note: the next start says "not closed cleanly", as it should.
            with suppress(StoreWriteError), self.transaction() as txn:
                txn.mark_in_use(False, __version__)
        with self._write_lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._store.close()
        self._ring(self._last_event)

    def _ring(self, last_event: Sequence) -> None:
        with self._bell:
            self._last_event = last_event
            self._bell.notify_all()

    def _has_ended(self) -> bool:
        return self._is_closed or self._failure is not None

    def _refuse_if_ended(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        if self._is_closed:
            raise StopError(f"{self._store.directory}: the store is closed")
