"""Vectors in inverted lists: what a library of more than some thousand pictures is searched with.

Half a byte for two values of a vector (product quantisation, scanned 32 vectors at a time: FAISS's fast scan). Its
similarities are estimates that only order candidates. Not thread-safe; knows nothing of contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Vectors
from dedupd.index.faiss_binding import (
    Flags,
    IdIndex,
    Similarities,
    faiss,
    is_exact_of_ours,
    use_free_cores,
    use_threads,
)
from dedupd.index.views import Int64s

# docs/decisions/0024, 0028 and 0032: measured on a million made pictures.
TRAINING_POINTS_PER_LIST = 40  # FAISS warns below 39; more did not raise recall
_ROUNDS = 6  # of k-means
_PROBES = 24  # lists that a search looks into
_FAR_PROBES = 256  # at least, for a row that decides more often than the others
_FAR_SHARE = 3 / 16  # of the lists, for such a row
_SEARCH_CORES = 2  # more were not tried
_BLAS_FROM = 512  # values of the queries from which their product with the centres is BLAS's: FAISS has 128,000
_BITS = 4  # a code, which is what fast scan takes
_CODES_MAX = 256  # of one vector: their sum of bytes is kept in 16 bits
_SHORT = 64  # values, up to which each has a code of its own
_PQ_TRAINING = 40_000  # vectors; 16 centres a code need far fewer
# An estimate minus the true similarity: mean -0.04, standard deviation 0.04 where the true one is over 0.5.
_ORDER_ERROR = 0.08
_MAX_ERROR = 2.0  # a vector unlike all that were trained with may be estimated at anything

_MAX_DEAD = 0.05  # of all vectors: removed ones that stay in place until all are dropped at once, some 50 ms a million
_MIN_DEAD = 1_000
_DEAD = -1  # FAISS's own word for "nothing"
_NOWHERE = 0xFFFF
_READ_AT_ONCE = 256  # lists whose ids are put into the table together: the pages that they are in are looked up once
_NO_LIST = -1  # FAISS passes it over
_PAGE = 1 << 16  # ids in a page of the table

Codes = npt.NDArray[np.uint8]  # uint8 [vectors, bytes of a code]
Number = TypeVar("Number", np.int64, np.float32)
Places = npt.NDArray[np.uint16]


class InvertedLists(IdIndex):
    """An `IdIndex` whose searches look into the lists nearest to the query."""

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM  # of the process, which has no other use of it
        # More than there are: FAISS 1.15.1 answers nonsense.
        self._near = min(_PROBES, index.nlist)
        self._far = min(max(_FAR_PROBES, round(_FAR_SHARE * index.nlist)), index.nlist)
        index.nprobe = max(self._near, -(-self._far // 2))  # the width of what `search` hands over
        self._lists = faiss.downcast_InvertedLists(index.invlists)
        centres = faiss.downcast_index(index.quantizer)
        self._centres = faiss.rev_swig_ptr(centres.get_xb(), index.nlist * self.dim).reshape(index.nlist, self.dim)
        self._packer = index.get_CodePacker()
        self._list_of = _ListTable()
        self._dead = 0
        for begin in range(0, index.nlist, _READ_AT_ONCE):
            ids = [self._ids_in(number) for number in range(begin, min(begin + _READ_AT_ONCE, index.nlist))]
            self._list_of.put(np.concatenate(ids), np.repeat(np.arange(begin, begin + len(ids)), list(map(len, ids))))

    @property
    def lists(self) -> int:
        """The number of inverted lists."""
        return int(self._index.nlist)

    @property
    def kind(self) -> str:
        """Lists, codes and bits a code."""
        return f"ivf{self.lists}-pq{self._index.pq.M}x{_BITS}"

    @property
    def max_error(self) -> float:
        """The whole range: there is no bound, and whatever is among the best estimates is looked at in full."""
        return _MAX_ERROR

    @property
    def order_error(self) -> float:
        """By how much two estimates differ when their order is most likely right."""
        return _ORDER_ERROR

    @property
    def imbalance(self) -> float:
        """Mean list length as a vector sees it over the mean length: 1 when all are equal, 1.5 to 2 after training."""
        lengths = np.array([self._lists.list_size(number) for number in range(self.lists)], dtype=np.float64)
        total = lengths.sum()
        return float((lengths**2).sum() * self.lists / total**2) if total else 1.0

    def __len__(self) -> int:
        return int(self._index.ntotal) - self._dead

    def add(self, ids: Int64s, vectors: Vectors) -> None:
        """Add vectors [n, dim] under ids [n] that are not in use.

        Each list is named once: FAISS's own addition does not tell which one it took. What comes of it is the same.
        """
        if not len(ids):
            return
        use_threads(1)
        vectors = np.ascontiguousarray(vectors)
        lists = self._index.quantizer.search(vectors, 1)[1][:, 0]
        codes = np.empty((len(ids), self._index.code_size), dtype=np.uint8)
        self._index.encode_vectors(
            len(ids), faiss.swig_ptr(vectors), faiss.swig_ptr(lists), faiss.swig_ptr(codes), False
        )
        order = np.argsort(lists, kind="stable")
        ids_in_order, codes = ids[order], codes[order]
        numbers, begins = np.unique(lists[order], return_index=True)
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), [*begins[1:].tolist(), len(ids)], strict=True):
            self._append(number, ids_in_order[begin:end], codes[begin:end])
        self._index.ntotal += len(ids)
        self._list_of.put(ids, lists)

    def search(self, queries: Vectors, k: int, is_far: Flags | None = None) -> tuple[Similarities, Int64s]:
        """The k best of each query by estimate; among them removed ones, as id -1, that are still in place."""
        use_free_cores(_SEARCH_CORES)
        k = k if k < len(self) else max(k, int(self._index.ntotal))
        is_far = np.zeros(len(queries), dtype=np.bool_) if is_far is None else is_far
        far, near = queries[is_far], queries[~is_far]
        # One call, so that rows share the lists that they have in common. It begins and ends with the rows that look
        # far, each time into half of their lists: of two threads, each gets one half of the rows.
        half = self._index.nprobe
        far_lists, far_products = self._most_lists(far, self._far, 2 * half)
        lists, products = self._nearest_lists(near, self._near, half)
        similarities, ids = self._index.search_preassigned(
            np.concatenate([far, near, far]),
            k,
            np.concatenate([far_lists[:, :half], lists, far_lists[:, half:]]),
            np.concatenate([far_products[:, :half], products, far_products[:, half:]]),
        )
        of_far = [np.concatenate([told[: len(far)], told[len(queries) :]], axis=1) for told in (similarities, ids)]
        best = np.argsort(-of_far[0], axis=1, kind="stable")[:, :k]
        place = np.argsort(np.argsort(~is_far, kind="stable"))  # of each query in what was asked
        asked = slice(len(far), len(queries))
        similarities, ids = (
            np.concatenate([np.take_along_axis(told_far, best, axis=1), told[asked]])[place]
            for told_far, told in zip(of_far, (similarities, ids), strict=True)
        )
        return similarities, ids

    def remove(self, ids: Int64s) -> int:
        """Remove ids; returns how many were there. Their places stay until there are many such."""
        use_threads(1)
        gone = sum(
            self._bury(id_, number) for id_, number in zip(ids.tolist(), self._list_of.get(ids).tolist(), strict=True)
        )
        self._list_of.put(ids, _NOWHERE)
        self._dead += gone
        if self._dead > max(_MIN_DEAD, _MAX_DEAD * self._index.ntotal):
            self.compact()
        return gone

    def ids(self) -> Int64s:
        """Every id held, in no order."""
        every = np.concatenate([self._ids_in(number) for number in range(self.lists)])
        living: Int64s = every[every != _DEAD]
        return living

    def compact(self) -> None:
        """Drop what removals left in place."""
        if self._dead:
            self._index.remove_ids(faiss.IDSelectorRange(_DEAD, _DEAD + 1))
            self._dead = 0

    def _append(self, number: int, ids: Int64s, codes: Codes) -> None:
        """Put ids with their codes at the end of a list."""
        size = self._lists.list_size(number)
        self._lists.resize(number, size + len(ids))
        blocks = self._lists.get_codes(number)
        for place, code in enumerate(codes, start=size):
            self._packer.pack_1_c(faiss.swig_ptr(code), place, blocks)
        self._ids_in(number)[size:] = ids

    def _nearest_lists(self, rows: Vectors, probes: int, width: int) -> tuple[Int64s, Similarities]:
        """The lists nearest to each row, and its products with their centres: [rows, width], more than there are -1."""
        products, lists = self._index.quantizer.search(rows, probes)
        return _padded(lists, _NO_LIST, width), _padded(products, 0, width)

    def _most_lists(self, rows: Vectors, probes: int, width: int) -> tuple[Int64s, Similarities]:
        """The same in no order, which takes half the time where many lists are near ones."""
        products = rows @ self._centres.T
        lists = np.argpartition(products, self.lists - probes, axis=1)[:, self.lists - probes :]
        return _padded(lists, _NO_LIST, width), _padded(np.take_along_axis(products, lists, axis=1), 0, width)

    def _bury(self, id_: int, number: int) -> bool:
        """Take one id out of its list; whether it was anywhere."""
        if number == _NOWHERE:
            return False
        ids = self._ids_in(number)
        [places] = np.nonzero(ids == id_)
        ids[places] = _DEAD
        return len(places) > 0

    def _ids_in(self, number: int) -> Int64s:
        """The ids of one list, in place."""
        size = self._lists.list_size(number)
        ids: Int64s = faiss.rev_swig_ptr(self._lists.get_ids(number), size) if size else np.empty(0, dtype=np.int64)
        return ids


class _ListTable:
    """Which list an id is in: two bytes each, ids being given one after the other. A hash table takes 50."""

    def __init__(self) -> None:
        self._pages: dict[int, Places] = {}

    def put(self, ids: Int64s, lists: Int64s | int) -> None:
        if not len(ids):
            return
        order = np.argsort(ids)
        ids, numbers = ids[order], np.broadcast_to(np.asarray(lists, dtype=np.uint16), ids.shape)[order]
        pages, begins = np.unique(ids // _PAGE, return_index=True)
        for page, begin, end in zip(pages.tolist(), begins.tolist(), [*begins[1:].tolist(), len(ids)], strict=True):
            if page not in self._pages:
                self._pages[page] = np.full(_PAGE, _NOWHERE, dtype=np.uint16)
            self._pages[page][ids[begin:end] % _PAGE] = numbers[begin:end]

    def get(self, ids: Int64s) -> Places:
        found = np.full(len(ids), _NOWHERE, dtype=np.uint16)
        for place, id_ in enumerate(ids.tolist()):
            if (page := self._pages.get(id_ // _PAGE)) is not None:
                found[place] = page[id_ % _PAGE]
        return found


def _padded(rows: npt.NDArray[Number], value: int, width: int) -> npt.NDArray[Number]:
    """Rows of up to `width` values, filled up with `value`."""
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=value)


def trained_lists(sample: Vectors, lists: int) -> InvertedLists:
    """An empty index of `lists` inverted lists around the k-means centres of a sample [n ≥ lists, dim]."""
    use_threads(1)
    dim = sample.shape[1]
    sample = np.resize(sample, (max(len(sample), 1 << _BITS), dim))  # as many as a code has values, by repetition
    centres = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFPQFastScan(centres, dim, lists, codes_for(dim), _BITS, faiss.METRIC_INNER_PRODUCT)
    index.own_fields = True
    centres.this.own(False)
    index.by_residual = True  # what few pictures are like (black frames, blank pages) is held by their list's centre
    index.cp.niter = _ROUNDS
    index.cp.min_points_per_centroid = 1  # small libraries and tests: no warning on standard error
    index.cp.max_points_per_centroid = TRAINING_POINTS_PER_LIST
    index.pq.cp.min_points_per_centroid = 1
    index.train(sample)
    _lengthen_codes(index, sample[:_PQ_TRAINING])
    return InvertedLists(index)


def codes_for(dim: int) -> int:
    """Codes of a vector: one for two values; for 4, 8, … where that would be too many; for one in short vectors."""
    share = 2 if dim % 2 == 0 and dim > _SHORT else 1
    while dim // share > _CODES_MAX and dim % (2 * share) == 0:
        share *= 2
    return dim // share


def read_index(path: Path) -> IdIndex:
    """Read what `IdIndex.write` wrote. Only for bytes whose digest was checked: FAISS may abort on others.

    Raises:
        ValueError: FAISS refuses the file, or it holds another kind of index.
    """
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise ValueError(f"FAISS cannot read it: {str(error).splitlines()[-1]}") from error
    if index.metric_type != faiss.METRIC_INNER_PRODUCT or not index.is_trained:
        raise ValueError("it is not an inner-product index that is trained")
    if is_exact_of_ours(index):
        return IdIndex(index)
    if (
        not isinstance(index, faiss.IndexIVFPQFastScan)
        or not index.by_residual
        or (index.pq.M, index.pq.nbits) != (codes_for(index.d), _BITS)
    ):
        raise ValueError(f"it holds a {type(index).__name__} that this version does not make")
    return InvertedLists(index)


def _lengthen_codes(index: Any, sample: Vectors) -> None:
    """Make up for what codes, being means, lack in length, so that a similarity is not estimated too low."""
    centres_of = index.quantizer.reconstruct_batch(index.quantizer.search(sample, 1)[1][:, 0])
    rest = sample - centres_of
    coded = index.pq.decode(index.pq.compute_codes(rest))
    share = float((coded * rest).sum() / max(float(np.square(rest).sum()), 1e-9))
    centres = faiss.vector_to_array(index.pq.centroids) / np.float32(max(share, 0.1))
    faiss.copy_array_to_vector(centres.astype(np.float32), index.pq.centroids)
