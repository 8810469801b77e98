"""A bounded set of directories to look at, merged as they come, between one thread that marks and one that takes.

Both sides of the watcher's socket keep one, so neither can run out of memory in a storm. Too much of it costs
precision, never a change: a root with too many entries becomes one, "everything below".
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from dedupd.sources.watch_wire import Dirt

DIRECTORIES_A_ROOT = 4_096  # past it a walk of the root costs less than the bookkeeping
CLOSED_NAMES = 65_536  # past it names are dropped; their files only settle later


class DirtySet:
    """Dirty directories by root. Thread-safe."""

    def __init__(self, directories_a_root: int = DIRECTORIES_A_ROOT) -> None:
        self._limit = directories_a_root
        self._has_some = threading.Condition()
        self._roots: dict[int, dict[bytes, tuple[set[bytes], bool]]] = {}
        self._closed_names = 0
        self._is_closed = False

    def mark(self, root: int, directory: bytes, *, closed: Iterable[bytes] = (), is_recursive: bool = False) -> None:
        """Add a directory, or to what is known of it."""
        with self._has_some:
            directories = self._roots.setdefault(root, {})
            names, was_recursive = directories.get(directory, (set(), False))
            if self._closed_names < CLOSED_NAMES:
                before = len(names)
                names.update(closed)
                self._closed_names += len(names) - before
            directories[directory] = (names, was_recursive or is_recursive)
            if len(directories) > self._limit:
                self._closed_names -= sum(len(names) for names, _ in directories.values())
                self._roots[root] = {b"": (set(), True)}
            self._has_some.notify()

    def take(self, timeout_s: float | None) -> list[Dirt]:
        """Everything marked since the last call, as soon as there is something; empty after the timeout or close."""
        with self._has_some:
            self._has_some.wait_for(lambda: self._roots or self._is_closed, timeout_s)
            roots, self._roots, self._closed_names = self._roots, {}, 0
        return [
            Dirt(root=root, directory=directory, closed=frozenset(names), is_recursive=is_recursive)
            for root, directories in roots.items()
            for directory, (names, is_recursive) in directories.items()
        ]

    def close(self) -> None:
        """Wake whoever waits; nothing more is coming."""
        with self._has_some:
            self._is_closed = True
            self._has_some.notify_all()
