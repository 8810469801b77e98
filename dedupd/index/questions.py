"""From what an index names to neighbours: pictures that ask together, compared with the store's vectors together.

Each is answered by what was said to its own rows alone. Owns nothing; the caller says how an index is
asked and how the store is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Neighbour
from dedupd.core.records import ContentId
from dedupd.index.faiss_binding import Flags
from dedupd.index.rescore import Nearest, Similarities, best_similarities
from dedupd.index.views import MAX_VIEWS, Int64s

LoadVectors = Callable[[Sequence[ContentId]], list[Vectors | None]]  # None: the store no longer has the content

_FIRST_FETCH = 32  # vectors asked for at first: most query rows have fewer near ones, and a long heap costs time
_OVER_FETCH = 32  # vectors asked for beyond what `limit` needs: rounding may change their order
_LOADED_AT_ONCE = 512  # contents read from the store, so that each of its views stays short
_RANKED_AT_FIRST = 256  # hits of a picture brought into order: most need half as many
_COMPARED_AT_ONCE = 32  # candidates of a picture: few need more, and larger products wake BLAS's threads


@dataclass(frozen=True, slots=True)
class Hits:
    """What an index said to query rows."""

    similarities: Similarities  # [rows, k]
    ids: Int64s
    max_error: float  # of a similarity
    order_error: float
    is_estimate: bool
    is_all: bool  # whether k was the whole index

    def of(self, rows: slice) -> Hits:
        """Of some of the rows."""
        return replace(self, similarities=self.similarities[rows], ids=self.ids[rows])


Ask = Callable[[Vectors, Flags, int], Hits]  # query rows, which of them to search furthest, vectors for each


def answers(
    ask: Ask, load: LoadVectors, pictures: Sequence[Vectors], limit: int, min_similarity: float
) -> list[list[Neighbour]]:
    """For each picture's query vectors [q, dim]: up to `limit` ≥ 1 contents, the nearest first, each once."""
    # A content has at most MAX_VIEWS views, so this many vectors hold `limit` contents if that many are near.
    enough = limit * MAX_VIEWS + _OVER_FETCH
    k = min(_FIRST_FETCH, enough)
    questions = [_Question(queries, Nearest(limit, min_similarity)) for queries in pictures]
    asking = [question for question in questions if len(question.rows)]
    while asking:
        # Rows share what they read, but longer lists for all of them at once would take much memory.
        for some in [asking] if k <= _FIRST_FETCH else [[question] for question in asking]:
            _tell(ask, some, k, min_similarity)
        _compare(load, [q for q in asking if k >= enough or q.has_enough(limit)], limit, min_similarity)
        asking = [question for question in asking if len(question.rows) and not question.nearest.is_full]
        k = max(4 * k, enough)
    return [question.nearest.neighbours() for question in questions]


def _tell(ask: Ask, questions: Sequence[_Question], k: int, min_similarity: float) -> None:
    """Ask the index for these in one search."""
    told = ask(np.concatenate([q.rows for q in questions]), np.concatenate([q.is_whole for q in questions]), k)
    ends = np.cumsum([len(question.rows) for question in questions]).tolist()
    for question, end in zip(questions, ends, strict=True):
        question.take(told.of(slice(end - len(question.rows), end)), min_similarity)


