"""Does the descriptor put a copy's original among the candidates? `python benchmarks/candidates.py TRUTH.csv`.

TRUTH.csv names pictures (path, role, source_id, transform) below its own directory; --distractors adds the tar shards
of another directory as unrelated pictures. Prints recall by transformation, in both directions (the copy arrives last,
the original arrives last), then what a threshold costs in candidates a picture. Other copies of a source are never
counted as false, nor as ahead of the original.
"""

from __future__ import annotations

import argparse
import csv
import io
import tarfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps

from dedupd.core.ports import SMALL_SIDE_PX, Descriptor, EmbedItem
from dedupd.embedding.local_embedder import LocalEmbedder

LIMITS = (1, 10, 32)  # candidates a picture; 32 is the most that linking takes
THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One copy and its original, seen from one of them."""

    transform: str
    similarity: float
    ahead: int  # unrelated pictures that are nearer


def small_pixels(image: Image.Image) -> np.ndarray:
    """What the decoder would hand over: upright RGB, long side at most SMALL_SIDE_PX."""
    image.draft("RGB", (2 * SMALL_SIDE_PX, 2 * SMALL_SIDE_PX))
    upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX), Image.Resampling.BOX)
    return np.asarray(upright)


def shard_pictures(directory: Path) -> Iterator[np.ndarray]:
    for shard in sorted(directory.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    yield small_pixels(Image.open(io.BytesIO(file.read())))


def described(embedder: LocalEmbedder, pictures: Iterator[np.ndarray]) -> tuple[list[Descriptor], float]:
    """Descriptors, and the CPU time of one of them in ms (decoding left out)."""
    found, spent_s = [], 0.0
    for pixels in pictures:
        item = EmbedItem(digest=bytes(32), path=None, small=pixels)
        started = time.process_time()
        found += embedder.embed([item]).result()
        spent_s += time.process_time() - started
    return found, 1000 * spent_s / max(1, len(found))


def similarities(asked: list[Descriptor], stored: list[Descriptor]) -> np.ndarray:
    """float32 [asked, stored]: the best cosine of any query and any stored view."""
    views = np.concatenate([d.stored for d in stored])
    starts = np.cumsum([0, *(len(d.stored) for d in stored[:-1])])
    return np.stack([np.maximum.reduceat((d.queries @ views.T).max(axis=0), starts) for d in asked])


def ranked(near: np.ndarray, rows: list[dict[str, str]], same: np.ndarray, *, copy_asks: bool) -> list[Ranked]:
    original = {row["source_id"]: i for i, row in enumerate(rows) if row["role"] == "original"}
    found = []
    for i, row in enumerate(rows):
        if row["role"] == "copy":
            asks, answers = (i, original[row["source_id"]]) if copy_asks else (original[row["source_id"]], i)
            own = near[asks, answers]
            ahead = int(((near[asks] > own) & ~same[asks]).sum())
            found.append(Ranked(transform=row["transform"], similarity=float(own), ahead=ahead))
    return found


def recalls(pairs: list[Ranked], threshold: float) -> str:
    shares = [np.mean([p.ahead < limit and p.similarity >= threshold for p in pairs]) for limit in LIMITS]
    return "  ".join(f"{share:5.3f}" for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--distractors", type=Path, help="directory of tar shards with unrelated pictures")
    arguments = parser.parse_args()
    pillow_heif.register_heif_opener()
    with arguments.truth.open(newline="") as file:
        rows = list(csv.DictReader(file))
    embedder = LocalEmbedder()
    library, cost_ms = described(embedder, (small_pixels(Image.open(arguments.truth.parent / r["path"])) for r in rows))
    others = described(embedder, shard_pictures(arguments.distractors))[0] if arguments.distractors else []
    embedder.close()

    near = similarities(library, library + others)
    np.fill_diagonal(near, -1.0)
    names = [row["source_id"] or f"-{i}" for i, row in enumerate(rows)] + [f"+{i}" for i in range(len(others))]
    same = np.array(names)[: len(rows), None] == np.array(names)[None]
    unrelated = np.where(same, -1.0, near)
    both = [ranked(near, rows, same, copy_asks=asks) for asks in (True, False)]

    threshold = embedder.model.candidate_similarity
    views = np.mean([len(d.stored) for d in library + others])
    queries = np.mean([len(d.queries) for d in library])
    print(f"{embedder.model.tag}: {len(rows)} + {len(others)} pictures, {cost_ms:.2f} CPU-ms a picture of the first,")
    print(f"{views:.2f} stored views and {queries:.1f} queries a picture on average; threshold {threshold}\n")
    print(f"{'recall @ ' + '/'.join(map(str, LIMITS)):22} {'n':>4}   copy asks            original asks")
    by_transform = defaultdict(list)
    for pair in zip(*both, strict=True):
        by_transform[pair[0].transform].append(pair)
    for name, pairs in [*sorted(by_transform.items()), ("all", list(zip(*both, strict=True)))]:
        print(
            f"{name:22} {len(pairs):4}   " + "   ".join(recalls(list(p), threshold) for p in zip(*pairs, strict=True))
        )
    print(
        "\nthreshold   recall@32: copy asks / original asks   unrelated candidates a picture: mean / median / over 32"
    )
    for t in THRESHOLDS:
        share = [np.mean([p.ahead < LIMITS[-1] and p.similarity >= t for p in side]) for side in both]
        count = (unrelated >= t).sum(axis=1)
        print(
            f"{t:9.2f}   {share[0]:.3f} / {share[1]:.3f}                            "
            f"{count.mean():6.2f} / {np.median(count):.0f} / {np.mean(count > LIMITS[-1]):.1%}"
        )


if __name__ == "__main__":
    main()
