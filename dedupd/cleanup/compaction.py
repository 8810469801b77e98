"""Makes old journal files smaller: what was meant to be done goes once it is over, what came of it stays for ever.

Of an act that is some months old and that nobody can undo any more, the journal keeps the outcomes and drops the
intent; of a run of which no intent is left, the plan's bytes too. So numbers, plans that were applied and all that was
told stay as they are, and a file that was made smaller reads like any other. What takes an act back (undo, expiry) is
dropped only once the intent of that act is gone from the disk: an act whose end is forgotten would count as set aside
again.

Is fed the records while they are loaded; keeps of them what is old enough. Owned by the start of an actor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from dedupd.cleanup.history import History
from dedupd.cleanup.journal import Journal, Position
from dedupd.cleanup.journal_records import NO_PLAN, Intended, Record, RunStarted, Settled
from dedupd.core.cleanup_plan import RunKind

AFTER_NS = 90 * 86_400 * 1_000_000_000  # since the run began; limits look back a day, the history 32
WORTH_BYTES = 256 * 1024  # less is not worth rewriting files

_Unit = tuple[int, int]  # run, unit


@dataclass(slots=True)
class _Intent:
    """What an old file says was meant to be done in one unit."""

    file: int
    bytes_: int
    of: tuple[int, ...]  # undo and expiry: the sequences of the outcomes that set the files aside
    sequences: tuple[int, ...] | None = None  # of what came of it; None: not settled


@dataclass(slots=True)
class _Run:
    """An old run."""

    kind: RunKind
    plan_bytes: int
    units: set[int] = field(default_factory=set)  # with an intent


class Compaction:
    """See the module."""

    def __init__(self, now_ns: int, *, worth_bytes: int = WORTH_BYTES) -> None:
        """At a moment (CLOCK_REALTIME); `worth_bytes`: with less to drop, all stays as it is."""
        self._before_ns = now_ns - AFTER_NS
        self._worth_bytes = worth_bytes
        self._runs: dict[int, _Run] = {}
        self._intents: dict[_Unit, _Intent] = {}
        self._bare: set[int] = set()  # sequences of outcomes of plans whose intents are gone

    def note(self, at: Position, record: Record) -> None:
        """Take in one record, in the order of the journal."""
        match record:
            case RunStarted() if record.at_ns < self._before_ns:
                plan = bytes(record.plan)
                self._runs[record.run] = _Run(record.kind, 0 if plan == bytes(NO_PLAN) else len(plan))
            case Intended() if record.run in self._runs:
                size = len(msgspec.json.encode(record))
                known = self._intents.get((record.run, record.unit))
                of = tuple(act.of for act in record.acts)
                self._intents[record.run, record.unit] = _Intent(at.file, size + (known.bytes_ if known else 0), of)
                self._runs[record.run].units.add(record.unit)
            case Settled() if record.run in self._runs and record.unit:
                sequences = tuple(outcome.sequence for outcome in record.outcomes)
                intent = self._intents.get((record.run, record.unit))
                if intent is not None:
                    intent.sequences = sequences
                elif self._runs[record.run].kind is RunKind.APPLY:
                    self._bare.update(sequences)
            case _:
                pass

    def run(self, journal: Journal, history: History) -> int:
        """Rewrite what is worth it, the oldest file first; how many files.

        Raises:
            OSError: a file could not be rewritten. It is whole, old or new, and later ones are as they were.
        """
        over = self._over(history)
        plans = {number for number, run in self._runs.items() if run.plan_bytes and self._is_bare(number, over)}
        saved = sum(self._intents[unit].bytes_ for unit in over) + sum(self._runs[n].plan_bytes for n in plans)
        if saved < self._worth_bytes:
            return 0
        files = sorted({self._intents[unit].file for unit in over} | plans)
        files = [number for number in files if number < journal.number]  # the newest is never touched
        for number in files:
            kept = (_without_plan(record, plans) for _, record in journal.load_file(number) if not _is_of(record, over))
            journal.rewrite(number, kept)
        return len(files)

    def _over(self, history: History) -> set[_Unit]:
        """The units whose intent is needed for nothing any more."""
        over: set[_Unit] = set()
        bare = set(self._bare)
        for unit, intent in self._intents.items():  # in the order of the journal: an act before what takes it back
            if intent.sequences is None or unit in history.open:
                continue
            if self._runs[unit[0]].kind is RunKind.APPLY:
                if history.set_aside.keys().isdisjoint(intent.sequences):
                    over.add(unit)
                    bare.update(intent.sequences)
            elif bare.issuperset(intent.of):
                over.add(unit)
        return over

    def _is_bare(self, number: int, over: set[_Unit]) -> bool:
        return all((number, unit) in over for unit in self._runs[number].units)


def _is_of(record: Record, units: set[_Unit]) -> bool:
    return isinstance(record, Intended) and (record.run, record.unit) in units


def _without_plan(record: Record, runs: set[int]) -> Record:
    if isinstance(record, RunStarted) and record.run in runs:
        return msgspec.structs.replace(record, plan=NO_PLAN)
    return record
