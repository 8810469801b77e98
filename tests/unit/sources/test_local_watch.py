"""The real watcher process on real files."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.ports import WatchState
from dedupd.core.records import RootId, RootRecord, RootState
from dedupd.sources.local_watch import LocalWatch

DEADLINE_S = 30.0


def a_root(path, id_=1):
    return RootRecord(
        id=RootId(id_),
        path=os.fsencode(path),
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=0,
    )


class Watching:
    """One root under a LocalWatch, and everything it reported."""

    def __init__(self, path, **options):
        self.path = path
        self.entries = []
        options = {"ignore": IgnoreRules(), "poll_interval_s": 600.0, "check_interval_s": 0.1} | options
        self.source = LocalWatch(**options)
        self.source.start([a_root(path)])
        self._sentinels = 0

    def wait_for(self, found, why):
        """Take until `found(entry)` holds for one; returns it. Entries before it stay in `entries`."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            for entry in self.entries:
                if found(entry):
                    return entry
            assert time.monotonic() < deadline_s, f"{why}; seen: {self.entries}"
            self.entries += self.source.take(0.5)

    def wait_for_closed(self, directory, name):
        return self.wait_for(lambda e: e.directory == directory and name in e.closed, f"{name!r} not reported closed")

    def wait_for_all_below(self, directory):
        return self.wait_for(lambda e: e.directory == directory and e.is_recursive, f"{directory!r} not recursive")

    def wait_for_state(self, state):
        deadline_s = time.monotonic() + DEADLINE_S
        while self.health().state is not state:
            assert time.monotonic() < deadline_s, f"never {state}: {self.health()}"
            self.entries += self.source.take(0.02)
        return self.health()

    def write_until_reported(self):
        """Return when the directory that is at the root's path now is watched; forget what was reported."""
        deadline_s = time.monotonic() + DEADLINE_S
        attempt = 0
        while not any(entry.closed for entry in self.entries):
            assert time.monotonic() < deadline_s, f"not watched: {self.health()}; seen: {self.entries}"
            attempt += 1
            (self.path / f"attempt-{attempt}.jpg").write_bytes(b"x")
            self.entries += self.source.take(0.1)
        self.entries.clear()

    def pass_sentinel(self):
        """Return when everything that happened before was reported (inotify keeps the order); forget the sentinel."""
        self._sentinels += 1
        name = f"sentinel-{self._sentinels}.jpg"
        (self.path / name).write_bytes(b"x")
        self.wait_for_closed(b"", name.encode())
        seen, self.entries = self.entries, []
        return seen

    def health(self):
        return self.source.health()[0]


@pytest.fixture
def watch(tmp_path):
    (tmp_path / "root").mkdir()
    watching = Watching(tmp_path / "root")
    yield watching
    watching.source.close()


def names_closed(entries):
    return {name for entry in entries for name in entry.closed if not name.startswith(b"sentinel")}


