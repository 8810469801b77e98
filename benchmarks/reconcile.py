"""Reconciling an unchanged tree, against `find -printf` with the same stat fields, in one run.

    python -m benchmarks.reconcile [--files 100000] [--rounds 5] [--json FILE]

Makes a tree of small files (few contents, many names), scans it once with `dedupd scan`, and then times in turn: find,
and the reconcile step (list, stat, compare with the store, decide) of the same tree, in CPU time and wall clock. The
promise: at most 3 times what find takes.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import age
from benchmarks.processes import Spent, scan, spent_by
from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.records import RootRecord
from dedupd.pipeline.reconcile import compare_listing
from dedupd.sources.local_scan import LocalLister
from dedupd.store import LmdbLibrary

QUICK = ("--files", "10000", "--rounds", "3")
PROMISE_RATIO = 3.0
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
    for listing in lister.walk(root):
        with library.view() as view:
            changes = compare_listing(view, root.id, listing)
        assert not any((changes.new, changes.changed, changes.gone)), "an unchanged tree has no differences"
    return Spent(cpu_s=time.process_time() - began_cpu, wall_s=time.perf_counter() - began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        tree, state = Path(temporary) / "tree", Path(temporary) / "state"
        make_tree(tree, arguments.files)
        scan(tree, state)
        again = scan(tree, state)
        library = LmdbLibrary(state)
        with library.view() as view:
            [root] = view.roots()
        finds, reconciles = [], []
        for _ in range(arguments.rounds):
            finds.append(spent_by(["find", tree, "-printf", FIELDS]))
            reconciles.append(run_reconcile(library, root))
        library.close()
    pairs = list(zip(reconciles, finds, strict=True))
    return {
        "files": arguments.files,
        "rounds": arguments.rounds,
        "find_cpu_s": median([f.cpu_s for f in finds]),
        "find_wall_s": median([f.wall_s for f in finds]),
        "reconcile_cpu_s": median([r.cpu_s for r in reconciles]),
        "reconcile_wall_s": median([r.wall_s for r in reconciles]),
        "ratio_cpu": round(median([r.cpu_s / f.cpu_s for r, f in pairs]), 2),
        "ratio_wall": round(median([r.wall_s / f.wall_s for r, f in pairs]), 2),
        "second_scan_cpu_s": round(again.spent.cpu_s, 3),
        "second_scan_wall_s": round(again.spent.wall_s, 3),
        "second_scan_read": again.read,
    }


def rows(result: Result) -> list[Row]:
    ratio = result["ratio_wall"]
    return [
        Row(
            what=f"reconciling {result['files']:,} unchanged files, wall clock",
            value=f"{ratio:.2f}× find (CPU {result['ratio_cpu']:.2f}×)",
            promise=f"≤ {PROMISE_RATIO:g}×",
            is_kept=ratio <= PROMISE_RATIO,
        ),
        Row(
            what=f"whole second scan of them, {result['second_scan_read']} files read",
            value=f"{result['second_scan_cpu_s']:.1f} CPU s, {result['second_scan_wall_s']:.1f} s",
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
