"""Puts back what a plan took: the last first, each file on its own, by renaming the very file that went away.

So bytes, mode, owner, times and attributes are what they were. Never overwrites: where a name is taken the file is
restored beside it. Never deletes a photo: the one name it removes is a hard link that the actor made itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

import msgspec

from dedupd.cleanup.acting import Acting, Result, explain
from dedupd.cleanup.book import Book, RunBook
from dedupd.cleanup.checks import Checks, RefusalError, same_digest
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.history import Run, SetAside
from dedupd.cleanup.journal_records import Act, ActKind, Known
from dedupd.cleanup.places import Place, Places, is_same_base
from dedupd.cleanup.targets import QUARANTINE, numbered
from dedupd.cleanup.trash import remove_note
from dedupd.core.cleanup_plan import Action, Outcome, OutcomeKind, RunEnd, RunKind
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import NotFoundError
from dedupd.core.records import FileStat

_MADE_MODE = 0o755  # of a directory that is made again because it is gone
_NAMES_BESIDE = 1000

_CHANGED = "It was changed while it was set aside; it was put back as it is."
_UNREADABLE = "It could not be read to check it; it was put back as it is."
GONE = "It is no longer where it was set aside: somebody has put it back or removed it."
_SHARED = "Nothing had to be put back: the files share their blocks, and each is as it was."


class Undoing:
    """See the module."""

    def __init__(
        self, *, book: Book, calls: FileCalls, now_ns: Callable[[], int], is_stopping: Callable[[], bool]
    ) -> None:
        self._book = book
        self._calls = calls
        self._now_ns = now_ns
        self._is_stopping = is_stopping

    def run(self, plan_id: str | None, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back; see `core.cleanup_ports.Actor.undo`."""
        history = self._book.history
        applied = history.last_applied() if plan_id is None else history.applied(plan_id)
        if applied is None:
            raise NotFoundError(f"No plan {(plan_id or '')[:12]} was applied. `dedupctl plans` lists those that were.")
        if items is not None and (unknown := sorted(item for item in items if item not in applied.items)):
            raise NotFoundError(f"The plan {applied.plan_id[:12]} has no item {unknown[0]}.")
        asides = [a for a in history.of_plan(applied.plan_id) if items is None or a.outcome.item in items]
        idle = self._idle(applied, items, {aside.outcome.item for aside in asides})
        if not asides and not idle:
            raise NotFoundError(f"Nothing that the plan {applied.plan_id[:12]} took is left to put back.")
        run = self._book.start(RunKind.UNDO, applied.plan_id, tell)
        places = Places(self._calls)
        try:
            stopped = self._all(_Restore(self._book, self._calls, places, self._now_ns()), asides, run)
            for outcome, kind, detail in idle:
                run.remark(outcome.plan, outcome.item, (_act_of(outcome),), kind, detail)
            return run.end(stopped)
        finally:
            places.close()

    def _all(self, restore: _Restore, asides: list[SetAside], run: RunBook) -> str:
        for aside in reversed(asides):
            if self._is_stopping():
                return "The actor was told to end."
            restore.one(aside, run)
        return ""

    def _idle(
        self, applied: Run, items: frozenset[int] | None, busy: Iterable[int]
    ) -> list[tuple[Outcome, OutcomeKind, str]]:
        """What is asked for and needs no act: shared blocks; where they are named, items that are back or stayed."""
        if items is None and applied.action is not Action.REFLINK:
            return []  # spares reading the journal on
        idle = []
        for outcome in self._book.outcomes(applied.first_sequence - 1):
            if outcome.plan != applied.plan_id or outcome.run is not RunKind.APPLY:
                continue
            if outcome.item in busy or (items is not None and outcome.item not in items):
                continue
            is_done = outcome.kind is OutcomeKind.DONE
            if is_done and applied.action is Action.REFLINK and outcome.now_at == outcome.path:
                idle.append((outcome, OutcomeKind.DONE, _SHARED))
            elif items is not None:
                why = "It was put back or deleted before." if is_done else "It was never taken."
                idle.append((outcome, OutcomeKind.SKIPPED, why))
        return idle


