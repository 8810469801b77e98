"""Does a plan: item by item, within its limits, each item on its own; what one meets never stops another's checks.

Touches nothing unless the plan may be applied and every root is what it was. Owns no state between runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from dedupd.cleanup.acting import DIRECTORY_MODE, Acting, explain
from dedupd.cleanup.book import Book, RunBook
from dedupd.cleanup.checks import Checks
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind
from dedupd.cleanup.places import Base, Place, Places, is_same_base
from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.cleanup.plan_rules import check_plan
from dedupd.cleanup.targets import QUARANTINE, Targets
from dedupd.cleanup.trash import Trash, trash_for
from dedupd.core.cleanup_plan import WITH_FOLDER, Action, OutcomeKind, Plan, PlanItem, PlannedRoot, RunEnd, RunKind
from dedupd.core.cleanup_ports import Tell
from dedupd.core.errors import RequestError, RetryError
from dedupd.core.records import RootId

_DAY_NS = 86_400 * 1_000_000_000
_README_MODE = 0o600
_README = b"""This is the quarantine of dedupd: duplicates that a clean-up plan took from their folders.
Each folder here is one plan; below it every file has the path that it had before.

To put files back: dedupctl undo. By hand: move a file back to its path, dedupd will notice.
Files whose time is over are deleted by `dedupctl quarantine expire`, and only while the file that stayed is there.
"""
_BAD = frozenset({OutcomeKind.CONFLICT, OutcomeKind.FAILED, OutcomeKind.STRANDED})


class Applying:
    """See the module."""

    def __init__(
        self, *, book: Book, calls: FileCalls, now_ns: Callable[[], int], is_stopping: Callable[[], bool], home: bytes
    ) -> None:
        self._book = book
        self._calls = calls
        self._now_ns = now_ns
        self._is_stopping = is_stopping
        self._home = home  # the user's data directory, for the trash

    def run(self, named: str, plan: Plan, tell: Tell) -> RunEnd:
        """Do a plan; see `core.cleanup_ports.Actor.apply`."""
        data = self._must_be_applicable(named, plan)
        places = Places(self._calls)
        try:
            bases = [self._must_be_same(places, root) for root in plan.roots]
            bases += self._folder(places, plan)
            trashes, tops = self._trashes(places, plan)
            bases += tops
            targets = Targets(
                plan=plan,
                plan_id=named,
                calls=self._calls,
                places=places,
                now_ns=self._now_ns(),
                trashes=trashes,
            )
            run = self._book.start(
                RunKind.APPLY,
                named,
                tell,
                action=plan.action,
                items=(item.number for item in plan.items),
                bases=bases,
                plan=data,
            )
            no_leases = frozenset(r.path for r in plan.roots if r.identity.filesystem.startswith("nfs"))
            acting = Acting(self._calls, places, Checks(self._calls, places, without_leases=no_leases), self._now_ns())
            return _Run(
                applying=self, named=named, plan=plan, targets=targets, acting=acting, places=places, run=run
            ).all()
        finally:
            places.close()

    def done_today(self) -> tuple[int, int]:
        """Files and bytes of the last 24 hours that are not back."""
        return self._book.history.done_since(self._now_ns() - _DAY_NS)

    def bites(self, plan: Plan, item: PlanItem, done: tuple[int, int], earlier: tuple[int, int]) -> str:
        """Why the run must end before an item, as a sentence; "" where it need not.

        Args:
            plan: with the limits in force.
            item: the next one.
            done: files and bytes that this run has taken.
            earlier: what other runs took today.
        """
        limits = plan.limits
        victims = [victim for victim in item.victims if victim.carried_to is None]
        files, bytes_ = len(victims), sum(victim.file.stat.size_bytes for victim in victims)
        for limit, before, more, words in (
            (limits.files_per_run, done[0], files, "files a run"),
            (limits.bytes_per_run, done[1], bytes_, "bytes a run"),
            (limits.files_per_day, earlier[0] + done[0], files, "files a day"),
            (limits.bytes_per_day, earlier[1] + done[1], bytes_, "bytes a day"),
        ):
            if limit and before + more > limit:
                return f"The limit of {limit} {words} is reached."
        return "The actor was told to end." if self._is_stopping() else ""

    def write_readme(self, places: Places, base: bytes) -> None:
        """Say in the quarantine what it is; where that fails, the acts that follow say more."""
        place = Place(base=base, below=QUARANTINE + b"/README.txt")
        with suppress(OSError):
            if places.look(place) is not None:
                return
            with places.made_directory(place, DIRECTORY_MODE) as directory:
                fd = self._calls.create(directory, place.name, _README_MODE)
                try:
                    self._calls.write(fd, _README)
                    self._calls.sync(fd)
                finally:
                    self._calls.close(fd)

    def _must_be_applicable(self, named: str, plan: Plan) -> bytes:
        data = encode_plan(plan)
        if plan_id(data) != named:
            raise RequestError(
                f"The plan is not the one that {named[:12]} names. Nothing was touched; draw it up again."
            )
        if self._book.history.applied(named) is not None:
            raise RequestError(f"The plan {named[:12]} was applied before; a plan is applied once. Draw up a new one.")
        if plan.expires_at_ns <= self._now_ns():
            raise RequestError(f"The plan {named[:12]} has expired. Nothing was touched; draw up a new one.")
        check_plan(plan)
        return data

    def _must_be_same(self, places: Places, root: PlannedRoot) -> Base:
        """The root as it is now, if it is what it was when the plan was drawn up."""
        shown = os.fsdecode(root.path)
        try:
            seen = places.seen(root.path)
        except OSError as error:
            raise RetryError(f"{shown}: the root cannot be opened: {error.strerror}. Nothing was touched.") from error
        identity = root.identity
        if seen.dev != identity.dev or not is_same_base(
            seen, Base(path=root.path, dev=identity.dev, ino=identity.ino, fsid=identity.fsid)
        ):
            raise RetryError(
                f"{shown}: another directory or filesystem is there than when the plan was drawn up. Nothing was "
                "touched; check what is mounted, then draw the plan up again."
            )
        return seen

    def _folder(self, places: Places, plan: Plan) -> list[Base]:
        """The folder that files are moved to; none for other actions."""
        if plan.action not in WITH_FOLDER:
            return []
        shown = os.fsdecode(plan.folder)
        try:
            seen = places.seen(plan.folder)
        except OSError as error:
            raise RequestError(f"{shown}: the folder cannot be opened: {error.strerror}. Make it first.") from error
        if any(root.identity.dev != seen.dev for root in plan.roots):
            raise RequestError(
                f"{shown}: the folder is on another filesystem than a root of the plan, and dedupd never copies and "
                "deletes. Name a folder on the same one."
            )
        return [seen]

    def _trashes(self, places: Places, plan: Plan) -> tuple[dict[RootId, Trash], list[Base]]:
        """The trash for each root, and the bases they are in; none for other actions."""
        if plan.action is not Action.TRASH:
            return {}, []
        try:
            trashes = {r.id: trash_for(r.path, self._calls, uid=os.getuid(), home=self._home) for r in plan.roots}
            return trashes, [places.seen(trash.base) for trash in trashes.values()]
        except OSError as error:
            raise RequestError(
                f"There is no trash for a root of the plan: {error.strerror}. Choose the quarantine instead."
            ) from error


class _Run:
    """One run of one plan."""

    def __init__(
        self,
        *,
        applying: Applying,
        named: str,
        plan: Plan,
        targets: Targets,
        acting: Acting,
        places: Places,
        run: RunBook,
    ) -> None:
        self._applying = applying
        self._named = named
        self._plan = plan
        self._targets = targets
        self._acting = acting
        self._places = places
        self._run = run
        self._done = (0, 0)  # files and bytes of this run
        self._earlier = applying.done_today()
        self._bad = 0  # items that were not as planned
        self._sorted: dict[object, PlanItem] = {}  # SORT: the last item done of each kept file

    def all(self) -> RunEnd:
        """Everything, until something says stop."""
        stopped = ""
        for position, item in enumerate(self._plan.items):
            stopped = self._why_stop(item)
            if stopped:
                for left in self._plan.items[position:]:
                    self._skip(left, stopped)
                break
            self._item(item)
        if not stopped:
            for item in self._sorted.values():
                stopped = self._why_stop(None)
                if stopped:
                    break
                self._kept(item)
        return self._run.end(stopped)

    def _why_stop(self, item: PlanItem | None) -> str:
        most = self._plan.limits.conflicts
        if most and self._bad >= most:
            return f"{self._bad} items were not as planned, so the run ended."
        return self._applying.bites(self._plan, item, self._done, self._earlier) if item else ""

    def _item(self, item: PlanItem) -> None:
        try:
            acts = self._targets.acts_for(item)
        except OSError as error:
            self._refuse(item, explain(error))
            return
        if self._plan.action in {Action.QUARANTINE, Action.HARDLINK}:
            for base in {act.target.base for act in acts if act.takes}:
                self._applying.write_readme(self._places, base)
        if self._unit(item, acts):
            taken = [act.file.stat.size_bytes for act in acts if act.takes]
            self._done = (self._done[0] + len(taken), self._done[1] + sum(taken))
            if self._plan.action is Action.SORT:
                self._sorted[item.keeper.path] = item

    def _kept(self, item: PlanItem) -> None:
        try:
            acts = self._targets.acts_for_kept(item)
        except OSError:  # it stays where it is, which is no harm
            self._bad += 1
            return
        self._unit(item, acts)

    def _unit(self, item: PlanItem, acts: tuple[Act, ...]) -> bool:
        """Journal, do, journal; whether all of it was done."""
        unit = self._run.intend(self._named, item.number, acts)
        results = self._acting.unit(acts)
        is_done = all(result.kind is OutcomeKind.DONE for result in results)
        if any(result.kind in _BAD for result in results):
            self._bad += 1
        self._run.settle(unit, self._named, item.number, acts, results)
        return is_done

    def _skip(self, item: PlanItem, why: str) -> None:
        self._run.remark(self._named, item.number, self._shown(item), OutcomeKind.SKIPPED, why)

    def _refuse(self, item: PlanItem, why: str) -> None:
        self._bad += 1
        self._run.remark(self._named, item.number, self._shown(item), OutcomeKind.FAILED, why)

    def _shown(self, item: PlanItem) -> tuple[Act, ...]:
        """The item's files, for outcomes of acts that were never planned out."""
        known = [(self._targets.known(victim.file), victim) for victim in item.victims]
        return tuple(
            Act(
                kind=ActKind.RENAME,
                file=file,
                target=file.place,
                kept=self._targets.known(victim.stays),
                is_exact=victim.is_exact,
                takes=victim.carried_to is None,
                path=file.place.path,
            )
            for file, victim in known
        )
