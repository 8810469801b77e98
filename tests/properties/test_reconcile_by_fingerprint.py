"""Reconciling by fingerprints says what reconciling by rows says, whatever became of the rows meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dedupd.core.ports import LibraryView, Listing
from dedupd.core.records import (
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Problem,
    ProblemCode,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.core.stat_key import pack, unpack
from dedupd.pipeline.reconcile import Changes, compare_listing
from dedupd.store import LmdbLibrary

ROOT = RootId(1)
DIRECTORY = b"d"
names = st.sampled_from([b"1.jpg", b"2.jpg", b"\xff", b"n" * 381])
stats = st.builds(
    FileStat,
    dev=st.integers(0, 1),
    ino=st.integers(0, 2),
    size_bytes=st.integers(0, 1),
    mtime_ns=st.integers(-1, 1),
    ctime_ns=st.integers(0, 1),
)
PROBLEM = Problem(code=ProblemCode.NOT_REGULAR, detail="", at_ns=1, retry_at_ns=None)


class ByRows:
    """A view that keeps no fingerprints."""

    def __init__(self, view: LibraryView) -> None:
        self._view = view

    def __getattr__(self, name: str) -> object:
        return getattr(self._view, name)

    def fingerprint(self, root: RootId, directory: bytes) -> None:
        return None


class ReconcilingBothWays(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="dedupd-model-"))
        self.library = LmdbLibrary(self.directory)
        with self.library.transaction() as txn:
            txn.put_root(
                RootRecord(
                    id=ROOT,
                    path=b"/r",
                    identity=None,
                    state=RootState.ONLINE,
                    state_reason="",
                    last_full_scan_ns=None,
                    added_at_ns=0,
                )
            )
        self.disk: dict[bytes, bytes] = {}
        self.odd: dict[bytes, Problem] = {}

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.directory)

    def listing(self) -> Listing:
        return Listing(
            directory=DIRECTORY,
            files={name: packed for name, packed in self.disk.items() if name not in self.odd},
            subdirectories=(),
            others={},
            odd=self.odd,
            is_complete=True,
            trouble="",
        )

    # ------------------------------------------------------------------------------------------- what the disk does

    @rule(name=names, stat=stats)
    def write(self, name: bytes, stat: FileStat) -> None:
        self.disk[name] = pack(stat)

    @rule(name=names)
    def delete(self, name: bytes) -> None:
        self.disk.pop(name, None)
        self.odd.pop(name, None)

    @rule(name=names)
    def become_a_pipe(self, name: bytes) -> None:
        self.odd[name] = PROBLEM

    # ------------------------------------------------------------------------------- what the pipeline does to rows

    @rule(name=names, stat=stats, stage=st.sampled_from([FileStage.PENDING, FileStage.SET_ASIDE]), gone=st.booleans())
    def put_a_row(self, name: bytes, stat: FileStat, stage: FileStage, gone: bool) -> None:
        with self.library.transaction() as txn:
            txn.put_file(
                FileRecord(
                    path=FilePath(root=ROOT, directory=DIRECTORY, name=name),
                    stat=stat,
                    stage=stage,
                    content=None,
                    first_seen_ns=1,
                    missing_since_ns=1 if gone else None,
                    problem=PROBLEM if stage is FileStage.SET_ASIDE else None,
                )
            )

    @rule(name=names)
    def remove_a_row(self, name: bytes) -> None:
        with self.library.transaction() as txn:
            txn.remove_file(FilePath(root=ROOT, directory=DIRECTORY, name=name))

    @rule()
    def register_all(self) -> None:
        """What intake does of a settled directory: rows for what is there, marks for what is not."""
        with self.library.transaction() as txn:
            for file in txn.files_in(ROOT, DIRECTORY):
                if file.path.name not in self.disk:
                    txn.put_file(replace(file, missing_since_ns=2))
        for name, packed in self.disk.items():
            self.put_a_row_of(name, packed)

    def put_a_row_of(self, name: bytes, packed: bytes) -> None:
        with self.library.transaction() as txn:
            txn.put_file(
                FileRecord(
                    path=FilePath(root=ROOT, directory=DIRECTORY, name=name),
                    stat=unpack(packed),
                    stage=FileStage.PENDING,
                    content=None,
                    first_seen_ns=1,
                )
            )

    @rule()
    def keep_fingerprint(self) -> None:
        """Asked for at any time, not only where nothing differs."""
        with self.library.transaction() as txn:
            txn.keep_fingerprint(ROOT, DIRECTORY)

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = LmdbLibrary(self.directory)

    @invariant()
    def both_ways_see_the_same(self) -> None:
        listing = self.listing()
        with self.library.view() as view:
            found = compare_listing(view, ROOT, listing)
            by_rows = compare_listing(ByRows(view), ROOT, listing)  # type: ignore[arg-type]
            is_kept = view.fingerprint(ROOT, DIRECTORY) is not None
            is_unchanged = bool(listing.files) and view.packed_stats_in(ROOT, DIRECTORY) == listing.files
        assert replace(found, lacks_fingerprint=False) == replace(by_rows, lacks_fingerprint=False)
        assert found.lacks_fingerprint == (is_unchanged and not listing.odd and not is_kept)
        if is_unchanged and not listing.odd:
            assert replace(found, lacks_fingerprint=False) == Changes()


TestReconcilingBothWays = ReconcilingBothWays.TestCase
TestReconcilingBothWays.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
