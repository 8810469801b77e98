"""The roots and whether each can be believed now: asks the disk who it is, lets the pure rules judge, records changes.

Owned by the intake thread; other threads may ask `online_path`, `paths` and `watched`. Never removes a row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dedupd.core.events import RootOnline, RootSuspect
from dedupd.core.ports import Library, LibraryView, Lister
from dedupd.core.records import FilePath, FileRecord, FileStat, RootId, RootIdentity, RootRecord, RootState
from dedupd.core.root_trust import SAMPLE_FILES, Sample, Trust, judge, needs_sample
from dedupd.pipeline.stage import Clock


class RootBook:
    """See the module."""

    def __init__(
        self, *, library: Library, lister: Lister, clock: Clock, stat_of: Callable[[bytes], FileStat | None]
    ) -> None:
        self._library = library
        self._lister = lister
        self._clock = clock
        self._stat_of = stat_of
        self._lock = threading.Lock()
        self._roots: dict[RootId, RootRecord] = {}
        self._known_files: dict[RootId, int] = {}
        self._accepted: set[RootId] = set()
        self._absent: dict[RootId, list[FilePath]] = {}  # some of the files whose absence made a root suspect

    # ---------------------------------------------------------------------------------------------------- any thread

    def watched(self) -> list[RootRecord]:
        """The configured roots, in the order of their ids."""
        with self._lock:
            return [r for r in sorted(self._roots.values(), key=lambda r: r.id) if r.is_watched]

    def online(self, root: RootId) -> RootRecord | None:
        """The root, if it is watched and was believed when last checked."""
        with self._lock:
            record = self._roots.get(root)
        return record if record and record.is_watched and record.state is RootState.ONLINE else None

    def online_path(self, root: RootId) -> bytes | None:
        """Its absolute path, if its files may be read now."""
        record = self.online(root)
        return record.path if record else None

    def paths(self) -> Mapping[RootId, bytes]:
        """Absolute paths of all known roots, watched or not."""
        with self._lock:
            return {r.id: r.path for r in self._roots.values()}

    def known_files(self, root: RootId) -> int:
        """How many files of a root were there when last counted."""
        return self._known_files.get(root, 0)

    # --------------------------------------------------------------------------------------------------- intake thread

    def configure(self, paths: Sequence[bytes]) -> list[RootId]:
        """Watch exactly these directories; returns those that were not watched before."""
        fresh: list[RootId] = []
        with self._library.transaction() as txn:
            known = {r.path: r for r in txn.roots()}
            for path in paths:
                record = known.pop(path, None)
                if record is None:
                    record = RootRecord(
                        id=txn.new_root_id(),
                        path=path,
                        identity=None,
                        state=RootState.ONLINE,
                        state_reason="",
                        last_full_scan_ns=None,
                        added_at_ns=self._clock.wall_ns(),
                    )
                    txn.put_root(record)
                elif not record.is_watched:
                    record = replace(record, is_watched=True)
                    txn.put_root(record)
                with self._lock:
                    if record.id not in self._roots or not self._roots[record.id].is_watched:
                        fresh.append(record.id)
                    self._roots[record.id] = record
            for record in known.values():
                unwatched = replace(record, is_watched=False)
                if record.is_watched:
                    txn.put_root(unwatched)
                with self._lock:
                    self._roots[record.id] = unwatched
        for root in fresh:
            self._known_files[root] = self._count_files(root)
        return fresh

    def check(self, root: RootId, *, gone: Sequence[FilePath] = ()) -> RootRecord | None:
        """Judge a root by what its path shows now; the record if it can be believed.

        Args:
            root: which one.
            gone: those of its known files that were not found in this pass.
        """
        with self._lock:
            record = self._roots.get(root)
        if record is None or not record.is_watched:
            return None
        now = self._lister.identify(record.path)
        known = self._known_files.get(root, 0)
        trust = judge(
            stored=record.identity,
            now=now,
            known_files=known,
            gone_files=len(gone),
            lists_empty=known > 0 and isinstance(now, RootIdentity) and self._is_empty(record),
            sample=self._sample(record) if needs_sample(record.identity, now, known) else None,
            is_accepted=root in self._accepted,
        )
        if record.state is RootState.SUSPECT and not gone and trust.is_online and not self._is_itself_again(record):
            return None  # suspect for what was gone from it: only its files' return, or a person, changes that
        record = self._record(record, now, trust)
        if trust.is_online:
            self._absent.pop(root, None)
            return record
        if gone:
            self._absent[root] = list(gone[:: max(1, len(gone) // SAMPLE_FILES)][:SAMPLE_FILES])
        self._accepted.discard(root)  # it was given to what the root showed then, not to whatever comes in its place
        return None

    def accept(self, root: RootId) -> None:
        """A person says that what the root shows now is right; holds until its next full scan is judged."""
        self._accepted.add(root)
        self.check(root)

    def scanned(self, root: RootId, files: int) -> None:
        """A full scan ended and found this many files."""
        with self._lock:
            record = replace(self._roots[root], last_full_scan_ns=self._clock.wall_ns())
            self._roots[root] = record
        self._known_files[root] = max(files, self._count_files(root))  # what moved was counted twice
        with self._library.transaction() as txn:
            txn.put_root(record)

    def count_new(self, root: RootId) -> None:
        """A file was seen for the first time."""
        self._known_files[root] = self._known_files.get(root, 0) + 1

    def settled(self, root: RootId, *, lost: int = 0) -> None:
        """What was found gone has been judged, so many are not there any more: an acceptance is used up."""
        self._known_files[root] = max(0, self._known_files.get(root, 0) - lost)
        self._accepted.discard(root)

    def forget(self, root: RootId) -> int | None:
        """Drop a root and its rows; how many files, or None while it is watched. Any thread."""
        with self._library.transaction() as txn:
            record = txn.root(root)
            if record is not None and record.is_watched:
                return None
            files = txn.remove_root(root)
        with self._lock:
            self._roots.pop(root, None)
        self._known_files.pop(root, None)
        return files

    # ------------------------------------------------------------------------------------------------------- in detail

    def _is_itself_again(self, record: RootRecord) -> bool:
        if record.id in self._accepted or not self._known_files.get(record.id):
            return True
        absent = self._absent.get(record.id)
        return self._sample(record, absent).is_convincing

    def _is_empty(self, record: RootRecord) -> bool:
        listing = self._lister.listing(record, b"")
        return listing.is_complete and not (listing.files or listing.subdirectories or listing.odd or listing.others)

    def _sample(self, record: RootRecord, absent: Sequence[FilePath] | None = None) -> Sample:
        """Look at known files spread over the root's directories, or at those that were gone."""
        with self._library.view() as view:
            if absent is None:
                files = _spread(view, record.id)
            else:
                files = [file for path in absent if (file := view.file(path)) is not None]
        equal = 0
        for file in files:
            try:
                stat = self._stat_of(record.path + b"/" + file.path.relative())
            except OSError:
                stat = None
            equal += stat is not None and (stat.size_bytes, stat.mtime_ns) == (
                file.stat.size_bytes,
                file.stat.mtime_ns,
            )
        return Sample(looked_at=len(files), equal=equal)

    def _record(self, record: RootRecord, now: RootIdentity | str, trust: Trust) -> RootRecord:
        """Write down a changed verdict or identity, with the event that tells of it."""
        identity = now if trust.is_online and isinstance(now, RootIdentity) else record.identity
        after = replace(record, identity=identity, state=trust.state, state_reason=trust.reason)
        if after == record:
            return record
        fact: RootSuspect | RootOnline | None = None
        if trust.state is not record.state and not trust.is_online:
            fact = RootSuspect(
                root=record.id,
                root_path=record.path,
                reason=trust.reason,
                known_files=self._known_files.get(record.id, 0),
            )
        elif trust.state is not record.state:
            fact = RootOnline(root=record.id, root_path=record.path, was_accepted=record.id in self._accepted)
        with self._library.transaction() as txn:
            txn.put_root(after)
            if fact is not None:
                txn.append(fact, self._clock.wall_ns())
        with self._lock:
            self._roots[record.id] = after
        return after

    def _count_files(self, root: RootId) -> int:
        with self._library.view() as view:
            return view.count_present(root)


def _spread(view: LibraryView, root: RootId) -> list[FileRecord]:
    """Up to SAMPLE_FILES present files from directories spread evenly over the root."""
    directories = list(view.directories(root))
    step = max(1, len(directories) // SAMPLE_FILES)
    files: list[FileRecord] = []
    for directory in directories[::step]:
        there = [f for f in view.files_in(root, directory) if f.missing_since_ns is None and f.stat.ino]
        each = max(1, SAMPLE_FILES // max(1, len(directories[::step])))
        files += there[:each]
    return files[:SAMPLE_FILES]
