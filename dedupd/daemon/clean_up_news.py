"""What the actor did, taken into the library: rows of files that went, tombstones, one event a run.

The actor's journal is the truth and its outcomes are numbered; the library remembers up to which one it has taken in,
in the same transaction. So a daemon that was killed in between takes the rest in when it starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from dedupd.api.pictures import file_path_at
from dedupd.core.cleanup_plan import Outcome, OutcomeKind, Quarantined, RunEnd, RunKind
from dedupd.core.cleanup_ports import Actor
from dedupd.core.errors import DedupdError
from dedupd.core.events import CleanupFinished
from dedupd.core.ports import Library, LibraryTransaction
from dedupd.core.records import ContentId, FilePath, FileStat
from dedupd.core.records import Sequence as Number
from dedupd.core.verdicts import Tombstone
from dedupd.daemon.log import fields

_log = logging.getLogger(__name__)

CURSOR = "clean-up"
_AT_ONCE = 512  # outcomes in one transaction
_BACK = frozenset({OutcomeKind.DONE, OutcomeKind.RESTORED_BESIDE})


class CleanUpNews:
    """Thread-safe: each outcome is taken in by one transaction, and twice does no harm."""

    def __init__(
        self,
        *,
        library: Library,
        actor: Actor,
        stat_of: Callable[[bytes], FileStat | None],
        look_again: Callable[[FilePath], None],
        expect: Callable[[FilePath, ContentId], None],
        now_ns: Callable[[], int],
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            actor: whose journal is read.
            stat_of: lstat of an absolute path, None where nothing is there.
            look_again: has the intake list a file's directory.
            expect: told what a file held that will be read again, so that its return is no news.
            now_ns: CLOCK_REALTIME.
        """
        self._library = library
        self._actor = actor
        self._stat_of = stat_of
        self._look_again = look_again
        self._expect = expect
        self._now_ns = now_ns

    def catch_up(self) -> int:
        """Take in what the actor did while nobody listened; returns how many outcomes."""
        taken = 0
        while True:
            with self._library.view() as view:
                after = view.cursor(CURSOR)
            outcomes = self._actor.outcomes(after, _AT_ONCE)
            if not outcomes:
                return taken
            self.take(outcomes)
            taken += len(outcomes)

    def hear(self, outcome: Outcome) -> None:
        """Take in an outcome of the run under way, after what was missed before it: the cursor must not pass over that.

        An actor settles at its start, and when a disk is back, what an earlier one left open, and tells nobody.
        """
        with self._library.view() as view:
            is_next = outcome.sequence <= view.cursor(CURSOR) + 1
        if is_next:
            self.take((outcome,))
        else:
            self.catch_up()

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take outcomes in, in order and without a gap."""
        pending = iter(outcomes)
        while some := list(islice(pending, _AT_ONCE)):
            with self._library.transaction() as txn:
                changed = [path for outcome in some if (path := self._enter(txn, outcome)) is not None]
                txn.set_cursor(CURSOR, Number(max(txn.cursor(CURSOR), some[-1].sequence)))
            for path in dict.fromkeys(changed):
                self._look_again(path)

    @contextmanager
    def expected_back(self, entries: Sequence[Quarantined]) -> Iterator[None]:
        """Within this, files of the quarantine may come back without being news: dedupd itself puts them there.

        Said before they are put back, since the watcher may see them sooner than the actor's outcome arrives. What did
        not come back in the end is remembered as cleaned up again.
        """
        with self._library.transaction() as txn:
            stones = {entry.digest: stone for entry in entries if (stone := txn.tombstone(entry.digest)) is not None}
            for entry in entries:
                txn.remove_tombstone(entry.digest)
                content, path = txn.content_by_digest(entry.digest), file_path_at(txn, entry.path)
                if content is not None and path is not None:
                    self._expect(path, content.id)
        try:
            yield
        finally:
            away = {entry.digest for entry in self._still_away(entries)}
            with self._library.transaction() as txn:
                for digest in away & stones.keys():
                    txn.put_tombstone(stones[digest])

    def _still_away(self, entries: Sequence[Quarantined]) -> Sequence[Quarantined]:
        try:
            listed = {(entry.plan, entry.now_at) for entry in self._actor.quarantined()}
        except DedupdError:
            return entries  # nobody knows; the journal's outcomes say so when the actor is there again
        return [entry for entry in entries if (entry.plan, entry.now_at) in listed]

    def finish(self, end: RunEnd, *, is_automatic: bool) -> None:
        """Tell that a run ended."""
        fact = CleanupFinished(
            plan=end.plan,
            run=end.run,
            done=end.done,
            conflicts=end.conflicts,
            failed=end.failed,
            skipped=end.skipped,
            bytes_=end.bytes_,
            stopped=end.stopped,
            is_automatic=is_automatic,
        )
        with self._library.transaction() as txn:
            txn.append(fact, self._now_ns())
        _log.info(
            "clean-up.%s %s",
            end.run.value,
            fields(plan=end.plan[:12], done=end.done, conflicts=end.conflicts, failed=end.failed, stopped=end.stopped),
        )

    def _enter(self, txn: LibraryTransaction, outcome: Outcome) -> FilePath | None:
        """Enter one outcome; the file whose directory is worth a look now."""
        path = file_path_at(txn, outcome.path)
        if path is None:
            return None
        match outcome.run:
            case RunKind.APPLY if outcome.kind is OutcomeKind.DONE:
                self._enter_gone(txn, path, outcome)
            case RunKind.UNDO if outcome.kind in _BACK:
                txn.remove_tombstone(outcome.digest)
                content = txn.content_by_digest(outcome.digest)
                if content is not None:
                    self._expect(path, content.id)
            case _:
                pass
        return path

    def _enter_gone(self, txn: LibraryTransaction, path: FilePath, outcome: Outcome) -> None:
        """A file that left its place; of a link or shared blocks the name is still there, and nothing has gone."""
        if not self._is_gone(outcome.path):
            return
        was_kept = outcome.kept == outcome.now_at  # sorted into `best/`
        if not was_kept and txn.content_by_digest(outcome.digest) is not None:
            stone = Tombstone(
                digest=outcome.digest,
                cleaned_at_ns=outcome.at_ns,
                plan=outcome.plan,
                path=outcome.path,
                kept=outcome.kept,
            )
            txn.put_tombstone(stone)
        record = txn.file(path)
        # Marked here, so that a root is not suspected for what its owner had taken away.
        if record is not None and record.missing_since_ns is None:
            txn.put_file(replace(record, missing_since_ns=outcome.at_ns))

    def _is_gone(self, path: bytes) -> bool:
        try:
            return self._stat_of(path) is None
        except OSError:
            return False
