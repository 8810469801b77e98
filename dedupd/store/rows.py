"""Reads rows of LMDB's tables within one transaction: one body, all with a prefix, how many. Knows no record.

Hands out copies, never LMDB's own memory. Owns nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

import lmdb

from dedupd.core.records import ModelTag
from dedupd.store import frame
from dedupd.store.environment import Table, Tables

_FIRST_CHUNK = 8  # rows read ahead; few at first, as most ranges are the files of one content
_LAST_CHUNK = 1024


class Rows:
    """What every look at the store is made of. A table that an older dedupd did not make is empty."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: Tables) -> None:
        self._txn = txn
        self._tables = tables

    def _body(self, table: Table, key: bytes) -> bytes | None:
        value = None if table.handle is None else self._txn.get(key, None, table.handle)
        return None if value is None else frame.unframed(table.name, key, value)

    def _number(self, name: bytes) -> int:
        body = self._body(self._tables.meta, name)
        return 0 if body is None else frame.number_from("meta", name, body)

    def _known_model(self, model: ModelTag) -> int | None:
        """The number that stands for a model; None while nothing is stored of it."""
        table, body = self._tables.models, model.encode()
        for key, value in self._scan(table):
            if frame.unframed(table.name, key, value) == body:
                return int.from_bytes(key, "big")
        return None

    def _entries(self, table: Table) -> int:
        return 0 if table.handle is None else self._txn.stat(table.handle)["entries"]

    def _count_keys(self, table: Table, prefix: bytes) -> int:
        """How many keys begin with `prefix`."""
        with self._txn.cursor(table.handle) as cursor:
            if not cursor.set_range(prefix):
                return 0
            return sum(1 for _ in takewhile(lambda key: key.startswith(prefix), cursor.iternext(values=False)))

    def _chunks(
        self, table: Table, prefix: bytes = b"", start: bytes = b"", size: int = _FIRST_CHUNK
    ) -> Iterator[list[tuple[bytes, bytes]]]:
        """The rows whose keys begin with `prefix`, from `start` on, in lists that grow.

        No cursor stays open while the caller works, so changes meanwhile cannot upset it.
        """
        if table.handle is None:
            return
        start = start or prefix
        while True:
            with self._txn.cursor(table.handle) as cursor:
                if not cursor.set_range(start):
                    return
                chunk = list(islice(cursor.iternext(), size))
            if not chunk[-1][0].startswith(prefix):
                inside = [row for row in chunk if row[0].startswith(prefix)]
                if inside:
                    yield inside
                return
            yield chunk
            if len(chunk) < size:
                return
            start = chunk[-1][0] + b"\0"  # the smallest key after it
            size = min(size * 8, _LAST_CHUNK)

    def _scan(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for chunk in self._chunks(table, prefix, start):
            yield from chunk
