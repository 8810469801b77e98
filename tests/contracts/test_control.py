"""What every `Control` promises. MAKERS lay down roots: one that is well, one that is in doubt, one not configured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from fakes.control import StillControl

from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.events import ScanFinished
from dedupd.core.examination import Verdict
from dedupd.core.manners import HoldReason
from dedupd.core.ports import Activity, Control, Library
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
from dedupd.daemon.control import DaemonControl
from dedupd.store import LmdbLibrary

WELL, DOUBTED, UNCONFIGURED, UNKNOWN = RootId(1), RootId(2), RootId(3), RootId(99)


@dataclass
class Stand:
    """A control and the library behind it."""

    control: Control
    library: Library

    def root(self, root: RootId) -> RootRecord | None:
        with self.library.view() as view:
            return view.root(root)

    def scanned(self, after: int) -> list[RootId]:
        """The roots whose scan ended after an event."""
        with self.library.view() as view:
            return [e.fact.root for e in view.events(after, 100) if isinstance(e.fact, ScanFinished)]

    def sequence(self) -> int:
        with self.library.view() as view:
            return view.sequence()


@contextmanager
def daemon_control(base, pictures, run_engine) -> Iterator[Stand]:
    well, doubted = base / "well", base / "doubted"
    for seed, folder in enumerate((well, doubted)):
        pictures.save(pictures.of(seed, (120, 90)), folder / "a.jpg", quality=90)

    def lay_down(engine) -> None:
        put_roots(engine.library, [bytes(well), bytes(doubted), b"/unconfigured"])

    with run_engine(base / "state", [well, doubted], before_start=lay_down) as engine:
        stand = Stand(control=DaemonControl(engine), library=engine.library)
        doubted.rename(base / "elsewhere")  # the disk is not mounted: an empty directory is in its place
        doubted.mkdir()
        engine.intake.scan([DOUBTED])
        pictures.wait_until(lambda: stand.root(DOUBTED).state is RootState.SUSPECT, "the root to be doubted")
        yield stand


@contextmanager
def still_control(base, _pictures, _run_engine) -> Iterator[Stand]:
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    put_roots(library, [b"/well", b"/doubted", b"/unconfigured"], doubt=RootState.SUSPECT)
    control = StillControl(library)
    control.on_rescan = lambda: tell_scanned(library, control.rescans[-1])
    yield Stand(control=control, library=library)
    library.close()


def put_roots(library: LmdbLibrary, paths: list[bytes], doubt: RootState = RootState.ONLINE) -> None:
    """Three roots, the last not configured any more and with two files."""
    with library.transaction() as txn:
        for path in paths:
            root = txn.new_root_id()
            record = RootRecord(
                id=root,
                path=path,
                identity=None,
                state=doubt if root == DOUBTED else RootState.ONLINE,
                state_reason="It is empty." if doubt is RootState.SUSPECT and root == DOUBTED else "",
                last_full_scan_ns=None,
                added_at_ns=1,
                is_watched=root != UNCONFIGURED,
            )
            txn.put_root(record)
        for number in (1, 2):
            txn.put_file(unreadable(number))


def unreadable(number: int) -> FileRecord:
    return FileRecord(
        path=FilePath(root=UNCONFIGURED, directory=b"", name=b"%d.jpg" % number),
        stat=FileStat(dev=1, ino=number, size_bytes=9, mtime_ns=1, ctime_ns=1),
        stage=FileStage.SET_ASIDE,
        content=None,
        first_seen_ns=1,
        problem=Problem(code=ProblemCode.DAMAGED, detail="the decoder refused it", at_ns=1, retry_at_ns=None),
    )


def tell_scanned(library: LmdbLibrary, roots: list[RootId] | None) -> None:
    with library.transaction() as txn:
        for root in (WELL, DOUBTED) if roots is None else roots:
            fact = ScanFinished(root=root, root_path=b"/well", files=1, added=0, changed=0, missing=0, duration_s=0.1)
            txn.append(fact, 1)


MAKERS = {"daemon": daemon_control, "still": still_control}


@pytest.fixture(scope="module", params=MAKERS)
def stand(request, tmp_path_factory, pictures, run_engine) -> Iterator[Stand]:
    with MAKERS[request.param](tmp_path_factory.mktemp("control"), pictures, run_engine) as stand:
        yield stand


@pytest.fixture(scope="module")
def wait_until(pictures) -> Callable[[Callable[[], object], str], None]:
    return pictures.wait_until


def assert_sound(stand: Stand) -> None:
    progress = stand.control.progress()
    assert progress.activity in Activity
    assert 0 < progress.started_at_ns <= time.time_ns()
    assert progress.read_total >= progress.decoded_total >= 0
    assert progress.compared_total >= 0
    assert progress.images_per_s >= 0
    assert progress.eta_s is None or progress.eta_s >= 0
    assert progress.workers >= 1
    assert progress.indexed >= 0
    assert progress.index_kind
    assert progress.model
    assert all(isinstance(message, str) and message for message in progress.degraded)
    for root in progress.roots:
        assert root.files >= 0
        assert all(count > 0 for count in root.others.values())
        assert root.health is None or root.health.root == root.root.id
        assert root.root.is_watched or not (root.health or root.is_scanning)


def test_progress_shows_every_root_and_the_library_s_counts(stand):
    assert_sound(stand)
    progress = stand.control.progress()
    with stand.library.view() as view:
        assert progress.counts == view.counts()
        assert [root.root for root in progress.roots] == view.roots()


def test_a_rescan_of_one_root_scans_that_root(stand, wait_until):
    before = stand.sequence()
    stand.control.rescan([WELL])
    wait_until(lambda: stand.scanned(before), "the scan to end")
    assert stand.scanned(before) == [WELL]


def test_a_rescan_without_roots_scans_all_that_are_well(stand, wait_until):
    before = stand.sequence()
    stand.control.rescan(None)
    wait_until(lambda: WELL in stand.scanned(before), "the scan to end")
    assert UNCONFIGURED not in stand.scanned(before)


def test_a_root_that_is_not_known_is_neither_scanned_nor_accepted_nor_forgotten(stand):
    before = stand.sequence()
    for ask in (lambda: stand.control.rescan([WELL, UNKNOWN]), lambda: stand.control.accept_root(UNKNOWN)):
        with pytest.raises(NotFoundError):
            ask()
    with pytest.raises(NotFoundError):
        stand.control.forget_root(UNKNOWN)
    assert stand.scanned(before) == []


def test_a_root_that_a_person_accepts_is_believed(stand, wait_until):
    assert stand.root(DOUBTED).state is RootState.SUSPECT
    stand.control.accept_root(DOUBTED)
    wait_until(lambda: stand.root(DOUBTED).state is RootState.ONLINE, "the root to be believed")
    assert stand.root(DOUBTED).state_reason == ""
    assert stand.root(WELL).state is RootState.ONLINE


def test_a_configured_root_is_not_forgotten(stand):
    with pytest.raises(RequestError):
        stand.control.forget_root(WELL)
    assert stand.root(WELL) is not None


def test_a_root_that_is_no_longer_configured_is_forgotten_with_its_files_once(stand):
    assert stand.control.forget_root(UNCONFIGURED) == 2
    assert stand.root(UNCONFIGURED) is None
    assert UNCONFIGURED not in {root.root.id for root in stand.control.progress().roots}
    with stand.library.view() as view:
        assert not [file for file in view.files() if file.path.root == UNCONFIGURED]
    with pytest.raises(NotFoundError):
        stand.control.forget_root(UNCONFIGURED)


def test_an_examination_names_a_remedy_for_everything_that_is_not_well(stand):
    findings = stand.control.examine()
    assert len({finding.subject for finding in findings}) > 1
    assert all(finding.words for finding in findings)
    assert all(finding.remedy for finding in findings if finding.verdict is Verdict.PROBLEM)


def test_a_pause_holds_the_backlog_up_until_it_is_resumed(stand):
    assert stand.control.progress().hold is None
    hold = stand.control.pause(None)
    assert (hold.reason, hold.until_ns) == (HoldReason.PAUSED, None)
    assert stand.control.progress().hold == hold
    assert stand.control.pause(3600.0).until_ns is not None
    assert stand.control.resume() is None
    assert stand.control.resume() is None
    assert stand.control.progress().hold is None


def test_several_threads_may_ask(stand, wait_until):
    before = stand.sequence()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(assert_sound, stand) for _ in range(20)]
        asked += [threads.submit(stand.control.rescan, [WELL]) for _ in range(4)]
        for answer in asked:
            answer.result(60)
    wait_until(lambda: WELL in stand.scanned(before), "a scan to end")
