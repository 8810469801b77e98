"""A change source that reports nothing: a one-shot scan lists everything itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from dedupd.core.ports import DirtyDirectory, WatchHealth
from dedupd.core.records import RootRecord


class NoChanges:
    """Implements the `ChangeSource` port for a process that does not watch."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def start(self, roots: Sequence[RootRecord]) -> None:
        """Watch nothing."""

    def set_roots(self, roots: Sequence[RootRecord]) -> None:
        """Watch nothing still."""

    def take(self, timeout_s: float) -> list[DirtyDirectory]:
        """Wait for as long as asked; nothing becomes dirty."""
        self._closed.wait(timeout_s)
        return []

    def health(self) -> list[WatchHealth]:
        """Nothing is watched, so nothing is unwell."""
        return []

    def close(self) -> None:
        """End a wait."""
        self._closed.set()