class _Question:
    """One picture's, while it is answered."""

    def __init__(self, queries: Vectors, nearest: Nearest) -> None:
        self.queries = queries
        self.nearest = nearest  # so far
        self.rows = queries  # that may have more to tell
        self.is_whole: Flags = np.arange(len(queries)) == 0  # [rows]
        self.contents: Int64s = np.empty(0, dtype=np.int64)  # candidates, the best first: as many as were wanted yet
        self.order_error = 0.0
        self.is_estimate = False
        self.looked_at = 0  # candidates that the store had
        self._rough: Similarities = np.empty(0, dtype=np.float32)  # of candidates
        self._are_more = False
        self._hits: list[tuple[Similarities, Int64s]] = []
        self._unseen = -1.0  # the best similarity that what was not named may have

    def take(self, told: Hits, min_similarity: float) -> None:
        """Put what was said to `rows` among the candidates; left are rows that may have more, none above their last."""
        if not told.ids.size:  # the index is empty
            self.rows, self.is_whole = self.rows[:0], self.is_whole[:0]
            return
        is_near = (told.ids >= 0) & (told.similarities >= min_similarity - told.max_error)
        self._hits.append((told.similarities[is_near], told.ids[is_near]))
        self._rank(_RANKED_AT_FIRST)
        self.order_error, self.is_estimate = told.order_error, told.is_estimate
        last = told.similarities[:, -1]
        is_cut = (last >= min_similarity - told.order_error) & (not told.is_all)
        self._unseen = float(last[is_cut].max(initial=-1.0)) + (0.0 if told.is_estimate else told.order_error)
        self.rows, self.is_whole = self.rows[is_cut], self.is_whole[is_cut]

    def has_enough(self, limit: int) -> bool:
        """Whether nothing was left unnamed, or only what is less near than `limit` candidates."""
        if len(self._rough) < limit and self._are_more:
            self._rank(None)
        return not len(self.rows) or (len(self._rough) >= limit and float(self._rough[limit - 1]) > self._unseen)

    def _rank(self, most: int | None) -> None:
        """Bring the best `most` hits into order, or all of them; those in order keep their places."""
        similarities = np.concatenate([similarities for similarities, _ in self._hits])
        ids = np.concatenate([ids for _, ids in self._hits])
        self._are_more = most is not None and len(ids) > most
        if most is not None and self._are_more:
            best = similarities >= np.partition(similarities, -most)[-most]
            similarities, ids = similarities[best], ids[best]
        self.contents, self._rough = best_by_content(similarities, ids)

    def can_gain(self, start: int) -> bool:
        """Whether candidates from `start` on can change the answer."""
        if start + _COMPARED_AT_ONCE > len(self.contents) and self._are_more:
            self._rank(None)
        if start >= len(self.contents):
            return False
        return not self.nearest.is_full or float(self._rough[start]) + self.order_error >= self.nearest.least


def _compare(load: LoadVectors, questions: Sequence[_Question], limit: int, min_similarity: float) -> None:
    """Give candidates their true similarities, a portion of each picture's at a time, as many as the answers need."""
    for question in questions:
        question.nearest, question.looked_at = Nearest(limit, min_similarity), 0
    going_on, start = list(questions), 0
    while going_on := [question for question in going_on if question.can_gain(start)]:
        named = [question.contents[start : start + _COMPARED_AT_ONCE].tolist() for question in going_on]
        loaded = iter(_loaded(load, list(chain.from_iterable(named))))
        found = [[(c, v) for c, v in zip(some, loaded) if v is not None] for some in named]  # noqa: B905
        similarities = best_similarities(
            [question.queries for question in going_on], [[rows for _, rows in some] for some in found]
        )
        brought = [
            question.nearest.take(np.array([content for content, _ in some], dtype=np.int64), similar)
            for question, some, similar in zip(going_on, found, similarities, strict=True)
        ]
        for question, some in zip(going_on, found, strict=True):
            question.looked_at += len(some)
        going_on = [
            question
            for question, some, brings_any in zip(going_on, found, brought, strict=True)
            if brings_any or not some or not question.is_estimate or question.looked_at < limit
        ]
        start += _COMPARED_AT_ONCE


def _loaded(load: LoadVectors, contents: Sequence[ContentId]) -> list[Vectors | None]:
    return [
        rows
        for begin in range(0, len(contents), _LOADED_AT_ONCE)
        for rows in load(contents[begin : begin + _LOADED_AT_ONCE])
    ]


def best_by_content(similarities: Similarities, ids: Int64s) -> tuple[Int64s, Similarities]:
    """The contents among hits, each once, with their best rough similarity, best first."""
    contents = ids // MAX_VIEWS
    order = np.argsort(contents)
    contents = contents[order]
    firsts = np.flatnonzero(np.diff(contents, prepend=-1))
    rough = similarities[order]
    best = np.maximum.reduceat(rough, firsts) if len(firsts) else rough
    order = np.argsort(-best, kind="stable")  # of equal ones the older first
    return contents[firsts][order], best[order]
