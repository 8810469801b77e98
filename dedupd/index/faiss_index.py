"""Nearest neighbours with FAISS: exact while the library is small, inverted lists when it has grown.

FAISS only names candidates; similarities come from the store's full-precision vectors, and the threshold is applied
to those. Does not persist itself (`snapshot` does) and starts no thread: the caller decides where `grow_if_due` runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.errors import DegradedError
from dedupd.core.ports import Neighbour
from dedupd.core.records import ContentId
from dedupd.index.faiss_binding import Flags, IdIndex, exact_index
from dedupd.index.inverted_lists import TRAINING_POINTS_PER_LIST, trained_lists
from dedupd.index.questions import Hits, LoadVectors, answers
from dedupd.index.read_write_lock import ReadWriteLock
from dedupd.index.views import ViewTable, checked_rows, checked_views, view_ids

OnDue = Callable[["FaissIndex"], None]

EXACT_BELOW = 8_192  # vectors; up to here an exact search costs at most 2 CPU-ms a picture, which asks with 27 vectors
_ASK_AT_ONCE = 2_048  # query rows in one search; more gain nothing
_LOAD_CHUNK = 512  # contents read from the store at a time, so that each of its views stays short
_SHRUNK = 0.25  # of the vectors that a kind begins at, or of its lists: below, the smaller kind is made
_DRIFTED = 0.5  # of the vectors added or removed since the lists were trained
_MAX_IMBALANCE = 3.0  # 1.5 to 2 after training; a search's time goes with it
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


_NO_HITS = (np.empty((0, 0), dtype=np.float32), np.empty((0, 0), dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSize:
    """What an index was when it was written."""

    kind: str  # "exact-fp16", "ivf1024-pq64x4"
    contents: int
    vectors: int


class FaissIndex:
    """The `VectorIndex` port over FAISS. One thread changes it; searches and one `grow_if_due` may run beside it.

    Args:
        dim: length of the vectors.
        load_vectors: reads full-precision vectors of contents from the store; called without the index's lock.
        exact_below: number of vectors from which inverted lists take over.
        held: what a snapshot held; None starts empty.
        on_due: told after an addition while another kind would be right; it must return at once.
    """

    def __init__(
        self,
        dim: int,
        load_vectors: LoadVectors,
        *,
        exact_below: int = EXACT_BELOW,
        held: Generation | None = None,
        on_due: OnDue | None = None,
    ) -> None:
        self.dim = dim
        self._load = load_vectors
        self._exact_below = exact_below
        self._on_due = on_due
        self._changes = 0  # vectors since the present kind was made or read
        self._lock = ReadWriteLock()
        self._held = held or Generation(exact_index(dim), ViewTable())
        self._missed: dict[ContentId, None] | None = None  # what changed while another is being built

    @property
    def kind(self) -> str:
        """What it is now, for status: "exact-fp16" or "ivf<lists>-pq<codes>x4"."""
        return self._held.vectors.kind

    def add(self, contents: Sequence[ContentId], vectors: Sequence[Vectors]) -> None:
        """Add or replace the views of each content (vectors[i] is [1 … 4, dim]); ValueError for other shapes."""
        new = {c: checked_views(c, v, self.dim) for c, v in zip(contents, vectors, strict=True)}
        with self._lock.writing():
            self._held.put(new)
            self._changes += sum(map(len, new.values()))
            if self._missed is not None:
                self._missed.update(dict.fromkeys(new))
            is_due = self._on_due is not None and self._missed is None and self._lists_due_by_size() is not None
        if is_due and self._on_due is not None:
            self._on_due(self)

    def remove(self, contents: Iterable[ContentId]) -> int:
        """Forget contents; returns how many were there. Unknown ones are no error."""
        gone = dict.fromkeys(contents)
        with self._lock.writing():
            if self._missed is not None:
                self._missed.update(gone)
            removed = self._held.drop(gone)
            self._changes += removed
            return removed

    def search(self, queries: Sequence[Vectors], *, limit: int, min_similarity: float) -> list[list[Neighbour]]:
        """For each picture's query vectors [q, dim]: up to `limit` contents, the nearest first, each once.

        Of each picture the first row, the whole of it, is searched furthest: it finds half of the hard copies. While
        the index is exact, so is the answer, but for what rounding to half precision may exchange at the end of a list
        that `limit` cut off.
        """
        rows = [checked_rows(query, self.dim, "the query vectors") for query in queries]
        found: list[list[Neighbour]] = []
        for some in _portions(rows, _ASK_AT_ONCE) if limit > 0 else ():
            found += answers(self._ask, self._load, some, limit, min_similarity)
        return found or [[] for _ in rows]

    def __len__(self) -> int:
        return len(self._held.views)

    def __contains__(self, content: object) -> bool:
        return isinstance(content, int) and self._held.views.get(content) > 0

    def write(self, sink: Callable[[bytes], object]) -> IndexSize:
        """Pass the whole index as bytes to `sink`, searches going on; call it from the thread that changes it."""
        with self._lock.writing():
            self._held.vectors.compact()
        with self._lock.reading():
            held = self._held
            held.vectors.write(sink)
            return IndexSize(kind=held.vectors.kind, contents=len(held.views), vectors=len(held.vectors))

    def grow_if_due(self) -> bool:
        """Build the index that this many vectors need, or as many lists for what they are like now; True when it did.

        May run in a thread of its own: searches and changes go on meanwhile, and changes are repeated on the new
        index before the exchange.

        Raises:
            DegradedError: the store has too few of the vectors; the index stays as it was.
        """
        with self._lock.writing():
            lists = self._lists_due()
            if lists is None or self._missed is not None:  # not due, or another thread is at it
                return False
            self._missed, self._changes = {}, 0
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
        """How many inverted lists there should be, 0 for none; None while the present index is right."""
        due, held = self._lists_due_by_size(), self._held.vectors
        # Other pictures than it was trained with: worth the look at every list only when many came or went.
        if due is None and held.lists and self._changes > _DRIFTED * len(held) and held.imbalance > _MAX_IMBALANCE:
            return lists_for(len(held))
        return due

    def _lists_due_by_size(self) -> int | None:
        held = self._held.vectors
        count, due = len(held), lists_for(len(held))
        if held.lists is None:
            return due if count >= self._exact_below else None
        if count < self._exact_below * _SHRUNK:
            return 0
        return due if due > held.lists or due < held.lists * _SHRUNK else None

    def _built(self, contents: list[ContentId], lists: int) -> Generation:
        """An index of so many lists that holds what the store has of these contents."""
        grown = Generation(self._trained(contents, lists) if lists else exact_index(self.dim), ViewTable())
        for some in _chunks(contents, _LOAD_CHUNK):
            grown.put(dict(self._loaded(some)))
        return grown

    def _trained(self, contents: list[ContentId], lists: int) -> IdIndex:
        """Empty inverted lists, around what a sample of these contents is like."""
        # No more vectors than k-means takes: it would copy as many once more.
        sample = np.empty((lists * TRAINING_POINTS_PER_LIST, self.dim), dtype=np.float32)
        enough = math.ceil(len(sample) * len(contents) / max(1, len(self._held.vectors)))
        chosen = np.random.default_rng(len(contents)).permutation(len(contents))[:enough]
        found = contents_found = 0
        for _, rows in self._loaded([contents[i] for i in np.sort(chosen).tolist()]):
            taken = rows[: len(sample) - found]
            sample[found : found + len(taken)] = taken
            found, contents_found = found + len(taken), contents_found + 1
        if found < lists:
            raise DegradedError(
                f"index: cannot grow to {lists} lists, the store has vectors for only {contents_found} of "
                f"{len(chosen)} contents; searches go on with the present index, `dedupd check` tests the store"
            )
        return trained_lists(sample[:found], lists)

    def _loaded(self, contents: Sequence[ContentId]) -> Iterable[tuple[ContentId, Vectors]]:
        for chunk in _chunks(contents, _LOAD_CHUNK):
            for content, rows in zip(chunk, self._load(chunk), strict=True):
                if rows is not None:
                    yield content, checked_views(content, rows, self.dim)

    def _exchange(self, grown: Generation) -> bool:
        """Repeat the changes that `grown` missed and put it in place; False when there were too many: once more."""
        with self._lock.writing():
            missed, self._missed = self._missed or {}, {}
            is_short = len(missed) <= _SWAP_BELOW
            if is_short:
                self._repeat(missed, grown)
                self._held, self._missed, self._changes = grown, None, 0
        if not is_short:
            self._repeat(missed, grown)
        return is_short

    def _repeat(self, changed: Iterable[ContentId], on: Generation) -> None:
        """Bring contents to what the store has of them and this index holds."""
        for some in _chunks(list(changed), _LOAD_CHUNK):
            on.drop(some)
            on.put(dict(self._loaded([content for content in some if content in self])))

    def _ask(self, rows: Vectors, is_whole: Flags, k: int) -> Hits:
        """What the index says to query rows, up to k vectors each; `is_whole` [rows]: which ones to search furthest."""
        with self._lock.reading():
            vectors = self._held.vectors
            total = len(vectors)
            if not total or not len(rows):
                return Hits(*_NO_HITS, 0.0, 0.0, is_estimate=False, is_all=True)
            similarities, ids = vectors.search(rows, min(k, total), is_whole)
            return Hits(
                similarities,
                ids,
                vectors.max_error,
                vectors.order_error,
                is_estimate=vectors.lists is not None,
                is_all=k >= total,
            )


def _portions(rows: Sequence[Vectors], most: int) -> Iterator[list[Vectors]]:
    """Pictures' rows, as many pictures at a time as have up to `most` rows, and one at least."""
    portion: list[Vectors] = []
    for row in rows:
        if portion and sum(map(len, portion)) + len(row) > most:
            yield portion
            portion = []
        portion.append(row)
    if portion:
        yield portion


def lists_for(vectors: int) -> int:
    """The number of inverted lists for a number of vectors: the power of two nearest to 2√n, at most n."""
    return int(min(2 ** round(math.log2(2 * math.sqrt(vectors))), vectors)) if vectors else 1


def _chunks(contents: Sequence[ContentId], size: int) -> Iterator[Sequence[ContentId]]:
    return (contents[start : start + size] for start in range(0, len(contents), size))
