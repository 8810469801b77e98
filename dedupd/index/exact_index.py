"""Nearest neighbours by brute force in numpy: what every other index must agree with.

Reads every vector for every question; for tests, small libraries and measurements. Owns its vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Neighbour
from dedupd.core.records import ContentId
from dedupd.index.rescore import Nearest, best_similarities
from dedupd.index.views import checked_rows, checked_views


class ExactIndex:
    """The `VectorIndex` port over float32 vectors [n, dim] in memory. Thread-safe."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._lock = Lock()
        self._vectors: dict[ContentId, Vectors] = {}

    def add(self, contents: Sequence[ContentId], vectors: Sequence[Vectors]) -> None:
        """Add or replace the views of each content (vectors[i] is [views, dim])."""
        new = {c: checked_views(c, v, self.dim) for c, v in zip(contents, vectors, strict=True)}
        with self._lock:
            self._vectors.update(new)

    def remove(self, contents: Iterable[ContentId]) -> int:
        """Forget contents; returns how many were there."""
        with self._lock:
            return sum(self._vectors.pop(content, None) is not None for content in contents)

    def search(self, queries: Sequence[Vectors], *, limit: int, min_similarity: float) -> list[list[Neighbour]]:
        """For each picture's query vectors [q, dim]: up to `limit` contents, the nearest first, each once."""
        with self._lock:
            contents, vectors = list(self._vectors), list(self._vectors.values())
        found: list[list[Neighbour]] = []
        for query in queries:
            rows = checked_rows(query, self.dim, "the query vectors")
            nearest = Nearest(limit, min_similarity)
            nearest.take(np.array(contents, dtype=np.int64), best_similarities([rows], [vectors])[0])
            found.append(nearest.neighbours())
        return found

    def __len__(self) -> int:
        return len(self._vectors)

    def __contains__(self, content: object) -> bool:
        return content in self._vectors
