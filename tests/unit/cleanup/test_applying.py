"""What a run of a plan refuses, where it ends, and what it leaves alone."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.cleanup_bench import DAY_NS, NO_LIMITS, Bench, ComparingCalls, DeedCalls, failing, name_of

from dedupd.cleanup import local_actor
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.targets import numbered
from dedupd.core.cleanup_plan import Action, Limits, OutcomeKind
from dedupd.core.errors import AlreadyRunningError, RequestError, RetryError, StoreDamagedError
from dedupd.core.records import FilePath, RootId

DONE, SKIPPED, CONFLICT, FAILED = (
    OutcomeKind.DONE,
    OutcomeKind.SKIPPED,
    OutcomeKind.CONFLICT,
    OutcomeKind.FAILED,
)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    for number in range(1, 6):
        bench.write(f"keep/{number}.jpg", b"%d" % number * 1000)
        bench.write(f"copies/{number}.jpg", b"%d" % number * 1000)
    return bench


def items_of(bench, *numbers):
    return [bench.pair(n, f"keep/{n}.jpg", f"copies/{n}.jpg") for n in numbers or range(1, 6)]


def kinds(bench):
    return [outcome.kind for outcome in bench.told]


# ------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "limits",
    [
        Limits(files_per_run=2),
        Limits(bytes_per_run=2500),
        Limits(files_per_day=2),
        Limits(bytes_per_day=2000),
    ],
)
def test_a_limit_ends_the_run_and_the_rest_is_skipped_with_the_reason(bench, limits):
    end = bench.apply(bench.plan(*items_of(bench), limits=limits))
    assert kinds(bench) == [DONE, DONE, SKIPPED, SKIPPED, SKIPPED]
    assert (end.done, end.skipped) == (2, 3)
    assert "limit of" in end.stopped
    assert bench.told[-1].detail == end.stopped
    assert bench.told[-1].now_at == bench.told[-1].path


def test_what_the_day_took_before_counts_until_the_day_is_over_or_it_is_back(bench):
    limits = Limits(files_per_day=3)
    bench.apply(bench.plan(*items_of(bench, 1, 2), limits=limits))
    second = bench.plan(*items_of(bench, 3, 4), limits=limits)
    assert bench.apply(second).stopped == "The limit of 3 files a day is reached."
    bench.undo(second)
    bench.now_ns += DAY_NS // 2
    assert bench.apply(bench.plan(*items_of(bench, 3, 4), limits=limits)).done == 1
    bench.now_ns += DAY_NS
    assert bench.apply(bench.plan(*items_of(bench, 4, 5), limits=limits)).done == 2


def test_a_bundle_counts_with_all_its_files(bench):
    item = bench.item(
        1, "keep/1.jpg", bench.victim("copies/1.jpg", "keep/1.jpg"), bench.victim("copies/2.jpg", "keep/2.jpg")
    )
    end = bench.apply(bench.plan(item, limits=Limits(files_per_run=1)))
    assert (end.done, end.skipped) == (0, 2)


def test_a_run_ends_after_so_many_items_that_were_not_as_planned(bench):
    plan = bench.plan(*items_of(bench), limits=replace(NO_LIMITS, conflicts=2))
    for number in (1, 3):
        (bench.root / f"copies/{number}.jpg").unlink()
    end = bench.apply(plan)
    assert kinds(bench) == [CONFLICT, DONE, CONFLICT, SKIPPED, SKIPPED]
    assert end.stopped == "2 items were not as planned, so the run ended."


def test_sorting_leaves_the_kept_files_when_the_run_ended_early(bench):
    plan = bench.plan(*items_of(bench, 1, 2), action=Action.SORT, limits=replace(NO_LIMITS, conflicts=1))
    (bench.root / "copies/2.jpg").unlink()
    bench.apply(plan)
    assert (bench.root / "keep/1.jpg").exists()


def test_sorting_ends_when_kept_files_cannot_be_moved(bench):
    plan = bench.plan(*items_of(bench, 1, 2, 3), action=Action.SORT, limits=replace(NO_LIMITS, conflicts=1))
    bench.calls = DeedCalls("rename", failing(errno.EIO), skip=3)
    end = bench.apply(plan)
    assert "1 items were not as planned" in end.stopped
    assert all((bench.root / f"keep/{n}.jpg").exists() for n in (1, 2, 3))


def test_closing_ends_a_run_after_the_item_under_way(bench):
    actor = bench.actor()
    plan = bench.plan(*items_of(bench))

    def tell(outcome):
        bench.told.append(outcome)
        actor._stopping.set()

    end = actor.apply(name_of(plan), plan, tell)
    assert kinds(bench) == [DONE, SKIPPED, SKIPPED, SKIPPED, SKIPPED]
    assert end.stopped == "The actor was told to end."
    with pytest.raises(RetryError, match="ending"):
        actor.undo(None, None, tell)
    actor.close()
    actor.close()


# ----------------------------------------------------------------------------------------------------------- refusals


def test_paths_that_lead_elsewhere_are_refused(bench):
    item = items_of(bench, 1)[0]
    victim = item.victims[0]
    for directory, name in [
        (b"..", b"x"),
        (b"a/../..", b"x"),
        (b"", b".."),
        (b"a//b", b"x"),
        (b"", b"a/b"),
        (b"", b"a\0b"),
        (b".dedupd-quarantine/2026", b"x"),
    ]:
        path = FilePath(root=victim.file.path.root, directory=directory, name=name)
        for bad in (
            replace(victim, file=replace(victim.file, path=path)),
            replace(victim, carried_to=path, is_exact=False),
        ):
            with pytest.raises(RequestError, match="Draw the plan up again"):
                bench.apply(bench.plan(replace(item, victims=(bad,))))
    foreign = replace(victim.file, path=replace(victim.file.path, root=RootId(9)))
    with pytest.raises(RequestError, match="no path beneath a root"):
        bench.apply(bench.plan(replace(item, victims=(replace(victim, file=foreign),))))


def test_a_plan_that_calls_unequal_files_equal_is_refused(bench):
    item = bench.item(1, "keep/1.jpg", bench.victim("copies/2.jpg", "keep/1.jpg"))
    with pytest.raises(RequestError, match="another digest"):
        bench.apply(bench.plan(item))
    near = bench.item(1, "keep/1.jpg", bench.victim("copies/2.jpg", "keep/1.jpg", is_exact=False))
    for action in (Action.HARDLINK, Action.REFLINK):
        with pytest.raises(RequestError, match="no exact copy"):
            bench.apply(bench.plan(near, action=action))
    assert bench.apply(bench.plan(near)).done == 1, "set aside it may be"


def test_a_folder_must_be_named_and_be_there(bench):
    plan = bench.plan(*items_of(bench, 1), action=Action.MOVE)
    with pytest.raises(RequestError, match="absolute"):
        bench.apply(replace(plan, folder=b"sorted"))
    with pytest.raises(RequestError, match="Make it first"):
        bench.apply(replace(plan, folder=bytes(bench.directory / "none")))


def test_without_a_trash_a_plan_is_refused(bench):
    plan = bench.plan(*items_of(bench, 1), action=Action.TRASH)
    bench.calls = DeedCalls("open-base", failing(errno.EACCES), skip=1)  # the root is opened before
    with pytest.raises(RequestError, match="There is no trash"):
        bench.apply(plan)


def test_two_processes_never_act_by_one_journal(bench):
    bench.actor().close()
    holding = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", holding, str(bench.directory / "journal/lock")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(AlreadyRunningError, match="another process"):
            bench.actor()
        process.communicate()
    assert bench.actor().outcomes(0, 1) == []


@pytest.mark.parametrize(
    ("environment", "trash"),
    [
        ({"XDG_DATA_HOME": "{}/data", "HOME": "/nowhere"}, "data/Trash"),
        ({"HOME": "{}"}, ".local/share/Trash"),
    ],
)
def test_the_trash_is_that_of_the_users_environment(bench, monkeypatch, environment, trash):
    for name in ("XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(bench.directory))
    (bench.directory / trash).parent.mkdir(parents=True)
    actor = LocalActor(bench.directory / "journal", bench.calls, lambda: bench.now_ns)
    assert bench.apply(bench.plan(*items_of(bench, 1), action=Action.TRASH), actor).done == 1
    assert (bench.directory / trash / "files/1.jpg").exists()
    actor.close()


def test_without_a_home_the_trash_is_at_the_top_of_the_filesystem(monkeypatch):
    for name in ("XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert local_actor._data_home() == b""


def test_a_number_goes_before_the_suffix():
    names = [b"a.jpg", b"a.jpg.xmp", b"noext", b".hidden", b"a."]
    assert [numbered(name, "(2)") for name in names] == [
        b"a (2).jpg",
        b"a.jpg (2).xmp",
        b"noext (2)",
        b".hidden (2)",
        b"a (2).",
    ]


def test_a_damaged_journal_lets_nothing_be_done(bench):
    bench.apply(bench.plan(*items_of(bench, 1)))
    bench.close()
    path = bench.directory / "journal/00000001.journal"
    path.write_bytes(path.read_bytes().replace(b'"item":1', b'"item":2', 1))
    with pytest.raises(StoreDamagedError):
        bench.actor()


# ------------------------------------------------------------------------------------------------------- left alone


def only(bench):
    assert len(bench.told) == 1
    return bench.told[0].kind, bench.told[0].detail


@pytest.mark.parametrize("name", ["copies/1.jpg", "keep/1.jpg"])
def test_a_file_that_is_open_for_writing_is_left_alone(bench, name):
    plan = bench.plan(*items_of(bench, 1))
    with (bench.root / name).open("ab"):
        bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert "open for writing" in only(bench)[1]


def test_on_nfs_a_refused_lease_says_nothing(bench):
    plan = bench.plan(*items_of(bench, 1))
    nfs = replace(plan.roots[0], identity=replace(plan.roots[0].identity, filesystem="nfs4"))
    with (bench.root / "copies/1.jpg").open("ab"):
        assert bench.apply(replace(plan, roots=(nfs,))).done == 1


@pytest.mark.parametrize("name", ["copies/1.jpg", "keep/1.jpg"])
def test_what_is_no_regular_file_any_more_is_not_even_opened(bench, name):
    plan = bench.plan(*items_of(bench, 1))
    path = bench.root / name
    path.unlink()
    os.mkfifo(path)
    bench.apply(plan)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(path))
        bench.apply(replace(plan, policy="other"))
    assert kinds(bench) == [CONFLICT, CONFLICT]
    assert "no regular file" in bench.told[0].detail


def test_a_file_that_is_exchanged_for_a_pipe_while_it_is_opened_is_noticed(bench):
    plan = bench.plan(*items_of(bench, 1))
    path = bench.root / "keep/1.jpg"

    def exchange():
        path.unlink()
        os.mkfifo(path)

    bench.calls = DeedCalls("open-file", exchange)
    bench.apply(plan)
    assert only(bench) == (CONFLICT, "The kept file is no regular file any more.")


def test_a_file_whose_mode_changed_is_not_as_planned(bench):
    plan = bench.plan(*items_of(bench, 1))
    (bench.root / "copies/1.jpg").chmod(0o600)
    bench.apply(plan)
    assert "its name, links, owner or mode" in only(bench)[1]


def test_a_taken_name_in_the_folder_gets_a_number(bench):
    taken = bench.folder / "photos/copies/1.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"was there before")
    bench.apply(bench.plan(*items_of(bench, 1), action=Action.MOVE))
    assert taken.read_bytes() == b"was there before"
    assert (taken.parent / "1 (2).jpg").read_bytes() == b"1" * 1000
    assert Path(os.fsdecode(bench.told[0].now_at)).name == "1 (2).jpg"


def test_a_name_that_is_taken_in_the_very_moment_is_a_conflict(bench):
    plan = bench.plan(*items_of(bench, 1), action=Action.MOVE)

    def take():
        (bench.folder / "photos/copies/1.jpg").write_bytes(b"just came")

    bench.calls = DeedCalls("rename", take)
    bench.apply(plan)
    assert only(bench) == (CONFLICT, "The name where it was to go is taken.")
    assert (bench.root / "copies/1.jpg").exists()


def test_a_carried_sidecar_never_replaces_one(bench):
    bench.write("copies/1.xmp", b"<only here/>")
    bench.write("keep/1.xmp", b"<was there/>")
    item = bench.item(
        1,
        "keep/1.jpg",
        bench.victim("copies/1.jpg", "keep/1.jpg"),
        bench.victim("copies/1.xmp", "keep/1.jpg", carried_to="keep/1.xmp"),
    )
    before = bench.everything()
    bench.apply(bench.plan(item))
    assert kinds(bench) == [CONFLICT, CONFLICT]
    assert bench.everything() == before


def test_where_no_place_can_be_looked_for_the_item_fails(bench):
    plan = bench.plan(*items_of(bench, 1, 2))
    # The first look beneath the root is for a free name in the quarantine.
    bench.calls = DeedCalls("open-directory", failing(errno.EIO))
    end = bench.apply(plan)
    assert (end.done, end.failed) == (1, 1)


def test_folders_for_moved_files_are_as_open_as_those_they_came_from(bench):
    (bench.root / "copies").chmod(0o750)
    bench.apply(bench.plan(*items_of(bench, 1), action=Action.MOVE))
    assert (bench.folder / "photos/copies").stat().st_mode & 0o777 == 0o750
    bench.apply(bench.plan(*items_of(bench, 2)))
    assert (bench.root / ".dedupd-quarantine").stat().st_mode & 0o777 == 0o700


def test_the_quarantine_says_what_it_is(bench):
    bench.apply(bench.plan(*items_of(bench, 1)))
    text = (bench.root / ".dedupd-quarantine/README.txt").read_text()
    assert "dedupctl undo" in text
    (bench.root / ".dedupd-quarantine/README.txt").write_text("mine")
    bench.apply(bench.plan(*items_of(bench, 2)))
    assert (bench.root / ".dedupd-quarantine/README.txt").read_text() == "mine"


def test_a_trap_at_the_quarantines_name_is_not_walked_into(bench):
    outside = bench.directory / "outside"
    outside.mkdir()
    (bench.root / ".dedupd-quarantine").symlink_to(outside)
    bench.apply(bench.plan(*items_of(bench, 1)))
    assert kinds(bench) == [FAILED]
    assert list(outside.iterdir()) == []
    assert len(bench.tree()) == 10
