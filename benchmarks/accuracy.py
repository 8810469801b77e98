"""How right are the groups? `dedupd scan` on pictures of which the truth is known, scored over pairs.

    python -m benchmarks.accuracy [--data DIR] [--ignore PAIRS.csv] [--json FILE]

DIR holds truth.csv: path (below DIR), role ("original" for the one that others were made from), source_id (equal: they
are duplicates), transform (how a copy was made), series_id (equal, of another source: look-alikes that must not be
merged). Without --data a small set is made. PAIRS.csv (path_a, path_b) names pairs that nobody is judged on.

A pair is reported when one group holds both files, `related` ones left out. Recall by transform is that of (copy,
original). The promises: precision ≥ 99.5 %, at least 60 % of the pairs, no look-alikes merged.
"""

from __future__ import annotations

import argparse
import base64
import csv
import itertools
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Result, Row, run_alone
from benchmarks.processes import scan
from benchmarks.truth import make_truth

QUICK = ("--sources", "9")
PROMISE_PRECISION, PROMISE_RECALL = 0.995, 0.60

Pair = tuple[bytes, bytes]  # absolute paths, the smaller first


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is known of the pictures."""

    files: frozenset[bytes]
    same: frozenset[Pair]
    look_alike: frozenset[Pair]
    to_original: dict[str, list[Pair]]  # by transform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with truth.csv (default: a set is made)")
    parser.add_argument("--ignore", type=Path, metavar="PAIRS.csv", help="pairs that count neither way")
    parser.add_argument("--sources", type=int, default=17, help="pictures with copies in the set that is made")
    parser.add_argument("--workers", type=int, default=0, help="decode workers; 0: one a core")


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        table = arguments.data / "truth.csv" if arguments.data else make_truth(home / "photos", arguments.sources)
        truth = read_truth(table, arguments.ignore)
        done = scan(table.parent, home / "state", workers=arguments.workers)
    groups = [reported_paths(group) for group in done.report["groups"]]
    return {
        "data": arguments.data.name if arguments.data else "own making",
        **score(truth, groups),
        "scan": {
            "files": done.read,
            "decoded": done.decoded,
            "pairs_looked_at": done.compared,
            "set_aside": done.report["problems"],
            "cpu_s": round(done.spent.cpu_s, 2),
            "wall_s": round(done.spent.wall_s, 2),
            "parent_cpu_s": round(done.parent_cpu_s, 2),
        },
    }


def read_truth(table: Path, ignore: Path | None = None) -> Truth:
    base = os.fsencode(table.parent.resolve())
    rows = read_rows(table)
    for row in rows:
        row["path"] = os.path.join(base, os.fsencode(row["path"]))  # noqa: PTH118 - bytes
    unjudged = frozenset(
        pair_of(*(os.path.join(base, os.fsencode(row[name])) for name in ("path_a", "path_b")))  # noqa: PTH118
        for row in (read_rows(ignore) if ignore else ())
    )
    same = frozenset(pairs_sharing(rows, "source_id")) - unjudged
    originals = {row["source_id"]: row["path"] for row in rows if row["role"] == "original"}
    to_original = defaultdict(list)
    for row in rows:
        if row["role"] != "original" and row["source_id"] in originals:
            to_original[row["transform"]].append(pair_of(row["path"], originals[row["source_id"]]))
    return Truth(
        files=frozenset(row["path"] for row in rows),
        same=same,
        look_alike=frozenset(pairs_sharing(rows, "series_id")) - same - unjudged,
        to_original=dict(sorted(to_original.items())),
    )


def read_rows(table: Path) -> list[dict[str, Any]]:
    with table.open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def pairs_sharing(rows: Iterable[dict[str, Any]], column: str) -> Iterator[Pair]:
    members = defaultdict(set)
    for row in rows:
        if row.get(column):
            members[row[column]].add(row["path"])
    for paths in members.values():
        yield from itertools.combinations(sorted(paths), 2)


def pair_of(a: bytes, b: bytes) -> Pair:
    return (a, b) if a < b else (b, a)


def reported_paths(group: dict[str, Any]) -> list[bytes]:
    """The files of a group of the report, as the file system names them."""
    files = [group["keep"], *group["duplicates"]]
    return [base64.b64decode(f["path_b64"]) if "path_b64" in f else os.fsencode(f["path"]) for f in files]


def score(truth: Truth, groups: Iterable[Iterable[bytes]]) -> Result:
    known = [sorted(truth.files.intersection(group)) for group in groups]
    reported = {pair for group in known for pair in itertools.combinations(group, 2)}
    right, merged = reported & truth.same, reported & truth.look_alike
    wrong = reported - truth.same - truth.look_alike
    return {
        "pictures": len(truth.files),
        "precision": share(len(right), len(reported)),
        "recall": share(len(right), len(truth.same)),
        "pairs": {"reported": len(reported), "right": len(right), "true": len(truth.same)},
        "look_alikes": {"pairs": len(truth.look_alike), "merged": len(merged)},
        "other_false": len(wrong),
        "false_pairs": [[os.fsdecode(os.path.basename(p)) for p in pair] for pair in sorted(merged | wrong)],  # noqa: PTH119
        "recall_by_transform": {
            transform: {"copies": len(pairs), "recall": share(len(reported.intersection(pairs)), len(pairs))}
            for transform, pairs in truth.to_original.items()
        },
    }


def share(part: int, whole: int) -> float:
    """Of nothing, everything."""
    return round(part / whole, 5) if whole else 1.0


def rows(result: Result) -> list[Row]:
    pairs, alike, cost = result["pairs"], result["look_alikes"], result["scan"]
    by_transform = [
        Row(what=f"  {transform} ({own['copies']})", value=f"{own['recall']:.1%}")
        for transform, own in result["recall_by_transform"].items()
    ]
    return [
        Row(
            what="pairs reported that are right",
            value=f"{result['precision']:.2%} of {pairs['reported']}",
            promise=f"≥ {PROMISE_PRECISION:.1%}",
            is_kept=result["precision"] >= PROMISE_PRECISION,
        ),
        Row(
            what="true pairs that are reported",
            value=f"{result['recall']:.2%} of {pairs['true']}",
            promise=f"≥ {PROMISE_RECALL:.0%}",
            is_kept=result["recall"] >= PROMISE_RECALL,
        ),
        Row(
            what="look-alike pairs merged",
            value=f"{alike['merged']} of {alike['pairs']}",
            promise="0",
            is_kept=alike["merged"] == 0,
        ),
        *by_transform,
        Row(
            what=f"scan of {cost['files']} files, {cost['pairs_looked_at']} pairs looked at",
            value=f"{cost['cpu_s']:.1f} CPU s, {cost['wall_s']:.1f} s",
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
