"""The acts themselves: each checks on the disk, acts once, checks what it did, and puts back what is not as planned.

The caller has journalled the intent before and journals the outcome after. Never deletes, copies or overwrites a
photo, and never does anything else than asked where the system refuses (no symlink, no copy to another filesystem).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from dedupd.cleanup.checks import Checks, Opened, RefusalError, StrandedError
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind
from dedupd.cleanup.places import Places
from dedupd.cleanup.targets import QUARANTINE
from dedupd.cleanup.trash import remove_note, trash_note
from dedupd.core.cleanup_plan import OutcomeKind

DIRECTORY_MODE = 0o700  # of the directories made for what goes: nobody sees more than before
_NOTE_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one act."""

    kind: OutcomeKind
    detail: str
    is_at_target: bool
    ino: int  # of the file, where it is now


class Acting:
    """Does acts. Of one run; keeps nothing but what it was given."""

    def __init__(self, calls: FileCalls, places: Places, checks: Checks, now_ns: int) -> None:
        self._calls = calls
        self._places = places
        self._checks = checks
        self._now_ns = now_ns

    def unit(self, acts: tuple[Act, ...]) -> list[Result]:
        """Do all acts of a unit or none: the first that cannot be done rolls the others back."""
        for position, act in enumerate(acts):
            try:
                self._do(act)
            except (RefusalError, OSError) as error:
                failed = result_of(error, act)
                before = [self.put_back(done, failed) for done in reversed(acts[:position])]
                after = [_left(rest, failed) for rest in acts[position + 1 :]]
                return [*reversed(before), failed, *after]
        return [Result(kind=OutcomeKind.DONE, detail="", is_at_target=True, ino=act.file.stat.ino) for act in acts]

    def put_back(self, act: Act, because: Result) -> Result:
        """Undo an act of a unit that could not be done whole."""
        try:
            with self._both(act) as (home, away):
                match act.kind:
                    case ActKind.SHARE:
                        pass
                    case ActKind.LINK:
                        self._unlink_pair(act, home, away)
                    case _:
                        self._return(act, home, away)
        except (RefusalError, OSError) as error:
            ino = error.ino if isinstance(error, StrandedError) else act.file.stat.ino
            detail = f"It could not be put back: {explain(error)} It lies untouched where it was set aside."
            return Result(kind=OutcomeKind.STRANDED, detail=detail, is_at_target=True, ino=ino)
        return _left(act, because)

    def drop_link(self, directory: int, name: bytes, ino: int) -> bool:
        """Remove a name that is a mere link of a file that has another; False, and it stays, where it is not."""
        facts = self._calls.look(directory, name)
        if facts is None:
            return True
        if facts.st_ino != ino or facts.st_nlink < 2:
            return False
        self._calls.unlink(directory, name)
        self._calls.sync(directory)
        return True

    # ------------------------------------------------------------------------------------------------------- doing

    def _do(self, act: Act) -> None:
        with (
            self._checks.opened(act.kept, "The kept file") as kept,
            self._checks.opened(act.file, "The file") as file,
        ):
            if act.file.place != act.kept.place:  # a kept file that is sorted has only itself
                self._checks.must_be_a_pair(act, kept, file)
            else:
                self._checks.must_be_unwritten(act.file.place, file, "The file")
                self._checks.must_hold(file, act.file.digest, "The file")
            try:
                match act.kind:
                    case ActKind.LINK:
                        self._link(act, kept, file)
                    case ActKind.SHARE:
                        self._share(act, kept, file)
                    case _:
                        self._rename(act, kept, file)
            finally:
                with suppress(OSError):
                    self._checks.own(kept, file)

    def _rename(self, act: Act, kept: Opened, file: Opened) -> None:
        with self._both(act, make=True) as (home, away):
            has_moved = False
            try:
                self._write_note(act)
                self._calls.rename(home, act.file.place.name, away, act.target.name)
                has_moved = True
                self._must_have_moved(act, away, file)
                if act.file.place != act.kept.place:
                    self._checks.must_still_be_kept(act, kept)
                self._calls.sync(away)
                self._calls.sync(home)
            except (RefusalError, OSError):
                if has_moved or self._has_moved_anyway(act, home, away):
                    self._return(act, home, away)
                else:
                    self._remove_note(act)
                raise

    def _link(self, act: Act, kept: Opened, file: Opened) -> None:
        if file.facts.st_nlink != act.names:
            raise RefusalError("The file has other hard links, which are not in the plan; all of them go or none.")
        with self._both(act, make=True) as (home, away):
            try:
                with self._places.directory(act.kept.place) as source:
                    self._calls.link(source, act.kept.place.name, away, act.target.name)
                self._must_be_linked(act, away, kept)
                self._calls.exchange(away, act.target.name, home, act.file.place.name)
                self._must_have_moved(act, away, file)
                self._checks.must_still_be_kept(act, kept)
                self._calls.sync(away)
                self._calls.sync(home)
            except FileExistsError:
                raise  # the name that was free is taken by somebody else's file: not ours to clear away
            except (RefusalError, OSError):
                self._unlink_pair(act, home, away)
                raise

    def _must_be_linked(self, act: Act, away: int, kept: Opened) -> None:
        """Refuse unless the new link is one of the kept file that was read."""
        linked = self._calls.look(away, act.target.name)
        if linked is None or linked.st_ino != kept.facts.st_ino:
            raise RefusalError("The kept file was replaced meanwhile.")

    def _share(self, act: Act, kept: Opened, file: Opened) -> None:
        if not self._calls.share(kept.fd, file.fd, file.facts.st_size):
            raise RefusalError("The kernel found that the files differ.")
        self._checks.must_hold(file, act.file.digest, "The file")

    def _must_have_moved(self, act: Act, away: int, file: Opened) -> None:
        """Refuse unless what lies at the target is the very file that was read, with the bytes it had.

        Nobody can open it by its old name any more, so a writer either still has it open, which the lease tells, or
        is done, which the digest tells.
        """
        moved = self._calls.look(away, act.target.name)
        if moved is None or (moved.st_dev, moved.st_ino) != (file.facts.st_dev, file.facts.st_ino):
            raise RefusalError("The file was replaced meanwhile.")
        self._checks.must_be_unwritten(act.file.place, file, "The file")
        if (moved.st_size, moved.st_mtime_ns) != (file.facts.st_size, file.facts.st_mtime_ns):
            raise RefusalError("The file was changed meanwhile.")
        self._checks.must_hold(file, act.file.digest, "The file")

    # -------------------------------------------------------------------------------------------------- putting back

    def _has_moved_anyway(self, act: Act, home: int, away: int) -> bool:
        """Whether a rename that reported an error was done nevertheless, as network filesystems may."""
        with _or_stranded(act):
            there = self._calls.look(away, act.target.name)
            here = self._calls.look(home, act.file.place.name)
        return there is not None and there.st_ino == act.file.stat.ino and here is None

    def _return(self, act: Act, home: int, away: int) -> None:
        """Give what lies at the target its old name back; StrandedError where that is not possible."""
        with _or_stranded(act):
            lying = self._calls.look(away, act.target.name)
        if lying is not None:
            with _or_stranded(act, lying.st_ino):
                self._calls.rename(away, act.target.name, home, act.file.place.name)
            self._sync_quietly(home, away)
        self._remove_note(act)

    def _unlink_pair(self, act: Act, home: int, away: int) -> None:
        """Undo a hard link at any point of it: the file under its own name again, the link gone."""
        with _or_stranded(act):
            here = self._calls.look(home, act.file.place.name)
            there = self._calls.look(away, act.target.name)
        if there is None:
            return
        is_home = here is not None and here.st_ino == act.file.stat.ino
        if there.st_ino != act.kept.stat.ino and not is_home:
            # The file lies there, or what had taken its name when names were exchanged.
            with _or_stranded(act, there.st_ino):
                if here is None:
                    self._calls.rename(away, act.target.name, home, act.file.place.name)
                elif here.st_ino == act.kept.stat.ino:
                    self._exchange_back(act, home, away)
                else:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with suppress(OSError):  # a link too much loses nothing
            self.drop_link(away, act.target.name, act.kept.stat.ino)
        self._sync_quietly(home, away)

    def _exchange_back(self, act: Act, home: int, away: int) -> None:
        """Exchange what lies at the target for the link at the old name, unless another file came to that just now."""
        self._calls.exchange(away, act.target.name, home, act.file.place.name)
        displaced = self._calls.look(away, act.target.name)
        if displaced is not None and displaced.st_ino != act.kept.stat.ino:
            self._calls.exchange(away, act.target.name, home, act.file.place.name)  # it has the better right to it
            lying = self._calls.look(away, act.target.name)
            ino = act.file.stat.ino if lying is None else lying.st_ino
            raise StrandedError(_stranded(FileExistsError()), ino)

    def _sync_quietly(self, *directories: int) -> None:
        """Where this fails, the journal's open intent or its outcome still leads to the file at either name."""
        with suppress(OSError):
            for directory in directories:
                self._calls.sync(directory)

    # ----------------------------------------------------------------------------------------------------- the trash

    def _write_note(self, act: Act) -> None:
        """The .trashinfo comes before the file, as the specification wants it."""
        if act.note is None:
            return
        with self._places.made_directory(act.note, DIRECTORY_MODE) as directory:
            fd = self._calls.create(directory, act.note.name, _NOTE_MODE)
            try:
                self._calls.write(fd, trash_note(act.path, act.note, self._now_ns))
                self._calls.sync(fd)
            finally:
                self._calls.close(fd)
            self._calls.sync(directory)

    def _remove_note(self, act: Act) -> None:
        """Remove the note of a file that did not go: without it, it is litter, never a loss."""
        if act.note is not None:
            with suppress(OSError):
                remove_note(self._calls, self._places, act.note, act.path)

    def _mode_for(self, act: Act, home: int) -> int:
        """The mode of directories made for a file: its own directory's in a folder, so that who saw it still does."""
        if act.note is not None or act.target.below.startswith(QUARANTINE + b"/"):
            return DIRECTORY_MODE
        return self._calls.stat(home).st_mode & 0o777 | DIRECTORY_MODE

    @contextmanager
    def _both(self, act: Act, *, make: bool = False) -> Iterator[tuple[int, int]]:
        """The directories of an act's source and target."""
        with self._places.directory(act.file.place) as home:
            if act.target == act.file.place:
                yield home, home
            elif make:
                with self._places.made_directory(act.target, self._mode_for(act, home)) as away:
                    yield home, away
            else:
                with self._places.directory(act.target) as away:
                    yield home, away


