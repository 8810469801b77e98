"""Ends the flow, or the actor, again and again at random moments, and lets the next start find what is there."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fakes.actor_work import ActorRound, act_on, check_actor
from fakes.flow_work import check_closed, work_on
from fakes.forked import Forked
from fakes.power import CutDisk, sync

from dedupd.core.cleanup_plan import Action

FRESH_AFTER = 25  # disturbances; then the state begins anew, so that each start stays short
_FLOW_S = 0.02  # a batch takes about this long
_ACT_S = 0.005  # an item
RECOVERY_S = 5.0  # the promise, for a start after a kill


@dataclass
class Figures:
    """What a sweep saw."""

    disturbed: int = 0
    acknowledged: int = 0  # batches, or outcomes
    snapshots: int = 0
    replayed: int = 0  # starts from a snapshot that lagged
    longest_start_s: float = 0.0
    ends: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.disturbed} times, {self.acknowledged} acknowledged, 0 lost; {self.snapshots} snapshots, "
            f"{self.replayed} starts from a lagging one; longest start {self.longest_start_s:.2f} s"
        )


class Killing:
    """Ends a process by kill -9; its disk stays as it is."""

    def end(self, process: Forked) -> float:
        process.kill()
        process.last_words()
        return float("inf")  # what it said, it said before


class Cutting:
    """Ends a process by cutting the power of its disk, which is on again afterwards."""

    def __init__(self, disk: CutDisk) -> None:
        self._disk = disk

    def end(self, process: Forked) -> float:
        at = process.must_work()
        self._disk.cut()
        process.kill_whatever()
        process.last_words()
        self._disk.switch_off()
        self._disk.switch_on()
        return at


def disturb_flow(folder: Path, ending: Killing | Cutting, times: int, seed: int) -> Figures:
    """Work in `folder`, its state below `state`, ended so many times at random moments.

    Raises:
        AssertionError: something was lost, doubled, unreadable or wrong.
    """
    luck = random.Random(seed)
    figures = Figures()
    acknowledged = snapshot = 0
    for number in range(times):
        if number % FRESH_AFTER == 0:
            _empty(folder / "state")
            _empty(folder / "photos")
            sync(folder / "state")  # or a cut brings back what was there before
            acknowledged = snapshot = 0
        process = Forked(partial(_check_and_work, folder, acknowledged, is_first=number % FRESH_AFTER == 0))
        at_random(process, luck, "batch", most=8, up_to_s=_FLOW_S)
        ended_at = ending.end(process)
        process.refuse_failure(ended_at)
        for said in process.acknowledged("open", ended_at):
            figures.longest_start_s = max(figures.longest_start_s, said["seconds"])
            figures.replayed += said["origin"].startswith("snapshot+")
            assert not snapshot or said["origin"].startswith("snapshot"), said["origin"]
        for said in process.acknowledged("batch", ended_at):
            figures.acknowledged += said["number"] - acknowledged
            acknowledged = said["number"]
        for said in process.acknowledged("snapshot", ended_at):
            figures.snapshots += 1
            snapshot = said["sequence"]
        figures.disturbed += 1
    process = Forked(partial(_check_and_end, folder, acknowledged))
    process.hear("ended")
    process.last_words()
    process.refuse_failure()
    return figures


def _check_and_work(folder: Path, acknowledged: int, say: Callable[..., None], *, is_first: bool) -> None:
    if not is_first and (folder / "state" / "library" / "data.mdb").exists():
        check_closed(folder)
    work_on(folder, acknowledged, say)


def _check_and_end(folder: Path, acknowledged: int, say: Callable[..., None]) -> None:
    check_closed(folder)

    class EnoughError(Exception):
        pass

    def until_complete(word: str, **more: object) -> None:
        if word == "batch":
            raise EnoughError
        say(word, **more)

    try:
        work_on(folder, acknowledged, until_complete)
    except EnoughError:
        return


def disturb_actor(folder: Path, ending: Killing | Cutting, times: int, seed: int, actions: list[Action]) -> Figures:
    """Apply, undo and expire plans in `folder`, ended so many times at random moments."""
    luck = random.Random(seed)
    figures = Figures()
    rounds = 0
    while figures.disturbed < times:
        round_ = ActorRound(folder / str(rounds), actions[rounds % len(actions)])
        round_.prepare()
        rounds += 1
        told: set[int] = set()
        for what in luck.choice((["apply"], ["apply", "undo"], ["apply", "undo", "undo"], ["apply", "expire"])):
            process = Forked(partial(act_on, round_, what, frozenset(told)))
            at_random(process, luck, "outcome", most=round_.files, up_to_s=_ACT_S)
            ended = process.has_ended()
            ended_at = ended or ending.end(process)
            process.refuse_failure(ended_at)
            if ended:
                process.last_words()
            told |= {said["sequence"] for said in process.acknowledged("outcome", ended_at)}
            figures.disturbed += not ended
            figures.longest_start_s = max(
                [figures.longest_start_s, *(said["seconds"] for said in process.acknowledged("open", ended_at))]
            )
        figures.acknowledged += len(told)
        process = Forked(partial(check_actor, round_, frozenset(told)))
        process.hear("ended")
        process.last_words()
        process.refuse_failure()
        shutil.rmtree(round_.directory)
    return figures


def at_random(process: Forked, luck: random.Random, word: str, *, most: int, up_to_s: float) -> None:
    """Let it say a word some times, then go on for a random time; now and then do not even wait for its start."""
    times = luck.randint(-most // 4, most)
    if times > 0:
        process.hear(word, times=times)
        process.run_on(luck.uniform(0, up_to_s))
    else:
        process.run_on(luck.uniform(0, 10 * up_to_s))


def _empty(folder: Path) -> None:
    """Remove what is in a folder, which may be a mount."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
