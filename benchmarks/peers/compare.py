"""Runs dedupd and each peer in turn; what it measures and how stands in the package's docstring."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.camera_set import make_camera_set
from benchmarks.common import Result, median
from benchmarks.generated.write import DEFAULT_SOURCES, write_set
from benchmarks.group_scores import reported_paths, score
from benchmarks.peers.install import NotInstalledError, default_cache, python_of
from benchmarks.peers.metered import Limits, Metered, metered
from benchmarks.peers.peer import Peer, all_peers
from benchmarks.pictures import CAMERA_PX, make_scenes
from benchmarks.processes import config_file
from benchmarks.truth import Truth, read_truth
from dedupd import __version__

LIGHT = ("czkawka", "image_dedup_ai", "difpy", "pdqhash_faiss")  # quickly installed
QUICK = ("--files", "24", "--rounds", "1", "--sources", "3", "--peers", *LIGHT)
INSIDE = Path(__file__).with_name("inside.py")
DEDUPD = "dedupd"
SHOWN_FALSE = 20  # pairs in the result

Groups = list[list[bytes]]  # absolute paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One run of one program."""

    cost: Metered
    groups: Groups
    version: str
    call_s: float | None  # None: not told apart from the process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="camera JPEGs for speed; with truth.csv: as --labelled"
    )
    parser.add_argument("--labelled", type=Path, metavar="DIR", help="folder with truth.csv (default: a set is made)")
    parser.add_argument("--files", type=int, default=500, help="how many pictures the speed is measured on")
    parser.add_argument("--as-is", action="store_true", help="measure the speed on the files of --data themselves")
    parser.add_argument("--sources", type=int, default=DEFAULT_SOURCES, help="of the labelled set that is made")
    parser.add_argument("--peers", nargs="+", choices=all_peers(), metavar="NAME", help="only these")
    parser.add_argument("--rounds", type=int, default=2, help="of the speed")
    parser.add_argument("--workers", type=int, default=2, help="cores, and workers where a program can be told")
    parser.add_argument("--wall-limit", type=float, default=900.0, metavar="S", help="for one run")
    parser.add_argument("--memory-limit", type=float, default=4096.0, metavar="MIB", help="for one run")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="where peers are installed")


def run(arguments: argparse.Namespace) -> Result:
    camera, labelled = arguments.data, arguments.labelled
    if camera is not None and (camera / "truth.csv").exists():
        camera, labelled = None, labelled or camera
    chosen = [peer for key, peer in all_peers().items() if not arguments.peers or key in arguments.peers]
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        runner = Runner(home / "runs", arguments)
        pythons, absent = runner.installed(chosen)
        result: Result = {
            "dedupd": __version__,
            "workers": arguments.workers,
            "rounds": arguments.rounds,
            "peers": {peer.key: told(peer, absent.get(peer.key, "")) for peer in chosen},
            "speed": speed(runner, pythons, speed_set(camera, arguments, home / "speed")),
        }
        result["speed"]["data"] = camera.name if camera else "own making"
        table = labelled / "truth.csv" if labelled else write_set(home / "labelled", sources=arguments.sources)
        result["accuracy"] = accuracy(runner, pythons, table)
        result["accuracy"]["data"] = labelled.name if labelled else "own making"
    return result


class Runner:
    """Runs dedupd or a peer over a folder, each time in a fresh home."""

    def __init__(self, home: Path, arguments: argparse.Namespace) -> None:
        self._homes = home
        self._numbers = itertools.count()
        self.rounds: int = arguments.rounds
        self._workers: int = arguments.workers
        self._cache: Path = arguments.cache
        self._limits = Limits(wall_s=arguments.wall_limit, memory_mib=arguments.memory_limit, cores=arguments.workers)

    def installed(self, peers: Sequence[Peer]) -> tuple[dict[Peer, str], dict[str, str]]:
        """The Python of each peer that is here, and why each other one is not, by its key."""
        pythons, absent = {}, {}
        for peer in peers:
            try:
                pythons[peer] = python_of(peer, self._cache)
            except NotInstalledError as why:
                absent[peer.key] = str(why)
        return pythons, absent

    def dedupd(self, folder: Path) -> Answer:
        home = self._fresh()
        config = config_file(home, workers=self._workers)
        report = home / "report.json"
        command = [sys.executable, "-m", "dedupd.daemon.main", "scan", folder, "--quiet", "--config", config]
        cost = metered([*command, "--state-dir", home / "state", "--report", report], self._limits, home)
        if cost.failure:
            sys.exit(f"dedupd scan {cost.failure}")
        groups = [reported_paths(group) for group in json.loads(report.read_bytes())["groups"]]
        return Answer(cost=cost, groups=groups, version=__version__, call_s=None)

    def peer(self, peer: Peer, python: str, folder: Path, setting: str) -> Answer:
        home = self._fresh()
        out = home / "answer.json"
        command = [python, "-P", INSIDE, peer.adapter, folder, setting, str(self._workers), out]
        cost = metered(command, self._limits, home)
        if cost.failure:
            return Answer(cost=cost, groups=[], version="", call_s=None)
        answer = json.loads(out.read_bytes())
        groups = [sorted({os.fsencode(os.path.realpath(path)) for path in group}) for group in answer["groups"]]
        return Answer(cost=cost, groups=groups, version=answer["version"], call_s=answer["call_s"])

    def _fresh(self) -> Path:
        # Those before stay to the end: where many files have just been deleted, ext4 takes half a millisecond to find a
        # place for a new one (recently_deleted in fs/ext4/ialloc.c), and that is not the next run's.
        home = self._homes / str(next(self._numbers))
        home.mkdir(parents=True)
        return home


