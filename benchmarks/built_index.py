"""A made library and the index over it, built and measured; or both as an earlier run left them.

Building takes most of a run: with `--keep` it is done once for many runs of the questions. Owns the files in its
directory: vectors, where each picture's begin, the index's snapshot, and what building took.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.common import Result
from benchmarks.made_descriptors import DIM, MadeLibrary, make_library
from dedupd.core.arrays import Vectors
from dedupd.core.ports import Model
from dedupd.core.records import ContentId
from dedupd.core.records import Sequence as LogSequence
from dedupd.index.catch_up import save_snapshot
from dedupd.index.faiss_index import FaissIndex
from dedupd.index.questions import LoadVectors
from dedupd.index.snapshot import read_snapshot

CHUNK = 2_000  # pictures added at a time when everything is read anew
FIRST = LogSequence(1)


def build(directory: Path, count: int, seed: int, model: Model) -> tuple[MadeLibrary, Result]:
    """A library of `count` pictures and the snapshot of its index in `directory`, and what both took."""
    kept = directory / "built.json"
    if kept.exists():
        built: Result = json.loads(kept.read_text())
        if (built["pictures"], built["seed"]) != (count, seed):
            raise SystemExit(f"{directory} holds another library: {built['pictures']} pictures of seed {built['seed']}")
        fd = os.open(directory / "vectors", os.O_RDONLY)
        return MadeLibrary(fd=fd, starts=np.load(directory / "starts.npy")), built
    result = Result(pictures=count, seed=seed)
    with timed(result, "make"):
        library = make_library(directory / "vectors", count, seed)
    np.save(directory / "starts.npy", library.starts)
    result |= {"vectors": int(library.starts[-1]), **_indexed(directory, library, model)}
    kept.write_text(json.dumps(result))
    return library, result


def opened(directory: Path, model: Model, load: LoadVectors) -> FaissIndex:
    """The index as a start of the daemon has it."""
    snapshot = read_snapshot(directory / "snapshot", model, FIRST)
    assert not isinstance(snapshot, str), snapshot
    return FaissIndex(DIM, load, held=snapshot.held)


def _indexed(directory: Path, library: MadeLibrary, model: Model) -> Result:
    gc.collect()
    before_mb, result = memory_mb("RssAnon"), Result(grow_cpu_s=0.0, grown=0)
    reset_peak()

    def load(contents: Sequence[ContentId]) -> list[Vectors | None]:
        return library.load(contents)

    index = FaissIndex(DIM, load)
    with timed(result, "build"):
        for contents, vectors in library.blocks(1, library.count + 1, CHUNK):
            index.add(contents, vectors)
            began_cpu_s = time.process_time()
            if index.grow_if_due():
                result["grown"] += 1
                result["grow_cpu_s"] = round(result["grow_cpu_s"] + time.process_time() - began_cpu_s, 3)
                print(f"{library.count:,}: {len(index):,} of them in {index.kind}", file=sys.stderr, flush=True)
    result["kind"] = index.kind
    result["index_mb"] = round(memory_mb("RssAnon") - before_mb, 1)
    result["peak_mb"] = round(memory_mb("VmHWM"), 1)
    with timed(result, "snapshot"):
        save_snapshot(index, directory / "snapshot", model, FIRST)
    result["snapshot_mb"] = round(sum(path.stat().st_size for path in (directory / "snapshot").iterdir()) / 1e6, 1)
    return result


@contextmanager
def timed(result: Result, name: str) -> Iterator[None]:
    """Put the seconds by the clock and of CPU that a block takes into a result."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    yield
    result[f"{name}_s"] = round(time.perf_counter() - began_s, 3)
    result[f"{name}_cpu_s"] = round(time.process_time() - began_cpu_s, 3)


def memory_mb(name: str) -> float:
    """A figure of /proc/self/status: VmRSS, RssAnon, VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(name)


def reset_peak() -> None:
    """Let VmHWM begin anew: proc_pid_clear_refs(5)."""
    Path("/proc/self/clear_refs").write_text("5")
