"""Deletes for good what was set aside long enough ago: the only place where dedupd deletes a photo.

A file goes only while the file that stayed is at its path with the bytes it had, and the quarantined one is still what
was set aside; else it is held. Should the kept file vanish in the very moment, the deleted one is written back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from dedupd.cleanup.acting import Result, explain
from dedupd.cleanup.book import Book, RunBook
from dedupd.cleanup.checks import Checks, Opened, RefusalError
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.history import History, SetAside
from dedupd.cleanup.journal_records import Act, ActKind
from dedupd.cleanup.places import Places
from dedupd.cleanup.targets import QUARANTINE
from dedupd.cleanup.undo import GONE, is_gone, restoring
from dedupd.core.cleanup_plan import Action, OutcomeKind, RunEnd, RunKind
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import NotFoundError

_EXPIRING = frozenset({Action.QUARANTINE, Action.HARDLINK})


def expires(aside: SetAside) -> bool:
    """Whether dedupd would ever delete it: not what was moved, trashed, carried, or could not be put back."""
    return aside.action in _EXPIRING and aside.act.takes and aside.outcome.kind is OutcomeKind.DONE


class Expiring:
    """See the module."""

    def __init__(self, *, book: Book, calls: FileCalls, is_stopping: Callable[[], bool]) -> None:
        self._book = book
        self._calls = calls
        self._is_stopping = is_stopping

    def run(self, before_ns: int, plan_id: str | None, tell: Tell) -> RunEnd:
        """Delete; see `core.cleanup_ports.Actor.expire`."""
        history = self._book.history
        if plan_id is not None and history.applied(plan_id) is None:
            raise NotFoundError(f"No plan {plan_id[:12]} was applied. `dedupctl plans` lists those that were.")
        due = _due(history, before_ns, plan_id)
        run = self._book.start(RunKind.EXPIRE, plan_id or "", tell)
        places = Places(self._calls)
        try:
            for aside in due:
                if self._is_stopping():
                    return run.end("The actor was told to end.")
                self._one(aside, run, places)
            return run.end("")
        finally:
            places.close()

    def _one(self, aside: SetAside, run: RunBook, places: Places) -> None:
        act = restoring(aside, ActKind.DELETE, aside.act.target)
        unit = run.intend(aside.outcome.plan, aside.outcome.item, (act,))
        result = self._result(act, places)
        run.settle(unit, aside.outcome.plan, aside.outcome.item, (act,), [result])
        if result.kind is OutcomeKind.DONE:
            with suppress(OSError):
                places.tidy(act.file.place, QUARANTINE)

    def _result(self, act: Act, places: Places) -> Result:
        ino = act.file.stat.ino
        try:
            if is_gone(self._book, places, act.file.place):
                return Result(kind=OutcomeKind.SKIPPED, detail=GONE, is_at_target=True, ino=ino)
            return self._deleted(act, places)
        except RefusalError as error:
            return Result(kind=OutcomeKind.CONFLICT, detail=str(error), is_at_target=True, ino=ino)
        except OSError as error:
            return Result(kind=OutcomeKind.FAILED, detail=explain(error), is_at_target=True, ino=ino)

    def _deleted(self, act: Act, places: Places) -> Result:
        checks = Checks(self._calls, places)
        with (
            checks.reopened(act.kept.place, "The file that stayed") as kept,
            checks.reopened(act.file.place, "The quarantined file") as file,
            places.directory(act.file.place) as directory,
        ):
            planned, now = act.file.stat, file.facts
            if (now.st_ino, now.st_size) != (planned.ino, planned.size_bytes):
                raise RefusalError("The quarantined file is no longer what was set aside.")
            checks.must_be_a_pair(act, kept, file)
            self._must_be_unmoved(act, directory, file)
            try:
                self._calls.unlink(directory, act.file.place.name)
            except OSError:
                if self._calls.look(directory, act.file.place.name) is not None:
                    raise  # else it was done although an error was reported
            try:
                checks.must_still_be_kept(act, kept)
            except (RefusalError, OSError) as error:
                return self._written_back(act, directory, file, error)
            with suppress(OSError):  # a deletion that a power cut takes back is found again
                self._calls.sync(directory)
        return Result(kind=OutcomeKind.DONE, detail="", is_at_target=True, ino=planned.ino)

    def _must_be_unmoved(self, act: Act, directory: int, file: Opened) -> None:
        there = self._calls.look(directory, act.file.place.name)
        if there is None or there.st_ino != file.facts.st_ino:
            raise RefusalError("The quarantined file was replaced meanwhile.")

    def _written_back(self, act: Act, directory: int, file: Opened, error: RefusalError | OSError) -> Result:
        """The file that stayed went while this one was deleted: its bytes are still in the open descriptor."""
        fd = self._calls.create(directory, act.file.place.name, 0o600)
        try:
            offset = 0
            while piece := self._calls.read(file.fd, offset):
                self._calls.write(fd, piece)
                offset += len(piece)
            with suppress(OSError):
                self._calls.set_mode_and_times(fd, file.facts)
            self._calls.sync(fd)
            ino = self._calls.stat(fd).st_ino
        finally:
            self._calls.close(fd)
        self._calls.sync(directory)
        detail = f"{explain(error)} So the quarantined file was written back."
        return Result(kind=OutcomeKind.CONFLICT, detail=detail, is_at_target=True, ino=ino)


def _due(history: History, before_ns: int, plan_id: str | None) -> list[SetAside]:
    return [
        aside
        for aside in history.set_aside.values()
        if expires(aside) and aside.outcome.at_ns < before_ns and plan_id in {None, aside.outcome.plan}
    ]
