"""Journal and history as one: what is written is taken in, and what came of a run is counted and told.

Owns the numbering of outcomes, and knows where in the journal each stands. An outcome is on the disk before anybody
hears of it. Acts on nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from dedupd.cleanup.acting import Result
from dedupd.cleanup.history import History
from dedupd.cleanup.journal import Journal, Position
from dedupd.cleanup.journal_records import NO_PLAN, Act, Intended, Record, RunOver, RunStarted, Settled
from dedupd.cleanup.outcome_places import OutcomePlaces
from dedupd.cleanup.places import Base
from dedupd.core.cleanup_plan import Action, Outcome, OutcomeKind, RunEnd, RunKind
from dedupd.core.cleanup_ports import Tell


class Book:
    """See the module. One thread writes; any may look into the history with `reading`."""

    def __init__(
        self,
        journal: Journal,
        now_ns: Callable[[], int],
        loading: Callable[[Position, Record], None] = lambda _at, _record: None,
    ) -> None:
        """Load a journal; `loading` is told each of its records."""
        self._journal = journal
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._places = OutcomePlaces()
        self.history = History()  # of the writing thread
        for at, record in journal.load():
            self._note(at, record)
            loading(at, record)

    @contextmanager
    def reading(self) -> Iterator[History]:
        """The history, while nothing changes it."""
        with self._lock:
            yield self.history

    def outcomes(self, after: int) -> Iterator[Outcome]:
        """The outcomes with a sequence above `after` that are on the disk now, in order, from the journal."""
        with self._lock:
            last = self.history.last_sequence
            since = self._places.find(after + 1)
        if after >= last:
            return
        for _, record in self._journal.load(since):
            for outcome in record.outcomes if isinstance(record, Settled) else ():
                if outcome.sequence > after:
                    yield outcome
                if outcome.sequence == last:
                    return

    def start(
        self,
        kind: RunKind,
        plan_id: str,
        tell: Tell,
        *,
        action: Action | None = None,
        items: Iterable[int] = (),
        bases: Iterable[Base] = (),
        plan: bytes | None = None,
    ) -> RunBook:
        """Begin a run; it is on the disk when this returns."""
        number = self._journal.begin()
        self._append(
            RunStarted(
                run=number,
                kind=kind,
                plan_id=plan_id,
                at_ns=self._now_ns(),
                action=action,
                items=tuple(items),
                bases=tuple(bases),
                plan=NO_PLAN if plan is None else msgspec.Raw(plan),
            )
        )
        return RunBook(self, number, kind, plan_id, tell)

    def resume(self, number: int, tell: Tell) -> RunBook:
        """Go on with a run that was killed, in the journal's file under way."""
        run = self.history.runs[number]
        return RunBook(self, number, run.kind, run.plan_id, tell)

    def begin_file(self) -> None:
        """Start a journal file without starting a run."""
        self._journal.begin()

    def write(self, record: Intended | RunOver) -> None:
        """Write one record."""
        self._append(record)

    def settle(self, run: int, unit: int, rows: list[tuple[Outcome, int]]) -> list[Outcome]:
        """Number outcomes and write them as one record; the number after each is the inode of its file."""
        now_ns = self._now_ns()
        first = self.history.next_sequence
        outcomes = [
            replace(outcome, sequence=sequence, at_ns=now_ns) for sequence, (outcome, _) in enumerate(rows, start=first)
        ]
        inos = tuple(ino for _, ino in rows) if unit else ()
        self._append(Settled(run=run, unit=unit, outcomes=tuple(outcomes), inos=inos))
        return outcomes

    def close(self) -> None:
        """Close the journal's file."""
        self._journal.end()

    def _append(self, record: Record) -> None:
        at = self._journal.append(record)
        with self._lock:
            self._note(at, record)

    def _note(self, at: Position, record: Record) -> None:
        self.history.note(record)
        if isinstance(record, Settled) and record.outcomes:
            self._places.note(record.outcomes[0].sequence, at)


class RunBook:
    """The part of one run: its units, its outcomes, its count."""

    def __init__(self, book: Book, number: int, kind: RunKind, plan_id: str, tell: Tell) -> None:
        self._book = book
        self._number = number
        self._kind = kind
        self._plan_id = plan_id
        self._tell = tell
        self._units = 0
        self._counts = dict.fromkeys(OutcomeKind, 0)
        self._bytes = 0

    def intend(self, plan_id: str, item: int, acts: tuple[Act, ...], *, unit: int | None = None) -> int:
        """Write down what will be done, and return the unit's number. With `unit`: in that one's stead."""
        if unit is None:
            self._units += 1
            unit = self._units
        self._book.write(Intended(run=self._number, unit=unit, plan_id=plan_id, item=item, acts=acts))
        return unit

    def settle(self, unit: int, plan_id: str, item: int, acts: tuple[Act, ...], results: list[Result]) -> None:
        """Write down and tell what came of a unit."""
        rows = [
            (self._outcome(plan_id, item, act, result), result.ino) for act, result in zip(acts, results, strict=True)
        ]
        outcomes = self._book.settle(self._number, unit, rows)
        for act, outcome in zip(acts, outcomes, strict=True):
            self._count(outcome, takes=act.takes)
            self._tell(outcome)

    def remark(self, plan_id: str, item: int, acts: tuple[Act, ...], kind: OutcomeKind, detail: str) -> None:
        """Write down and tell that nothing was done, and need not or must not be."""
        results = [Result(kind=kind, detail=detail, is_at_target=False, ino=0) for _ in acts]
        self.settle(0, plan_id, item, acts, results)

    def end(self, stopped: str) -> RunEnd:
        """Write down that the run is over."""
        counts = self._counts
        end = RunEnd(
            run=self._kind,
            plan=self._plan_id,
            done=counts[OutcomeKind.DONE] + counts[OutcomeKind.RESTORED_BESIDE],
            conflicts=counts[OutcomeKind.CONFLICT] + counts[OutcomeKind.STRANDED],
            failed=counts[OutcomeKind.FAILED],
            skipped=counts[OutcomeKind.SKIPPED],
            bytes_=self._bytes,
            stopped=stopped,
        )
        self._book.write(RunOver(run=self._number, end=end))
        return end

    def _count(self, outcome: Outcome, *, takes: bool) -> None:
        is_done = outcome.kind in {OutcomeKind.DONE, OutcomeKind.RESTORED_BESIDE}
        if takes or not is_done:  # what is merely carried or sorted was not taken
            self._counts[outcome.kind] += 1
            self._bytes += outcome.size_bytes if is_done else 0

    def _outcome(self, plan_id: str, item: int, act: Act, result: Result) -> Outcome:
        is_gone = self._kind is RunKind.EXPIRE and result.kind is OutcomeKind.DONE
        place = act.target if result.is_at_target else act.file.place
        stays_itself = act.file.place == act.kept.place
        return Outcome(
            sequence=0,
            at_ns=0,
            run=self._kind,
            plan=plan_id,
            item=item,
            kind=result.kind,
            path=act.path,
            now_at=b"" if is_gone else place.path,
            digest=act.file.digest,
            kept=place.path if stays_itself else act.kept.place.path,
            size_bytes=act.file.stat.size_bytes,
            detail=result.detail,
        )
