"""Speed of a scan of camera pictures: the first, the second of the same tree, ten files added; and where it goes.

    python -m benchmarks.throughput [--data DIR] [--files 510] [--rounds 3] [--json FILE]

Beside them, in the same run, the least that any reader has to do: Pillow decoding the same files alone, DCT-scaled, in
one process. As anybody would write it (`draft` to a square of the small image's side, `thumbnail`), and at the scale
that dedupd takes, the smallest that is no smaller than the small image.

The files are those of DIR, or made of them where it holds fewer (see `camera_set`); without DIR, JPEGs of 8 megapixels
are made. They are in the page cache: this measures the processor, not the disk. Every round starts from an empty state.
CPU time a picture is that of all processes; `marginal` leaves out what a scan that decodes nothing costs (starting up,
listing, reporting). A second scan's time a file is what its intake thread spends: beside a start it cannot be seen from
outside.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks import stages
from benchmarks.camera_set import camera_pictures, put
from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import CAMERA_PX, make_scenes
from benchmarks.processes import Scan, Spent, scan
from dedupd.core.ports import SMALL_SIDE_PX
from dedupd.imaging.rgb import small_size

QUICK = ("--files", "30", "--rounds", "1")
ADDED = 10
WORKERS = (1, 2)
PROMISE_CPU, PROMISE_WALL, PROMISE_SECOND = 1.2, 0.6, 1000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of JPEGs (default: some are made)")
    parser.add_argument("--files", type=int, default=510, help="how many, the ten that are added later included")
    parser.add_argument("--rounds", type=int, default=3)


def run(arguments: argparse.Namespace) -> Result:
    samples: dict[str, list[Spent]] = defaultdict(list)
    done: dict[str, list[Scan]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        files = collect(arguments, home / "source")
        first, added = files[:-ADDED], files[-ADDED:]
        for number in range(arguments.rounds):
            samples["pillow"].append(decoded_by_pillow(first))
            samples["pillow_same_scale"].append(decoded_at_same_scale(first))
            for workers in WORKERS:
                for name, own in scans(home / f"round-{number}-{workers}", first, added, workers).items():
                    samples[f"{name}_{workers}"].append(own.spent)
                    done[f"{name}_{workers}"].append(own)
        total_bytes = sum(path.stat().st_size for path in files)
        steps = stages.measure(first)
    return {
        "data": arguments.data.name if arguments.data else "own making",
        "files": len(files),
        "mean_bytes": total_bytes // len(files),
        "rounds": arguments.rounds,
        "pillow": figures(samples["pillow"], len(first)),
        "pillow_same_scale": figures(samples["pillow_same_scale"], len(first)),
        "workers": {str(workers): by_workers(samples, done, workers, len(first)) for workers in WORKERS},
        "wall_ratio_of_two_workers": round(
            median([b.wall_s / a.wall_s for a, b in zip(samples["first_1"], samples["first_2"], strict=True)]), 2
        ),
        "steps_cpu_ms": steps,
    }


def collect(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """The files to scan, in a folder of our own."""
    if arguments.data is None:
        return make_scenes(folder, arguments.files, CAMERA_PX)
    return camera_pictures(arguments.data, folder, arguments.files)


def scans(home: Path, first: list[Path], added: list[Path], workers: int) -> dict[str, Scan]:
    """The three scans, each checked to have decoded what it should."""
    tree, state = home / "tree", home / "state"
    for path in first:
        put(path, tree / path.name)
    done = {"first": scan(tree, state, workers=workers), "second": scan(tree, state, workers=workers)}
    for path in added:
        put(path, tree / path.name)
    done["added"] = scan(tree, state, workers=workers)
    assert done["second"].decoded == 0, "an unchanged tree must not be decoded again"
    assert done["added"].read == len(added), "what was there must not be read again"
    # Its files stay to the end: where many have just been deleted, ext4 takes half a millisecond to find a place for a
    # new one (recently_deleted in fs/ext4/ialloc.c), and that is not the next round's.
    return done


def decoded_by_pillow(files: list[Path]) -> Spent:
    """Decode each file at the least DCT scale that the descriptor's size allows, and scale it to that size."""
    began, before = time.perf_counter(), os.times()
    for path in files:
        with Image.open(path) as image:
            image.draft("RGB", (SMALL_SIDE_PX, SMALL_SIDE_PX))
            image.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX))
    after = os.times()
    return Spent(cpu_s=after.user + after.system - before.user - before.system, wall_s=time.perf_counter() - began)


def decoded_at_same_scale(files: list[Path]) -> Spent:
    """The same, decoded at the least scale that the small image allows, as dedupd does."""
    began, before = time.perf_counter(), os.times()
    for path in files:
        with Image.open(path) as image:
            size = small_size(*image.size)
            image.draft(None, size)
            image.resize(size)
    after = os.times()
    return Spent(cpu_s=after.user + after.system - before.user - before.system, wall_s=time.perf_counter() - began)


