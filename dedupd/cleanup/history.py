"""What the journal adds up to: what lies set aside, what is not settled, what was applied. Rebuilt from it at start.

Holds what can still be undone or must still be settled, and a line for each applied plan; what was told of the rest is
in the journal alone. Pure bookkeeping in memory, changed by `note` alone; reads no disk. Used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple, assert_never

from dedupd.cleanup.journal_records import Act, ActKind, Intended, Record, RunOver, RunStarted, Settled
from dedupd.cleanup.places import Base
from dedupd.core.cleanup_plan import Action, Outcome, OutcomeKind, RunKind

_AT_TARGET = frozenset({OutcomeKind.DONE, OutcomeKind.STRANDED})
_OVER = frozenset({OutcomeKind.DONE, OutcomeKind.RESTORED_BESIDE, OutcomeKind.SKIPPED})  # nothing is left to be done
_DAY_NS = 86_400 * 1_000_000_000
TAKEN_NS = 32 * _DAY_NS  # for so long what was taken is counted; limits ask for a day


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A file that an act took from its place and that can be put back."""

    outcome: Outcome  # of the act; its sequence names this
    act: Act
    action: Action
    ino: int  # where it is now
    held: str = ""  # why the last expiry left it


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that the journal tells of."""

    number: int
    kind: RunKind
    plan_id: str
    action: Action | None
    items: Container[int]  # numbers of the plan's items, for APPLY
    first_sequence: int  # what its first outcome has, if there is any


class Taken(NamedTuple):
    """A duplicate that went and is not back."""

    at_ns: int
    size_bytes: int


@dataclass(slots=True)
class History:
    """See the module."""

    runs: dict[int, Run] = field(default_factory=dict)  # that applied a plan, and others that are not over
    bases: dict[bytes, Base] = field(default_factory=dict)  # by path, as the newest run that used it saw it
    last_sequence: int = 0  # of the newest outcome
    open: dict[tuple[int, int], Intended] = field(default_factory=dict)  # by run and unit: no outcome yet
    set_aside: dict[int, SetAside] = field(default_factory=dict)  # by the sequence of its outcome, in order
    taken: dict[int, Taken] = field(default_factory=dict)  # by sequence, for TAKEN_NS

    @property
    def next_sequence(self) -> int:
        """Of the next outcome."""
        return self.last_sequence + 1

    def applied(self, plan_id: str) -> Run | None:
        """The run that applied a plan, if any did."""
        return next((r for r in self.runs.values() if r.kind is RunKind.APPLY and r.plan_id == plan_id), None)

    def last_applied(self) -> Run | None:
        """The newest run that applied a plan."""
        return next((r for r in reversed(self.runs.values()) if r.kind is RunKind.APPLY), None)

    def base_of(self, path: bytes) -> Base | None:
        """A base as the newest run that used it saw it."""
        return self.bases.get(path)

    def of_plan(self, plan_id: str) -> list[SetAside]:
        """What a plan set aside and is not back, the first first."""
        return [aside for aside in self.set_aside.values() if aside.outcome.plan == plan_id]

    def done_since(self, since_ns: int) -> tuple[int, int]:
        """Files and bytes that plans took since a moment, at most TAKEN_NS before the last, and that are not back."""
        recent = [taken.size_bytes for taken in self.taken.values() if taken.at_ns >= since_ns]
        return len(recent), sum(recent)

    def note(self, record: Record) -> None:
        """Take in one record."""
        match record:
            case RunStarted():
                self.runs[record.run] = Run(
                    number=record.run,
                    kind=record.kind,
                    plan_id=record.plan_id,
                    action=record.action,
                    items=_compact(record.items),
                    first_sequence=self.next_sequence,
                )
                self.bases.update((base.path, base) for base in record.bases)
            case Intended():
                self.open[record.run, record.unit] = record
            case Settled():
                self._settle(record)
            case RunOver():
                self._over(record.run)
            case _:
                assert_never(record)

    def _settle(self, record: Settled) -> None:
        if record.outcomes:
            self.last_sequence = record.outcomes[-1].sequence
        intent = self.open.pop((record.run, record.unit), None)
        if intent is None:
            return
        run = self.runs[record.run]
        for act, outcome, ino in zip(intent.acts, record.outcomes, record.inos, strict=True):
            match run.kind:
                case RunKind.APPLY:
                    self._went(act, outcome, run.action or Action.QUARANTINE, ino)
                case RunKind.UNDO:
                    if outcome.kind in _OVER:
                        self._is_back(act.of)
                case RunKind.EXPIRE:
                    self._expired(act, outcome, ino)
                case _:
                    assert_never(run.kind)

    def _over(self, number: int) -> None:
        run = self.runs.get(number)
        if run is not None and run.kind is not RunKind.APPLY and not any(of == number for of, _ in self.open):
            del self.runs[number]

    def _went(self, act: Act, outcome: Outcome, action: Action, ino: int) -> None:
        if outcome.kind in _AT_TARGET and act.kind is not ActKind.SHARE:
            self.set_aside[outcome.sequence] = SetAside(outcome=outcome, act=act, action=action, ino=ino)
        if outcome.kind is OutcomeKind.DONE and act.takes:
            self.taken[outcome.sequence] = Taken(outcome.at_ns, outcome.size_bytes)
            for sequence in list(islice(self.taken, 2)):  # one comes, two may go
                if self.taken[sequence].at_ns < outcome.at_ns - TAKEN_NS:
                    del self.taken[sequence]

    def _is_back(self, sequence: int) -> None:
        self.set_aside.pop(sequence, None)
        self.taken.pop(sequence, None)

    def _expired(self, act: Act, outcome: Outcome, ino: int) -> None:
        if outcome.kind in _OVER:
            self.set_aside.pop(act.of, None)
        elif act.of in self.set_aside:
            self.set_aside[act.of] = replace(self.set_aside[act.of], held=outcome.detail, ino=ino)


def _compact(numbers: Iterable[int]) -> Container[int]:
    """The same numbers in little memory: those of a plan have no gaps."""
    held = frozenset(numbers)
    whole = range(min(held, default=0), max(held, default=-1) + 1)
    return whole if len(whole) == len(held) else held
