"""Keepers: how often the original ranks above a degraded copy of it, by transformation.

    python -m benchmarks.keepers [--data DIR] [--half tune|report] [--fit] [--json FILE]

Each copy stands alone against its original, both under the same name, so that only what the pictures show and say of
themselves decides; the copy has the lower number, so that a tie counts as lost. Copies with the same bytes or the same
compressed data are as good as their original and are not counted. DIR holds truth.csv (see `truth`); without --data a
set is made in a temporary folder. --fit prints points for `dedupd/core/standing.py`, fitted to these pairs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import Result, Row, run_alone
from benchmarks.generated.write import write_set
from benchmarks.truth import Truth, read_truth
from dedupd.core.keeper import Candidate, choose_keeper
from dedupd.core.records import ContentId, ContentRecord, ContentStage
from dedupd.core.standing import PARTS
from dedupd.imaging.decode import decode
from dedupd.imaging.digest import content_digest
from dedupd.imaging.limits import DecodeLimits

QUICK = ("--sources", "24")
DEFAULT_SOURCES = 60
PROMISE = 0.98
_RIDGE = 0.3  # pulls points that the pairs say little about towards those that are in force
_STEPS, _RATE = 4000, 0.05

Copy = tuple[str, ContentRecord, ContentRecord]  # transformation, the original, the copy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with truth.csv (default: a set is made)")
    parser.add_argument("--half", choices=("tune", "report"), help="only sources of that half")
    parser.add_argument("--sources", type=int, default=DEFAULT_SOURCES, help="of the set that is made, for each use")
    parser.add_argument("--fit", action="store_true", help="print fitted points")


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.data:
            table = arguments.data / "truth.csv"
        else:
            table = write_set(Path(temporary) / "photos", sources=arguments.sources, half=arguments.half)
        copies = copies_with_originals(read_truth(table, half=arguments.half))
    counted = [copy for copy in copies if not are_equally_good(copy[1], copy[2])]
    lost = [copy for copy in counted if choose(copy[1], copy[2]) != copy[1].id]
    if arguments.fit:
        for number, points in enumerate(fitted(counted)):
            print(f"part {number:>2}: {points:5.2f} of the present points")
    of_all, of_lost = (Counter(transform for transform, _, _ in some) for some in (counted, lost))
    return {
        "data": arguments.data.name if arguments.data else "own making",
        "half": arguments.half or "both",
        "pairs": len(counted),
        "equally_good": len(copies) - len(counted),
        "original_kept": round(1 - len(lost) / max(1, len(counted)), 4),
        "lost": {name: [of_lost[name], of_all[name]] for name in sorted(of_lost)},
    }


def rows(result: Result) -> list[Row]:
    kept = result["original_kept"]
    lost = ", ".join(f"{name} {lost} of {count}" for name, (lost, count) in result["lost"].items())
    return [
        Row(what="the original ranks above its copy", value=f"{kept:.1%}", promise="≥ 98 %", is_kept=kept >= PROMISE),
        Row(what="pairs", value=f"{result['pairs']}, and {result['equally_good']} equally good"),
        Row(what="the copy ranks above", value=lost or "never"),
    ]


def copies_with_originals(truth: Truth) -> list[Copy]:
    """Each copy with its original, as the store would hold them."""
    originals = {p.source: p for p in truth.pictures.values() if p.is_original}
    by_source = defaultdict(list)
    for picture, _ in truth.to_original:
        by_source[picture.source].append(picture)
    copies: list[Copy] = []
    for source, pictures in by_source.items():
        original = read(originals[source].path, 2)
        copies += [(picture.transform, original, read(picture.path, 1)) for picture in pictures]
    return copies


def read(path: bytes, number: int) -> ContentRecord:
    with open(path, "rb") as file:  # noqa: PTH123 - a path of bytes
        data = file.read()
    image = decode(data, DecodeLimits())
    return ContentRecord(
        id=ContentId(number),
        digest=content_digest(data),
        size_bytes=len(data),
        format=image.format,
        width_px=image.width_px,
        height_px=image.height_px,
        image_digest=image.image_digest,
        pixel_digest=None,
        quality=image.quality,
        capture=image.capture,
        decoder=image.decoder,
        stage=ContentStage.LINKED,
        first_seen_ns=0,
    )


def are_equally_good(original: ContentRecord, copy: ContentRecord) -> bool:
    return original.digest == copy.digest or (
        original.image_digest is not None and original.image_digest == copy.image_digest
    )


def choose(original: ContentRecord, copy: ContentRecord) -> ContentId:
    return choose_keeper([Candidate(content=content, paths=(b"picture",)) for content in (original, copy)])[0]


def fitted(copies: list[Copy]) -> npt.NDArray[np.float64]:
    """For each part a factor ≥ 0 on its points, by logistic regression on the differences (Bradley and Terry, 1952)."""
    differences = np.array([[p.points(original) - p.points(copy) for p in PARTS] for _, original, copy in copies])
    factors = np.ones(len(PARTS))
    scale = 1 / np.maximum(differences.std(axis=0), 1e-6)
    for _ in range(_STEPS):
        wrong = 1 / (1 + np.exp(np.clip(differences @ factors, -30, 30)))
        slope = -(differences * wrong[:, None]).mean(axis=0) + _RIDGE * (factors - 1) / (scale**2 * len(copies))
        factors = np.maximum(0, factors - _RATE * slope * np.minimum(scale**2, 100))
    return factors


if __name__ == "__main__":
    import sys

    run_alone(sys.modules[__name__])  # type: ignore[arg-type]  # a module is a Benchmark