def test_a_written_file_is_reported_closed(watch):
    (watch.path / "a.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"", b"a.jpg")


def test_a_file_still_open_is_reported_but_not_as_closed(watch):
    with (watch.path / "a.jpg").open("wb"):
        seen = watch.pass_sentinel()
    assert any(entry.directory == b"" for entry in seen)
    assert names_closed(seen) == set()


def test_a_hard_link_dirties_its_directory(watch):
    (watch.path / "sub").mkdir()
    (watch.path / "a.jpg").write_bytes(b"x")
    watch.wait_for_all_below(b"sub")
    watch.pass_sentinel()
    os.link(watch.path / "a.jpg", watch.path / "sub" / "b.jpg")
    watch.wait_for(lambda e: e.directory == b"sub", "link not reported")


def test_a_file_renamed_over_another_is_reported_closed(watch):
    (watch.path / "a.jpg").write_bytes(b"old")
    (watch.path / "new.part").write_bytes(b"new")
    watch.pass_sentinel()
    (watch.path / "new.part").rename(watch.path / "a.jpg")
    watch.wait_for_closed(b"", b"a.jpg")


def test_a_file_moved_in_is_closed_and_one_moved_out_dirties_its_directory(watch, tmp_path):
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (tmp_path / "outside.jpg").rename(watch.path / "in.jpg")
    watch.wait_for_closed(b"", b"in.jpg")
    watch.pass_sentinel()
    (watch.path / "in.jpg").rename(tmp_path / "outside.jpg")
    watch.wait_for(lambda e: e.directory == b"" and not e.closed, "moved out, not reported")


def test_a_deleted_file_dirties_its_directory(watch):
    (watch.path / "sub").mkdir()
    (watch.path / "sub" / "a.jpg").write_bytes(b"x")
    watch.pass_sentinel()
    (watch.path / "sub" / "a.jpg").unlink()
    watch.wait_for(lambda e: e.directory == b"sub", "deletion not reported")


def test_a_tree_made_at_once_is_reported_recursively_and_watched_after(watch):
    (watch.path / "x" / "y" / "z").mkdir(parents=True)
    (watch.path / "x" / "y" / "z" / "early.jpg").write_bytes(b"x")
    watch.wait_for_all_below(b"x")
    watch.pass_sentinel()
    (watch.path / "x" / "y" / "z" / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"x/y/z", b"late.jpg")


def test_a_directory_moved_in_is_reported_recursively_and_watched_after(watch, tmp_path):
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside").rename(watch.path / "in")
    watch.wait_for_all_below(b"in")
    (watch.path / "in" / "deep" / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"in/deep", b"late.jpg")


def test_a_directory_renamed_within_is_reported_under_both_names_and_then_the_new(watch):
    (watch.path / "old" / "deep").mkdir(parents=True)
    watch.pass_sentinel()
    (watch.path / "old").rename(watch.path / "new")
    watch.wait_for_all_below(b"old")
    watch.wait_for_all_below(b"new")
    watch.pass_sentinel()
    (watch.path / "new" / "deep" / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"new/deep", b"late.jpg")
    assert all(not entry.directory.startswith(b"old") for entry in watch.entries)


def test_a_directory_moved_out_is_reported_gone_and_not_heard_of_again(watch, tmp_path):
    # watchdog alone goes on reporting what happens in it under its old path.
    (watch.path / "sub" / "deep").mkdir(parents=True)
    watch.pass_sentinel()
    (watch.path / "sub").rename(tmp_path / "away")
    watch.wait_for_all_below(b"sub")
    watch.pass_sentinel()
    (tmp_path / "away" / "deep" / "phantom.jpg").write_bytes(b"x")
    seen = watch.pass_sentinel()
    assert [entry for entry in seen if entry.directory.startswith(b"sub")] == []


def test_a_directory_replaced_at_the_same_path_is_watched(watch, tmp_path):
    (watch.path / "sub").mkdir()
    watch.pass_sentinel()
    (watch.path / "sub").rename(tmp_path / "away")
    (watch.path / "sub").mkdir()
    watch.pass_sentinel()
    (watch.path / "sub" / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"sub", b"late.jpg")


def test_what_is_no_picture_or_ignored_is_not_reported(watch):
    (watch.path / "@eaDir" / "a.jpg").mkdir(parents=True)
    (watch.path / "@eaDir" / "a.jpg" / "THUMB.jpg").write_bytes(b"x")
    (watch.path / "sub").mkdir()
    watch.pass_sentinel()
    for name in ("notes.txt", "a.jpg.part", "._a.jpg"):
        (watch.path / "sub" / name).write_bytes(b"x")
    assert [entry for entry in watch.pass_sentinel() if entry.directory] == []
    assert watch.health().watched_directories <= 2


def test_reading_is_not_reported(watch):
    (watch.path / "sub").mkdir()
    (watch.path / "sub" / "a.jpg").write_bytes(b"x")
    watch.pass_sentinel()
    (watch.path / "sub" / "a.jpg").read_bytes()
    assert [entry for entry in watch.pass_sentinel() if entry.directory] == []


def test_names_that_are_no_text_are_reported_as_they_are(watch):
    directory = watch.path / os.fsdecode(b"caf\xe9")
    directory.mkdir()
    watch.wait_for_all_below(b"caf\xe9")
    (directory / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    watch.wait_for_closed(b"caf\xe9", b"\xff.jpg")


def test_an_overflow_dirties_the_root_and_what_it_hid_is_watched_after(watch):
    # watchdog drops its events and tells nobody; a directory made meanwhile would stay unwatched for ever.
    queued = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if queued > 65_536:
        pytest.skip(f"max_queued_events is {queued}: overflowing it takes too long here")
    os.kill(watch.source.process_id, signal.SIGSTOP)
    try:
        for _ in range(queued // 4 + 100):  # each opens for writing and closes; in turns, as equal neighbours merge
            for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
                (watch.path / name).open("ab").close()
        (watch.path / "hidden" / "deep").mkdir(parents=True)
    finally:
        os.kill(watch.source.process_id, signal.SIGCONT)
    watch.wait_for_all_below(b"")
    assert watch.health().overflows >= 1
    assert watch.health().state is WatchState.WATCHING
    (watch.path / "hidden" / "deep" / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"hidden/deep", b"late.jpg")


def test_a_killed_watcher_is_replaced_and_the_root_is_dirty(watch):
    first = watch.source.process_id
    os.kill(first, signal.SIGKILL)
    watch.wait_for_all_below(b"")
    assert watch.source.process_id not in (None, first)
    assert watch.health().state is WatchState.WATCHING
    (watch.path / "late.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"", b"late.jpg")


def test_health_says_failed_while_there_is_no_watcher(watch):
    for _ in range(3):  # the back-off grows: the third pause is long enough to be seen
        watch.wait_for_state(WatchState.WATCHING)
        os.kill(watch.source.process_id, signal.SIGKILL)
        health = watch.wait_for_state(WatchState.FAILED)
    assert "restarted" in health.message


def test_the_watcher_leaves_signals_to_its_parent(watch):
    first = watch.source.process_id
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(first, number)
    (watch.path / "a.jpg").write_bytes(b"x")
    watch.wait_for_closed(b"", b"a.jpg")
    assert watch.source.process_id == first


def test_close_ends_the_watcher(watch):
    watcher = watch.source.process_id
    watch.source.close()
    assert watch.source.process_id is None
    assert not Path(f"/proc/{watcher}").exists()


def test_the_watcher_dies_with_its_parent(tmp_path):
    script = (
        "import os, sys\n"
        "from dedupd.core.ignore_rules import IgnoreRules\n"
        "from dedupd.sources.local_watch import LocalWatch\n"
        "source = LocalWatch(ignore=IgnoreRules(), poll_interval_s=600)\n"
        "source.start([])\n"
        "print(source.process_id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        watcher = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + DEADLINE_S
    while is_running(watcher):
        assert time.monotonic() < deadline_s, "the watcher outlived its parent"


def is_running(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_root_removed_and_made_again_is_watched_again(watch):
    shutil.rmtree(watch.path)
    health = watch.wait_for_state(WatchState.FAILED)
    assert "not there" in health.message
    watch.wait_for_all_below(b"")
    watch.entries.clear()
    watch.path.mkdir()
    watch.wait_for_all_below(b"")
    watch.write_until_reported()


def test_a_root_exchanged_for_another_directory_is_dirty_and_watched(watch, tmp_path):
    (tmp_path / "other").mkdir()
    watch.path.rename(tmp_path / "away")
    (tmp_path / "other").rename(watch.path)
    watch.wait_for_all_below(b"")
    watch.write_until_reported()


def test_unchanged_roots_keep_their_watches(watch, tmp_path):
    (tmp_path / "second").mkdir()
    watch.source.set_roots([a_root(watch.path), a_root(tmp_path / "second", 2)])
    assert [entry for entry in watch.pass_sentinel() if entry.is_recursive] == []


def test_a_root_named_by_a_symlink_is_watched(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    watching = Watching(tmp_path / "link")
    try:
        (tmp_path / "real" / "a.jpg").write_bytes(b"x")
        watching.wait_for_closed(b"", b"a.jpg")
    finally:
        watching.source.close()


def test_a_polled_root_is_dirty_every_interval(tmp_path):
    watching = Watching(tmp_path, poll_always=frozenset([os.fsencode(tmp_path)]), poll_interval_s=0.1)
    try:
        assert watching.health().state is WatchState.POLLING
        for _ in range(2):
            watching.wait_for_all_below(b"")
            watching.entries.clear()
    finally:
        watching.source.close()


@pytest.fixture
def tmpfs():
    """Mount and unmount; only root may."""
    mounted = []

    def mount(point):
        done = subprocess.run(["mount", "-t", "tmpfs", "none", point], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"may not mount here: {done.stderr.decode().strip()}")
        mounted.append(point)

    def unmount(point):
        subprocess.run(["umount", point], check=True)
        mounted.remove(point)

    yield mount, unmount
    for point in mounted:
        subprocess.run(["umount", "-l", point], check=True)


def test_an_unmounted_root_is_dirty_and_its_return_too(tmp_path, tmpfs):
    mount, unmount = tmpfs
    point = tmp_path / "disk"
    point.mkdir()
    mount(point)
    watching = Watching(point)
    try:
        assert watching.health().state is WatchState.WATCHING
        unmount(point)
        watching.wait_for_all_below(b"")
        watching.write_until_reported()
        mount(point)
        watching.wait_for_all_below(b"")
        watching.write_until_reported()
    finally:
        watching.source.close()


def test_a_mount_over_a_subdirectory_dirties_the_root(watch, tmpfs):
    mount, unmount = tmpfs
    (watch.path / "sub").mkdir()
    watch.pass_sentinel()
    mount(watch.path / "sub")
    watch.wait_for_all_below(b"")
    watch.entries.clear()
    unmount(watch.path / "sub")
    watch.wait_for_all_below(b"")


def test_running_out_of_watches_is_partial_names_the_sysctl_polls_and_heals(tmp_path):
    # The limit is per user namespace too, so the machine's own setting is left alone.
    for i in range(50):
        (tmp_path / f"{i}").mkdir()
    script = (
        "import os, sys\n"
        "from dedupd.core.ignore_rules import IgnoreRules\n"
        "from dedupd.core.records import RootId, RootRecord, RootState\n"
        "from dedupd.sources.local_watch import LocalWatch\n"
        "source = LocalWatch(ignore=IgnoreRules(), poll_interval_s=0.2, check_interval_s=0.1)\n"
        "root = RootRecord(id=RootId(1), path=os.fsencode(sys.argv[1]), identity=None, state=RootState.ONLINE,\n"
        "                  state_reason='', last_full_scan_ns=None, added_at_ns=0)\n"
        "source.start([root])\n"
        "(health,) = source.health()\n"
        "print(health.state, health.watched_directories, health.unwatched_directories)\n"
        "print(health.message)\n"
        "print(source.take(30.0)[0].is_recursive)\n"
        "open('/proc/sys/user/max_inotify_watches', 'w').write('1000')\n"
        "while source.health()[0].unwatched_directories: source.take(0.1)\n"
        "print(source.health()[0])\n"
        "source.close()\n"
    )
    limit = "echo 20 > /proc/sys/user/max_inotify_watches"
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*unshare, limit], capture_output=True, check=False).returncode != 0:
        pytest.skip("may not make a user namespace with a limit of its own here")
    command = [*unshare, f'{limit} && exec "$0" "$@"', sys.executable, "-c", script, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    facts, message, is_recursive, later = done.stdout.splitlines()
    assert facts == "partial 20 31"
    assert "sysctl fs.inotify.max_user_watches=" in message
    assert is_recursive == "True"
    assert "watching" in later
    assert "watched_directories=51" in later


def test_running_out_of_instances_names_the_sysctl_and_costs_no_other_root_its_watches(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    script = (
        "import os, sys\n"
        "from dedupd.core.ignore_rules import IgnoreRules\n"
        "from dedupd.core.records import RootId, RootRecord, RootState\n"
        "from dedupd.sources.local_watch import LocalWatch\n"
        "source = LocalWatch(ignore=IgnoreRules(), poll_interval_s=600, check_interval_s=0.1)\n"
        "roots = [RootRecord(id=RootId(n), path=os.fsencode(path), identity=None, state=RootState.ONLINE,\n"
        "                    state_reason='', last_full_scan_ns=None, added_at_ns=0)\n"
        "         for n, path in enumerate(sys.argv[1:])]\n"
        "source.start(roots)\n"
        "for health in source.health(): print(health.state, health.message)\n"
        "open('/proc/sys/user/max_inotify_instances', 'w').write('9')\n"
        "while any(health.message for health in source.health()): source.take(0.1)\n"
        "source.close()\n"
    )
    limit = "echo 1 > /proc/sys/user/max_inotify_instances"
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*unshare, limit], capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: may not make a user namespace with a limit of its own here")
    command = [*unshare, f'{limit} && exec "$0" "$@"', sys.executable, "-c", script, tmp_path / "one", tmp_path / "two"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.strip() == "watching"
    assert "sysctl fs.inotify.max_user_instances=" in second
