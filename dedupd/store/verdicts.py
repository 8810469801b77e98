"""Reads what people said of pictures and what was cleaned up: the part of the `LibraryView` port that goes by digest.

None of it hangs on a row of a file or a content, so it outlives them. Owns nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store import frame, verdict_codec
from dedupd.store.rows import Rows


class VerdictsView(Rows):
    """See `core.ports.LibraryView`."""

    def verdict(self, one: bytes, other: bytes) -> NotDuplicate | None:
        """What a person said of two digests, named in any order."""
        key = verdict_codec.verdict_key(one, other)
        body = self._body(self._tables.verdicts, key) if key else None  # LMDB has no empty keys
        return None if body is None else verdict_codec.verdict_from(key, body)

    def verdicts(self) -> list[NotDuplicate]:
        """All that was said of pairs, by digest."""
        table = self._tables.verdicts
        rows = self._scan(table)
        return [verdict_codec.verdict_from(key, frame.unframed(table.name, key, value)) for key, value in rows]

    def pin(self, digest: bytes) -> Pin | None:
        """That a person said to keep a content."""
        body = self._body(self._tables.pins, digest) if digest else None
        return None if body is None else verdict_codec.pin_from(digest, body)

    def pins(self) -> list[Pin]:
        """All pins, by digest."""
        table = self._tables.pins
        return [verdict_codec.pin_from(key, frame.unframed(table.name, key, value)) for key, value in self._scan(table)]

    def tombstone(self, digest: bytes) -> Tombstone | None:
        """That a clean-up took a file of this content away, the last time that it did."""
        body = self._body(self._tables.tombstones, digest) if digest else None
        return None if body is None else verdict_codec.tombstone_from(digest, body)

    def tombstones(self) -> Iterator[Tombstone]:
        """All of them, by digest."""
        table = self._tables.tombstones
        for key, value in self._scan(table):
            yield verdict_codec.tombstone_from(key, frame.unframed(table.name, key, value))
