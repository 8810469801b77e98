"""FAISS as the index uses it: typed, few threads, ids of 64 bits, inner product. What is exact; lists are beside it.

Not thread-safe: a search beside a change corrupts memory, so the owner holds a lock. Knows nothing of contents.
"""

from __future__ import annotations

import os
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
Flags = npt.NDArray[np.bool_]  # bool [queries]

FAISS_VERSION = str(faiss.__version__)

_LOADS = Path("/proc/loadavg")
_HALF_PRECISION = 2.0**-11  # relative rounding of one fp16 value
_SUM_ERROR = 1e-5  # float32 sums in another order


class IdIndex:
    """Vectors under 64-bit ids in one FAISS index: what every kind offers. This one is exact, in half precision."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.dim = int(index.d)

    @property
    def lists(self) -> int | None:
        """The number of inverted lists; None when every search looks at every vector."""
        return None

    @property
    def kind(self) -> str:
        """A name for status and manifests: "exact-fp16", "ivf4096-pq64x4"."""
        return "exact-fp16"

    @property
    def max_error(self) -> float:
        """How far a similarity from `search` can be from the true one, for unit vectors.

        |q·e| ≤ |q||e| (Cauchy-Schwarz), where e is the rounding of each value.
        """
        return _HALF_PRECISION + _SUM_ERROR

    @property
    def order_error(self) -> float:
        """By how much two similarities must differ for their order to be trusted."""
        return 2 * self.max_error

    @property
    def imbalance(self) -> float:
        """How many times the vectors that even lists would let a search look at; 1 where there are no lists."""
        return 1.0

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Int64s, vectors: Vectors) -> None:
        """Add vectors [n, dim] under ids [n] that are not in use."""
        use_threads(1)
        self._index.add_with_ids(vectors, ids)

    def remove(self, ids: Int64s) -> int:
        """Remove ids; returns how many were there. One pass over everything, whatever the number of ids."""
        use_threads(1)
        return int(self._index.remove_ids(ids))

    def search(self, queries: Vectors, k: int, is_far: Flags | None = None) -> tuple[Similarities, Int64s]:
        """The k nearest of each query, nearest first: similarities and ids [queries, k], id -1 where there are fewer.

        `is_far` says which queries deserve a look at more than the usual part; here each sees everything.
        k-NN on purpose: range_search on a scalar quantiser takes an unvectorised path, 12 to 150 times slower
        (measured with 1.15.1).
        """
        del is_far
        use_threads(1)
        similarities, ids = self._index.search(queries, k)
        return similarities, ids

    def ids(self) -> Int64s:
        """Every id held, in no order."""
        return np.asarray(faiss.vector_to_array(self._index.id_map), dtype=np.int64)

    def compact(self) -> None:
        """Drop what removals left in place; before `write`."""

    def write(self, sink: Callable[[bytes], object]) -> None:
        """Pass the whole index as bytes to `sink`; what `sink` raises comes through.

        FAISS's own file writer only prints when closing fails, so a full disk could go unnoticed.
        """
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(sink))


def exact_index(dim: int) -> IdIndex:
    """An empty index that looks at every vector, kept in half precision."""
    codes = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return IdIndex(faiss.IndexIDMap(codes))  # IDMap2 would also map ids to places: unused, 50 bytes a vector


def is_exact_of_ours(index: Any) -> bool:
    """Whether this is what `exact_index` makes."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else None
    return (
        isinstance(inner, faiss.IndexScalarQuantizer)
        and inner.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        and len(faiss.vector_to_array(index.id_map)) == index.ntotal
    )


def use_threads(most: int) -> None:
    """Let FAISS spread one call over up to so many threads.

    OpenMP keeps the setting for each calling thread, so setting it once at import would only bind the main thread.
    """
    faiss.omp_set_num_threads(most)


def use_free_cores(most: int) -> None:
    """Let FAISS spread one call over up to so many cores that have nothing else to do at this moment.

    Threads that wait for each other beside other work make a search take up to twice as long as one thread does.
    """
    try:
        loads = _LOADS.read_text()
    except OSError:
        loads = ""
    use_threads(max(1, min(most, idle_cores(loads, len(os.sched_getaffinity(0))))))


def idle_cores(loads: str, cores: int) -> int:
    """Cores that nobody but the calling thread wants, its own included; proc_loadavg(5), 1 if that says nothing."""
    fields = loads.split()
    running = fields[3].partition("/")[0] if len(fields) > 3 else ""
    return cores - int(running) + 1 if running.isdecimal() else 1
