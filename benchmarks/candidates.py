"""Does the descriptor put a copy's original among the candidates? `python -m benchmarks.candidates TRUTH.csv`.

TRUTH.csv names pictures (path, role, source_id, transform, series_id) below its own directory. --distractors adds the
tar shards of a directory as unrelated pictures, --synthetic so many vectors made from those and from the unrelated
pictures of the table (benchmarks/distractors.py; how well they are made is shown). Prints recall in both directions
(the copy arrives last, the original arrives last) with no, real and synthetic distractors, by transformation, what a
threshold costs, how many pairs need evidence whatever the order of arrival, and what pictures find that say little.

Recall at a rank never counts other copies of the source as ahead; "reach" is the daemon's own rule, where they count.
"""

from __future__ import annotations

import argparse
import csv
import io
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps

from benchmarks.distractors import best_similarities, distractors, match_table
from benchmarks.generated.documents import DRAWINGS, document_series
from benchmarks.generated.plain import MAKERS, low_information
from benchmarks.truth import half_of
from dedupd.core.arrays import Vectors
from dedupd.core.ports import SMALL_SIDE_PX, Descriptor, EmbedItem, Model, Neighbour
from dedupd.core.records import ContentId
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.pipeline.candidates import worth_a_look

LIMITS = (1, 10, 32)  # candidates a picture; 32 is the most that linking takes
THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
NEAREST_KEPT = 256  # unrelated pictures remembered for each that asks
ORDERS = 5  # of arrival
SERIES_OF_EACH = 8  # made of each kind of plain picture and document, three or more pictures each
SEED = 11

