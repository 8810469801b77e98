"""The one place that touches FAISS: typed, one thread, ids of 64 bits, inner product.

Not thread-safe: a search beside a change corrupts memory, so the owner holds a lock. Knows nothing of contents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Vectors
from dedupd.index.views import Int64s

faiss: Any = import_module("faiss")  # before 1.15 it has no types, and those it has now miss half of what is used here

Similarities = npt.NDArray[np.float32]  # float32 [queries, k]

FAISS_VERSION = str(faiss.__version__)

TRAINING_POINTS_PER_LIST = 64  # k-means needs about 39 (FAISS warns below); more did not raise recall
# Inverted lists that a search looks into. Of neighbours at cosine 0.9 / 0.8 in 100k isotropic vectors of 128 dimensions
# (the worst case) 16 probes find 0.97 / 0.87 and 64 find 1.00 / 0.98, at 0.15 ms a query; among real scenes both find
# all. A picture is decoded in 30 ms, so the better recall costs nothing that anyone notices.
_PROBES = 64

# IVF codes: 8 bits over the fixed range -1 … 1 of unit vectors. A range learnt from a sample clips what lies outside,
# and a clipped vector's similarity can be off by any amount; with a fixed range the error is bounded for every vector.
_RANGE = (-1.0, 2.0)  # smallest value, width
_STEP_8BIT = _RANGE[1] / 255
_HALF_PRECISION = 2.0**-11  # relative rounding of one fp16 value
_SUM_ERROR = 1e-5  # float32 sums in another order


class IdIndex:
    """Vectors under 64-bit ids in one FAISS index, exact (fp16) or in inverted lists (8 bit)."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._lists: int | None = int(index.nlist) if isinstance(index, faiss.IndexIVF) else None
        self.dim = int(index.d)
        if self._lists is not None:
            index.nprobe = _PROBES

    @property
    def lists(self) -> int | None:
        """The number of inverted lists; None when every search looks at every vector."""
        return self._lists

    @property
    def kind(self) -> str:
        """A name for status and manifests: "exact-fp16", "ivf1024-sq8"."""
        return "exact-fp16" if self._lists is None else f"ivf{self._lists}-sq8"

    @property
    def max_error(self) -> float:
        """How far a similarity from `search` can be from the true one, for unit vectors.

        |q·e| ≤ |q||e| (Cauchy-Schwarz), where e is the rounding of each value.
        """
        if self._lists is None:
            return _HALF_PRECISION + _SUM_ERROR
        return math.sqrt(self.dim) * _STEP_8BIT / 2 + _SUM_ERROR

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Int64s, vectors: Vectors) -> None:
        """Add vectors [n, dim] under ids [n] that are not in use."""
        _use_one_thread()
        self._index.add_with_ids(vectors, ids)

    def remove(self, ids: Int64s) -> int:
        """Remove ids; returns how many were there."""
        _use_one_thread()
        if self._lists is None:  # one pass over everything, whatever the number of ids
            return int(self._index.remove_ids(ids))
        # Found through the hash table, which accepts this selector only; it keeps no copy of the ids.
        return int(self._index.remove_ids(faiss.IDSelectorArray(len(ids), faiss.swig_ptr(ids))))

    def search(self, queries: Vectors, k: int) -> tuple[Similarities, Int64s]:
        """The k nearest of each query, nearest first: similarities and ids [queries, k], id -1 where there are fewer.

        k-NN on purpose: range_search on a scalar quantiser takes an unvectorised path, 12 to 150 times slower
        (measured with 1.15.1).
        """
        _use_one_thread()
        similarities, ids = self._index.search(queries, k)
        return similarities, ids

    def ids(self) -> Int64s:
        """Every id held, in no order."""
        if self._lists is None:
            return np.asarray(faiss.vector_to_array(self._index.id_map), dtype=np.int64)
        lists = self._index.invlists
        parts = [
            faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
            for number in range(self._lists)
            if (size := lists.list_size(number))
        ]
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)

    def write(self, sink: Callable[[bytes], object]) -> None:
        """Pass the whole index as bytes to `sink`; what `sink` raises comes through.

        FAISS's own file writer only prints when closing fails, so a full disk could go unnoticed.
        """
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(sink))


def exact_index(dim: int) -> IdIndex:
    """An empty index that looks at every vector, kept in half precision."""
    codes = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return IdIndex(faiss.IndexIDMap(codes))  # IDMap2 would also map ids to places: unused, 50 bytes a vector


def trained_lists(sample: Vectors, lists: int) -> IdIndex:
    """An empty index of `lists` inverted lists around the k-means centres of a sample [n ≥ lists, dim]."""
    _use_one_thread()
    dim = sample.shape[1]
    centres = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFScalarQuantizer(
        centres, dim, lists, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.min_points_per_centroid = 1  # small libraries and tests: no warning on standard error
    index.cp.max_points_per_centroid = TRAINING_POINTS_PER_LIST
    index.train(sample)
    faiss.copy_array_to_vector(np.array(_RANGE, dtype=np.float32), index.sq.trained)
    index.set_direct_map_type(faiss.DirectMap.Hashtable)  # removal in 0.02 ms instead of a scan of 0.3 … 0.7 ms
    return IdIndex(index)


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
    if isinstance(index, faiss.IndexIVFScalarQuantizer):
        is_ours = (
            index.sq.qtype == faiss.ScalarQuantizer.QT_8bit_uniform
            and not index.by_residual
            and index.direct_map.type == faiss.DirectMap.Hashtable
            and np.allclose(faiss.vector_to_array(index.sq.trained), _RANGE)
        )
    else:
        inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else None
        is_ours = (
            isinstance(inner, faiss.IndexScalarQuantizer)
            and inner.sq.qtype == faiss.ScalarQuantizer.QT_fp16
            and len(faiss.vector_to_array(index.id_map)) == index.ntotal
        )
    if not is_ours:
        raise ValueError(f"it holds a {type(index).__name__} that this version does not make")
    return IdIndex(index)


def _use_one_thread() -> None:
    """Keep FAISS from spreading one call over all cores.

    OpenMP keeps the setting for each calling thread, so setting it once at import would only bind the main thread.
    """
    faiss.omp_set_num_threads(1)
