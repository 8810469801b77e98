"""A lock that many searches share and one change holds alone.

A waiting change goes before new searches, so a stream of questions cannot hold up indexing. Not reentrant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class ReadWriteLock:
    """Shared for reading, exclusive for writing, writers first."""

    def __init__(self) -> None:
        self._free = Condition()
        self._readers = 0
        self._waiting_writers = 0
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold it together with other readers."""
        with self._free:
            self._free.wait_for(lambda: not self._is_writing and not self._waiting_writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._free:
                self._readers -= 1
                self._free.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold it alone."""
        with self._free:
            self._waiting_writers += 1
            try:
                self._free.wait_for(lambda: not self._is_writing and not self._readers)
                self._is_writing = True
            finally:
                self._waiting_writers -= 1
        try:
            yield
        finally:
            with self._free:
                self._is_writing = False
                self._free.notify_all()