@contextmanager
def _or_stranded(act: Act, ino: int | None = None) -> Iterator[None]:
    """Where the system refuses in here, the file counts as lying at the target."""
    try:
        yield
    except OSError as error:
        raise StrandedError(_stranded(error), ino or act.file.stat.ino) from error


def result_of(error: RefusalError | OSError, act: Act) -> Result:
    """What an act that could not be done came to."""
    if isinstance(error, RefusalError):
        ino = error.ino if isinstance(error, StrandedError) else act.file.stat.ino
        is_stranded = error.kind is OutcomeKind.STRANDED
        return Result(kind=error.kind, detail=str(error), is_at_target=is_stranded, ino=ino)
    kind = OutcomeKind.CONFLICT if error.errno in {errno.EEXIST, errno.ELOOP} else OutcomeKind.FAILED
    return Result(kind=kind, detail=explain(error), is_at_target=False, ino=act.file.stat.ino)


_SAYINGS = {
    errno.EEXIST: "The name where it was to go is taken.",
    errno.ELOOP: "A symbolic link stands in its path.",
    errno.EXDEV: "It would have to go to another filesystem; dedupd never copies and deletes.",
    errno.EMLINK: "The kept file has as many hard links as its filesystem allows.",
    errno.EROFS: "The filesystem is read-only.",
    errno.ENOSPC: "The filesystem is full.",
    errno.EOPNOTSUPP: "This filesystem cannot do that.",
    errno.EACCES: "dedupd has no permission for that.",
    errno.EPERM: "dedupd has no permission for that.",
}


def explain(error: RefusalError | OSError) -> str:
    """One sentence for a person."""
    if isinstance(error, OSError):
        return _SAYINGS.get(error.errno or 0, f"The system refused: {error.strerror or error}.")
    return str(error)


def _stranded(error: OSError) -> str:
    reason = "its name was taken meanwhile" if isinstance(error, FileExistsError) else f"{error.strerror}"
    return (
        f"It could not be put back, because {reason}. It lies untouched where it was set aside; `undo` brings it back."
    )


def _left(act: Act, because: Result) -> Result:
    """An act of a unit of which another could not be done: the file is where it was."""
    kind = OutcomeKind.FAILED if because.kind is OutcomeKind.FAILED else OutcomeKind.CONFLICT
    detail = f"It belongs to a file that could not be cleaned up. {because.detail}"
    return Result(kind=kind, detail=detail, is_at_target=False, ino=act.file.stat.ino)
