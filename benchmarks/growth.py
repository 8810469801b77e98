"""Does a scan grow with the library, or faster? `dedupd scan` of ever more pictures, each from an empty state.

    python -m benchmarks.growth [--sizes 1000 3000 10000 30000 100000] [--long-px 160] [--workers 0] [--json FILE]

The pictures (`leaves`) are small, so that little of the time is decoding and what grows faster than the library shows:
the harder case. `--long-px 1600` makes the same ones in the size of photographs; 100,000 of these are 21 GB and take an
hour to make. One in a hundred is a smaller copy of another. The exponent is the slope of CPU time over files in double
logarithmic scale, by least squares: 1 is linear, n log n would be some 1.1 here. `beyond the start` takes off what the
scan of a folder with one picture costs, so that a fixed cost cannot hide what grows. Sizes up to 1,000 are scanned
three times, in turn; the median counts.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import leaves
from benchmarks.common import Result, Row, median, run_alone
from benchmarks.group_scores import reported_paths
from benchmarks.plots import GOOD, OTHER, PALETTE, Axis, Series, chart_svg, log_ticks
from benchmarks.processes import Scan, scan

QUICK = ("--sizes", "500", "1500", "3000")
PROMISE_EXPONENT = 1.05
A_FOLDER = 500
COPY_EVERY = 100
REPEATED_UP_TO, REPEATS = 1000, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000, 100_000], metavar="FILES")
    parser.add_argument("--long-px", type=int, default=leaves.LONG_PX, help="longer side of the pictures (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="decode workers; 0: one a core")


def run(arguments: argparse.Namespace) -> Result:
    done: dict[int, list[Scan]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        home, there = Path(temporary), 0
        one = home / "one"
        make(one, range(1), arguments.long_px)
        for size in sorted(arguments.sizes):
            make(home / "photos", range(there, size), arguments.long_px)
            there = size
            for _ in range(REPEATS if size <= REPEATED_UP_TO else 1):
                done[1].append(fresh_scan(one, home / "state", arguments.workers))
                done[size].append(fresh_scan(home / "photos", home / "state", arguments.workers))
    start = figures(1, done.pop(1))
    points = [figures(size, scans) for size, scans in done.items()]
    for point in points:
        point["cpu_s_beyond_start"] = round(point["cpu_s"] - start["cpu_s"], 3)
    return {
        "pictures_px": [arguments.long_px, leaves.short_side_px(arguments.long_px)],
        "copies": 1 / COPY_EVERY,
        "workers": arguments.workers or len(os.sched_getaffinity(0)),
        "start": start,
        "points": points,
        "exponents": {
            name: exponent(points, name)
            for name in ("cpu_s", "cpu_s_beyond_start", "wall_s", "parent_cpu_s", "compared")
        },
    }


def make(folder: Path, numbers: Sequence[int], long_px: int) -> None:
    """Write pictures by their numbers, on all cores."""
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_save, folder, long_px), numbers, chunksize=100))


def _save(folder: Path, long_px: int, number: int) -> None:
    path = folder / f"{number // A_FOLDER:04}" / f"IMG_{number:06}.jpg"
    if is_copy(number):
        whole = leaves.leaves(number - COPY_EVERY // 2, long_px)
        leaves.save(leaves.smaller(whole), path, leaves.COPY_QUALITY)
    else:
        leaves.save(leaves.leaves(number, long_px), path, leaves.quality_of(long_px))


def is_copy(number: int) -> bool:
    """Whether it is a copy of the picture half a hundred before it."""
    return number % COPY_EVERY == COPY_EVERY - 1


def fresh_scan(folder: Path, state: Path, workers: int) -> Scan:
    done = scan(folder, state, workers=workers)
    shutil.rmtree(state)
    return done


def found_copies(done: Scan) -> tuple[int, int]:
    """How many of the planted pairs are in one group, and how many other pairs of one group there are."""
    right = wrong = 0
    for group in done.report["groups"]:
        numbers = sorted(int(os.fsdecode(path)[-10:-4]) for path in reported_paths(group))
        pairs = [(a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :]]
        planted = sum(is_copy(b) and b - a == COPY_EVERY // 2 for a, b in pairs)
        right, wrong = right + planted, wrong + len(pairs) - planted
    return right, wrong


def figures(size: int, scans: Sequence[Scan]) -> Result:
    right, wrong = found_copies(scans[0])
    return {
        "files": size,
        "scans": len(scans),
        "cpu_s": median([done.spent.cpu_s for done in scans]),
        "wall_s": median([done.spent.wall_s for done in scans]),
        "parent_cpu_s": median([done.parent_cpu_s for done in scans]),
        "compared": scans[0].compared,
        "copies_planted": size // COPY_EVERY,
        "copies_found": right,
        "other_pairs_reported": wrong,
    }


def exponent(points: Sequence[Result], name: str) -> float | None:
    """The slope of the logarithms by least squares; None of fewer than two sizes."""
    if len(points) < 2:
        return None
    logs = [(math.log(point["files"]), math.log(max(point[name], 1e-3))) for point in points]
    slope, _ = np.polyfit([x for x, _ in logs], [y for _, y in logs], 1)
    return round(float(slope), 3)


def rows(result: Result) -> list[Row]:
    table = [
        Row(
            what=f"first scan of {point['files']:,} files of {'×'.join(map(str, result['pictures_px']))}",
            value=f"{point['cpu_s']:.1f} CPU s, {point['wall_s']:.1f} s, "
            f"{1000 * point['cpu_s_beyond_start'] / point['files']:.2f} CPU ms a file beyond the start, "
            f"{point['compared'] / point['files']:.2f} pairs looked at a file, "
            f"{point['copies_found']} of {point['copies_planted']} copies found",
        )
        for point in result["points"]
    ]
    named = {
        "cpu_s": "CPU time",
        "cpu_s_beyond_start": "CPU time beyond the start",
        "wall_s": "wall-clock time",
        "parent_cpu_s": "CPU time of the process that links",
        "compared": "pairs looked at",
    }
    for name, called in named.items():
        slope = result["exponents"][name]
        if slope is not None:
            has_promise = name in ("cpu_s", "cpu_s_beyond_start", "wall_s")
            table.append(
                Row(
                    what=f"exponent of {called}",
                    value=f"{slope:.3f}",
                    promise=f"≤ {PROMISE_EXPONENT}" if has_promise else "",
                    is_kept=slope <= PROMISE_EXPONENT if has_promise else None,
                )
            )
    return table


def plots(result: Result) -> dict[str, str]:
    """SVG by name: CPU and wall-clock time over files, with what linear growth from the first size would be."""
    points = result["points"]
    sizes = [point["files"] for point in points]
    lines = {"CPU time": ("cpu_s", GOOD), "wall-clock time": ("wall_s", PALETTE[1])}
    series = [
        Series(name=name, ink=ink, points=[(point["files"], point[key]) for point in points])
        for name, (key, ink) in lines.items()
    ]
    first = points[0]["cpu_s"]
    linear = [(size, first * size / sizes[0]) for size in sizes]
    series.append(Series(name="linear", ink=OTHER, points=linear, has_dots=False, is_dashed=True))
    times = [seconds for own in series for _, seconds in own.points]
    chart = chart_svg(
        series,
        Axis(label="files", ticks={size: f"{size:,}" for size in sizes}, is_log=True),
        Axis(label="seconds", ticks=log_ticks(min(times), max(times)), is_log=True),
        f"First scan of pictures of {'×'.join(map(str, result['pictures_px']))}: "
        f"CPU time grows as n to the {result['exponents']['cpu_s'] or 1:.2f}",
    )
    return {"growth": chart}


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
