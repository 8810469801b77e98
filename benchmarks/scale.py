"""The index by size: build, question, insertion with search, deletion, recall, memory, snapshot and restart.

    python -m benchmarks.scale [--sizes 1000,10000,100000,1000000] [--copies 2000] [--work DIR [--keep]] [--json FILE]

Pictures are made (benchmarks/made_descriptors.py): some 2.2 stored and 26 asked vectors each, in topics and scenes,
with copies whose similarities are as those of real ones. A question is what linking asks of one picture. Recall is the
share of the copies within the daemon's reach by exact search that are within it by the index. Vectors lie in a file in
the store's place, so that memory is the index's own. Each size runs in a process of its own. The index searches with
two cores where two are free, so promises are held to the clock's time; CPU time is shown beside it.

10,000,000 pictures need 7 GB on disk and 3 GB of memory: --sizes 10000000 --work DIR. With --keep, what was built stays
in DIR, and the next run of the same size begins with the restart.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.built_index import build, memory_mb, opened, timed
from benchmarks.common import REPOSITORY, Result, Row, run_alone, spread
from benchmarks.made_descriptors import DIM, MadeLibrary, make_copies
from dedupd.core.arrays import Vectors
from dedupd.core.ports import Descriptor, Model
from dedupd.core.records import ContentId, ModelTag
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.index.faiss_index import FaissIndex
from dedupd.pipeline.candidates import neighbours_in, neighbours_within, worth_a_look

T = TypeVar("T")

QUICK = ("--sizes", "1000,10000", "--copies", "500")
CANDIDATES = 32  # match.candidates, the default
BATCH = 32  # pictures that link takes at a time
ALONE = 300  # questions of one picture, deletions of one
INSERTED = 640
EXACT_BLOCK = 6_000  # pictures in a product of exact search
EXACT_ASKING = 64  # and how many ask in it
SEED = 3
AS_THE_DAEMON = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # set before numpy and FAISS are loaded

PROMISED_SIZE = 1_000_000
QUESTION_MS, INSERTED_A_S, DELETION_MS, RECALL, RESIDENT_MB = 5.0, 500, 10.0, 0.999, 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="numbers of pictures, with commas")
    parser.add_argument("--copies", type=int, default=2000, help="planted copies that ask")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where the made vectors lie meanwhile")
    parser.add_argument("--keep", action="store_true", help="leave them and the index in --work, and use what is there")


def run(arguments: argparse.Namespace) -> Result:
    sizes = [int(size) for size in arguments.sizes.split(",")]
    if len(sizes) > 1 or not os.environ.keys() >= AS_THE_DAEMON.keys():
        return {"sizes": [_in_a_process_of_its_own(size, arguments) for size in sizes]}
    if arguments.keep and arguments.work:
        directory = arguments.work / str(sizes[0])
        directory.mkdir(parents=True, exist_ok=True)
        return {"sizes": [measure(sizes[0], arguments.copies, directory)]}
    with tempfile.TemporaryDirectory(dir=arguments.work) as temporary:
        return {"sizes": [measure(sizes[0], arguments.copies, Path(temporary))]}


def measure(count: int, copies: int, directory: Path) -> Result:
    """Everything about one size."""
    model = built_in_model()
    library, result = build(directory, count, SEED, model)
    rng = np.random.default_rng(SEED)
    originals = (rng.permutation(count)[: min(copies, count)] + 1).tolist()
    asking = descriptors(*make_copies(library, originals, SEED + 1))
    arriving = descriptors(*make_copies(library, (rng.integers(count, size=INSERTED) + 1).tolist(), SEED + 2))
    later: dict[ContentId, Vectors] = {}  # what is inserted at the end; the file holds the rest

    def load(contents: Sequence[ContentId]) -> list[Vectors | None]:
        of_library = iter(library.load([content for content in contents if content not in later]))
        return [later[content] if content in later else next(of_library) for content in contents]

    gc.collect()
    before_mb = memory_mb("RssAnon")
    with timed(result, "restart"):
        index = opened(directory, model, load)
    result["index_mb_after_restart"] = round(memory_mb("RssAnon") - before_mb, 1)

    numbered = [(ContentId(count + 1 + place), descriptor) for place, descriptor in enumerate(asking)]
    few = numbered[:ALONE]
    neighbours_in(index, few[:1], model, CANDIDATES)  # the first one wakes the library up
    result["question_ms"], result["question_cpu_ms"] = each(
        lambda one: neighbours_in(index, [one], model, CANDIDATES), few
    )
    result["recall"] = recall(index, library, model, numbered, originals)
    newcomers = [(ContentId(2 * count + place), descriptor) for place, descriptor in enumerate(arriving)]
    with timed(result, "insert"):
        for begin in range(0, INSERTED, BATCH):
            batch = newcomers[begin : begin + BATCH]
            neighbours_in(index, batch, model, CANDIDATES)
            neighbours_within(batch, model)
            later.update((content, descriptor.stored) for content, descriptor in batch)
            index.add([content for content, _ in batch], [descriptor.stored for _, descriptor in batch])
    result["inserted_a_cpu_s"] = round(INSERTED / max(result["insert_cpu_s"], 1e-9))
    result["inserted_a_s"] = round(INSERTED / max(result["insert_s"], 1e-9))
    leaving = (rng.permutation(count)[: min(ALONE, count // 2)] + 1).tolist()
    result["deletion_ms"], result["deletion_cpu_ms"] = each(lambda content: index.remove([ContentId(content)]), leaving)
    result["resident_mb"] = round(memory_mb("VmRSS"), 1)
    return result


def recall(
    index: FaissIndex,
    library: MadeLibrary,
    model: Model,
    asking: Sequence[tuple[ContentId, Descriptor]],
    originals: Sequence[int],
) -> Result:
    """How many copies come to their originals, by the index and by exact search, which only what was missed needs."""
    missed: list[int] = []
    with_cpu_s = time.process_time()
    for begin in range(0, len(asking), BATCH):
        found = neighbours_in(index, asking[begin : begin + BATCH], model, CANDIDATES)
        for place, near in enumerate(found, start=begin):
            chosen = worth_a_look(near, model, CANDIDATES)
            if originals[place] not in {neighbour.content for neighbour in chosen}:
                missed.append(place)
    cpu_ms = 1000 * (time.process_time() - with_cpu_s) / len(asking)
    within = sum(
        is_within_reach(library, model, [asking[place][1].queries for place in some], [originals[p] for p in some])
        for begin in range(0, len(missed), EXACT_ASKING)
        if (some := missed[begin : begin + EXACT_ASKING])
    )
    found = len(asking) - len(missed)
    return {
        "copies": len(asking),
        "by_index": found,
        "by_exact_search": found + within,
        "share": round(found / max(1, found + within), 5),
        "batched_cpu_ms": round(cpu_ms, 3),
    }


def is_within_reach(library: MadeLibrary, model: Model, queries: Sequence[Vectors], originals: Sequence[int]) -> int:
    """For how many of these the original is within reach by exact search: products over the whole library."""
    own, nearer = exact_ranks(library, queries, originals)
    return sum(
        any(similarity >= step.similarity and rank < step.nearest for step in model.reach) and rank < CANDIDATES
        for similarity, rank in zip(own.tolist(), nearer.tolist(), strict=True)
    )


def exact_ranks(
    library: MadeLibrary, queries: Sequence[Vectors], originals: Sequence[int]
) -> tuple[Vectors, np.ndarray]:
    """Of each original its similarity, float32 [n], and how many contents are nearer, int [n]."""
    rows = np.concatenate(queries)
    firsts = np.cumsum([0, *(len(query) for query in queries[:-1])])

    def best(begin: int, end: int) -> Vectors:
        bounds = library.starts[begin - 1 : end]
        of_rows = np.maximum.reduceat(rows @ library.rows_of(int(bounds[0]), int(bounds[-1])).T, firsts, axis=0)
        found: Vectors = np.maximum.reduceat(of_rows, (bounds[:-1] - bounds[0]), axis=1)
        return found

    own = np.array([best(o, o + 1)[place, 0] for place, o in enumerate(originals)], dtype=np.float32)
    nearer = np.zeros(len(own), dtype=np.int64)
    for begin in range(1, library.count + 1, EXACT_BLOCK):
        nearer += (best(begin, min(begin + EXACT_BLOCK, library.count + 1)) > own[:, None] + 1e-6).sum(axis=1)
    return own, nearer


def descriptors(queries: Sequence[Vectors], stored: Sequence[Vectors]) -> list[Descriptor]:
    return [Descriptor(stored=s, queries=q) for q, s in zip(queries, stored, strict=True)]


def built_in_model() -> Model:
    embedder = LocalEmbedder()
    embedder.close()
    assert embedder.model.dim == DIM
    return Model(
        tag=ModelTag("made"),
        dim=DIM,
        candidate_similarity=embedder.model.candidate_similarity,
        reach=embedder.model.reach,
    )


def each(work: Callable[[T], object], things: Sequence[T]) -> tuple[Result, float]:
    """Wall-clock spread in ms, and CPU-ms each."""
    samples, began_cpu_s = [], time.process_time()
    for thing in things:
        began_s = time.perf_counter()
        work(thing)
        samples.append(1000 * (time.perf_counter() - began_s))
    return spread(samples), round(1000 * (time.process_time() - began_cpu_s) / len(things), 4)


def _in_a_process_of_its_own(size: int, arguments: argparse.Namespace) -> Result:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks.scale", "--sizes", str(size), "--copies", str(arguments.copies)]
        command += ["--json", file.name, *(("--work", str(arguments.work)) if arguments.work else ())]
        command += ["--keep"] if arguments.keep else []
        environment = os.environ | AS_THE_DAEMON
        subprocess.run(command, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL, env=environment)
        result: Result = json.loads(Path(file.name).read_text())["results"]["scale"]["sizes"][0]
    return result


def rows(result: Result) -> list[Row]:
    return [row for one in result["sizes"] for row in _rows_of(one)]


def _rows_of(one: Result) -> list[Row]:
    is_promised = one["pictures"] == PROMISED_SIZE

    def row(what: str, value: str, promise: str = "", *, is_kept: bool | None = None) -> Row:
        what = f"{one['pictures']:,}: {what}"
        return (
            Row(what=what, value=value, promise=promise, is_kept=is_kept)
            if is_promised
            else Row(what=what, value=value)
        )

    question, deletion, share = one["question_ms"], one["deletion_ms"], one["recall"]["share"]
    return [
        row(
            f"build from nothing to {one['kind']}",
            f"{one['build_cpu_s']:.1f} CPU-s, {one['grow_cpu_s']:.1f} of them growing {one['grown']} times",
        ),
        row(
            "question of one picture",
            f"{one['question_cpu_ms']:.2f} CPU-ms, p50 {question['p50']:.2f} p99 {question['p99']:.2f} ms",
            f"≤ {QUESTION_MS:g} ms",
            is_kept=question["p50"] <= QUESTION_MS,
        ),
        row(
            "insertion with search",
            f"{one['inserted_a_cpu_s']} a CPU-second, {one['inserted_a_s']} a second",
            f"≥ {INSERTED_A_S} a second",
            is_kept=one["inserted_a_s"] >= INSERTED_A_S,
        ),
        row(
            "deletion",
            f"{one['deletion_cpu_ms']:.3f} CPU-ms, p50 {deletion['p50']:.3f} p99 {deletion['p99']:.3f} ms",
            f"≤ {DELETION_MS:g} ms",
            is_kept=deletion["p99"] <= DELETION_MS,
        ),
        row(
            f"recall of {one['recall']['by_exact_search']} copies that exact search finds",
            f"{share:.2%}",
            f"≥ {RECALL:.1%}",
            is_kept=share >= RECALL,
        ),
        row(
            "memory: index, process, peak while growing",
            f"{one['index_mb']:.0f}, {one['resident_mb']:.0f}, {one['peak_mb']:.0f} MB",
            f"process ≤ {RESIDENT_MB} MB",
            is_kept=one["resident_mb"] <= RESIDENT_MB,
        ),
        row(
            "snapshot written, read at a restart",
            f"{one['snapshot_mb']:.0f} MB in {one['snapshot_cpu_s']:.2f} CPU-s, {one['restart_cpu_s']:.2f} CPU-s",
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
