"""A daemon under a trickle of arrivals, renames, removals, questions and clean-ups: what it holds must stay flat.

    python -m benchmarks.soak [--minutes 10] [--files 60] [--workers 1] [--json FILE]

The same pictures come and go all the time, so that the library does not grow and a growth is the daemon's. Looks at all
of its processes every few seconds; the first part is warming up. The slopes are those of the least squares line through
the lowest look of each minute after it, as what waits to be collected is no growth, with the error that their scatter
leaves. Memory is what belongs to a process alone (`Pss_Anon`): a library's pages count for less as soon as another
program maps them, too. Decode workers come and go: what must be flat is the daemon.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Result, Row, run_alone
from benchmarks.memory import kib_of, role_of
from benchmarks.pictures import make_scenes
from benchmarks.processes import Daemon, descendants
from dedupd.client.cleaning import CleaningClient
from dedupd.core.errors import DedupdError
from dedupd.protocol.requests import PlanRequest

QUICK = ("--minutes", "1", "--files", "20")
LOOK_EVERY_S = 2.0
ACT_EVERY_S = 0.25
CLEAN_UP_EVERY = 40  # acts
WARM_UP = 1 / 3  # of the time
PICTURE_PX = (800, 600)
SEED = 20260101
SETTINGS = """\
[watch]
settle_after_write_s = 0.5
rescan_every_s = 60
[keep]
missing_days = 0
events = 2000
[cleanup]
min_age_h = 0
root_share = 0
directory_share = 0
files_per_day = 0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--files", type=int, default=60, help="different pictures")
    parser.add_argument("--workers", type=int, default=1, help="decode workers; 0: one a core")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What all processes of the daemon hold at one moment."""

    at_s: float
    memory_mib: float  # all of them
    daemon_mib: float
    workers_mib: float
    watcher_mib: float
    actor_mib: float
    descriptors: int  # the daemon's
    threads: int
    processes: int
    store_mib: float


FIGURES = tuple(field.name for field in fields(Look) if field.name != "at_s")


class Trickle:
    """Does one thing after the other to the folder and the daemon; owns the folder."""

    def __init__(self, folder: Path, originals: Sequence[Path], client: CleaningClient) -> None:
        self._folder, self._originals, self._client = folder, originals, client
        self._random = random.Random(SEED)
        self._most = 2 * len(originals)
        self._made = 0
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def act(self) -> None:
        self._made += 1
        if self._made % CLEAN_UP_EVERY == 0:
            name, work = "clean-up", self._clean_up
        else:
            name, work = self._random.choice(self._kinds())
        try:
            work()
            self.done[name] += 1
        except (DedupdError, OSError) as error:
            self.refused[f"{name}: {type(error).__name__}"] += 1

    def _kinds(self) -> list[tuple[str, Callable[[], object]]]:
        there = self._there()
        kinds: list[tuple[str, Callable[[], object]]] = [("question", self._ask)]
        kinds += [("arrival", self._arrive), ("copy saved anew", self._save_anew)] if len(there) < self._most else []
        kinds += [("removal", self._remove)] if len(there) > self._most // 2 else []
        kinds += [("rename", self._rename)] if there else []
        return kinds

    def _there(self) -> list[Path]:
        return sorted(self._folder.glob("*/*.jpg"))

    def _target(self) -> Path:
        folder = self._folder / f"album-{self._made % 5}"
        folder.mkdir(exist_ok=True)
        return folder / f"{self._made:08}.jpg"

    def _arrive(self) -> None:
        shutil.copyfile(self._random.choice(self._originals), self._target())

    def _save_anew(self) -> None:
        with Image.open(self._random.choice(self._originals)) as image:
            image.reduce(2).save(self._target(), quality=80)  # the same bytes each time

    def _remove(self) -> None:
        self._random.choice(self._there()).unlink()

    def _rename(self) -> None:
        self._random.choice(self._there()).rename(self._target())

    def _ask(self) -> None:
        match self._random.randrange(5):
            case 0:
                self._client.status()
            case 1:
                self._client.groups(limit=20)
            case 2:
                self._client.report()
            case 3:
                for _ in self._client.events(0, follow=False):
                    pass
            case _:
                with self._random.choice(self._originals).open("rb") as picture:
                    self._client.find(picture)

    def _clean_up(self) -> None:
        """Plan, apply, then put back or delete for good, by turns."""
        plan = self._client.draft_plan(PlanRequest(min_age_s=0.0))
        for _ in self._client.apply_plan(plan.id):
            pass
        if self._made % (2 * CLEAN_UP_EVERY):
            for _ in self._client.undo(plan.id):
                pass
            return
        expiry = self._client.expiry(plan.id, now=True)
        for _ in self._client.expire(expiry.token, plan.id, now=True):
            pass


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folder = home / "photos"
        folder.mkdir()
        originals = make_scenes(home / "originals", arguments.files, PICTURE_PX)
        daemon = Daemon(home, folder, workers=arguments.workers, settings=SETTINGS)
        try:
            daemon.wait_until_idle(files=0)
            trickle = Trickle(folder, originals, CleaningClient(daemon.socket))
            looks = soak(daemon, trickle, 60 * arguments.minutes, home / "state")
            status = daemon.client.status()
        finally:
            daemon.stop()
    first = looks[int(len(looks) * WARM_UP)].at_s
    flat = [look for look in looks if look.at_s >= first]
    return {
        "minutes": arguments.minutes,
        "acts": dict(trickle.done),
        "refused": dict(trickle.refused),
        "files_read": status.read_total,
        "pairs_compared": status.compared_total,
        "degraded": list(status.degraded),
        "looks": len(flat),
        "first": asdict(flat[0]),
        "last": asdict(flat[-1]),
        "slope_an_hour": {name: [round(part, 3) for part in slope_an_hour(flat, name)] for name in FIGURES},
        "range": {
            name: [min(getattr(look, name) for look in flat), max(getattr(look, name) for look in flat)]
            for name in FIGURES
        },
    }


def soak(daemon: Daemon, trickle: Trickle, for_s: float, state: Path) -> list[Look]:
    """Act until the time is over; the looks meanwhile."""
    began_s = time.monotonic()
    looks: list[Look] = []
    while (now_s := time.monotonic() - began_s) < for_s or len(looks) < 3:
        if len(looks) * LOOK_EVERY_S <= now_s:
            if daemon.status() is None:
                sys.exit("the daemon does not answer any more")
            looks.append(look_at(daemon.pid, now_s, state))
        trickle.act()
        time.sleep(ACT_EVERY_S)
    return looks


def look_at(pid: int, at_s: float, state: Path) -> Look:
    kib: Counter[str] = Counter()
    processes = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError):  # it ended between two reads
            kib["actor" if is_actor(each) else role_of(each)] += kib_of(f"/proc/{each}/smaps_rollup", "Pss_Anon:")
            processes += 1
    return Look(
        at_s=round(at_s, 1),
        memory_mib=round(sum(kib.values()) / 1024, 1),
        daemon_mib=round(kib["daemon"] / 1024, 1),
        workers_mib=round(kib["workers"] / 1024, 1),
        watcher_mib=round(kib["watcher"] / 1024, 1),
        actor_mib=round(kib["actor"] / 1024, 1),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        processes=processes,
        store_mib=round((state / "library" / "data.mdb").stat().st_blocks * 512 / 2**20, 2),
    )


def is_actor(pid: int) -> bool:
    return "actor" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def slope_an_hour(looks: Sequence[Look], name: str) -> tuple[float, float]:
    """Least squares through the lowest look of each minute: how much a figure grows in an hour, and its standard error.

    Fewer than three minutes say nothing: then all looks count.
    """
    lowest: dict[int, tuple[float, float]] = {}
    for look in looks:
        minute, value = int(look.at_s // 60), float(getattr(look, name))
        if minute not in lowest or value < lowest[minute][1]:
            lowest[minute] = (look.at_s, value)
    points = list(lowest.values()) if len(lowest) > 2 else [(look.at_s, float(getattr(look, name))) for look in looks]
    times, values = np.array(points).T
    if len(points) < 3 or len(np.unique(times)) < 3:
        return 0.0, 0.0
    hours = times / 3600 - times.mean() / 3600
    slope = float((hours * values).sum() / (hours**2).sum())
    rest = values - values.mean() - slope * hours
    return slope, float(np.sqrt((rest**2).sum() / (len(points) - 2) / (hours**2).sum()))


def rows(result: Result) -> list[Row]:
    titles = {
        "daemon_mib": "the daemon's memory, MiB",
        "workers_mib": "decode workers' memory, MiB",
        "watcher_mib": "the watcher's memory, MiB",
        "actor_mib": "the actor's memory, MiB",
        "memory_mib": "memory of all, MiB",
        "descriptors": "the daemon's open descriptors",
        "threads": "the daemon's threads",
        "processes": "processes",
        "store_mib": "store on disk, MiB",
    }
    acts = sum(result["acts"].values())
    what = f"{result['minutes']:g} minutes, {acts} acts"
    return [
        Row(what=f"{title} after warming up, {what}", value=_range_text(result, name)) for name, title in titles.items()
    ]


def _range_text(result: Result, name: str) -> str:
    (low, high), (slope, error) = result["range"][name], result["slope_an_hour"][name]
    return f"{low:g} … {high:g}, {slope:+.1f} ± {error:.1f} an hour"


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
