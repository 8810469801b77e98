"""Writes runs into a journal as the actor does, without any file: for tests of what the journal remembers."""

from __future__ import annotations

from dedupd.cleanup.acting import Result
from dedupd.cleanup.book import Book
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal import Journal
from dedupd.cleanup.journal_records import Act, ActKind, Known
from dedupd.cleanup.places import Base, Place
from dedupd.cleanup.undo import restoring
from dedupd.core.cleanup_plan import Action, OutcomeKind, RunKind
from dedupd.core.records import FileStat

BASE = Base(path=b"/photos", dev=1, ino=2, fsid=3)


class Desk:
    """Writes runs as the actor does, on a clock of its own, and hears what is told."""

    def __init__(self, directory, calls: FileCalls | None = None) -> None:
        self.directory = directory
        self.calls = calls or FileCalls()
        self.now_ns = 10**18
        self.told = []
        self.book = Book(Journal(directory, self.calls), lambda: self.now_ns)

    def opened(self) -> Book:
        """Another book over the same journal, as after a start."""
        return Book(Journal(self.directory, FileCalls()), lambda: self.now_ns)

    def apply(self, plan: str, files: int, *, kind: OutcomeKind = OutcomeKind.DONE) -> None:
        run = self.book.start(
            RunKind.APPLY,
            plan,
            self.told.append,
            action=Action.QUARANTINE,
            items=range(1, files + 1),
            bases=[BASE],
            plan=b'{"of":"%s"}' % plan.encode(),
        )
        for item in range(1, files + 1):
            act = act_of(plan, item)
            unit = run.intend(plan, item, (act,))
            run.settle(unit, plan, item, (act,), [result_of(kind, item, is_at_target=kind is OutcomeKind.DONE)])
        run.end("")

    def undo(self, plan: str, kind: OutcomeKind = OutcomeKind.DONE) -> None:
        self._end(RunKind.UNDO, plan, kind)

    def expire(self, plan: str, kind: OutcomeKind = OutcomeKind.DONE) -> None:
        self._end(RunKind.EXPIRE, plan, kind)

    def _end(self, run_kind: RunKind, plan: str, kind: OutcomeKind) -> None:
        run = self.book.start(run_kind, plan, self.told.append)
        act_kind = ActKind.RENAME if run_kind is RunKind.UNDO else ActKind.DELETE
        for aside in self.book.history.of_plan(plan):
            act = restoring(aside, act_kind, aside.act.file.place)
            unit = run.intend(plan, aside.outcome.item, (act,))
            run.settle(unit, plan, aside.outcome.item, (act,), [result_of(kind, aside.ino, is_at_target=True)])
        run.end("")


def act_of(plan: str, item: int) -> Act:
    stat = FileStat(dev=1, ino=item, size_bytes=item, mtime_ns=1, ctime_ns=1)
    here = Place(base=BASE.path, below=b"%d.jpg" % item)
    return Act(
        kind=ActKind.RENAME,
        file=Known(place=here, stat=stat, digest=b"d" * 32),
        target=Place(base=BASE.path, below=b"aside/%b/%d.jpg" % (plan[:8].encode(), item)),
        kept=Known(place=Place(base=BASE.path, below=b"kept.jpg"), stat=stat, digest=b"d" * 32),
        is_exact=True,
        takes=True,
        path=here.path,
    )


def result_of(kind: OutcomeKind, ino: int, *, is_at_target: bool) -> Result:
    return Result(kind=kind, detail="", is_at_target=is_at_target, ino=ino)
