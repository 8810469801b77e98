"""How often a copy's original is among its first k candidates, for `accuracy`.

The measuring is `candidates`'; this sums it up by transformation, in both directions of arrival.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from benchmarks.candidates import SEED, Library, Table, ahead, described, library_of, small_pixels, table_of
from benchmarks.common import Result
from benchmarks.distractors import distractors
from benchmarks.truth import Half, read_rows
from dedupd.embedding.local_embedder import LocalEmbedder

LIMITS = (1, 3, 10, 32)  # candidates a picture; 32 is the most that linking takes

Asked = tuple[int, int]  # who asks and who answers, as rows of the table


def candidate_recall(path: Path, half: Half | None = None, *, synthetic: int = 0) -> Result:
    """Recall at each limit, and the CPU time of a descriptor.

    Args:
        path: truth.csv; all its pictures are in the index.
        half: ask for copies of that half only.
        synthetic: how many distractors to make from the table's unrelated pictures, and measure among them too.
    """
    pillow_heif.register_heif_opener()
    rows = read_rows(path)
    embedder = LocalEmbedder()
    floor = embedder.model.candidate_similarity
    known, cost_ms = described(embedder, (small_pixels(Image.open(path.parent / row["path"])) for row in rows))
    embedder.close()
    table = table_of(rows, known)
    pairs = table.half(half) if half else table.pairs
    by_transform: dict[str, list[Asked]] = defaultdict(list)
    for pair in pairs:
        by_transform[rows[pair[0]]["transform"]].append(pair)
    alone = library_of("alone", table, (), floor)
    result = {
        **recalls(table, alone, pairs, floor),
        "pictures": len(rows),
        "cpu_ms_a_descriptor": round(cost_ms, 2),
        "by_transform": {name: recalls(table, alone, own, floor) for name, own in sorted(by_transform.items())},
    }
    if synthetic:
        seeds = [d.stored for row, d in zip(rows, known, strict=True) if row["role"] != "copy"]
        made = distractors(seeds, synthetic, np.random.default_rng(SEED))
        result[f"among_{synthetic}"] = recalls(table, library_of("made", table, made, floor), pairs, floor)
    return result


def recalls(table: Table, library: Library, pairs: Iterable[Asked], floor: float) -> Result:
    """Share of the questions whose answer is near enough and among the first, other copies not counted as ahead."""
    questions = [asked for pair in pairs for asked in (pair, pair[::-1])]
    ranks = [ahead(table, library, a, b) if table.near[a, b] >= floor else max(LIMITS) for a, b in questions]
    shares = {f"recall_at_{k}": round(sum(r < k for r in ranks) / max(1, len(ranks)), 5) for k in LIMITS}
    return {"copies": len(ranks) // 2, **shares}
