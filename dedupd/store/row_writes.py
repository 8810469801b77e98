"""Writing rows, for all that a transaction is made of: one row, one model's number. Commits nothing."""

from __future__ import annotations

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.records import ModelTag
from dedupd.store import frame
from dedupd.store.environment import Table
from dedupd.store.rows import Rows

MOST_STORED = 4  # views of one content (core.ports.Descriptor)


class RowWrites(Rows):
    """See the module."""

    def _put(self, table: Table, key: bytes, body: bytes) -> None:
        self._txn.put(key, frame.framed(key, body), db=table.handle)

    def _delete(self, table: Table, key: bytes) -> bool:
        return self._txn.delete(key, db=table.handle)

    def _model_number(self, model: ModelTag) -> int:
        """The number that stands for a model, given to it now if it has none."""
        known = self._known_model(model)
        if known is not None:
            return known
        number = self._entries(self._tables.models) + 1
        self._put(self._tables.models, frame.model_key(number), model.encode())
        return number


def refuse_odd_vectors(vectors: Vectors, most: int, what: str) -> None:
    """ValueError for anything but float32 [1 … most, dim]; `what` is how the message calls them."""
    is_right = vectors.ndim == 2 and 1 <= vectors.shape[0] <= most and vectors.dtype == np.float32
    if not is_right or not 1 <= vectors.shape[1] <= 0xFFFF:
        raise ValueError(f"descriptor: {what} must be float32 [1 … {most}, dim], not {vectors.dtype} {vectors.shape}")
