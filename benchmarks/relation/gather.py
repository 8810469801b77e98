"""Measures the pairs of labelled folders for `fit`: `python -m benchmarks.relation.gather ROWS.csv TRUTH.csv …`.

Decodes every picture as the daemon does and compares all copies with their original, some copies with each other, and
all pictures of a series (--most a folder). A row is a pair that the rules of `core.relation` leave to the calibrated
model: pairs that capture data, framing or plainness decide are left out. Pairs listed in a series_ambiguous.csv beside
the table, and kinds that differ by less than anybody could see, are left out too.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2

from benchmarks.truth import half_of
from dedupd.core.calibration import measures
from dedupd.core.records import ContentId, ContentRecord, ContentStage
from dedupd.core.relation import account_of
from dedupd.imaging.decode import decode, decode_preview
from dedupd.imaging.evidence import compare_images, prepare
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.picture import prepare_decoders
from dedupd.imaging.prepared_side import PreparedSide

# Simulated second shots that differ from the first by grain or a third of a pixel only: nothing to learn from.
UNSEEN_KINDS = frozenset(
    {
        "hand_held",
        "hand_held_tiny",
        "parallax",
        "iso_change",
        "white_balance_bracket",
        "exposure_bracket",
        "tripod_ambiguous",
    }
)
FIELDS = ("set", "half", "is_copy", "kind", "source", "account", "has_overlay")

Sample = tuple[dict[str, str], ContentRecord, PreparedSide]


def read_sample(folder: Path, number: int, row: dict[str, str]) -> Sample:
    """A picture of a table, decoded as the daemon does."""
    path = folder / row["path"]
    image = decode(path.read_bytes(), DecodeLimits())
    record = ContentRecord(
        id=ContentId(number),
        digest=number.to_bytes(32),
        size_bytes=path.stat().st_size,
        format=image.format,
        width_px=image.width_px,
        height_px=image.height_px,
        image_digest=None,
        pixel_digest=None,
        quality=image.quality,
        capture=image.capture,
        decoder=image.decoder,
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
    )
    return row, record, prepare(decode_preview(image.preview), image.width_px, image.height_px)


def pairs_of(samples: list[Sample], most: int, seed: int = 3) -> list[tuple[bool, Sample, Sample]]:
    """Pairs with whether they are copies: of one source, then of one series; at most `most` of each kind."""
    copies, others, series = [], [], []
    for group in _grouped(samples, "source_id"):
        for a, b in itertools.combinations(group, 2):
            with_original = (a[0]["role"] == "original") != (b[0]["role"] == "original")
            (copies if with_original else others).append((True, a, b))
    for group in _grouped(samples, "series_id"):
        for a, b in itertools.combinations(group, 2):
            if not a[0]["source_id"] or a[0]["source_id"] != b[0]["source_id"]:
                series.append((False, a, b))
    shuffle = random.Random(seed).shuffle
    for found in (copies, others, series):
        shuffle(found)
    return copies[:most] + others[: most // 2] + series[:most]


def _grouped(samples: list[Sample], key: str) -> Iterator[list[Sample]]:
    groups = defaultdict(list)
    for sample in samples:
        if sample[0].get(key):
            groups[sample[0][key]].append(sample)
    yield from groups.values()


def rows_of(truth: Path, most: int) -> Iterator[dict[str, object]]:
    """One row a pair that the calibrated model decides."""
    with truth.open(newline="", errors="surrogateescape") as table:
        rows = list(csv.DictReader(table))
    samples = [read_sample(truth.parent, number, row) for number, row in enumerate(rows, 1)]
    unclear = _unclear_pairs(truth.parent / "series_ambiguous.csv")
    for is_copy, a, b in pairs_of(samples, most):
        kind = (a[0] if b[0]["role"] == "original" else b[0])["transform"] if is_copy else a[0]["series_kind"]
        if not is_copy and (kind in UNSEEN_KINDS or frozenset((a[0]["path"], b[0]["path"])) in unclear):
            continue
        evidence = compare_images(a[2], b[2])
        account = account_of(a[1], b[1], evidence)
        if account is None:
            continue
        yield {
            "set": truth.parent.name,
            "half": half_of(a[0]["series_id"] or a[0]["source_id"]),
            "is_copy": int(is_copy),
            "kind": kind,
            "source": a[0]["source_id"] or a[0]["series_id"],
            "account": account.value,
            "has_overlay": int(evidence.overlay_share > 0),
            **{name: f"{value:.6g}" for name, value in measures(evidence).items()},
        }


def _unclear_pairs(table: Path) -> set[frozenset[str]]:
    if not table.exists():
        return set()
    with table.open(newline="", errors="surrogateescape") as rows:
        return {frozenset((row["path_a"], row["path_b"])) for row in csv.DictReader(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="where to write the rows")
    parser.add_argument("truth", type=Path, nargs="+", help="tables of labelled folders")
    parser.add_argument("--most", type=int, default=1000, help="pairs of each kind and folder (default 1000)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    prepare_decoders(DecodeLimits())
    found = []
    for truth in args.truth:
        before = len(found)
        found += rows_of(truth, args.most)
        print(f"{truth}: {len(found) - before} pairs for the model", file=sys.stderr)
    names = list(dict.fromkeys(name for row in found for name in row))
    with args.rows.open("w", newline="") as out:
        writer = csv.DictWriter(out, names, restval="")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
