"""Similarities with full-precision vectors, and the threshold applied to those: the last word of every index.

Pure. A quantised index that applies the threshold to its own distances loses neighbours in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Neighbour
from dedupd.core.records import ContentId
from dedupd.index.views import Int64s

Similarities = npt.NDArray[np.float32]  # float32 [contents], -1 … 1


def best_similarities(queries: Sequence[Vectors], stored: Sequence[Sequence[Vectors]]) -> list[Similarities]:
    """For each picture's query rows [q, dim] and its contents' views: the best cosine between any row and any view.

    Returns:
        One array [contents] a picture. Pictures compared together get what each gets alone.
    """
    views = [rows for some in stored for rows in some]
    if not views:
        return [np.empty(0, dtype=np.float32) for _ in queries]
    rows = np.concatenate(views)
    starts = np.cumsum([0, *map(len, views)])
    ends = np.cumsum([len(some) for some in stored])
    best_of_view = np.empty(len(rows), dtype=np.float32)
    for query, end, some in zip(queries, ends.tolist(), stored, strict=True):
        own = slice(starts[end - len(some)], starts[end])
        best_of_view[own] = (rows[own] @ query.T).max(axis=1, initial=-1)
    best = np.clip(np.maximum.reduceat(best_of_view, starts[:-1]), -1, 1)  # rounding may give 1.0000001
    return np.split(best, ends[:-1])


class Nearest:
    """Up to `limit` contents of at least a similarity, the nearest first, the older content first when equal."""

    def __init__(self, limit: int, min_similarity: float) -> None:
        self._limit = limit
        self._contents = np.empty(0, dtype=np.int64)
        self._similarities = np.empty(0, dtype=np.float32)
        self.least = min_similarity  # what is less near changes nothing

    def take(self, contents: Int64s, similarities: Similarities) -> bool:
        """Take in contents that are not among these yet; whether any of them came among the nearest."""
        passing = similarities >= self.least
        if not passing.any():
            return False
        every = np.concatenate([self._contents, contents[passing]])
        near = np.concatenate([self._similarities, similarities[passing]])
        order = np.lexsort((every, -near))[: self._limit]
        brings_any = len(every) <= self._limit or not np.array_equal(every[order], self._contents)
        self._contents, self._similarities = every[order], near[order]
        if self.is_full and self._limit:
            self.least = max(self.least, float(self._similarities[-1]))
        return brings_any

    @property
    def is_full(self) -> bool:
        return len(self._contents) == self._limit

    def neighbours(self) -> list[Neighbour]:
        return [
            Neighbour(content=ContentId(content), similarity=similarity)
            for content, similarity in zip(self._contents.tolist(), self._similarities.tolist(), strict=True)
        ]
