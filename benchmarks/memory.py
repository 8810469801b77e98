"""Memory of the daemon, its decode workers and its watcher: at the peak of a first scan, and idle afterwards.

Half of the pictures that are made are smaller copies of the others, so that workers compare as well as decode.

    python -m benchmarks.memory [--data DIR] [--files 60] [--workers 0] [--ceiling MIB] [--json FILE]

Sums the proportional set size of all processes (/proc/PID/smaps_rollup), which counts a shared page once. The peak is
the largest sum seen at looks about 0.2 s apart; `peak_each` adds up each process's own highest resident size (VmHWM),
a bound that no look can miss, with shared pages counted several times. With --ceiling dedupd is told to hold that
many MiB; what it counts for that (memory that is the processes' own) is looked at as well.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Result, Row, run_alone
from benchmarks.pictures import CAMERA_PX, make_scenes, save_aged
from benchmarks.processes import Daemon, descendants

QUICK = ("--files", "24")
LOOK_EVERY_S = 0.2
IDLE_LOOKS = 5
ROLES = {"dedupd.imaging.worker": "workers", "dedupd.daemon.watch_process": "watcher"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder to watch (default: pictures are made)")
    parser.add_argument("--files", type=int, default=60, help="how many pictures are made")
    parser.add_argument("--workers", type=int, default=0, help="decode workers; 0: one a core")
    parser.add_argument("--ceiling", type=int, default=0, metavar="MIB", help="limits.memory_mb")


class Looks:
    """Looks at a process tree now and then; owns the peaks."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._next_s = 0.0
        self.highest: dict[str, float] = {"total": 0.0}  # MiB by role, at the look with the largest total
        self.own_peaks: dict[int, float] = {}  # MiB by process
        self.anonymous: list[float] = []  # MiB of all processes, at each look

    def look(self) -> None:
        """Called as often as one likes; looks at most every LOOK_EVERY_S."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + LOOK_EVERY_S
        now = self.now()
        self.anonymous.append(self._anonymous_mib())
        if now["total"] > self.highest["total"]:
            self.highest = now

    def _anonymous_mib(self) -> float:
        kib = 0
        for pid in descendants(self._pid):
            with contextlib.suppress(OSError):
                kib += sum(kib_of(f"/proc/{pid}/status", name) for name in ("RssAnon:", "RssShmem:"))
        return kib / 1024

    def now(self) -> dict[str, float]:
        by_role = {"daemon": 0.0, "workers": 0.0, "watcher": 0.0}
        for pid in descendants(self._pid):
            with contextlib.suppress(OSError):  # it ended between two reads
                by_role[role_of(pid)] += kib_of(f"/proc/{pid}/smaps_rollup", "Pss:") / 1024
                self.own_peaks[pid] = kib_of(f"/proc/{pid}/status", "VmHWM:") / 1024
        return {**by_role, "total": sum(by_role.values())}


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folder, files = arguments.data, 1
        if folder is None:
            folder, files = home / "photos", arguments.files
            make_library(folder, files)
        settings = f"[limits]\nmemory_mb = {arguments.ceiling}\n" if arguments.ceiling else ""
        with contextlib.ExitStack() as stack:
            daemon = Daemon(home, folder, workers=arguments.workers, settings=settings)
            stack.callback(daemon.stop)
            looks = Looks(daemon.pid)
            status = daemon.wait_until_idle(files=files, look=looks.look)
            idle = []
            for _ in range(IDLE_LOOKS):
                time.sleep(LOOK_EVERY_S)
                idle.append(looks.now())
    idle.sort(key=lambda look: look["total"])
    return {
        "data": arguments.data.name if arguments.data else "own making",
        "files": status.counts.files,
        "workers": status.workers,
        "cores": len(os.sched_getaffinity(0)),
        "peak_mib": rounded(looks.highest),
        "idle_mib": rounded(idle[len(idle) // 2]),
        "ceiling_mib": arguments.ceiling,
        "anonymous_peak_mib": round(max(looks.anonymous), 1),
        "anonymous_median_mib": round(float(np.median(looks.anonymous)), 1),
        "over_ceiling_share": round(
            sum(each > arguments.ceiling for each in looks.anonymous) / len(looks.anonymous), 3
        ),
        "peak_each_mib": round(sum(looks.own_peaks.values()), 1),
    }


def make_library(folder: Path, files: int) -> None:
    for path in make_scenes(folder, files - files // 2, CAMERA_PX)[: files // 2]:
        with Image.open(path) as image:
            save_aged(image.reduce(2), folder / "phone" / path.name, quality=80)


def role_of(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return next((role for module, role in ROLES.items() if module in command), "daemon")


def kib_of(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0  # a process that is ending has no memory any more


def rounded(look: dict[str, float]) -> Result:
    return {role: round(mib, 1) for role, mib in look.items()}


def rows(result: Result) -> list[Row]:
    def parts(look: Result) -> str:
        shown = " + ".join(f"{look[role]:.0f}" for role in ("daemon", "workers", "watcher"))
        return f"{look['total']:.0f} MiB ({shown})"

    label = f"daemon + {result['workers']} workers + watcher"
    return [
        Row(what=f"peak while {result['files']} files are read, {label}", value=parts(result["peak_mib"])),
        Row(what="idle afterwards", value=parts(result["idle_mib"])),
        Row(
            what="… the processes' own alone, at the peak and at the median look",
            value=f"{result['anonymous_peak_mib']:.0f} and {result['anonymous_median_mib']:.0f} MiB",
            promise=f"{result['ceiling_mib']} MiB" if result["ceiling_mib"] else "",
            is_kept=result["anonymous_median_mib"] <= result["ceiling_mib"] if result["ceiling_mib"] else None,
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
