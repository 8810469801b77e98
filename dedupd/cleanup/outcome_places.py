"""Where in the journal outcomes stand, so that they need not be in memory: a mark for each file and every so many.

Pure bookkeeping in memory; reads no disk. Used by one thread at a time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from dedupd.cleanup.journal import Position

_EVERY = 256  # outcomes; so many records more are read than are asked for


class OutcomePlaces:
    """Finds the position from which on an outcome is met. Sequences come in order, without a gap."""

    def __init__(self) -> None:
        self._sequences = array("Q")  # the first of the record at each mark
        self._files, self._offsets, self._lines = array("Q"), array("Q"), array("Q")

    def note(self, sequence: int, at: Position) -> None:
        """Take in where the record stands whose first outcome this is."""
        is_same_file = bool(self._files) and self._files[-1] == at.file
        if is_same_file and sequence < self._sequences[-1] + _EVERY:
            return
        self._sequences.append(sequence)
        self._files.append(at.file)
        self._offsets.append(at.offset)
        self._lines.append(at.line)

    def find(self, sequence: int) -> Position | None:
        """The last mark at which it has not come yet, or comes; None where there is none."""
        mark = bisect_right(self._sequences, sequence) - 1
        if mark < 0:
            return None
        return Position(self._files[mark], self._offsets[mark], self._lines[mark])