def figures(spent: list[Spent], files: int) -> Result:
    cpu_s, wall_s = median([s.cpu_s for s in spent]), median([s.wall_s for s in spent])
    return {
        "files": files,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "images_per_s": round(files / wall_s, 2),
        "cpu_ms_per_image": round(cpu_s / files * 1000, 2),
    }


def by_workers(samples: dict[str, list[Spent]], done: dict[str, list[Scan]], workers: int, first: int) -> Result:
    counts = {"first": first, "second": first, "added": ADDED}
    result: Result = {name: figures(samples[f"{name}_{workers}"], count) for name, count in counts.items()}
    pillow, whole, idle = (samples[name] for name in ("pillow", f"first_{workers}", f"second_{workers}"))
    same_scale = samples["pillow_same_scale"]
    marginal = [a.cpu_s - b.cpu_s for a, b in zip(whole, idle, strict=True)]
    result["marginal_cpu_ms_per_image"] = round(median(marginal) / first * 1000, 2)
    for name, decoded in (("pillow", pillow), ("pillow_same_scale", same_scale)):
        result[f"cpu_ratio_to_{name}"] = ratio([a.cpu_s for a in whole], [p.cpu_s for p in decoded])
        result[f"marginal_cpu_ratio_to_{name}"] = ratio(marginal, [p.cpu_s for p in decoded])
    result["speed_ratio_to_pillow"] = ratio([p.wall_s for p in pillow], [a.wall_s for a in whole])
    scanned, again = done[f"first_{workers}"], done[f"second_{workers}"]
    result["pairs_looked_at_per_image"] = round(median([s.compared for s in scanned]) / first, 3)
    looked_s = [s.threads_cpu_s["intake"] for s in again]
    result["second_cpu_us_per_file"] = round(median(looked_s) / first * 1e6, 1)
    result["first_over_second"] = round(ratio([a.cpu_s for a in whole], looked_s))
    result["threads_cpu_ms_per_image"] = mean_ms([s.threads_cpu_s for s in scanned], first)
    result["jobs_cpu_ms_per_image"] = mean_ms([s.jobs_cpu_s for s in scanned], first)
    result["workers_started_cpu_s"] = median([s.workers_started_cpu_s for s in scanned])
    return result


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    return round(median([a / b for a, b in zip(above, below, strict=True)]), 2)


def mean_ms(rounds: Sequence[dict[str, float]], count: int) -> Result:
    """Milliseconds a picture by name, the median of the rounds."""
    return {name: round(median([own.get(name, 0.0) for own in rounds]) / count * 1000, 3) for name in rounds[0]}


def rows(result: Result) -> list[Row]:
    table = [
        Row(what=f"Pillow, {what}, {own['files']} files, {result['mean_bytes'] / 1e6:.1f} MB each", value=decoding(own))
        for what, own in (("draft decode", result["pillow"]), ("at dedupd's scale", result["pillow_same_scale"]))
    ]
    for workers, own in result["workers"].items():
        first, second, added = own["first"], own["second"], own["added"]
        table += [
            Row(
                what=f"first scan, {workers} workers, {own['pairs_looked_at_per_image']:.2f} pairs a picture",
                value=f"{decoding(first)} ({own['cpu_ratio_to_pillow']:.2f}× Pillow; "
                f"marginal {own['marginal_cpu_ratio_to_pillow']:.2f}×)",
                promise=f"≤ {PROMISE_CPU}×",
                is_kept=own["cpu_ratio_to_pillow"] <= PROMISE_CPU,
            ),
            Row(
                what="  of Pillow at dedupd's scale",
                value=f"{own['cpu_ratio_to_pillow_same_scale']:.2f}×; "
                f"marginal {own['marginal_cpu_ratio_to_pillow_same_scale']:.2f}×",
            ),
            Row(
                what=f"second scan, {workers} workers",
                value=f"{second['cpu_s']:.2f} CPU s, {second['wall_s']:.2f} s; "
                f"{own['second_cpu_us_per_file']:.0f} µs a file, 1/{own['first_over_second']:.0f} of the first",
                promise=f"1/{PROMISE_SECOND:.0f}",
                is_kept=own["first_over_second"] >= PROMISE_SECOND,
            ),
            Row(what=f"ten added, {workers} workers", value=f"{added['cpu_s']:.2f} CPU s, {added['wall_s']:.2f} s"),
        ]
    wall = result["wall_ratio_of_two_workers"]
    kept = wall <= PROMISE_WALL
    table.append(
        Row(what="wall time, two workers of one", value=f"{wall:.2f}", promise=f"≤ {PROMISE_WALL}", is_kept=kept)
    )
    return table + [Row(what=f"  {name}", value=f"{ms:.2f} CPU ms") for name, ms in result["steps_cpu_ms"].items()]


def decoding(own: Result) -> str:
    return f"{own['images_per_s']:.1f}/s, {own['cpu_ms_per_image']:.1f} CPU ms each"


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
