"""`dedupd` as it is, which at its end also writes down what its decode pool counted and where its CPU time went.

    python -P benchmarks/counted_scan.py COUNTS.json scan FOLDER …

`dedupd scan` reports groups; how many pairs it looked at, which thread and which kind of a worker's job spent the time
stay inside it. Times are the kernel's own, of the nanosecond (proc(5), schedstat).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

# As `dedupd` itself says, before numpy and FAISS are loaded; here `build` loads them first.
for name, value in (("OPENBLAS_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "PASSIVE")):
    os.environ.setdefault(name, value)

from dedupd.daemon import build, main  # noqa: E402
from dedupd.imaging.decode_pool import DecodePool  # noqa: E402
from dedupd.imaging.jobs import Job  # noqa: E402
from dedupd.imaging.worker_process import WorkerProcess  # noqa: E402
from dedupd.pipeline.stage import Stage  # noqa: E402

COUNTS = Path(sys.argv[1])


class CountedPool(DecodePool):
    """Keeps its totals when it closes."""

    def close(self) -> None:
        COUNTED.totals = {"read": self.read_total, "decoded": self.decoded_total, "compared": self.compared_total}
        COUNTED.threads_cpu_s.update(_of_threads_alive())
        super().close()


class Counts:
    """What the pool, its workers by kind of job, and the threads spent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cpu_s: Counter[str] = Counter()
        self.jobs: Counter[str] = Counter()
        self.started_cpu_s = 0.0
        self.totals: dict[str, int] = {}
        self.threads_cpu_s: dict[str, float] = {}


COUNTED = Counts()


def _of_threads_alive() -> dict[str, float]:
    """CPU seconds of each thread but the stages', by its name; those of a pool together."""
    spent: Counter[str] = Counter()
    for thread in threading.enumerate():
        if thread.native_id is not None and not thread.name.startswith("dedupd-"):
            spent[thread.name.rstrip("0123456789").rstrip("-_")] += _cpu_s(f"/proc/self/task/{thread.native_id}")
    return dict(spent)


def _cpu_s(place: str) -> float:
    with contextlib.suppress(OSError):
        return int(Path(place, "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    return 0.0


def count_jobs() -> None:
    """Have each attempt of each kind of job, and each worker's start, counted."""

    def counted(kind: type[Job[Any]]) -> None:
        attempt = kind.attempt

        def counting(self: Job[Any], worker: WorkerProcess) -> object:
            before = _cpu_s(f"/proc/{worker.pid}")
            try:
                return attempt(self, worker)
            finally:
                spent = _cpu_s(f"/proc/{worker.pid}") - before
                with COUNTED.lock:
                    COUNTED.cpu_s[kind.__name__] += max(0.0, spent)
                    COUNTED.jobs[kind.__name__] += 1

        kind.attempt = counting  # type: ignore[method-assign]

    for kind in Job.__subclasses__():
        counted(kind)
    start = WorkerProcess.__init__

    def starting(self: WorkerProcess, *arguments: Any, **others: Any) -> None:
        start(self, *arguments, **others)
        with COUNTED.lock:
            COUNTED.started_cpu_s += _cpu_s(f"/proc/{self.pid}")

    WorkerProcess.__init__ = starting  # type: ignore[method-assign]


def count_stages() -> None:
    """Have each stage's thread say at its end what it spent."""
    run = Stage._run  # noqa: SLF001 - measured from outside, so that the stage need not know

    def counting(self: Stage) -> None:
        run(self)
        COUNTED.threads_cpu_s[self.name] = time.thread_time()

    Stage._run = counting  # type: ignore[method-assign]  # noqa: SLF001


def write_counts() -> None:
    own = resource.getrusage(resource.RUSAGE_SELF)
    counts = {
        "parent_cpu_s": own.ru_utime + own.ru_stime,
        **COUNTED.totals,
        "threads_cpu_s": COUNTED.threads_cpu_s,
        "jobs_cpu_s": dict(COUNTED.cpu_s),
        "jobs": dict(COUNTED.jobs),
        "workers_started_cpu_s": COUNTED.started_cpu_s,
    }
    COUNTS.write_text(json.dumps(counts))


if __name__ == "__main__":
    build.DecodePool = CountedPool
    count_jobs()
    count_stages()
    code = main.main(sys.argv[2:])
    write_counts()
    sys.exit(code)
