"""The same task serially, with threads and with processes: decode and describe pictures, and what the cores do.

    python -m benchmarks.concurrency [--data DIR] [--files 60] [--rounds 3] [--most WORKERS] [--json FILE]

Each way runs in a fresh process with libraries held to one thread each, so that only the way of sharing differs; the
ways take turns. Wall-clock time is from the first file to the last, without start-up. Processor use is the CPU time of
the process and its workers over looks 0.1 s apart, as a share of one core. dedupd itself shares its work between
processes, since a decoder must be killable; this shows what that costs and gains.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.camera_set import jpegs_in
from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import CAMERA_PX, make_scenes
from benchmarks.plots import GOOD, OTHER, PALETTE, Axis, Series, chart_svg, even_ticks
from benchmarks.processes import descendants

QUICK = ("--files", "24", "--rounds", "1")
TASK = Path(__file__).with_name("concurrency_task.py")
LOOK_EVERY_S = 0.1
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Way = tuple[str, int]  # how it is shared, and between how many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of JPEGs (default: some are made)")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=0, metavar="WORKERS", help="0: twice the cores")


def run(arguments: argparse.Namespace) -> Result:
    cores = len(os.sched_getaffinity(0))
    shared = counts(arguments.most or 2 * cores)
    ways: list[Way] = [("serial", 1), *(("threads", n) for n in shared), *(("processes", n) for n in shared)]
    walls: dict[Way, list[float]] = defaultdict(list)
    uses: dict[Way, list[tuple[float, float]]] = {}
    digests = set()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        files = pictures(arguments, home / "photos")
        listed = home / "files.txt"
        listed.write_text("".join(f"{path}\n" for path in files))
        for _ in range(arguments.rounds):
            for way in ways:
                wall_s, digest, use = one_run(way, listed)
                walls[way].append(wall_s)
                uses[way] = use
                digests.add(digest)
        total_bytes = sum(path.stat().st_size for path in files)
    if len(digests) != 1:
        sys.exit("the ways came to different descriptors")
    serial_s = median(walls["serial", 1])
    return {
        "data": arguments.data.name if arguments.data else "own making",
        "files": len(files),
        "mean_bytes": total_bytes // len(files),
        "rounds": arguments.rounds,
        "cores": cores,
        "ways": [
            {
                "way": way,
                "workers": workers,
                "wall_s": median(walls[way, workers]),
                "speed_up": round(
                    median([s / w for s, w in zip(walls["serial", 1], walls[way, workers], strict=True)]), 2
                ),
                "images_per_s": round(len(files) / median(walls[way, workers]), 1),
                "mean_cores": mean_use(uses[way, workers]),
                "cpu_s": cpu_s_in(uses[way, workers]),
                "use": [[round(at_s, 2), round(cores_used, 2)] for at_s, cores_used in uses[way, workers]],
            }
            for way, workers in ways
        ],
        "serial_s": serial_s,
    }


def counts(most: int) -> list[int]:
    """1, 2, 4 … and the most."""
    doubled = [1 << power for power in range(most.bit_length()) if 1 << power < most]
    return [*doubled, most]


def pictures(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    if arguments.data is None:
        return make_scenes(folder, arguments.files, CAMERA_PX)
    found = jpegs_in(arguments.data)[: arguments.files]
    if not found:
        sys.exit(f"{arguments.data} holds no JPEGs")
    return [path.resolve() for path in found]


def one_run(way: Way, listed: Path) -> tuple[float, str, list[tuple[float, float]]]:
    """Seconds of the task, the digest of what came out, and the cores in use by seconds since it began."""
    command = [sys.executable, TASK, way[0], str(way[1]), listed]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(TASK.parent.parent)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "READY\n"
        use: list[tuple[float, float]] = []
        is_done = threading.Event()
        watcher = threading.Thread(target=watch, args=(child.pid, use, is_done))
        watcher.start()
        child.stdin.write("\n")
        child.stdin.flush()
        said = child.stdout.readline().split()
        is_done.set()
        watcher.join()
    if not said:
        sys.exit(f"{way[0]} with {way[1]} ended with {child.returncode}")
    return float(said[0]), said[1], use


def watch(pid: int, use: list[tuple[float, float]], is_done: threading.Event) -> None:
    began_s = before_s = time.perf_counter()
    before = cpu_s_of(pid)
    while not is_done.wait(LOOK_EVERY_S):
        now_s, now = time.perf_counter(), cpu_s_of(pid)
        use.append((now_s - began_s, (now - before) / (now_s - before_s)))
        before_s, before = now_s, now


def cpu_s_of(pid: int) -> float:
    """CPU time so far of a process and all below it."""
    ticks = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks * TICK_S


def mean_use(use: list[tuple[float, float]]) -> float:
    return round(sum(cores for _, cores in use) / max(1, len(use)), 2)


def cpu_s_in(use: list[tuple[float, float]]) -> float:
    """CPU time over all looks: what sharing adds shows here, whatever else the machine does."""
    began_s = [0.0, *(at_s for at_s, _ in use)]
    return round(sum(cores * (at_s - before_s) for (at_s, cores), before_s in zip(use, began_s, strict=False)), 2)


def rows(result: Result) -> list[Row]:
    return [
        Row(
            what=f"{own['way']}, {own['workers']}" if own["way"] != "serial" else "serial",
            value=f"{own['wall_s']:.2f} s for {result['files']} files, {own['speed_up']:.2f} times as fast, "
            f"{own['mean_cores']:.2f} cores in use, {own['cpu_s']:.2f} CPU s",
        )
        for own in result["ways"]
    ]


def plots(result: Result) -> dict[str, str]:
    """SVG by name: speed-up by workers, and processor use over time."""
    most = max(own["workers"] for own in result["ways"])
    fastest = max(own["speed_up"] for own in result["ways"])
    inks = {"threads": PALETTE[1], "processes": GOOD}
    by_way = [
        Series(
            name=way,
            ink=ink,
            points=[(own["workers"], own["speed_up"]) for own in result["ways"] if own["way"] == way],
        )
        for way, ink in inks.items()
    ]
    cores = min(most, result["cores"])
    ideal = Series(
        name=f"ideal on {result['cores']} cores",
        ink=OTHER,
        points=[(1, 1), (cores, cores), (most, cores)],
        has_dots=False,
        is_dashed=True,
    )
    top = max(fastest, cores)
    speed_up = chart_svg(
        [*by_way, ideal],
        Axis(label="workers", ticks={n: str(n) for n in counts(most)}, is_log=True),
        Axis(label="times as fast as serially", ticks=even_ticks(top)),
        f"Decoding and describing {result['files']} pictures",
    )
    fitting = max(own["workers"] for own in result["ways"] if own["workers"] <= result["cores"])
    shown = [own for own in result["ways"] if own["way"] == "serial" or own["workers"] == fitting]
    longest = max((own["use"][-1][0] for own in shown if own["use"]), default=1.0)
    lines = [
        Series(
            name=f"{own['way']}, {own['workers']}" if own["way"] != "serial" else "serial",
            ink=inks.get(own["way"], PALETTE[3]),
            points=smoothed(own["use"]),
            has_dots=False,
        )
        for own in shown
    ]
    use = chart_svg(
        lines,
        Axis(label="seconds since the first file", ticks=even_ticks(longest)),
        Axis(label="cores in use", ticks=even_ticks(result["cores"])),
        "Processor use over time",
    )
    return {"concurrency-speed-up": speed_up, "concurrency-use": use}


def smoothed(use: list[list[float]], looks: int = 3) -> list[tuple[float, float]]:
    """A running mean, since the kernel counts CPU time in ticks of 10 ms."""
    return [
        (use[i][0], sum(cores for _, cores in use[max(0, i - looks + 1) : i + 1]) / min(i + 1, looks))
        for i in range(len(use))
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
