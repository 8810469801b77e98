"""dedupd's processes as a benchmark sees them: one scan with what it cost, one daemon that answers on its socket.

A daemon ends with its `with` block. Measures from outside, through /proc and wait4(2).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dedupd.client.client import Client
from dedupd.core.errors import DedupdError
from dedupd.protocol.status import StatusMessage

DEADLINE_S = 600.0
LOOK_EVERY_S = 0.05
# A program that is measured starts as an installed one does: with bytecode, whatever this shell is told not to write.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
COUNTED_SCAN = Path(__file__).with_name("counted_scan.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process and those it waited for cost."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One `dedupd scan`."""

    spent: Spent
    parent_cpu_s: float  # the process itself; the rest of the CPU time is its decode workers'
    read: int  # files
    decoded: int  # pictures
    compared: int  # pairs looked at
    threads_cpu_s: dict[str, float]  # of the process, by the name of a stage, a pool or a thread
    jobs_cpu_s: dict[str, float]  # of the decode workers' main threads, by kind of job
    jobs: dict[str, int]
    workers_started_cpu_s: float
    report: dict[str, Any]


def spent_by(arguments: Sequence[str | Path], *, may_fail: bool = False) -> Spent:
    """Run a program to its end, its output dropped (standard error is kept to say why it failed)."""
    began = time.perf_counter()
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as child:
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not may_fail:
        sys.exit(f"{' '.join(map(str, arguments))} ended with {child.returncode}:\n{said}")
    return Spent(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=time.perf_counter() - began)


def installed(program: str) -> Path:
    """The path of `dedupd` or `dedupctl` as installed beside this Python."""
    path = Path(sys.executable).parent / program
    if not path.exists():
        sys.exit(f"{path} is not there: install the package first, `pip install -e .`")
    return path


def config_file(home: Path, *, workers: int, settings: str = "") -> Path:
    """A configuration with that many decode workers (0: one a core) and further settings."""
    path = home / f"workers-{workers}.toml"
    path.write_text(f"[decode]\nworkers = {workers}\n{settings}")
    return path


def scan(folder: Path, state: Path, *others: Path, workers: int = 0) -> Scan:
    """Run `dedupd scan` on a folder, and others with it."""
    state.mkdir(parents=True, exist_ok=True)
    counts, report = state.with_suffix(".counts.json"), state.with_suffix(".report.json")
    config = config_file(state.parent, workers=workers)
    program = [sys.executable, "-P", COUNTED_SCAN, counts]  # -P: nothing from this folder
    command = [*program, "scan", folder, *others, "--quiet"]
    spent = spent_by([*command, "--state-dir", state, "--config", config, "--report", report])
    return Scan(spent=spent, report=json.loads(report.read_bytes()), **json.loads(counts.read_bytes()))


class Daemon:
    """A running `dedupd run`."""

    def __init__(self, home: Path, root: Path, *, workers: int = 0, settings: str = "") -> None:
        """Start it; `settings` are further lines of its configuration."""
        self.socket = home / "s.sock"
        self.client = Client(self.socket)
        self._log = home / "log"
        state, config = home / "state", config_file(home, workers=workers, settings=settings)
        command = [sys.executable, "-m", "dedupd.daemon.main", "run", root, "--state-dir", state]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--socket", self.socket, "--config", config], stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def status(self) -> StatusMessage | None:
        """None while it does not answer yet; ends the benchmark if it never will."""
        if self._process.poll() is not None:
            sys.exit(f"the daemon ended:\n{self._log.read_text()}")
        try:
            return self.client.status()
        except DedupdError:
            return None

    def wait_until_idle(self, *, files: int, look: Callable[[], None] = lambda: None) -> StatusMessage:
        """Until that many files are known and nothing is left to do; `look` is called at each look."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            status = self.status()
            look()
            if status is not None and status.activity == "idle" and status.counts.files >= files:
                counts = status.counts
                if not (counts.files_pending or counts.contents_unlinked):
                    return status
            time.sleep(LOOK_EVERY_S)
        sys.exit(f"the daemon was not idle after {DEADLINE_S:.0f} s:\n{self._log.read_text()}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running(home: Path, root: Path, *, workers: int = 0) -> Iterator[Daemon]:
    """A daemon that watches `root`, its state, socket and log in `home`."""
    daemon = Daemon(home, root, workers=workers)
    try:
        yield daemon
    finally:
        daemon.stop()


def descendants(pid: int) -> list[int]:
    """A process and all below it that run now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(after_name[1]), []).append(int(entry.name))
    found = [pid]
    for known in found:
        found.extend(children.get(known, ()))
    return found
