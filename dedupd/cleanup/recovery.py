"""Settles what a killed actor left open, by looking at the disk only: finishes it, or puts it back, or leaves it alone.

Running it again changes nothing. Where a disk is not there, what was under way on it stays open until it is.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import assert_never

from dedupd.cleanup.acting import Acting, Result
from dedupd.cleanup.book import Book, RunBook
from dedupd.cleanup.checks import Checks, RefusalError
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind, Intended
from dedupd.cleanup.places import Place, Places, is_same_base
from dedupd.cleanup.trash import remove_note
from dedupd.core.cleanup_plan import Outcome, OutcomeKind, RunKind

_INTERRUPTED = "The actor was interrupted."
_WHERE_IT_WAS = f"{_INTERRUPTED} The file is where it was before."


class _State(Enum):
    """Where the file of an act is."""

    BEFORE = "before"  # where it was before the act
    AFTER = "after"  # where it is after it
    BETWEEN = "between"  # the act was cut short and must be put back
    STRAY = "stray"  # another file than planned lies at the target
    NOWHERE = "nowhere"  # neither here nor there


class _UnknownError(Exception):
    """The disk does not answer, so nothing can be said."""


class Recovery:
    """See the module."""

    def __init__(self, *, book: Book, calls: FileCalls, now_ns: int) -> None:
        self._book = book
        self._calls = calls
        self._has_begun = False
        self._places = Places(calls)
        self._checks = Checks(calls, self._places)
        self._acting = Acting(calls, self._places, self._checks, now_ns)

    def settle_all(self) -> None:
        """Settle every open intent that can be settled now."""
        open_now = list(self._book.history.open.items())
        try:
            for (number, unit), intent in open_now:
                with suppress(_UnknownError):
                    self._settle(self._book.resume(number, _nobody), unit, intent, self._book.history.runs[number].kind)
        finally:
            self._places.close()

    def _settle(self, run: RunBook, unit: int, intent: Intended, kind: RunKind) -> None:
        try:
            match kind:
                case RunKind.APPLY:
                    results = self._applied(intent.acts)
                case RunKind.UNDO:
                    results = [self._undone(act) for act in intent.acts]
                case RunKind.EXPIRE:
                    results = [self._expired(act) for act in intent.acts]
                case _:
                    assert_never(kind)
        except OSError as error:
            raise _UnknownError from error
        if not self._has_begun:  # a start that settles nothing leaves no file behind
            self._book.begin_file()
            self._has_begun = True
        run.settle(unit, intent.plan_id, intent.item, intent.acts, results)

    # ------------------------------------------------------------------------------------------------------- a plan

    def _applied(self, acts: tuple[Act, ...]) -> list[Result]:
        seen = [self._seen(act) for act in acts]
        if all(state is _State.AFTER for state, _ in seen) and all(self._is_good(act) for act in acts):
            return [_at_target(OutcomeKind.DONE, "", act.file.stat.ino) for act in acts]
        results = [
            self._rolled_back(act, state, ino) for act, (state, ino) in reversed(list(zip(acts, seen, strict=True)))
        ]
        return results[::-1]

    def _seen(self, act: Act) -> tuple[_State, int]:
        """Where the file of an act of a plan is, and the inode of what lies at the target."""
        here, there = self._ino(act.file.place), self._ino(act.target)
        file, kept = act.file.stat.ino, act.kept.stat.ino
        match act.kind:
            case ActKind.SHARE:
                state = _State.BEFORE if here == file else _State.NOWHERE
            case ActKind.LINK:
                state = _linked(here, there, file=file, kept=kept)
            case _:
                state = _renamed(here, there, file=file)
        if state is _State.NOWHERE and not (self._is_online(act.file.place) and self._is_online(act.target)):
            raise _UnknownError
        return state, there or 0

    def _is_good(self, act: Act) -> bool:
        """Whether an act that was done may stand: what went is what was planned, and the kept file is there."""
        try:
            with self._checks.reopened(act.target, "The file") as file:
                self._checks.must_hold(file, act.file.digest, "The file")
            if act.kept.place != act.file.place:
                with self._checks.reopened(act.kept.place, "The kept file") as kept:
                    self._checks.must_hold(kept, act.kept.digest, "The kept file")
        except RefusalError:
            return False
        return True

    def _rolled_back(self, act: Act, state: _State, ino: int) -> Result:
        before = Result(kind=OutcomeKind.FAILED, detail=_INTERRUPTED, is_at_target=False, ino=act.file.stat.ino)
        match state:
            case _State.AFTER | _State.BETWEEN:
                return self._acting.put_back(act, before)
            case _State.BEFORE:
                self._clear(act)
                return Result(kind=OutcomeKind.FAILED, detail=_WHERE_IT_WAS, is_at_target=False, ino=act.file.stat.ino)
            case _State.STRAY:
                detail = f"{_INTERRUPTED} What had replaced the file was set aside; `undo` brings it back."
                return _at_target(OutcomeKind.STRANDED, detail, ino)
            case _State.NOWHERE:
                detail = f"{_INTERRUPTED} The file is neither where it was nor where it was to go; nothing was touched."
                return Result(kind=OutcomeKind.CONFLICT, detail=detail, is_at_target=False, ino=act.file.stat.ino)
            case _:
                assert_never(state)

    def _clear(self, act: Act) -> None:
        """Remove what an act that was not done may have left: a link of the kept file, a note without its file."""
        with suppress(OSError):
            if act.kind is ActKind.LINK:
                with self._places.directory(act.target) as directory:
                    self._acting.drop_link(directory, act.target.name, act.kept.stat.ino)
            if act.note is not None:
                remove_note(self._calls, self._places, act.note, act.path)

    # ------------------------------------------------------------------------------------------------ undo and expiry

    def _undone(self, act: Act) -> Result:
        away, home = self._ino(act.file.place), self._ino(act.target)
        file = act.file.stat.ino
        if home == file and away != file:
            is_beside = act.target.path != act.path
            if act.kind is ActKind.EXCHANGE and away is not None and not self._drop(act):
                return self._exchanged_back(act)
            if act.note is not None:
                with suppress(OSError):
                    remove_note(self._calls, self._places, act.note, act.path)
            kind = OutcomeKind.RESTORED_BESIDE if is_beside else OutcomeKind.DONE
            return _at_target(kind, "Its name is taken; it was put back beside it." if is_beside else "", file)
        if away is None and not self._is_online(act.file.place):
            raise _UnknownError
        detail = f"{_INTERRUPTED} The file is still set aside." if away == file else f"{_INTERRUPTED} The file is gone."
        kind = OutcomeKind.FAILED if away == file else OutcomeKind.CONFLICT
        return Result(kind=kind, detail=detail, is_at_target=False, ino=file)

    def _drop(self, act: Act) -> bool:
        """Remove the link that an undone hard link left at its place; False where another file lies there."""
        with self._places.directory(act.file.place) as directory:
            lying = self._calls.look(directory, act.file.place.name)
            self._acting.drop_link(directory, act.file.place.name, act.kept.stat.ino)
            return lying is None or lying.st_ino == act.kept.stat.ino

    def _exchanged_back(self, act: Act) -> Result:
        """A file that had come between was exchanged for the one to be restored: it gets its name back."""
        with self._places.directory(act.file.place) as away, self._places.directory(act.target) as home:
            self._calls.exchange(away, act.file.place.name, home, act.target.name)
        detail = f"{_INTERRUPTED} The file is still set aside."
        return Result(kind=OutcomeKind.FAILED, detail=detail, is_at_target=False, ino=act.file.stat.ino)

    def _expired(self, act: Act) -> Result:
        ino = self._ino(act.file.place)
        if ino is None and not self._is_online(act.file.place):
            raise _UnknownError
        if ino is None:
            return _at_target(OutcomeKind.DONE, "", act.file.stat.ino)
        return _at_target(OutcomeKind.FAILED, f"{_INTERRUPTED} The file was not deleted.", ino)

    # ------------------------------------------------------------------------------------------------------- looking

    def _ino(self, place: Place) -> int | None:
        facts = self._places.look(place)
        return None if facts is None else facts.st_ino

    def _is_online(self, place: Place) -> bool:
        """Whether nothing found there means that nothing is there."""
        before = self._book.history.base_of(place.base)
        return before is not None and is_same_base(before, self._places.seen(place.base))


def _renamed(here: int | None, there: int | None, *, file: int) -> _State:
    if here == file:
        return _State.BEFORE
    if there == file:
        return _State.AFTER
    return _State.STRAY if here is None and there is not None else _State.NOWHERE


def _linked(here: int | None, there: int | None, *, file: int, kept: int) -> _State:
    if here == file:
        return _State.BEFORE
    if there == file and here == kept:
        return _State.AFTER
    if there is not None and (there == file or here == kept):
        return _State.BETWEEN
    return _State.NOWHERE


def _at_target(kind: OutcomeKind, detail: str, ino: int) -> Result:
    return Result(kind=kind, detail=detail, is_at_target=True, ino=ino)


def _nobody(outcome: Outcome) -> None:
    """Recovered outcomes are read from the journal."""
