"""An actor at work on plans, in a folder that something happens to, and what must be true of it afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fakes.cleanup_bench import Bench, ComparingCalls, name_of
from fakes.power import sync

from dedupd.cleanup.plan_file import decode_plan, encode_plan
from dedupd.core.cleanup_plan import Action, OutcomeKind, Plan, RunKind
from dedupd.core.errors import NotFoundError

Say = Callable[..., None]


@dataclass(frozen=True)
class ActorRound:
    """One plan: pictures in `keep`, the same bytes in `copies`. The values hold no open file, so they can be forked."""

    directory: Path
    action: Action
    files: int = 10

    def prepare(self) -> None:
        """Bring the photos and the plan to the disk."""
        (self.directory / "home").mkdir(parents=True)
        bench = self.bench()
        for number, content in self.contents().items():
            bench.write(f"keep/{number}.jpg", content)
            bench.write(f"copies/{number}.jpg", content)
        items = [bench.pair(n + 1, f"keep/{n}.jpg", f"copies/{n}.jpg") for n in range(self.files)]
        plan = bench.plan(*items, action=self.action)
        (self.directory / "plan").write_bytes(encode_plan(plan))
        (self.directory / "plan-id").write_text(name_of(plan))
        sync(self.directory)

    def bench(self) -> Bench:
        """The bench; compares where this filesystem cannot share blocks."""
        return Bench(self.directory, ComparingCalls() if self.action is Action.REFLINK else None)

    def plan(self) -> Plan:
        """The plan, as it was stored."""
        return decode_plan((self.directory / "plan").read_bytes(), (self.directory / "plan-id").read_text())

    def contents(self) -> dict[int, bytes]:
        """Number → bytes of both copies."""
        return {number: b"%d" % number * 3000 for number in range(self.files)}

    def at_first(self) -> dict[str, bytes]:
        """Where everything was."""
        return {
            f"photos/{place}/{number}.jpg": content
            for number, content in self.contents().items()
            for place in ("keep", "copies")
        }


def act_on(round_: ActorRound, what: str, told: frozenset[int], say: Say) -> None:
    """Start an actor, hold what it finds to what must be true, and do something; says each "outcome"."""
    began = time.monotonic()
    bench = round_.bench()
    bench.actor()
    say("open", seconds=time.monotonic() - began)
    check_settled(round_, bench, told)
    plan = round_.plan()
    actor = bench.actor()

    def tell(outcome) -> None:
        say("outcome", sequence=outcome.sequence)

    with suppress(NotFoundError):  # all was undone, or nothing done, before the end came
        if what == "apply":
            actor.apply(name_of(plan), plan, tell)
        elif what == "undo":
            actor.undo(name_of(plan), None, tell)
        else:
            actor.expire(bench.now_ns + 10**18, name_of(plan), tell)


def check_actor(round_: ActorRound, told: frozenset[int], say: Say) -> None:
    """What a last start finds; then undo brings back all that was not expired."""
    bench = round_.bench()
    check_settled(round_, bench, told)
    expired = [o for o in bench.actor().outcomes(0, 10_000) if o.run is RunKind.EXPIRE and o.kind is OutcomeKind.DONE]
    with suppress(NotFoundError):
        bench.undo(round_.plan())
    gone = {f"photos/{os.fsdecode(o.path).partition('/photos/')[2]}" for o in expired if o.now_at == b""}
    if round_.action is Action.HARDLINK:
        gone = set()  # the file that was displaced is; a link of the kept one has its name
    expected = {name: content for name, content in round_.at_first().items() if name not in gone}
    found = bench.everything()
    differing = {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)}
    assert not differing, f"{round_.action}, after undo: {sorted(differing)}; {bench.told[-20:]}"
    say("undone")


def check_settled(round_: ActorRound, bench: Bench, told: frozenset[int]) -> None:
    """The journal is believable, settling is done once and for all, and no last copy is gone."""
    first = bench.actor()
    found = bench.everything(), first.outcomes(0, 10_000), first.quarantined()
    second = bench.actor()
    assert found == (bench.everything(), second.outcomes(0, 10_000), second.quarantined())
    everything, outcomes, _ = found
    assert set(round_.contents().values()) <= set(everything.values()), "a last copy is gone"
    assert told <= {outcome.sequence for outcome in outcomes}, "an outcome that was told is gone"
    newest = {os.fsdecode(outcome.path): outcome for outcome in outcomes}
    for name in round_.at_first():
        path = round_.directory / name
        outcome = newest.get(str(path))
        if path.exists() and (outcome is None or outcome.now_at in (b"", outcome.path)):
            continue
        assert outcome is not None, f"{name} went and the journal does not say so"
        if outcome.now_at:
            assert Path(os.fsdecode(outcome.now_at)).is_file(), f"{name} is not where the journal says: {outcome}"
        else:
            assert outcome.run is RunKind.EXPIRE
