"""Nearest neighbours with FAISS: exact while the library is small, inverted lists when it has grown.

FAISS only names candidates; similarities come from the store's full-precision vectors, and the threshold is applied
to those. Does not persist itself (`snapshot` does) and starts no thread: the caller decides where `grow_if_due` runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.errors import DegradedError
from dedupd.core.ports import Neighbour
from dedupd.core.records import ContentId
from dedupd.index.faiss_binding import TRAINING_POINTS_PER_LIST, IdIndex, exact_index, trained_lists
from dedupd.index.read_write_lock import ReadWriteLock
from dedupd.index.rescore import Similarities, best_similarities, nearest
from dedupd.index.views import MAX_VIEWS, Int64s, ViewTable, checked_rows, checked_views, view_ids

LoadVectors = Callable[[Sequence[ContentId]], list[Vectors | None]]  # None: the store no longer has the content

EXACT_BELOW = 50_000  # vectors; up to here an exact fp16 search costs at most 0.3 ms a query at 128 dimensions
_FIRST_FETCH = 32  # vectors asked for at first: most query rows have fewer near ones, and a long heap costs time
_OVER_FETCH = 32  # vectors asked for beyond what `limit` needs: rounding may change their order
_LOAD_CHUNK = 512  # contents read from the store at a time, so that each of its views stays short
_RESCORE_CHUNK = 32  # candidates to load at a time: few questions need more, and larger products wake BLAS's threads
_SWAP_BELOW = 256  # missed changes that may be applied while searches wait, about 20 ms


class Generation:
    """One FAISS index and the table of what it holds. Not thread-safe: its owner holds a lock or is alone with it."""

    def __init__(self, vectors: IdIndex, views: ViewTable) -> None:
        self.vectors = vectors
        self.views = views

    def put(self, new: Mapping[ContentId, Vectors]) -> None:
        """Add or replace contents; the vectors were checked."""
        self.drop(new)
        if new:
            ids = [i for content, rows in new.items() for i in view_ids(content, len(rows))]
            self.vectors.add(np.array(ids, dtype=np.int64), np.concatenate(list(new.values())))
        for content, rows in new.items():
            self.views.put(content, len(rows))

    def drop(self, contents: Iterable[ContentId]) -> int:
        """Remove contents; returns how many were there."""
        held = {content: views for content in contents if (views := self.views.get(content))}
        if held:
            ids = [i for content, views in held.items() for i in view_ids(content, views)]
            self.vectors.remove(np.array(ids, dtype=np.int64))
        for content in held:
            self.views.put(content, 0)
        return len(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSize:
    """What an index was when it was written."""

    kind: str  # "exact-fp16", "ivf1024-sq8"
    contents: int
    vectors: int


class FaissIndex:
    """The `VectorIndex` port over FAISS. One thread changes it; searches and one `grow_if_due` may run beside it.

    Args:
        dim: length of the vectors.
        load_vectors: reads full-precision vectors of contents from the store; called without the index's lock.
        exact_below: number of vectors from which inverted lists take over.
        held: what a snapshot held; None starts empty.
    """

    def __init__(
        self, dim: int, load_vectors: LoadVectors, *, exact_below: int = EXACT_BELOW, held: Generation | None = None
    ) -> None:
        self.dim = dim
        self._load = load_vectors
        self._exact_below = exact_below
        self._lock = ReadWriteLock()
        self._held = held or Generation(exact_index(dim), ViewTable())
        self._missed: dict[ContentId, Vectors | None] | None = None  # changes while a bigger one is being built

    @property
    def kind(self) -> str:
        """What it is now, for status: "exact-fp16" or "ivf<lists>-sq8"."""
        return self._held.vectors.kind

    def add(self, contents: Sequence[ContentId], vectors: Sequence[Vectors]) -> None:
        """Add or replace the views of each content (vectors[i] is [1 … 4, dim]); ValueError for other shapes."""
        new = {c: checked_views(c, v, self.dim) for c, v in zip(contents, vectors, strict=True)}
        with self._lock.writing():
            self._held.put(new)
            if self._missed is not None:
                self._missed.update(new)

    def remove(self, contents: Iterable[ContentId]) -> int:
        """Forget contents; returns how many were there. Unknown ones are no error."""
        gone = dict.fromkeys(contents)
        with self._lock.writing():
            if self._missed is not None:
                self._missed.update(gone)
            return self._held.drop(gone)

    def search(self, queries: Sequence[Vectors], *, limit: int, min_similarity: float) -> list[list[Neighbour]]:
        """For each picture's query vectors [q, dim]: up to `limit` contents, the nearest first, each once.

        While the index is exact, so is the answer, but for what rounding to half precision may exchange at the end of
        a list that `limit` cut off.
        """
        rows = [checked_rows(query, self.dim, "the query vectors") for query in queries]
        return [self._neighbours(picture, limit, min_similarity) for picture in rows]

    def __len__(self) -> int:
        return len(self._held.views)

    def __contains__(self, content: object) -> bool:
        return isinstance(content, int) and self._held.views.get(content) > 0

    def write(self, sink: Callable[[bytes], object]) -> IndexSize:
        """Pass the whole index as bytes to `sink`, searches going on; call it from the thread that changes it."""
        with self._lock.reading():
            held = self._held
            held.vectors.write(sink)
            return IndexSize(kind=held.vectors.kind, contents=len(held.views), vectors=len(held.vectors))

    def grow_if_due(self) -> bool:
        """Build the bigger index that this many vectors need and exchange it for this one; True when it did.

        May run in a thread of its own: searches and changes go on meanwhile, and changes are repeated on the new
        index before the exchange.

        Raises:
            DegradedError: the store has too few of the vectors; the index stays as it was.
        """
        with self._lock.writing():
            lists = self._lists_due()
            if lists is None or self._missed is not None:  # not due, or another thread is at it
                return False
            self._missed = {}
            contents = self._held.views.contents()
        try:
            grown = self._built(contents, lists)
            while not self._exchange(grown):
                pass
        finally:
            with self._lock.writing():
                self._missed = None
        return True

    def _lists_due(self) -> int | None:
        """The number of inverted lists to grow to; None while the present index is right."""
        count = len(self._held.vectors)
        lists, due = self._held.vectors.lists, lists_for(count)
        if lists is None:
            return due if count >= self._exact_below else None
        return due if due > lists else None

    def _built(self, contents: list[ContentId], lists: int) -> Generation:
        """Inverted lists that hold what the store has of these contents."""
        chosen = np.random.default_rng(len(contents)).permutation(len(contents))[: lists * TRAINING_POINTS_PER_LIST]
        sample = [rows for _, rows in self._loaded([contents[i] for i in np.sort(chosen).tolist()])]
        found = sum(map(len, sample))
        if found < lists:
            raise DegradedError(
                f"index: cannot grow to {lists} lists, the store has vectors for only {len(sample)} of {len(chosen)} "
                "contents; searches go on with the present index, `dedupd check` tests the store"
            )
        grown = Generation(trained_lists(np.concatenate(sample), lists), ViewTable())
        del sample
        for start in range(0, len(contents), _LOAD_CHUNK):
            grown.put(dict(self._loaded(contents[start : start + _LOAD_CHUNK])))
        return grown

    def _loaded(self, contents: Sequence[ContentId]) -> Iterable[tuple[ContentId, Vectors]]:
        for start in range(0, len(contents), _LOAD_CHUNK):
            chunk = contents[start : start + _LOAD_CHUNK]
            for content, rows in zip(chunk, self._load(chunk), strict=True):
                if rows is not None:
                    yield content, checked_views(content, rows, self.dim)

    def _exchange(self, grown: Generation) -> bool:
        """Repeat the changes that `grown` missed and put it in place; False when there were too many: once more."""
        with self._lock.writing():
            missed, self._missed = self._missed or {}, {}
            is_short = len(missed) <= _SWAP_BELOW
            if is_short:
                _repeat(missed, grown)
                self._held, self._missed = grown, None
        if not is_short:
            _repeat(missed, grown)
        return is_short

    def _neighbours(self, queries: Vectors, limit: int, min_similarity: float) -> list[Neighbour]:
        """The neighbours of one picture."""
        # A content has at most MAX_VIEWS views, so this many vectors hold `limit` contents if that many are near.
        enough = limit * MAX_VIEWS + _OVER_FETCH
        k, error = min(_FIRST_FETCH, enough), 0.0
        hits: list[tuple[Similarities, Int64s]] = []
        found: list[Neighbour] = []
        rows = queries if limit > 0 else queries[:0]
        while len(rows):
            with self._lock.reading():
                vectors = self._held.vectors
                total = len(vectors)
                if not total:
                    break
                similarities, ids = vectors.search(rows, min(k, total))
                error = max(error, vectors.max_error)
            floor = min_similarity - error
            is_near = (ids >= 0) & (similarities >= floor)
            hits.append((similarities[is_near], ids[is_near]))
            is_cut = is_near[:, -1] & (k < total)  # rows that may have more, though none above what they showed last
            best = _best_by_content(hits)
            unseen = similarities[is_cut, -1].max(initial=-1.0) + 2 * error
            if k >= enough or not is_cut.any() or (len(best[1]) >= limit and best[1][limit - 1] > unseen):
                found = self._rescored(queries, best, error, limit, min_similarity)
                if len(found) >= limit:
                    break
            rows = rows[is_cut]
            k = max(4 * k, enough)
        return found

    def _rescored(
        self,
        queries: Vectors,
        candidates: tuple[Int64s, Similarities],
        error: float,
        limit: int,
        min_similarity: float,
    ) -> list[Neighbour]:
        """The candidates with their true similarities, as many as the answer can depend on."""
        contents, rough = candidates
        kept: list[ContentId] = []
        exact: list[Similarities] = []
        found: list[Neighbour] = []
        for start in range(0, len(contents), _RESCORE_CHUNK):
            if len(found) == limit and rough[start] + error < found[-1].similarity:
                break
            chunk: list[ContentId] = contents[start : start + _RESCORE_CHUNK].tolist()
            loaded = [(c, v) for c, v in zip(chunk, self._load(chunk), strict=True) if v is not None]
            kept.extend(content for content, _ in loaded)
            exact.append(best_similarities(queries, [rows for _, rows in loaded]))
            found = nearest(np.array(kept, dtype=np.int64), np.concatenate(exact), limit, min_similarity)
        return found


def lists_for(vectors: int) -> int:
    """The number of inverted lists for a number of vectors: the power of two nearest to 4√n, at most n."""
    return int(min(2 ** round(math.log2(4 * math.sqrt(vectors))), vectors)) if vectors else 1


def _repeat(changes: Mapping[ContentId, Vectors | None], on: Generation) -> None:
    on.drop([content for content, rows in changes.items() if rows is None])
    on.put({content: rows for content, rows in changes.items() if rows is not None})


def _best_by_content(hits: Sequence[tuple[Similarities, Int64s]]) -> tuple[Int64s, Similarities]:
    """The contents among hits (similarities and ids), each once, with their best rough similarity, best first."""
    rough = np.concatenate([similarities for similarities, _ in hits])
    contents = np.concatenate([ids for _, ids in hits]) // MAX_VIEWS
    order = np.lexsort((contents, -rough))
    contents, rough = contents[order], rough[order]
    first = np.sort(np.unique(contents, return_index=True)[1])
    return contents[first], rough[first]