class _Restore:
    """Puts one file back."""

    def __init__(self, book: Book, calls: FileCalls, places: Places, now_ns: int) -> None:
        self._book = book
        self._calls = calls
        self._places = places
        self._checks = Checks(calls, places)
        self._acting = Acting(calls, places, self._checks, now_ns)

    def one(self, aside: SetAside, run: RunBook) -> None:
        plan, item = aside.outcome.plan, aside.outcome.item
        act = restoring(aside, ActKind.RENAME, aside.act.file.place)
        unit = run.intend(plan, item, (act,))

        def intend(now: Act) -> None:
            nonlocal act
            act = now
            run.intend(plan, item, (act,), unit=unit)

        try:
            result = self._at_home(aside) or self._restored(aside, act, intend)
        except RefusalError as error:
            result = self._missing(aside, str(error))
        except OSError as error:
            result = _result(aside, OutcomeKind.FAILED, explain(error))
        run.settle(unit, plan, item, (act,), [result])
        self._tidy(aside)

    def _at_home(self, aside: SetAside) -> Result | None:
        """The result where the file is at its place already, put there by a person or by an undo that was cut short."""
        home, away = self._places.look(aside.act.file.place), self._places.look(aside.act.target)
        if home is None or home.st_ino != aside.ino or (away is not None and away.st_ino == aside.ino):
            return None
        if away is not None and aside.act.kind is ActKind.LINK:
            with self._places.directory(aside.act.target) as source:
                self._acting.drop_link(source, aside.act.target.name, aside.act.kept.stat.ino)
        return _result(aside, OutcomeKind.DONE, "It was at its place already.", is_at_target=True)

    def _restored(self, aside: SetAside, act: Act, intend: Callable[[Act], None]) -> Result:
        away, notes = act.file.place, []
        with self._checks.reopened(away, "The file") as file, self._places.directory(away) as source:
            try:
                if not same_digest(self._checks.digest(file), aside.outcome.digest):
                    notes.append(_CHANGED)
            except OSError:
                notes.append(_UNREADABLE)
            with self._places.made_directory(act.target, _MADE_MODE) as home:
                kind = OutcomeKind.DONE
                if not self._exchanged(aside, act, source, home, intend):
                    target = self._renamed(act, source, home, intend)
                    if target != act.target:
                        kind = OutcomeKind.RESTORED_BESIDE
                        notes.append("Its name is taken; it was put back beside it.")
                elif not self._acting.drop_link(source, away.name, aside.act.kept.stat.ino):
                    notes.append(
                        "The link that stood in its place is the last name of the file that stayed; it is kept."
                    )
                try:
                    self._calls.sync(home)
                    self._calls.sync(source)
                except OSError as error:  # still counted as set aside: the next undo looks again
                    return _result(
                        aside, OutcomeKind.FAILED, f"It was put back, but: {explain(error)}", is_at_target=True
                    )
        return Result(kind=kind, detail=" ".join(notes), is_at_target=True, ino=file.facts.st_ino)

    def _exchanged(self, aside: SetAside, act: Act, source: int, home: int, intend: Callable[[Act], None]) -> bool:
        """Let the file and the link that took its place change places; False, and nothing changed, without one."""
        away, target, kept_ino = act.file.place, act.target, aside.act.kept.stat.ino
        there = self._calls.look(home, target.name)
        if aside.act.kind is not ActKind.LINK or there is None or there.st_ino != kept_ino:
            return False
        intend(restoring(aside, ActKind.EXCHANGE, target))
        self._calls.exchange(source, away.name, home, target.name)
        displaced = self._calls.look(source, away.name)
        if displaced is not None and displaced.st_ino == kept_ino:
            return True
        self._calls.exchange(source, away.name, home, target.name)  # another file had come between
        return False

    def _renamed(self, act: Act, source: int, home: int, intend: Callable[[Act], None]) -> Place:
        """Give the file its own name back, or the first free one beside it."""
        wanted = act.target.name
        for number in range(_NAMES_BESIDE):
            target = act.target.beside(numbered(wanted, f"(restored {number})") if number else wanted)
            if self._calls.look(home, target.name) is not None:
                continue
            intend(msgspec.structs.replace(act, target=target))
            with suppress(FileExistsError):
                self._calls.rename(source, act.file.place.name, home, target.name)
                return target
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _missing(self, aside: SetAside, why: str) -> Result:
        """What to say where the file is neither at its place nor where it was set aside."""
        with suppress(OSError):
            if is_gone(self._book, self._places, aside.act.target):
                return _result(aside, OutcomeKind.SKIPPED, GONE)
        return _result(aside, OutcomeKind.CONFLICT, why)

    def _tidy(self, aside: SetAside) -> None:
        """Remove what is left around a file that is back: its note in the trash, directories that are empty now."""
        place, note = aside.act.target, aside.act.note
        with suppress(OSError):
            if note is not None and self._places.look(place) is None:
                remove_note(self._calls, self._places, note, aside.act.path)
            if place.below.startswith(QUARANTINE + b"/"):
                self._places.tidy(place, QUARANTINE)


def restoring(aside: SetAside, kind: ActKind, target: Place) -> Act:
    """The act that puts a file back, or deletes it, from where it was set aside."""
    went = aside.act
    file = Known(place=went.target, stat=replace(went.file.stat, ino=aside.ino), digest=went.file.digest)
    return msgspec.structs.replace(went, kind=kind, file=file, target=target, of=aside.outcome.sequence)


def _result(aside: SetAside, kind: OutcomeKind, detail: str, *, is_at_target: bool = False) -> Result:
    return Result(kind=kind, detail=detail, is_at_target=is_at_target, ino=aside.ino)


def is_gone(book: Book, places: Places, place: Place) -> bool:
    """Whether nothing is at a place, on a base that is what it was: an unmounted disk is no deletion."""
    before = book.history.base_of(place.base)
    if before is None or not is_same_base(before, places.seen(place.base)):
        return False
    return places.look(place) is None


def _act_of(outcome: Outcome) -> Act:
    """A stand-in for the act of an outcome, to tell that nothing is done now."""
    place = Place(base=b"/", below=(outcome.now_at or outcome.path).lstrip(b"/"))
    kept = Place(base=b"/", below=outcome.kept.lstrip(b"/"))
    stat = FileStat(dev=0, ino=0, size_bytes=outcome.size_bytes, mtime_ns=0, ctime_ns=0)
    return Act(
        kind=ActKind.SHARE,
        file=Known(place=place, stat=stat, digest=outcome.digest),
        target=place,
        kept=Known(place=kept, stat=stat, digest=outcome.digest),
        is_exact=False,
        takes=True,
        path=outcome.path,
    )