Similarities = np.ndarray  # float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The labelled pictures and how near they are to each other."""

    rows: list[dict[str, str]]
    descriptors: list[Descriptor]
    near: Similarities  # [asked, stored], -1 to itself
    same: np.ndarray  # bool [asked, stored]: of one source
    pairs: list[tuple[int, int]]  # copy, original

    def half(self, name: str) -> list[tuple[int, int]]:
        """The pairs whose sources are in one half."""
        return [pair for pair in self.pairs if half_of(self.rows[pair[0]]["source_id"]) == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What the labelled pictures are asked among."""

    name: str
    unrelated: Similarities  # float32 [asked, up to NEAREST_KEPT]: similarities of distractors, the highest first
    over_floor: np.ndarray  # how many distractors each sees that a limit may have to hold back


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


def described(embedder: LocalEmbedder, pictures: Iterable[np.ndarray]) -> tuple[list[Descriptor], float]:
    """Descriptors, and the CPU time of one of them in ms (decoding left out)."""
    found, spent_s = [], 0.0
    for pixels in pictures:
        item = EmbedItem(digest=bytes(32), path=None, small=pixels)
        started = time.process_time()
        found += embedder.embed([item]).result()
        spent_s += time.process_time() - started
    return found, 1000 * spent_s / max(1, len(found))


def table_of(rows: list[dict[str, str]], descriptors: list[Descriptor]) -> Table:
    near = best_similarities(descriptors, [d.stored for d in descriptors])
    np.fill_diagonal(near, -1.0)
    names = np.array([row["source_id"] or f"-{i}" for i, row in enumerate(rows)])
    original = {row["source_id"]: i for i, row in enumerate(rows) if row["role"] == "original"}
    pairs = [(i, original[row["source_id"]]) for i, row in enumerate(rows) if row["role"] == "copy"]
    return Table(rows=rows, descriptors=descriptors, near=near, same=names[:, None] == names[None], pairs=pairs)


def library_of(name: str, table: Table, batches: Iterable[Sequence[Vectors]], floor: float) -> Library:
    unrelated = np.empty((len(table.rows), 0), dtype=np.float32)
    over_floor = np.zeros(len(table.rows), dtype=int)
    for batch in batches:
        found = best_similarities(table.descriptors, batch)
        over_floor += (found >= floor).sum(axis=1)
        unrelated = -np.sort(-np.concatenate([unrelated, found], axis=1), axis=1)[:, :NEAREST_KEPT]
    return Library(name=name, unrelated=unrelated, over_floor=over_floor)


def ahead(table: Table, library: Library, asks: int, answers: int) -> int:
    """Unrelated pictures that are nearer."""
    own = table.near[asks, answers]
    return int(((table.near[asks] > own) & ~table.same[asks]).sum() + (library.unrelated[asks] > own).sum())


def recalls(table: Table, library: Library, pairs: Sequence[tuple[int, int]], floor: float) -> str:
    """Shares found within each of LIMITS, for pairs of who asks and who answers."""
    ranks = [ahead(table, library, a, b) if table.near[a, b] >= floor else NEAREST_KEPT for a, b in pairs]
    return " ".join(f"{np.mean([rank < limit for rank in ranks]):.4f}" for limit in LIMITS)


def is_alone(row: dict[str, str]) -> bool:
    """Whether a picture has neither copies nor look-alikes."""
    return row["role"] not in ("copy", "original") and not row["series_id"]


def turned(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(original, copy) for copy, original in pairs]


def looked_at(near: Similarities, unrelated: Similarities, model: Model) -> tuple[set[int], int]:
    """Who of the table gets a second look by the daemon's rule, and how many in all; distractors count as newer."""
    sides = np.concatenate([near, unrelated])
    places = np.flatnonzero(sides >= model.candidate_similarity)
    found = [Neighbour(content=ContentId(i + 1), similarity=float(sides[i])) for i in places.tolist()]
    chosen = worth_a_look(found, model, LIMITS[-1])
    return {n.content - 1 for n in chosen if n.content <= len(near)}, len(chosen)


def reach_line(table: Table, library: Library, half: str, model: Model) -> str:
    pairs = table.half(half)
    asking = [i for i, row in enumerate(table.rows) if half_of(row["series_id"] or row["source_id"]) == half]
    seen = {i: looked_at(table.near[i], library.unrelated[i], model) for i in asking}
    copy_asks = np.mean([original in seen[copy][0] for copy, original in pairs])
    original_asks = np.mean([copy in seen[original][0] for copy, original in pairs])
    unrelated = np.mean([total - table.same[i, sorted(found)].sum() for i, (found, total) in seen.items()])
    total = np.array([total for _, total in seen.values()])
    return (
        f"{library.name:>10} {half:>7} {len(pairs):4}   {copy_asks:.4f} / {original_asks:.4f}   looked at a picture: "
        f"{total.mean():.2f} (at most {total.max()}), unrelated {unrelated:.2f} "
        f"of {library.over_floor[asking].mean():.1f} distractors over the floor"
    )


def arrivals(table: Table, model: Model) -> str:
    """Pairs that need evidence, and copies found with their originals, when the table's pictures come one by one."""
    nobody = np.empty(0, dtype=np.float32)
    looks, found = [], []
    for order in (np.random.default_rng([SEED, n]).permutation(len(table.rows)) for n in range(ORDERS)):
        pairs: set[frozenset[int]] = set()
        is_there = np.zeros(len(order), dtype=bool)
        for i in order.tolist():
            pairs |= {frozenset((i, j)) for j in looked_at(np.where(is_there, table.near[i], -1), nobody, model)[0]}
            is_there[i] = True
        looks.append(len(pairs) / len(order))
        found.append(np.mean([frozenset(pair) in pairs for pair in table.pairs]))
    return (
        f"{ORDERS} orders of arrival: {min(looks):.2f} … {max(looks):.2f} pairs a picture need evidence, "
        f"{min(found):.4f} … {max(found):.4f} of the copies are looked at with their originals"
    )


def plain_lines(embedder: LocalEmbedder, table: Table) -> list[str]:
    """For each kind of picture that says little: whom it would be compared with, beside the labelled ones."""
    made: dict[str, list[bytes]] = defaultdict(list)
    for variant in range(SERIES_OF_EACH * len(MAKERS)):
        kind = MAKERS[variant % len(MAKERS)].__name__
        made[kind] += low_information(np.random.default_rng([SEED, 0, variant]), variant)
    for variant in range(SERIES_OF_EACH * len(DRAWINGS)):
        kind, pages = document_series(np.random.default_rng([SEED, 1, variant]), variant)
        made[kind] += [content for content, _ in pages]
    kinds = [kind for kind, pictures in made.items() for _ in pictures]
    pictures = (small_pixels(Image.open(io.BytesIO(p))) for kind in made for p in made[kind])
    found = described(embedder, pictures)[0]
    near = best_similarities(found, [d.stored for d in found + table.descriptors])
    np.fill_diagonal(near, -1.0)
    nobody = np.empty(0, dtype=np.float32)
    model, lines = embedder.model, []
    for kind in made:
        of_kind = [i for i, name in enumerate(kinds) if name == kind]
        over = np.mean([(near[i] >= model.candidate_similarity).sum() for i in of_kind])
        seen = [looked_at(near[i], nobody, model)[0] for i in of_kind]
        photos = np.mean([sum(j >= len(kinds) for j in s) for s in seen])
        total = np.mean([len(s) for s in seen])
        lines.append(
            f"{kind:>20} {len(of_kind):4}   over the floor {over:6.1f}   looked at {total:5.1f}, photos {photos:.2f}"
        )
    return lines


def print_by_transform(table: Table, library: Library, floor: float) -> None:
    by_transform: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for pair in table.pairs:
        by_transform[table.rows[pair[0]]["transform"]].append(pair)
    print(f"\namong {library.name}, recall @ {LIMITS}: copy asks / original asks")
    for name, pairs in [*sorted(by_transform.items()), ("all", table.pairs)]:
        both = (recalls(table, library, p, floor) for p in (pairs, turned(pairs)))
        print(f"{name:>22} {len(pairs):4}   " + " / ".join(both))


def print_thresholds(table: Table, library: Library) -> None:
    print(
        f"\namong {library.name}: threshold, recall@32 copy / original asks, unrelated: mean, median, pictures over 32"
    )
    for floor in THRESHOLDS:
        both = [recalls(table, library, p, floor).split()[-1] for p in (table.pairs, turned(table.pairs))]
        count = ((table.near >= floor) & ~table.same).sum(axis=1) + (library.unrelated >= floor).sum(axis=1)
        print(
            f"{floor:10.2f}   {' / '.join(both)}   {count.mean():6.2f} {np.median(count):4.0f} "
            f"{np.mean(count > LIMITS[-1]):.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--distractors", type=Path, help="directory of tar shards with unrelated pictures")
    parser.add_argument("--synthetic", type=int, default=100_000, help="distractors to make of real ones [%(default)s]")
    arguments = parser.parse_args()
    pillow_heif.register_heif_opener()
    with arguments.truth.open(newline="") as file:
        rows = list(csv.DictReader(file))
    embedder = LocalEmbedder()
    model = embedder.model
    floor = model.candidate_similarity
    known, cost_ms = described(embedder, (small_pixels(Image.open(arguments.truth.parent / r["path"])) for r in rows))
    others = described(embedder, shard_pictures(arguments.distractors))[0] if arguments.distractors else []
    table = table_of(rows, known)
    views, queries = (
        np.mean([len(v) for v in side]) for side in zip(*((d.stored, d.queries) for d in known), strict=True)
    )
    print(f"{model.tag}: {len(rows)} pictures, {cost_ms:.2f} CPU-ms each, {views:.2f} stored and {queries:.1f} queries")

    real = [d.stored for d in others]
    batches: dict[str, Callable[[], Iterable[Sequence[Vectors]]]] = {"none": lambda: ()}
    if others:
        seeds = real + [d.stored for r, d in zip(rows, known, strict=True) if is_alone(r)]
        batches[f"{len(real)} real"] = lambda: [real]
        batches[f"{arguments.synthetic} made"] = lambda: distractors(
            seeds, arguments.synthetic, np.random.default_rng(SEED)
        )
        print("\n".join(match_table(others, np.random.default_rng(SEED), 0.6)))
    libraries = [library_of(name, table, make(), floor) for name, make in batches.items()]

    print(f"\nrecall @ {LIMITS} over {floor}: copy asks / original asks, {len(table.pairs)} pairs")
    for library in libraries:
        both = (recalls(table, library, p, floor) for p in (table.pairs, turned(table.pairs)))
        print(f"{library.name:>13}   " + " / ".join(both))
    print("\nwithin reach, by half of the sources: copy asks / original asks")
    for library in libraries:
        for half in ("tune", "report"):
            print(reach_line(table, library, half, model))
    print("\n" + arrivals(table, model))
    print_by_transform(table, libraries[-1], floor)
    print_thresholds(table, libraries[-2 if others else -1])
    print("\npictures that say little, and documents, beside the labelled ones")
    print("\n".join(plain_lines(embedder, table)))
    embedder.close()


if __name__ == "__main__":
    main()
