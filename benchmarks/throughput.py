"""Speed of a scan of camera pictures: the first, the second of the same tree, ten files added.

    python -m benchmarks.throughput [--data DIR] [--files 60] [--rounds 3] [--json FILE]

Beside them, in the same run, the least that any reader has to do: Pillow decoding the same files alone, DCT-scaled, in
one process.

DIR is copied into a temporary folder first (its files are then in the page cache: this measures the processor, not the
disk). Without it, JPEGs of 8 megapixels are made. Every round starts from an empty state. CPU time a picture is that
of all processes; `marginal` leaves out what a scan that decodes nothing costs (starting up, listing, reporting).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import CAMERA_PX, age, make_scenes
from benchmarks.processes import Scan, Spent, scan
from dedupd.core.ports import SMALL_SIDE_PX

QUICK = ("--files", "30", "--rounds", "1")
ADDED = 10
WORKERS = (1, 2)
SUFFIXES = frozenset({".jpg", ".jpeg"})  # what draft() can scale


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of JPEGs (default: some are made)")
    parser.add_argument("--files", type=int, default=60, help="how many, the ten that are added later included")
    parser.add_argument("--rounds", type=int, default=3)


def run(arguments: argparse.Namespace) -> Result:
    samples: dict[str, list[Spent]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        files = collect(arguments, home / "source")
        first, added = files[:-ADDED], files[-ADDED:]
        for number in range(arguments.rounds):
            samples["pillow"].append(decoded_by_pillow(first))
            for workers in WORKERS:
                for name, done in scans(home / f"round-{number}-{workers}", first, added, workers).items():
                    samples[f"{name}_{workers}"].append(done.spent)
        total_bytes = sum(path.stat().st_size for path in files)
    return {
        "data": arguments.data.name if arguments.data else "own making",
        "files": len(files),
        "mean_bytes": total_bytes // len(files),
        "rounds": arguments.rounds,
        "pillow": figures(samples["pillow"], len(first)),
        "workers": {str(workers): by_workers(samples, workers, len(first)) for workers in WORKERS},
    }


def collect(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """The files to scan, in a folder of our own."""
    if arguments.data is None:
        return make_scenes(folder, arguments.files, CAMERA_PX)
    found = sorted(path for path in arguments.data.rglob("*") if path.suffix.lower() in SUFFIXES)[: arguments.files]
    if len(found) <= ADDED:
        sys.exit(f"{arguments.data} holds {len(found)} JPEGs; this needs more than {ADDED}.")
    return [put(path, folder / f"{number:05}{path.suffix}") for number, path in enumerate(found)]


def put(source: Path, target: Path) -> Path:
    """Copy a file, old enough to have settled."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    age(target)
    return target


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
    shutil.rmtree(home)
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


def figures(spent: list[Spent], files: int) -> Result:
    cpu_s, wall_s = median([s.cpu_s for s in spent]), median([s.wall_s for s in spent])
    return {
        "files": files,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "images_per_s": round(files / wall_s, 2),
        "cpu_ms_per_image": round(cpu_s / files * 1000, 2),
    }


def by_workers(samples: dict[str, list[Spent]], workers: int, first: int) -> Result:
    counts = {"first": first, "second": first, "added": ADDED}
    result: Result = {name: figures(samples[f"{name}_{workers}"], count) for name, count in counts.items()}
    pillow, whole, idle = (samples[name] for name in ("pillow", f"first_{workers}", f"second_{workers}"))
    marginal = [a.cpu_s - b.cpu_s for a, b in zip(whole, idle, strict=True)]
    result["marginal_cpu_ms_per_image"] = round(median(marginal) / first * 1000, 2)
    result["cpu_ratio_to_pillow"] = round(median([a.cpu_s / p.cpu_s for a, p in zip(whole, pillow, strict=True)]), 2)
    result["marginal_cpu_ratio_to_pillow"] = round(
        median([cpu_s / p.cpu_s for cpu_s, p in zip(marginal, pillow, strict=True)]), 2
    )
    result["speed_ratio_to_pillow"] = round(
        median([p.wall_s / a.wall_s for a, p in zip(whole, pillow, strict=True)]), 2
    )
    return result


def rows(result: Result) -> list[Row]:
    pillow = result["pillow"]
    table = [
        Row(
            what=f"Pillow draft decode of {pillow['files']} files, {result['mean_bytes'] / 1e6:.1f} MB each",
            value=f"{pillow['images_per_s']:.1f}/s, {pillow['cpu_ms_per_image']:.0f} CPU ms each",
        )
    ]
    for workers, own in result["workers"].items():
        first, second, added = own["first"], own["second"], own["added"]
        table += [
            Row(
                what=f"first scan, {workers} workers",
                value=f"{first['images_per_s']:.1f}/s, {first['cpu_ms_per_image']:.0f} CPU ms each "
                f"({own['cpu_ratio_to_pillow']:.2f}× Pillow; marginal {own['marginal_cpu_ratio_to_pillow']:.2f}×)",
            ),
            Row(what=f"second scan, {workers} workers", value=f"{second['cpu_s']:.2f} CPU s, {second['wall_s']:.2f} s"),
            Row(what=f"ten added, {workers} workers", value=f"{added['cpu_s']:.2f} CPU s, {added['wall_s']:.2f} s"),
        ]
    return table


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
