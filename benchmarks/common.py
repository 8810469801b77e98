"""What every benchmark shares: its shape, medians, and what a result says about the machine and commit it comes from.

Measures nothing itself and owns no state.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "pillow-heif", "faiss-cpu", "lmdb", "watchdog", "uvicorn")

Result = dict[str, Any]  # what goes into the JSON file: figures by name, a unit at each name's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    value: str
    promise: str = ""  # what dedupd promises, where it does
    is_kept: bool | None = None  # whether the promise is kept; None: there is none


class Benchmark(Protocol):
    """The shape of a benchmark's module."""

    __doc__: str
    QUICK: Sequence[str]  # arguments that make it a part of a run of a few minutes

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> Result: ...
    def rows(self, result: Result) -> list[Row]: ...


def make_parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=benchmark.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    benchmark.add_arguments(parser)
    return parser


def run_alone(benchmark: Benchmark, name: str = "") -> None:
    """Run one benchmark as a program: print its table, write its result where --json says.

    Args:
        benchmark: its module.
        name: what it is called in the table; "": as its file.
    """
    parser = make_parser(benchmark)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    arguments = parser.parse_args()
    made_on = machine()
    name = name or Path(sys.argv[0]).stem
    result = benchmark.run(arguments)
    print_table({name: benchmark.rows(result)})
    if arguments.json is not None:
        write_result(arguments.json, made_on, {name: result})


def print_table(tables: dict[str, list[Row]]) -> None:
    lines = [(name, row) for name, rows in tables.items() for row in rows]
    name_width = max((len(name) for name, _ in lines), default=0)
    what_width = max((len(row.what) for _, row in lines), default=0)
    value_width = max((len(row.value) for _, row in lines), default=0)
    for name, row in lines:
        verdict = {None: "", True: "kept", False: "NOT KEPT"}[row.is_kept]
        promise = f"promise: {row.promise}  {verdict}" if row.promise else ""
        print(f"{name:<{name_width}}  {row.what:<{what_width}}  {row.value:>{value_width}}  {promise}".rstrip())


def write_result(path: Path, made_on: Result, results: dict[str, Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {**made_on, "load_average_after": os.getloadavg(), "results": results}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def machine() -> Result:
    """Hardware, versions, commit and time; also how busy the machine is, since a busy one measures itself."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "cpu": _first_value(Path("/proc/cpuinfo"), "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "load_average_before": os.getloadavg(),
    }


def commit() -> str:
    """The short commit, with "-changed" behind it when dedupd differs from it."""
    if not (REPOSITORY / ".git").exists():
        return "unknown"
    head = _git("rev-parse", "--short", "HEAD")
    return head + "-changed" if _git("status", "--porcelain", "--untracked-files=no", "--", "dedupd") else head


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def _first_value(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return platform.machine()


def spread(samples: Sequence[float]) -> Result:
    """Median, 90th and 99th percentile (nearest rank) and worst, rounded to a ten-thousandth."""
    ordered = sorted(samples)

    def percentile(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))], 4)

    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 4),
        "p90": percentile(0.90),
        "p99": percentile(0.99),
        "max": round(ordered[-1], 4),
    }


def median(samples: Sequence[float]) -> float:
    return round(statistics.median(samples), 4)
