"""Which directories hold known files, sorted, so that everything below one is a slice.

The intake stage owns one; without it, "what did this vanished folder hold" would read the whole store.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from dedupd.core.records import RootId


class KnownDirectories:
    """Relative directories by root."""

    def __init__(self) -> None:
        self._sorted: dict[RootId, list[bytes]] = {}

    def load(self, root: RootId, directories: Iterable[bytes]) -> None:
        """Begin with what the store knows."""
        self._sorted[root] = sorted(directories)

    def add(self, root: RootId, directory: bytes) -> None:
        """A file was registered in a directory."""
        known = self._sorted.setdefault(root, [])
        place = bisect_left(known, directory)
        if place == len(known) or known[place] != directory:
            insort(known, directory)

    def below(self, root: RootId, directory: bytes) -> list[bytes]:
        """The directory itself, where it is known, and all known ones below it."""
        known = self._sorted.get(root, [])
        if not directory:
            return list(known)
        own = bisect_left(known, directory)
        start = bisect_left(known, directory + b"/")
        end = bisect_left(known, directory + b"0")  # "0" follows "/"
        found = known[start:end]
        if own < len(known) and known[own] == directory:
            found.insert(0, directory)
        return found
