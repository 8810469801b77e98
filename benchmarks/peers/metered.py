"""Runs a program within limits and says what it cost, with all the processes that it started. Knows no peer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import kib_of
from benchmarks.processes import descendants

LOOK_EVERY_S = 0.02
MEMORY_LOOK_EVERY_S = 0.3
LOG_END_BYTES = 2000
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may take; `cores` is how many it may use, and told to what asks the environment."""

    wall_s: float
    memory_mib: float
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What a run cost."""

    wall_s: float
    cpu_s: float  # of the process and all children that it waited for
    peak_mib: float  # proportional set size of all its processes together, at looks 0.3 s apart
    failure: str  # "": it ended well


def metered(command: Sequence[str | Path], limits: Limits, home: Path) -> Metered:
    """Run a program with a home and caches of its own in `home`, ended with all its processes at a limit."""
    home.mkdir(parents=True, exist_ok=True)
    places = {"HOME": home, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "TMPDIR": home}
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}}
    environment |= dict.fromkeys(THREADS, str(limits.cores))
    cores = sorted(os.sched_getaffinity(0))[: limits.cores]
    log = home / "log"
    with log.open("wb") as said:
        began_s = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True
        )
        os.sched_setaffinity(child.pid, cores)
        status, usage, peak_mib, reached = _watch(child, limits, began_s)
        wall_s = time.perf_counter() - began_s
    child.returncode = os.waitstatus_to_exitcode(status)
    failure = reached or ("" if child.returncode == 0 else f"ended with {child.returncode}: {_last_line(log)}")
    return Metered(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=peak_mib, failure=failure)


def _watch(child: subprocess.Popen[bytes], limits: Limits, began_s: float) -> tuple[int, os.struct_rusage, float, str]:
    """Until it ends: its status, its usage, its peak, and the limit that it reached."""
    peak_mib, next_look_s, reached = 0.0, began_s, ""
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            with contextlib.suppress(ProcessLookupError):  # what it left behind
                os.killpg(child.pid, signal.SIGKILL)
            return status, usage, round(peak_mib, 1), reached
        now_s = time.perf_counter()
        if now_s >= next_look_s:
            next_look_s = now_s + MEMORY_LOOK_EVERY_S
            peak_mib = max(peak_mib, _mib_of(child.pid))
        if not reached:
            if peak_mib > limits.memory_mib:
                reached = f"over {limits.memory_mib:.0f} MiB"
            elif now_s - began_s > limits.wall_s:
                reached = f"not done after {limits.wall_s:.0f} s"
            if reached:
                os.killpg(child.pid, signal.SIGKILL)
        time.sleep(LOOK_EVERY_S)


def _mib_of(pid: int) -> float:
    total = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError):  # it ended between two reads
            total += kib_of(f"/proc/{each}/smaps_rollup", "Pss:")
    return total / 1024


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-LOG_END_BYTES:].decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "said nothing")
