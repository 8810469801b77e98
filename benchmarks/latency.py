"""From the close of a copy to the event at a client: real daemon, real files, real socket.

    python -m benchmarks.latency [--library 100] [--copies 60] [--json FILE]

Copies are exact, recompressed and resized in turn, each of another picture; the next is written when the last was
announced, after a random pause. Includes the settle time. `decided` is when the daemon made the event (its own stamp),
`delivered` the way from there to the client. The promise: half of the copies are announced within 1.5 s.
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
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.common import Result, Row, run_alone, spread
from benchmarks.pictures import CAMERA_PX, make_scenes
from benchmarks.processes import Daemon, running
from dedupd.core.errors import DedupdError
from dedupd.protocol.events import DuplicateFoundEvent
from dedupd.settings.schema import Settings

QUICK = ("--library", "40", "--copies", "30")
PROMISE_P50_S = 1.5
LOST_AFTER_S = 60.0
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
    parser.add_argument("--seed", type=int, default=1)


def run(arguments: argparse.Namespace) -> Result:
    samples: list[Sample] = []
    lost = 0
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        originals = make_scenes(home / "photos" / "camera", arguments.library, CAMERA_PX)
        arriving = home / "photos" / "phone"
        arriving.mkdir()
        chosen = rng.sample(originals * -(-arguments.copies // len(originals)), arguments.copies)
        with running(home, home / "photos") as daemon:
            status = daemon.wait_until_idle(files=len(originals))
            heard = follow(daemon, status.sequence)
            for number, original in enumerate(chosen):
                kind = KINDS[number % len(KINDS)]
                content = copied(original, kind)
                time.sleep(rng.uniform(*PAUSE_S))
                sample = written_and_heard(arriving / f"{kind}-{number:03}.jpg", content, kind, heard)
                if sample is None:
                    lost += 1
                else:
                    samples.append(sample)
    return {
        "library": arguments.library,
        "copies": arguments.copies,
        "lost": lost,
        "settle_s": Settings().watch.settle_after_close_s,
        "close_to_event_s": spread([s.total_s for s in samples]),
        "close_to_decided_s": spread([s.decided_s for s in samples]),
        "decided_to_event_s": spread([s.delivered_s for s in samples]),
        "close_to_event_s_by_kind": {kind: spread([s.total_s for s in samples if s.kind == kind]) for kind in KINDS},
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


def copied(original: Path, kind: str) -> bytes:
    if kind == "exact":
        return original.read_bytes()
    with Image.open(original) as image:
        small = image.resize((image.width // 2, image.height // 2)) if kind == "resized" else image
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=75)
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
    def shown(title: str, own: Result, *, promise: bool = False) -> Row:
        figures = "/".join(f"{own[name]:.3f}" for name in ("p50", "p90", "p99", "max"))
        return Row(
            what=f"{title}, p50/p90/p99/max",
            value=f"{figures} s",
            promise=f"p50 < {PROMISE_P50_S} s" if promise else "",
            is_kept=own["p50"] < PROMISE_P50_S and not result["lost"] if promise else None,
        )

    return [
        shown(f"close → event ({result['settle_s']:g} s settle included)", result["close_to_event_s"], promise=True),
        *(shown(f"  {kind} copies", own) for kind, own in result["close_to_event_s_by_kind"].items()),
        shown("  close → decided", result["close_to_decided_s"]),
        shown("  decided → client", result["decided_to_event_s"]),
        Row(what="copies never announced", value=str(result["lost"])),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
