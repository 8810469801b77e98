"""What RootWatchGroup adds to watchdog's group of watches, with real inotify in this process."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyFD, Mask

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.sources.inotify_root import RootWatchGroup

# watchdog warns of each path that is watched a second time, which is how catching up works.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

DEADLINE_S = 20.0
NOBODY = 65534


@contextlib.contextmanager
def a_group(path, **options):
    """A group whose events nobody takes."""
    fd = InotifyFD()
    fd.start()
    try:
        yield RootWatchGroup(
            fd,
            os.fsencode(path),
            is_recursive=True,
            event_mask=Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVE | InotifyConstants.IN_CLOSE_WRITE),
            device=path.stat().st_dev,
            **options,
        )
    finally:
        fd.stop()
        fd.join()


def wait_until(holds):
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s
        os.sched_yield()


def test_ignored_directories_get_no_watch(tmp_path):
    for name in ("a/@eaDir/IMG_1.jpg", "a/b", "private/deep"):
        (tmp_path / name).mkdir(parents=True)
    with a_group(tmp_path, ignore=IgnoreRules([b"private"])) as group:
        assert group.watched_directories == 3  # the root, a and a/b
        (tmp_path / "@eaDir" / "deep").mkdir(parents=True)
        (tmp_path / "new").mkdir()
        wait_until(lambda: group.watched_directories == 4)


def test_other_filesystems_get_no_watch():
    root = Path("/dev")
    if not any(entry.is_mount() for entry in root.iterdir()):
        pytest.skip("nothing is mounted below /dev here")
    with a_group(root) as group:
        watched = set(group._active_callbacks_by_path)
    assert not [path for path in watched if os.stat(path).st_dev != root.stat().st_dev]  # noqa: PTH116 (bytes)


def test_events_that_nobody_takes_are_dropped_as_an_overflow_but_new_directories_are_watched(tmp_path):
    with a_group(tmp_path, queued_events=100) as group:
        for i in range(300):
            (tmp_path / f"{i}.jpg").touch()
        (tmp_path / "new").mkdir()
        wait_until(lambda: group.watched_directories == 2)
        assert group.lost_events
        assert 5 <= group.overflows <= 6
        assert group._put - group._taken <= 101


def test_the_group_s_repr_does_not_grow_with_its_watches(tmp_path):
    # watchdog formats it for each path that is watched a second time: catching up would take quadratic time.
    for i in range(20):
        (tmp_path / f"{i}").mkdir()
    with a_group(tmp_path) as group:
        assert len(repr(group)) < len(str(tmp_path)) + 30


def test_catching_up_watches_what_came_and_drops_what_went(tmp_path):
    (tmp_path / "stays").mkdir()
    (tmp_path / "goes" / "deep").mkdir(parents=True)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    with a_group(tmp_path) as group:
        with group._lock:  # the reader thread cannot take in what happens: the events are as good as lost
            (tmp_path / "goes").rename(outside)
            (tmp_path / "comes" / "deep").mkdir(parents=True)
            group._move_event_grouper.discard_pending_events()
        group.catch_up()
        wait_until(lambda: not group.lost_events)
        watched = {os.fsdecode(path) for path in group._active_callbacks_by_watch.values()}
        assert watched == {str(tmp_path / name) for name in ("", "stays", "comes", "comes/deep")}
        assert set(group._active_callbacks_by_path) == {os.fsencode(path) for path in watched}


def test_what_could_not_be_read_is_counted_and_watched_once_it_can():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "locked" / "deep").mkdir(parents=True)
        (root / "locked").chmod(0)
        with a_group_of_nobody(root) as (group, as_nobody):
            assert group.unwatched == {os.fsencode(root / "locked")}
            assert not group.out_of_watches
            with as_nobody():
                assert group.retry_unwatched() == []
            (root / "locked").chmod(0o755)
            with as_nobody():
                assert group.retry_unwatched() == [os.fsencode(root / "locked")]
            assert group.unwatched == set()
            assert group.watched_directories == 3


@contextlib.contextmanager
def a_group_of_nobody(root):
    """Root may watch everything; place the watches as nobody."""

    @contextlib.contextmanager
    def as_nobody():
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    with contextlib.ExitStack() as stack:
        with as_nobody():
            group = stack.enter_context(a_group(root))
        yield group, as_nobody
