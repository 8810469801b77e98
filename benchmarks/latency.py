"""From the close of a copy to the event at a client: real daemon, real files, real socket.

    python -m benchmarks.latency [--library 100] [--copies 60] [--while-scanning] [--data DIR] [--json FILE]

Copies are exact, recompressed and resized in turn, each of another picture; the next is written when the last was
announced, after a random pause. Includes the settle time. `decided` is when the daemon made the event (its own stamp),
`delivered` the way from there to the client. The promise, beyond the settle time: half of the copies are announced
within 0.3 s, 99 of 100 within 1 s.

With --while-scanning the daemon works on a first scan of --backlog further pictures meanwhile, with the same promise;
only copies count that were announced before that scan was done. The further pictures are those of DIR, or made of them
where it holds fewer (see `camera_set`); without it they are of our own making.
"""

from __future__ import annotations

import argparse
import io
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from benchmarks.camera_set import camera_pictures
from benchmarks.common import Result, Row, run_alone, spread
from benchmarks.pictures import CAMERA_PX, make_scenes
from benchmarks.processes import LOOK_EVERY_S, Daemon, running
from dedupd.core.errors import DedupdError
from dedupd.protocol.events import DuplicateFoundEvent
from dedupd.settings.schema import Settings

QUICK = ("--library", "40", "--copies", "30")
PROMISE_P50_S, PROMISE_P99_S = 0.3, 1.0  # beyond the settle time
LOST_AFTER_S = 60.0
QUALITIES = 20
PAUSE_S = (0.05, 1.2)
KINDS = ("exact", "recompressed", "resized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event as it reached the client."""

    event: DuplicateFoundEvent
    at_s: float  # monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One copy's way, seconds."""

    kind: str
    total_s: float
    decided_s: float
    delivered_s: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--library", type=int, default=100, help="pictures that are there already")
    parser.add_argument("--copies", type=int, default=60, help="copies that arrive, one by one")
    parser.add_argument("--while-scanning", action="store_true", help="while a first scan is running, too")
    parser.add_argument("--backlog", type=int, default=500, help="pictures of that scan")
    parser.add_argument("--data", type=Path, metavar="DIR", help="camera JPEGs for that scan (default: some are made)")
    parser.add_argument("--seed", type=int, default=1)


def run(arguments: argparse.Namespace) -> Result:
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        originals = make_scenes(home / "photos" / "camera", arguments.library, CAMERA_PX)
        (home / "photos" / "phone").mkdir()
        with running(home, home / "photos") as daemon:
            status = daemon.wait_until_idle(files=len(originals))
            result = measured(daemon, home, originals, status.sequence, arguments.copies, rng)
        if arguments.while_scanning:
            result["while_scanning"] = while_scanning(arguments, home, originals, rng)
    return {
        "library": arguments.library,
        "copies": arguments.copies,
        "settle_s": Settings().watch.settle_after_close_s,
        **result,
    }


def while_scanning(arguments: argparse.Namespace, home: Path, originals: list[Path], rng: random.Random) -> Result:
    """The same, started again with pictures that nobody has seen yet; they are listed before any copy is written."""
    folder = home / "photos" / "new"
    if arguments.data:
        backlog = camera_pictures(arguments.data, folder, arguments.backlog)
    else:
        backlog = make_scenes(folder, arguments.backlog, CAMERA_PX, first_seed=len(originals))
    with running(home, home / "photos") as daemon:
        while (status := daemon.status()) is None or status.counts.files_pending < len(backlog) / 2:
            time.sleep(LOOK_EVERY_S)
        began_s, pending = time.monotonic(), status.counts.files_pending
        result = measured(
            daemon, home, originals, status.sequence, arguments.copies, rng, goes_on=lambda: left_of_scan(daemon) > 0
        )
        scanned = pending - left_of_scan(daemon)
    result["backlog"] = {"files": len(backlog), "scanned_a_s": round(scanned / (time.monotonic() - began_s), 1)}
    return result


def left_of_scan(daemon: Daemon) -> int:
    """How many files and pictures wait; a copy that was just announced does not any more."""
    status = daemon.status()
    return status.counts.files_pending + status.counts.contents_unlinked if status is not None else 0


def measured(
    daemon: Daemon,
    home: Path,
    originals: list[Path],
    sequence: int,
    copies: int,
    rng: random.Random,
    goes_on: Callable[[], bool] = lambda: True,
) -> Result:
    """Write copies one after the other, as long as `goes_on`, and sum up how long each took."""
    samples: list[Sample] = []
    lost = 0
    heard = follow(daemon, sequence)
    for number, original in enumerate(rng.sample(originals * -(-copies // len(originals)), copies)):
        kind = KINDS[number % len(KINDS)]
        content = copied(original, kind, rng.randrange(QUALITIES))
        time.sleep(rng.uniform(*PAUSE_S))
        sample = written_and_heard(
            home / "photos" / "phone" / f"{kind}-{sequence}-{number:03}.jpg", content, kind, heard
        )
        if sample is None:
            lost += 1
        elif goes_on():
            samples.append(sample)
        else:
            break
    settle_s = Settings().watch.settle_after_close_s
    return {
        "measured": len(samples),
        "lost": lost,
        "close_to_event_s": spread([s.total_s for s in samples]),
        "beyond_settle_s": spread([s.total_s - settle_s for s in samples]),
        "close_to_decided_s": spread([s.decided_s for s in samples]),
        "decided_to_event_s": spread([s.delivered_s for s in samples]),
        "close_to_event_s_by_kind": {
            kind: spread(own) for kind in KINDS if (own := [s.total_s for s in samples if s.kind == kind])
        },
    }


def follow(daemon: Daemon, after: int) -> queue.SimpleQueue[Heard]:
    """The duplicates that a client of the event stream hears of from now on."""
    heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def listen() -> None:
        try:
            for event in daemon.client.events(after):
                if isinstance(event, DuplicateFoundEvent):
                    heard.put(Heard(event=event, at_s=time.monotonic()))
        except DedupdError:
            return  # the daemon has ended

    threading.Thread(target=listen, name="listener", daemon=True).start()
    return heard


def copied(original: Path, kind: str, step: int) -> bytes:
    """A copy's bytes; of another quality with each step, so that no two copies of a picture are one content."""
    if kind == "exact":
        return original.read_bytes()
    with Image.open(original) as image:
        small = image.resize((image.width // 2, image.height // 2)) if kind == "resized" else image
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=70 + step)
    return buffer.getvalue()


def written_and_heard(path: Path, content: bytes, kind: str, heard: queue.SimpleQueue[Heard]) -> Sample | None:
    """Write a file and wait for its event; None when none comes."""
    path.write_bytes(content)
    closed_s, closed_ns = time.monotonic(), time.time_ns()
    while (left_s := closed_s + LOST_AFTER_S - time.monotonic()) > 0:
        try:
            told = heard.get(timeout=left_s)
        except queue.Empty:
            break
        if told.event.path == str(path):
            decided_s = (told.event.at_ns - closed_ns) / 1e9
            total_s = told.at_s - closed_s
            return Sample(kind=kind, total_s=total_s, decided_s=decided_s, delivered_s=total_s - decided_s)
    return None


def rows(result: Result) -> list[Row]:
    table = table_of(result)
    if scanning := result.get("while_scanning"):
        backlog = scanning["backlog"]
        table += [
            Row(
                what=f"while a first scan of {backlog['files']} goes on",
                value=f"{backlog['scanned_a_s']:.1f}/s, {scanning['measured']} copies meanwhile",
            ),
            *table_of(scanning),
        ]
    return table


def table_of(result: Result) -> list[Row]:
    def shown(title: str, own: Result) -> Row:
        figures = "/".join(f"{own[name]:.3f}" for name in ("p50", "p90", "p99", "max"))
        return Row(what=f"{title}, p50/p90/p99/max", value=f"{figures} s")

    beyond = result["beyond_settle_s"]
    promised = replace(
        shown("close → event beyond the settle time", beyond),
        promise=f"p50 < {PROMISE_P50_S} s, p99 < {PROMISE_P99_S:g} s",
        is_kept=beyond["p50"] < PROMISE_P50_S and beyond["p99"] < PROMISE_P99_S and not result["lost"],
    )
    return [
        promised,
        shown("close → event", result["close_to_event_s"]),
        *(shown(f"  {kind} copies", own) for kind, own in result["close_to_event_s_by_kind"].items()),
        shown("  close → decided", result["close_to_decided_s"]),
        shown("  decided → client", result["decided_to_event_s"]),
        Row(what="copies never announced", value=str(result["lost"])),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
