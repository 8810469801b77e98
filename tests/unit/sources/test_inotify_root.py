"""What RootWatchGroup adds to watchdog's group of watches, with real inotify in this process."""

import contextlib
import os
import random
import tempfile
import time
from pathlib import Path

import pytest
from fakes.nobody import without_privileges
from watchdog.observers.inotify_c import InotifyConstants, InotifyFD, Mask

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.sources.inotify_root import RootWatchGroup

# watchdog warns of each path that is watched a second time, which is how catching up works.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

DEADLINE_S = 20.0


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


def directories_below(root):
    return {os.fsencode(path) for path, _, _ in os.walk(root)}


def is_in_step(group, root):
    """Whether each directory has a watch that is known by its path of now; those that are gone may still be known."""
    by_path = dict(group._active_callbacks_by_path)
    by_watch = dict(group._active_callbacks_by_watch)
    return all(path in by_path and by_watch.get(by_path[path]) == path for path in directories_below(root))


def is_repaired(group, root):
    """In step, after what the watcher process does every two seconds."""
    if group.has_moved:
        group.repair_moved()
    return is_in_step(group, root)


def test_a_directory_made_in_one_that_is_renamed_before_its_event_is_read_is_watched(tmp_path):
    (tmp_path / "a").mkdir()
    with a_group(tmp_path) as group:
        with group._lock:  # the reader thread lags behind
            (tmp_path / "a" / "new" / "deep").mkdir(parents=True)
            (tmp_path / "a").rename(tmp_path / "b")
        wait_until(lambda: group.has_moved)
        assert group.repair_moved() == [os.fsencode(tmp_path / "b" / name) for name in ("new", "new/deep")]
        assert is_in_step(group, tmp_path)
        assert group.repair_moved() == []


def test_a_directory_that_is_renamed_alone_keeps_its_watch(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    with a_group(tmp_path) as group:
        (tmp_path / "a").rename(tmp_path / "b")
        wait_until(lambda: is_in_step(group, tmp_path))
        assert group.has_moved
        assert group.repair_moved() == []
        assert not group.has_moved


def test_renames_one_after_the_other_into_each_other_s_names_leave_all_watched(tmp_path):
    (tmp_path / "a" / "1").mkdir(parents=True)
    (tmp_path / "b" / "2").mkdir(parents=True)
    with a_group(tmp_path) as group:
        with group._lock:
            (tmp_path / "a").rename(tmp_path / "c")
            (tmp_path / "b").rename(tmp_path / "a")
            (tmp_path / "a" / "3").mkdir()
            (tmp_path / "c").rename(tmp_path / "b")
            (tmp_path / "b" / "4").mkdir()
        wait_until(lambda: is_repaired(group, tmp_path))


@pytest.mark.parametrize("seed", range(8))
def test_after_any_storm_of_directories_all_are_watched(tmp_path, seed):
    chance = random.Random(seed)
    with a_group(tmp_path) as group:
        for _ in range(12):
            with group._lock:
                for _ in range(chance.randrange(1, 15)):
                    change_a_directory(tmp_path, chance)
            time.sleep(chance.choice((0.0, 0.0, 0.01)))
        wait_until(lambda: is_repaired(group, tmp_path))


def change_a_directory(root, chance):
    """Make, rename or remove one."""
    below = [path for path in sorted(root.rglob("*")) if path.is_dir()]
    one = chance.choice(below) if below else root
    match chance.randrange(4):
        case 0 if below:
            target = chance.choice([root, *below]) / f"d{chance.randrange(6)}"
            if not target.exists() and one not in (target, *target.parents):
                one.rename(target)
        case 1 if below:
            with contextlib.suppress(OSError):  # not empty
                one.rmdir()
        case _:
            (one / f"d{chance.randrange(6)}").mkdir(exist_ok=True)


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

    with contextlib.ExitStack() as stack:
        with without_privileges():
            group = stack.enter_context(a_group(root))
        yield group, without_privileges
