"""Seconds from the start of a daemon with a large library to its answers, with a snapshot of the index and without.

    python -m benchmarks.start [--files 1000000] [--behind 10000] [--runs 3] [--home DIR] [--json FILE]

The library is made up as by `benchmarks.idle`, without its files: the disk of its root is absent, which a start does
not wait for, and no scan follows. Three cases: the snapshot holds everything; it lacks the last contents; there is
none, so that the index is made from the store, and questions are answered from what is in it so far. Asked one after
the other, as soon as each is answered: `status`, `find` with a picture (which waits for a decode worker), one group.
Ready is when systemd is told. With --home the library is kept there, and used again by the next run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.idle import PAIRED, add_files, make_library, take_snapshot
from benchmarks.memory import Looks, rounded
from benchmarks.processes import Daemon
from dedupd.core.errors import DedupdError

QUICK = ("--files", "20000", "--behind", "1000", "--runs", "1")
PROMISE_S = 5.0
CASES = {"snapshot": "with a snapshot", "behind": "with one that lacks {behind:,}", "none": "without one"}
DEADLINE_S = 300.0
ASK_EVERY_S = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=1_000_000, help="how many files and contents")
    parser.add_argument("--behind", type=int, default=10_000, help="contents that the second case's snapshot lacks")
    parser.add_argument("--runs", type=int, default=3, help="starts of each case")
    parser.add_argument("--home", type=Path, metavar="DIR", help="where the library is made and kept")


def run(arguments: argparse.Namespace) -> Result:
    with contextlib.ExitStack() as stack:
        home = arguments.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        state, folder = home / "state", home / "photos"
        if not state.exists():
            home.mkdir(exist_ok=True)
            make_library(state, folder, arguments.files, is_on_disk=False)
        if folder.exists():
            sys.exit(f"{folder} is there: its scan would be measured as well")
        kind = take_snapshot(state)
        starts = {"snapshot": [start(home, folder) for _ in range(arguments.runs)]}
        add_files(state, folder, arguments.behind)
        starts["behind"] = [start(home, folder) for _ in range(arguments.runs)]
        (state / "index").rename(state / "aside")
        starts["none"] = [start(home, folder)]
        shutil.rmtree(state / "index", ignore_errors=True)
        (state / "aside").rename(state / "index")
    return {
        "files": arguments.files,
        "behind": arguments.behind,
        "index_kind": kind,
        "pairs": arguments.files // PAIRED,
        "cases": {
            case: {name: median([each[name] for each in found]) for name in found[0] if name != "memory_mib"}
            | {"memory_mib": found[-1]["memory_mib"]}
            for case, found in starts.items()
        },
    }


def start(home: Path, folder: Path) -> Result:
    """Start a daemon, ask it, stop it."""
    picture = home / "asked.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(picture)
    with told_ready(home / "notify") as ready_at:
        began = time.monotonic()
        daemon = Daemon(home, folder, workers=1)
        try:
            client = daemon.client

            def since(ask: Callable[[], object]) -> float:
                answered(daemon, ask)
                return round(time.monotonic() - began, 2)

            times = {
                "status_s": since(client.status),
                "find_s": since(partial(find, daemon, picture)),
                "group_s": since(lambda: client.group(1)),
            }
            cpu_s = cpu_s_of(daemon.pid)
            while not ready_at and time.monotonic() < began + DEADLINE_S:
                time.sleep(ASK_EVERY_S)
            memory = rounded(Looks(daemon.pid).now())
        finally:
            daemon.stop()
    return {**times, "ready_s": round(ready_at[0] - began, 2), "cpu_s": cpu_s, "memory_mib": memory}


def answered(daemon: Daemon, ask: Callable[[], object]) -> None:
    """Ask until there is an answer."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if not daemon.is_running:
            sys.exit("the daemon ended")
        try:
            ask()
        except DedupdError:
            time.sleep(ASK_EVERY_S)
        else:
            return
    sys.exit(f"the daemon did not answer within {DEADLINE_S:g} s")


@contextlib.contextmanager
def told_ready(path: Path) -> Iterator[list[float]]:
    """A place for systemd's READY=1; gets the moment, monotonic seconds."""
    heard: list[float] = []
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(os.fspath(path))
        sock.settimeout(0.2)
        is_over = threading.Event()

        def listen() -> None:
            while not is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in sock.recv(4096) and not heard:
                        heard.append(time.monotonic())

        thread = threading.Thread(target=listen)
        thread.start()
        os.environ["NOTIFY_SOCKET"] = os.fspath(path)
        try:
            yield heard
        finally:
            del os.environ["NOTIFY_SOCKET"]
            is_over.set()
            thread.join()
            path.unlink()


def find(daemon: Daemon, picture: Path) -> None:
    with picture.open("rb") as file:
        daemon.client.find(file)


def cpu_s_of(pid: int) -> float:
    """User and system time of a process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2)


def rows(result: Result) -> list[Row]:
    found = []
    for case, own in result["cases"].items():
        words = CASES[case].format(behind=result["behind"])
        found.append(
            Row(
                what=f"{result['files']:,} pictures, {words}: seconds to the first answer to find",
                value=f"{own['find_s']:.1f} s (status {own['status_s']:.1f}, {own['cpu_s']:.1f} s CPU)",
                promise=f"< {PROMISE_S:g} s",
                is_kept=own["find_s"] < PROMISE_S,
            )
        )
        found.append(
            Row(
                what=f"… one group / ready, and what all processes hold then ({words})",
                value=f"{own['group_s']:.1f} / {own['ready_s']:.1f} s, {own['memory_mib']['total']:.0f} MiB",
            )
        )
    return found


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
