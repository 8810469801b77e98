"""What every `ChangeSource` promises.

`source` tells of changes on disk; of `NoChanges` only what needs no change is asked. The pipeline's scripted source
tells what a test put in and never waits, so only the rest is asked of it.
"""

import os
import time

import pytest
from fakes.bench import ScriptedChanges

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.ports import ChangeSource, DirtyDirectory, WatchState
from dedupd.core.records import RootId, RootRecord, RootState
from dedupd.daemon.no_changes import NoChanges
from dedupd.sources.local_watch import LocalWatch

DEADLINE_S = 20.0


def a_watching_source():
    return LocalWatch(ignore=IgnoreRules(), poll_interval_s=600.0, check_interval_s=0.1)


def a_polling_source():
    class Always(frozenset):
        def __contains__(self, _):
            return True

    return LocalWatch(ignore=IgnoreRules(), poll_interval_s=0.1, poll_always=Always(), check_interval_s=0.1)


def the_daemon_s_source():
    """With the process that logs as the daemon does."""
    program = "dedupd.daemon.watch_process"
    return LocalWatch(ignore=IgnoreRules(), poll_interval_s=600.0, check_interval_s=0.1, program=program)


@pytest.fixture(params=[a_watching_source, the_daemon_s_source, a_polling_source])
def source(request):
    source: ChangeSource = request.param()
    yield source
    source.close()


SOURCES = {"watching": a_watching_source, "polling": a_polling_source, "no-changes": NoChanges}


@pytest.fixture(params=SOURCES)
def any_source(request):
    source: ChangeSource = SOURCES[request.param]()
    yield source
    source.close()


@pytest.fixture(params=[*SOURCES, "scripted"])
def any_or_scripted(request):
    source: ChangeSource = (SOURCES | {"scripted": ScriptedChanges})[request.param]()
    yield source
    source.close()


def a_root(path, id_=1):
    path.mkdir(exist_ok=True)
    return RootRecord(
        id=RootId(id_),
        path=os.fsencode(path),
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=0,
    )


def covers(entry, root, directory):
    """Whether looking at a dirty directory includes another."""
    if entry.root != root.id:
        return False
    is_below = entry.directory == b"" or directory.startswith(entry.directory + b"/")
    return entry.directory == directory or (entry.is_recursive and is_below)


def wait_until_dirty(source, root, directory=b""):
    deadline_s = time.monotonic() + DEADLINE_S
    seen = []
    while time.monotonic() < deadline_s:
        seen += source.take(1.0)
        if any(covers(entry, root, directory) for entry in seen):
            return seen
    raise AssertionError(f"{directory!r} never became dirty; seen: {seen}")


def test_what_changes_after_start_is_reported_however_deep(source, tmp_path):
    root = a_root(tmp_path / "root")
    deep = tmp_path / "root" / "/".join("abcdefgh")
    deep.mkdir(parents=True)
    source.start([root])
    (deep / "new.jpg").write_bytes(b"x")
    wait_until_dirty(source, root, b"a/b/c/d/e/f/g/h")


def test_every_root_has_its_health_and_its_own_changes(source, tmp_path):
    first, second = a_root(tmp_path / "first"), a_root(tmp_path / "second", 2)
    source.start([first, second])
    assert [health.root for health in source.health()] == [1, 2]
    assert {health.state for health in source.health()} <= {WatchState.WATCHING, WatchState.POLLING}
    (tmp_path / "second" / "new.jpg").write_bytes(b"x")
    wait_until_dirty(source, second)


def test_a_root_that_is_no_longer_wanted_is_not_reported(source, tmp_path):
    first, second = a_root(tmp_path / "first"), a_root(tmp_path / "second", 2)
    source.start([first, second])
    source.set_roots([second])
    source.take(0.0)
    (tmp_path / "first" / "new.jpg").write_bytes(b"x")
    (tmp_path / "second" / "new.jpg").write_bytes(b"x")
    assert {entry.root for entry in wait_until_dirty(source, second)} == {2}
    assert [health.root for health in source.health()] == [2]


def test_a_root_added_later_is_reported(source, tmp_path):
    first, second = a_root(tmp_path / "first"), a_root(tmp_path / "second", 2)
    source.start([first])
    source.set_roots([first, second])
    (tmp_path / "second" / "new.jpg").write_bytes(b"x")
    wait_until_dirty(source, second)
    (tmp_path / "first" / "new.jpg").write_bytes(b"x")
    wait_until_dirty(source, first)


def test_each_directory_is_named_once_in_an_answer(source, tmp_path):
    root = a_root(tmp_path / "root")
    source.start([root])
    for i in range(200):
        (tmp_path / "root" / f"{i}.jpg").write_bytes(b"x")
    entries = wait_until_dirty(source, root)
    assert len(entries) < 200


def test_take_answers_empty_after_the_timeout(any_source):
    any_source.start([])
    began_s = time.monotonic()
    assert any_source.take(0.05) == []
    assert time.monotonic() - began_s > 0.04


def test_without_roots_nothing_is_dirty_and_nothing_unwell(any_or_scripted):
    any_or_scripted.start([])
    any_or_scripted.set_roots([])
    assert any_or_scripted.take(0.0) == []
    assert any_or_scripted.health() == []


def test_what_is_taken_is_told_once():
    source = ScriptedChanges()
    entries = [DirtyDirectory(root=RootId(1), directory=b"a"), DirtyDirectory(root=RootId(1), directory=b"b")]
    source.dirty += entries
    assert source.take(0.0) == entries
    assert source.take(0.0) == []


def test_closing_twice_is_no_error(any_or_scripted, tmp_path):
    any_or_scripted.start([a_root(tmp_path / "root")])
    any_or_scripted.close()
    any_or_scripted.close()


def test_a_missing_root_does_not_hold_up_the_others(source, tmp_path):
    there, missing = a_root(tmp_path / "there"), a_root(tmp_path / "missing", 2)
    (tmp_path / "missing").rmdir()
    source.start([there, missing])
    (tmp_path / "there" / "new.jpg").write_bytes(b"x")
    wait_until_dirty(source, there)