def told(peer: Peer, absent: str) -> Result:
    return {
        "name": peer.name,
        "about": peer.about,
        "finds": peer.finds,
        "installed_by": " ".join(("apt-get install", *peer.debian) if peer.debian else ("pip install", *peer.pip)),
        "call": peer.call,
        "settings": list(peer.settings),
        "promised_times": peer.times,
        "absent": absent,
    }


def speed_set(camera: Path | None, arguments: argparse.Namespace, folder: Path) -> Path:
    if camera is None:
        make_scenes(folder, arguments.files, CAMERA_PX)
    elif arguments.as_is:
        folder = camera
    else:
        make_camera_set(camera, folder, arguments.files)
    return folder.resolve()


def speed(runner: Runner, pythons: dict[Peer, str], folder: Path) -> Result:
    """Each peer right after dedupd; what fails once is not tried again."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    runs: dict[str, list[Answer]] = {DEDUPD: [], **{peer.key: [] for peer in pythons}}
    beside: dict[str, list[tuple[Metered, Metered]]] = {peer.key: [] for peer in pythons}
    for number in range(runner.rounds):
        for peer, python in pythons.items():
            if any(answer.cost.failure for answer in runs[peer.key]):
                continue
            progress(f"speed, round {number + 1}: dedupd, {peer.name}")
            own, other = runner.dedupd(folder), runner.peer(peer, python, folder, peer.settings[0])
            runs[DEDUPD].append(own)
            runs[peer.key].append(other)
            beside[peer.key].append((other.cost, own.cost))
    return {
        "files": len(files),
        "mean_bytes": sum(path.stat().st_size for path in files) // max(1, len(files)),
        DEDUPD: cost_of(runs.pop(DEDUPD)),
        "peers": {
            key: {
                **cost_of(answers),
                "times_dedupd": round(median([other.wall_s / own.wall_s for other, own in beside[key]]), 2),
                "cpu_times_dedupd": round(median([other.cpu_s / own.cpu_s for other, own in beside[key]]), 2),
            }
            for key, answers in runs.items()
            if answers
        },
    }


def accuracy(runner: Runner, pythons: dict[Peer, str], table: Path) -> Result:
    truth, folder = read_truth(table), table.parent.resolve()
    progress("accuracy: dedupd")
    result: Result = {"pictures": len(truth.pictures), DEDUPD: scored(truth, runner.dedupd(folder)), "peers": {}}
    for peer, python in pythons.items():
        own = result["peers"][peer.key] = {}
        for setting in peer.settings:
            progress(f"accuracy: {peer.name}, {setting}")
            own[setting] = scored(truth, runner.peer(peer, python, folder, setting))
    return result


def cost_of(answers: Iterable[Answer]) -> Result:
    answers = list(answers)
    if not answers:
        return {}
    calls = [answer.call_s for answer in answers if answer.call_s is not None]
    return {
        "version": answers[-1].version,
        "failure": next((answer.cost.failure for answer in answers if answer.cost.failure), ""),
        "wall_s": round(median([answer.cost.wall_s for answer in answers]), 2),
        "cpu_s": round(median([answer.cost.cpu_s for answer in answers]), 2),
        "call_s": round(median(calls), 2) if calls else None,
        "peak_mib": max(answer.cost.peak_mib for answer in answers),
        "groups": len(components(answers[-1].groups)),
        "pairs": len({pair for group in answers[-1].groups for pair in itertools.combinations(sorted(group), 2)}),
    }


def components(groups: Groups) -> Groups:
    """Groups that share a file, laid together: what a person would be shown as one, however a program answers."""
    of_file: dict[bytes, list[bytes]] = {}
    for group in groups:
        joined = sorted({file for named in group for file in of_file.get(named, [named])})
        of_file.update(dict.fromkeys(joined, joined))
    return list({id(members): members for members in of_file.values()}.values())


def scored(truth: Truth, answer: Answer) -> Result:
    """Cost and score; without a score where it failed."""
    cost = cost_of([answer])
    if answer.cost.failure:
        return cost
    full = score(truth, answer.groups)
    precision, recall = full["precision"], full["recall"]
    kept = ("precision", "recall", "other_false", "recall_by_tier")
    return {
        **cost,
        **{name: full[name] for name in kept},
        "pairs_reported": full["pairs"]["reported"],
        "f1": round(2 * precision * recall / (precision + recall), 5) if precision + recall else 0.0,
        "look_alike_pairs": full["look_alikes"]["pairs"],
        "look_alikes_merged": full["look_alikes"]["merged"],
        "false_pairs": full["false_pairs"][:SHOWN_FALSE],
    }


def progress(words: str) -> None:
    print(f"  {words} …", file=sys.stderr, flush=True)
