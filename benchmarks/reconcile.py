"""Reconciling an unchanged tree, against `find -printf` with the same stat fields, in one run.

    python benchmarks/reconcile.py [--files 100000] [--rounds 5] [--json FILE]

Makes a tree of small files (few contents, many names), scans it once with `dedupd scan`, and then times in turn: find,
and the reconcile step (list, stat, compare with the store, decide) of the same tree, in CPU time and wall clock.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.records import RootRecord
from dedupd.pipeline.reconcile import compare_listing
from dedupd.sources.local_scan import LocalLister
from dedupd.store import LmdbLibrary

FIELDS = "%s %T@ %i %C@ %D\n"  # size, mtime, inode, ctime, device


def make_tree(root: Path, files: int) -> None:
    contents = []
    for shade in range(20):
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((64, 48)).point(lambda v, s=shade: (v * (s + 5) // 25) % 256).save(
            buffer, "JPEG", quality=80
        )
        contents.append(buffer.getvalue())
    then = time.time() - 3600
    for number in range(files):
        folder = root / f"{number // 5000:02}" / f"{number // 100:05}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"IMG_{number % 100:04}.jpg"
        path.write_bytes(contents[number * 7 % len(contents)])
        os.utime(path, (then, then))


def run_find(root: Path) -> tuple[float, float]:
    before, began = os.times(), time.perf_counter()
    subprocess.run(["find", str(root), "-printf", FIELDS], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return cpu_s, time.perf_counter() - began


def run_reconcile(library: LmdbLibrary, root: RootRecord) -> tuple[float, float, int]:
    lister = LocalLister(IgnoreRules())
    different = 0
    began_cpu, began = time.process_time(), time.perf_counter()
    for listing in lister.walk(root):
        with library.view() as view:
            changes = compare_listing(view, root.id, listing)
        different += len(changes.new) + len(changes.changed) + len(changes.gone)
    return time.process_time() - began_cpu, time.perf_counter() - began, different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        tree, state = Path(temporary) / "tree", Path(temporary) / "state"
        make_tree(tree, arguments.files)
        scan = [sys.executable, "-m", "dedupd.daemon.main", "scan", str(tree), "--state-dir", str(state), "--quiet"]
        subprocess.run(scan, check=True)
        library = LmdbLibrary(state)
        with library.view() as view:
            [root] = view.roots()
        finds, reconciles = [], []
        for _ in range(arguments.rounds):
            finds.append(run_find(tree))
            cpu_s, wall_s, different = run_reconcile(library, root)
            assert different == 0, "an unchanged tree has no differences"
            reconciles.append((cpu_s, wall_s))
        library.close()
    find_cpu, find_wall = (statistics.median(column) for column in zip(*finds, strict=True))
    cpu, wall = (statistics.median(column) for column in zip(*reconciles, strict=True))
    result = {
        "files": arguments.files,
        "rounds": arguments.rounds,
        "find_cpu_s": round(find_cpu, 3),
        "find_wall_s": round(find_wall, 3),
        "reconcile_cpu_s": round(cpu, 3),
        "reconcile_wall_s": round(wall, 3),
        "ratio_cpu": round(cpu / find_cpu, 2),
        "ratio_wall": round(wall / find_wall, 2),
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
