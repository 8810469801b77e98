"""How precise is the verifier? `python benchmarks/accuracy_pairs.py TRUTH.csv [--json] [--hard FOLDER]`.

TRUTH.csv names pictures (path, role, source_id, transform, series_id) below its own directory. Compared are all pairs
of one source, all pairs of one series, and the unrelated pairs that look most alike by a cheap thumbnail correlation.
With --hard, every folder below FOLDER is a series of its own (bursts, brackets, focus stacks): more look-alikes.
Metadata and previews come from the real decoder. Prints the recall of (copy, original) by transformation, every false
accept, and CPU time a pair; one process.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dedupd.core.records import ContentId, ContentRecord, ContentStage, Relation
from dedupd.core.relation import Verdict, decide
from dedupd.imaging.decode import decode, decode_preview
from dedupd.imaging.evidence import compare_images, prepare
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.picture import prepare_decoders
from dedupd.imaging.prepared_side import PreparedSide

THUMBNAIL_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A picture with what the truth says of it."""

    name: str
    source: str
    series: str
    transform: str
    is_original: bool
    record: ContentRecord
    side: PreparedSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A pair, what it is in truth ("true", "series", "unrelated") and what was decided."""

    truth: str
    a: Sample
    b: Sample
    verdict: Verdict


def read_sample(path: Path, number: int, row: dict[str, str]) -> Sample:
    """Decode a picture as the daemon does."""
    image = decode(path.read_bytes(), DecodeLimits())
    record = ContentRecord(
        id=ContentId(number),
        digest=number.to_bytes(32),  # exact copies are compared like any other pair
        size_bytes=path.stat().st_size,
        format=image.format,
        width_px=image.width_px,
        height_px=image.height_px,
        image_digest=image.image_digest,
        pixel_digest=None,
        quality=image.quality,
        capture=image.capture,
        decoder=image.decoder,
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
    )
    return Sample(
        name=row.get("path") or str(path),
        source=row.get("source_id", ""),
        series=row.get("series_id", ""),
        transform=row.get("transform", ""),
        is_original=row.get("role") == "original",
        record=record,
        side=prepare(decode_preview(image.preview), image.width_px, image.height_px),
    )


def read_samples(truth: Path, hard: Path | None) -> list[Sample]:
    with truth.open(newline="", errors="surrogateescape") as table:
        rows = list(csv.DictReader(table))
    samples = [read_sample(truth.parent / row["path"], number, row) for number, row in enumerate(rows, 1)]
    if hard is not None:
        for path in sorted(p for p in hard.glob("*/*") if p.is_file()):
            row = {"path": f"{path.parent.name}/{path.name}", "series_id": f"hard:{path.parent.name}"}
            samples.append(read_sample(path, len(samples) + 1, row))
    return samples


def nearest_unrelated(samples: list[Sample], count: int) -> Iterator[tuple[Sample, Sample]]:
    """The pairs of neither one source nor one series whose thumbnails correlate most."""
    thumbnails = []
    for sample in samples:
        small = cv2.resize(sample.side.luma, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA).ravel()
        small = small - small.mean()
        thumbnails.append(small / (np.linalg.norm(small) + 1e-6))
    matrix = np.stack(thumbnails)
    similarity = np.triu(matrix @ matrix.T, 1)
    for flat in np.argsort(-similarity, axis=None)[: 20 * count]:
        a, b = samples[flat // len(samples)], samples[flat % len(samples)]
        if not (a.source and a.source == b.source) and not (a.series and a.series == b.series):
            yield a, b
            count -= 1
            if not count:
                return


def grouped_pairs(samples: list[Sample], key: str) -> Iterator[tuple[Sample, Sample]]:
    groups = defaultdict(list)
    for sample in samples:
        if getattr(sample, key):
            groups[getattr(sample, key)].append(sample)
    for group in groups.values():
        yield from itertools.combinations(group, 2)


def compared(truth: str, pairs: Iterable[tuple[Sample, Sample]]) -> tuple[list[Compared], float]:
    """Verdicts and CPU milliseconds a pair."""
    start_s = time.process_time()
    found = [
        Compared(truth=truth, a=a, b=b, verdict=decide(a.record, b.record, compare_images(a.side, b.side)))
        for a, b in pairs
    ]
    return found, (time.process_time() - start_s) * 1000 / max(1, len(found))


def accepted(pairs: Iterable[Compared]) -> list[Compared]:
    return [p for p in pairs if p.verdict.relation.is_duplicate]


def report(found: dict[str, list[Compared]], cpu_ms: dict[str, float]) -> dict[str, object]:
    to_original = [p for p in found["true"] if p.a.is_original != p.b.is_original]
    by_transform: dict[str, Counter[Relation]] = defaultdict(Counter)
    for pair in to_original:
        by_transform[(pair.b if pair.a.is_original else pair.a).transform][pair.verdict.relation] += 1
    right, wrong = len(accepted(found["true"])), accepted([*found["series"], *found["unrelated"]])
    return {
        "pairs": {truth: len(pairs) for truth, pairs in found.items()},
        "accepted": {truth: len(accepted(pairs)) for truth, pairs in found.items()},
        "precision": right / max(1, right + len(wrong)),
        "recall_all_pairs": right / max(1, len(found["true"])),
        "recall_copy_original": len(accepted(to_original)) / max(1, len(to_original)),
        "by_transform": {t: {r.value: n for r, n in c.items()} for t, c in sorted(by_transform.items())},
        "false_accepts": [[p.truth, p.a.name, p.b.name, p.verdict.relation, p.verdict.reason] for p in wrong],
        "cpu_ms_per_pair": {truth: round(ms, 1) for truth, ms in cpu_ms.items()},
    }


def print_table(result: dict[str, object], found: dict[str, list[Compared]]) -> None:
    print(f"{'transformation':<20} {'recall':>7}  relations")
    for transform, counts in result["by_transform"].items():  # type: ignore[attr-defined]
        total = sum(counts.values())
        right = sum(n for r, n in counts.items() if Relation(r).is_duplicate)
        print(f"{transform:<20} {right / total:7.1%}  " + ", ".join(f"{r} {n}" for r, n in counts.items()))
    for truth, pairs in found.items():
        print(f"{truth:<10} {len(accepted(pairs))} of {len(pairs)} accepted")
    for key in ("precision", "recall_all_pairs", "recall_copy_original"):
        print(f"{key:<22} {result[key]:.2%}")
    print("CPU ms a pair (keypoints of new pictures included):", result["cpu_ms_per_pair"])
    for pair in result["false_accepts"]:  # type: ignore[attr-defined]
        print("FALSE", *pair, sep="  ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--hard", type=Path, help="folder of folders, each a series of look-alikes")
    parser.add_argument("--unrelated", type=int, default=1500, help="unrelated pairs to compare, the most alike first")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    prepare_decoders(DecodeLimits())
    samples = read_samples(args.truth, args.hard)
    found: dict[str, list[Compared]] = {}
    cpu_ms: dict[str, float] = {}
    for truth, pairs in (
        ("true", grouped_pairs(samples, "source")),
        ("series", grouped_pairs(samples, "series")),
        ("unrelated", nearest_unrelated(samples, args.unrelated)),
    ):
        found[truth], cpu_ms[truth] = compared(truth, pairs)
    result = report(found, cpu_ms)
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print_table(result, found)


if __name__ == "__main__":
    main()
