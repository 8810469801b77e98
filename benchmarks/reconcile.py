"""Reconciling an unchanged tree, against `find -printf` with the same stat fields, in one run.

    python -m benchmarks.reconcile [--files 100000] [--rounds 5] [--json FILE]

Makes a tree of small files (few contents, many names), scans it once with `dedupd scan`, and then times in turn: find,
and the reconcile step (list, stat, compare with the store, decide) of the same tree, in CPU time and wall clock. A
second scan comes before, as it keeps the directories' fingerprints; what the step costs without them is shown too. The
promise, on the median of the rounds: less than 1.5 times what find takes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from PIL import Image

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import age
from benchmarks.processes import Spent, scan, spent_by
from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.records import RootRecord
from dedupd.pipeline.reconcile import DIRECTORIES_AT_ONCE, compare_listings
from dedupd.sources.local_scan import LocalLister
from dedupd.store import LmdbLibrary

QUICK = ("--files", "10000", "--rounds", "3")
PROMISE_RATIO = 1.5
FIELDS = "%s %T@ %i %C@ %D\n"  # size, mtime, inode, ctime, device


def make_tree(root: Path, files: int) -> None:
    contents = []
    for shade in range(20):
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((64, 48)).point(lambda v, s=shade: (v * (s + 5) // 25) % 256).save(
            buffer, "JPEG", quality=80
        )
        contents.append(buffer.getvalue())
    for number in range(files):
        folder = root / f"{number // 5000:02}" / f"{number // 100:05}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"IMG_{number % 100:04}.jpg"
        path.write_bytes(contents[number * 7 % len(contents)])
        age(path)


def run_reconcile(library: LmdbLibrary, root: RootRecord) -> Spent:
    """List, stat and compare everything below the root; it must not have changed."""
    lister = LocalLister(IgnoreRules())
    began_cpu, began = time.process_time(), time.perf_counter()
    listings = lister.walk(root)
    while some := list(islice(listings, DIRECTORIES_AT_ONCE)):
        for changes in compare_listings(library, root.id, some):
            assert not any((changes.new, changes.changed, changes.gone)), "an unchanged tree has no differences"
    return Spent(cpu_s=time.process_time() - began_cpu, wall_s=time.perf_counter() - began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)


def in_turn(state: Path, tree: Path, rounds: int) -> tuple[Spent, Spent]:
    """Medians of find and of reconciling, by turns."""
    finds, reconciles = [], []
    with contextlib.closing(LmdbLibrary(state)) as library:
        with library.view() as view:
            [root] = view.roots()
        for _ in range(rounds):
            finds.append(spent_by(["find", tree, "-printf", FIELDS]))
            reconciles.append(run_reconcile(library, root))
    find, reconcile = (
        Spent(cpu_s=median([s.cpu_s for s in spent]), wall_s=median([s.wall_s for s in spent]))
        for spent in (finds, reconciles)
    )
    return find, reconcile


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        tree, state = Path(temporary) / "tree", Path(temporary) / "state"
        make_tree(tree, arguments.files)
        scan(tree, state)
        find_first, by_rows = in_turn(state, tree, arguments.rounds)
        again = scan(tree, state)
        find, reconcile = in_turn(state, tree, arguments.rounds)
    return {
        "files": arguments.files,
        "rounds": arguments.rounds,
        "find_cpu_s": round(find.cpu_s, 3),
        "find_wall_s": round(find.wall_s, 3),
        "reconcile_cpu_s": round(reconcile.cpu_s, 3),
        "reconcile_wall_s": round(reconcile.wall_s, 3),
        "ratio_cpu": round(reconcile.cpu_s / find.cpu_s, 2),
        "ratio_wall": round(reconcile.wall_s / find.wall_s, 2),
        "by_rows_ratio_cpu": round(by_rows.cpu_s / find_first.cpu_s, 2),
        "by_rows_ratio_wall": round(by_rows.wall_s / find_first.wall_s, 2),
        "second_scan_cpu_s": round(again.spent.cpu_s, 3),
        "second_scan_wall_s": round(again.spent.wall_s, 3),
        "second_scan_read": again.read,
    }


def rows(result: Result) -> list[Row]:
    worse = max(result["ratio_wall"], result["ratio_cpu"])
    return [
        Row(
            what=f"reconciling {result['files']:,} unchanged files, wall clock and CPU",
            value=f"{result['ratio_wall']:.2f}× find (CPU {result['ratio_cpu']:.2f}×)",
            promise=f"< {PROMISE_RATIO:g}×",
            is_kept=worse < PROMISE_RATIO,
        ),
        Row(
            what="the same by the files' rows, as in the first scan after a change or a kill",
            value=f"{result['by_rows_ratio_wall']:.2f}× find (CPU {result['by_rows_ratio_cpu']:.2f}×)",
        ),
        Row(
            what=f"whole second scan of them, {result['second_scan_read']} files read",
            value=f"{result['second_scan_cpu_s']:.1f} CPU s, {result['second_scan_wall_s']:.1f} s",
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
