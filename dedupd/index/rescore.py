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


def best_similarities(queries: Vectors, stored: Sequence[Vectors]) -> Similarities:
    """The best cosine between any query row and any view of each content, float32 [len(stored)]."""
    if not stored or not len(queries):
        return np.full(len(stored), -1, dtype=np.float32)
    best_of_view = (np.concatenate(stored) @ queries.T).max(axis=1)
    starts = np.cumsum([0, *(len(views) for views in stored[:-1])])
    return np.clip(np.maximum.reduceat(best_of_view, starts), -1, 1)  # rounding may give 1.0000001


def nearest(contents: Int64s, similarities: Similarities, limit: int, min_similarity: float) -> list[Neighbour]:
    """Up to `limit` contents of at least a similarity, the nearest first, the older content first when equal."""
    passing = np.flatnonzero(similarities >= min_similarity)
    order = passing[np.lexsort((contents[passing], -similarities[passing]))][:limit]
    return [
        Neighbour(content=ContentId(content), similarity=similarity)
        for content, similarity in zip(contents[order].tolist(), similarities[order].tolist(), strict=True)
    ]
