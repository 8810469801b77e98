"""What a killed actor left is settled by looking at the disk: every state it can be in, and those only others make."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fakes.cleanup_bench import Bench, ComparingCalls, DeedCalls, DyingCalls, FaultyCalls, Killed, failing, name_of

from dedupd.core.cleanup_plan import Action, OutcomeKind

PHOTO = b"photo" * 1000
DONE, CONFLICT, FAILED, STRANDED = (
    OutcomeKind.DONE,
    OutcomeKind.CONFLICT,
    OutcomeKind.FAILED,
    OutcomeKind.STRANDED,
)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    (tmp_path / "home").mkdir()
    bench.write("keep/a.jpg", PHOTO)
    bench.write("copies/a.jpg", PHOTO)
    return bench


def killed(bench, action, step, **how):
    """A plan whose actor died at a step."""
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=action)
    with pytest.raises(Killed):
        bench.actor(DyingCalls(step, **how)).apply(name_of(plan), plan, bench.told.append)
    return plan


def settled(bench):
    """The one outcome after a restart, which another restart does not change."""
    outcomes = bench.actor().outcomes(0, 10)
    tree = bench.everything()
    assert bench.actor().outcomes(0, 10) == outcomes
    assert bench.everything() == tree
    assert [outcome.item for outcome in outcomes] == [1]
    return outcomes[0]


def victim(bench):
    return bench.root / "copies/a.jpg"


def keeper(bench):
    return bench.root / "keep/a.jpg"


def away(outcome):
    return Path(os.fsdecode(outcome.now_at))


def quarantined(bench):
    return next((bench.root / ".dedupd-quarantine").rglob("a.jpg"))


# --------------------------------------------------------------------------------------------------------- a rename


def test_before_the_rename_nothing_was_done(bench):
    killed(bench, Action.QUARANTINE, "rename", is_done=False)
    assert settled(bench).kind is FAILED
    assert settled(bench).detail == "The actor was interrupted. The file is where it was before."
    assert len(bench.tree()) == 2


def test_after_the_rename_it_is_finished_and_can_be_undone(bench):
    plan = killed(bench, Action.QUARANTINE, "rename")
    assert settled(bench).kind is DONE
    assert away(settled(bench)).read_bytes() == PHOTO
    assert bench.undo(plan).done == 1
    assert len(bench.tree()) == 2


@pytest.mark.parametrize("deed", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other bytes")])
def test_after_the_rename_it_is_put_back_where_the_kept_file_is_no_longer_what_it_was(bench, deed):
    killed(bench, Action.QUARANTINE, "rename")
    deed(keeper(bench))
    assert settled(bench).kind is FAILED
    assert victim(bench).read_bytes() == PHOTO


def test_a_file_that_cannot_be_put_back_is_stranded_and_undo_brings_it_beside(bench):
    plan = killed(bench, Action.QUARANTINE, "rename")
    keeper(bench).unlink()
    victim(bench).write_bytes(b"a newcomer")
    assert settled(bench).kind is STRANDED
    assert away(settled(bench)).read_bytes() == PHOTO
    bench.write("keep/a.jpg", PHOTO)
    assert bench.expire().done == 0, "what was not cleaned up is never deleted"
    assert bench.undo(plan).done == 1
    assert victim(bench).with_name("a (restored 1).jpg").read_bytes() == PHOTO


def test_a_file_whose_folder_is_gone_is_stranded(bench):
    killed(bench, Action.QUARANTINE, "rename")
    keeper(bench).unlink()
    victim(bench).parent.rmdir()
    assert settled(bench).kind is STRANDED


def test_a_file_that_replaced_the_planned_one_and_was_set_aside_is_named(bench):
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"))

    class Replaced(DyingCalls):
        def call(self, step, act):
            if step == "rename":
                new = victim(bench).with_name("new")
                new.write_bytes(b"a picture that just came")
                new.replace(victim(bench))
            return super().call(step, act)

    with pytest.raises(Killed):
        bench.actor(Replaced("rename")).apply(name_of(plan), plan, bench.told.append)
    assert settled(bench).kind is STRANDED
    assert away(settled(bench)).read_bytes() == b"a picture that just came"
    bench.undo(plan)
    assert victim(bench).read_bytes() == b"a picture that just came"
    assert "changed while it was set aside" in bench.told[-1].detail


def test_a_file_that_is_nowhere_is_a_conflict_and_nothing_is_touched(bench):
    killed(bench, Action.QUARANTINE, "rename", is_done=False)
    victim(bench).rename(bench.root / "elsewhere.jpg")
    assert settled(bench).kind is CONFLICT
    assert sorted(bench.tree()) == ["photos/elsewhere.jpg", "photos/keep/a.jpg"]


def test_a_file_that_is_at_both_places_is_left_alone(bench):
    killed(bench, Action.QUARANTINE, "rename", is_done=False)
    folder = bench.root / ".dedupd-quarantine" / f"2026-09-21-{name_of_only(bench)[:8]}" / "copies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jpg").hardlink_to(victim(bench))
    assert settled(bench).kind is FAILED
    assert victim(bench).stat().st_nlink == 2


def name_of_only(bench):
    return next(iter(bench.actor()._book.history.runs.values())).plan_id


def test_what_lies_on_a_disk_that_is_away_stays_open_until_it_is_back(bench):
    killed(bench, Action.QUARANTINE, "rename")
    bench.root.rename(bench.directory / "away")
    assert bench.actor().outcomes(0, 10) == [], "the disk is not there at all"
    bench.root.mkdir()
    actor = bench.actor()
    assert actor.outcomes(0, 10) == [], "the mount point is empty"
    assert len(list((bench.directory / "journal").glob("*.journal"))) == 1, "what settles nothing writes nothing"
    bench.root.rmdir()
    (bench.directory / "away").rename(bench.root)
    actor.expire(0, None, bench.told.append)
    assert [outcome.kind for outcome in actor.outcomes(0, 10)] == [DONE], "settled before the next run"


def test_a_disk_that_does_not_answer_leaves_everything_open(bench):
    killed(bench, Action.QUARANTINE, "rename")
    calls = FaultyCalls(1, before=failing(errno.EIO), is_lasting=True)
    calls.create = lambda *_: os.open(os.devnull, os.O_WRONLY)
    calls.open_base = lambda path: os.open(path, os.O_RDONLY)
    calls.sync = lambda fd: None
    assert bench.actor(calls).outcomes(0, 10) == []
    assert settled(bench).kind is DONE


def test_what_several_runs_left_open_is_settled_together(bench):
    killed(bench, Action.QUARANTINE, "rename")
    bench.write("copies/b.jpg", PHOTO)
    second = bench.plan(bench.pair(1, "keep/a.jpg", "copies/b.jpg"))

    class BlindAtFirst(DyingCalls):
        is_blind = True

        def call(self, step, act):
            self.is_blind = self.is_blind and step != "filesystem-id"  # the first of them is of the run itself
            if self.is_blind and step == "look":
                failing(errno.EIO)()
            return super().call(step, act)

    with pytest.raises(Killed):
        bench.actor(BlindAtFirst("rename")).apply(name_of(second), second, bench.told.append)
    assert [outcome.kind for outcome in bench.actor().outcomes(0, 10)] == [DONE, DONE]
    assert bench.undo(second).done == 1


def test_a_bundle_that_was_done_in_part_is_rolled_back(bench):
    bench.write("keep/a.raw", b"raw")
    bench.write("copies/a.raw", b"raw")
    item = bench.item(
        1, "keep/a.jpg", bench.victim("copies/a.jpg", "keep/a.jpg"), bench.victim("copies/a.raw", "keep/a.raw")
    )
    before = bench.everything()
    plan = bench.plan(item)
    with pytest.raises(Killed):
        bench.actor(DyingCalls("rename")).apply(name_of(plan), plan, bench.told.append)
    assert [outcome.kind for outcome in bench.actor().outcomes(0, 10)] == [FAILED, FAILED]
    assert bench.everything() == before


def test_a_note_without_its_file_is_removed_from_the_trash(bench):
    killed(bench, Action.TRASH, "rename", is_done=False)
    assert len(list(bench.directory.rglob("*.trashinfo"))) == 1
    assert settled(bench).kind is FAILED
    assert list(bench.directory.rglob("*.trashinfo")) == []


def test_sharing_blocks_that_was_cut_short_changed_nothing(bench):
    killed(bench, Action.REFLINK, "share")
    assert settled(bench).kind is FAILED
    assert len(bench.tree()) == 2


def test_sharing_blocks_of_a_file_that_is_gone_since_is_a_conflict(bench):
    killed(bench, Action.REFLINK, "share")
    victim(bench).unlink()
    assert settled(bench).kind is CONFLICT


def test_a_kept_file_that_was_being_sorted_is_settled_as_well(bench):
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=Action.SORT)
    with pytest.raises(Killed):
        bench.actor(DyingCalls("rename", skip=1)).apply(name_of(plan), plan, bench.told.append)
    outcomes = bench.actor().outcomes(0, 10)
    assert [outcome.kind for outcome in outcomes] == [DONE, DONE]
    assert outcomes[1].kept == outcomes[1].now_at == bytes(bench.folder / "best/photos/keep/a.jpg")


# ------------------------------------------------------------------------------------------------------- a hard link


def test_a_link_that_was_made_and_not_used_is_removed(bench):
    killed(bench, Action.HARDLINK, "link")
    assert keeper(bench).stat().st_nlink == 2
    assert settled(bench).kind is FAILED
    assert keeper(bench).stat().st_nlink == 1
    assert len(bench.everything()) == 2


def test_a_link_that_is_in_place_stays(bench):
    plan = killed(bench, Action.HARDLINK, "exchange")
    assert settled(bench).kind is DONE
    assert victim(bench).stat().st_ino == keeper(bench).stat().st_ino
    bench.undo(plan)
    assert victim(bench).stat().st_ino != keeper(bench).stat().st_ino


def test_a_link_in_place_is_undone_where_the_kept_file_is_gone(bench):
    killed(bench, Action.HARDLINK, "exchange")
    ino = quarantined(bench).stat().st_ino
    keeper(bench).unlink()
    assert settled(bench).kind is FAILED
    assert victim(bench).stat().st_ino == ino
    assert quarantined(bench).read_bytes() == PHOTO, "the last name of the kept file is not removed"


def test_a_file_whose_link_vanished_gets_its_name_back(bench):
    killed(bench, Action.HARDLINK, "exchange")
    ino = quarantined(bench).stat().st_ino
    victim(bench).unlink()
    assert settled(bench).kind is FAILED
    assert victim(bench).stat().st_ino == ino


def test_a_file_whose_name_was_taken_is_stranded(bench):
    plan = killed(bench, Action.HARDLINK, "exchange")
    victim(bench).unlink()
    victim(bench).write_bytes(b"a newcomer")
    assert settled(bench).kind is STRANDED
    bench.undo(plan)
    assert victim(bench).read_bytes() == b"a newcomer"
    assert victim(bench).with_name("a (restored 1).jpg").read_bytes() == PHOTO


def test_a_hard_link_whose_files_are_all_gone_is_a_conflict(bench):
    killed(bench, Action.HARDLINK, "link")
    victim(bench).unlink()
    assert settled(bench).kind is CONFLICT
    assert keeper(bench).read_bytes() == PHOTO


def test_a_newcomer_that_was_exchanged_gets_its_name_back(bench):
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=Action.HARDLINK)

    class Replaced(DyingCalls):
        def call(self, step, act):
            if step == "exchange":
                new = victim(bench).with_name("new")
                new.write_bytes(b"a picture that just came")
                new.replace(victim(bench))
            return super().call(step, act)

    with pytest.raises(Killed):
        bench.actor(Replaced("exchange")).apply(name_of(plan), plan, bench.told.append)
    settled(bench)
    assert victim(bench).read_bytes() == b"a picture that just came"


def test_a_second_newcomer_keeps_the_name_and_the_file_is_stranded(bench):
    killed(bench, Action.HARDLINK, "exchange")
    keeper(bench).write_bytes(b"other bytes")  # so that it must be undone

    def newcomer():
        victim(bench).unlink()
        victim(bench).write_bytes(b"a newcomer")

    bench.calls = DeedCalls("exchange", newcomer)
    outcome = bench.actor().outcomes(0, 10)[0]
    assert outcome.kind is STRANDED
    assert victim(bench).read_bytes() == b"a newcomer"
    assert away(outcome).read_bytes() == PHOTO


# --------------------------------------------------------------------------------------------------- undo and expiry


def undo_killed(bench, plan, step, **how):
    with pytest.raises(Killed):
        bench.actor(DyingCalls(step, **how)).undo(name_of(plan), None, bench.told.append)


def applied(bench, action=Action.QUARANTINE):
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=action)
    assert bench.apply(plan).done == 1
    return plan


def last(bench):
    outcomes = bench.actor().outcomes(1, 10)
    assert bench.actor().outcomes(1, 10) == outcomes
    return outcomes[0]


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.TRASH])
def test_an_undo_that_was_done_is_finished(bench, action):
    plan = applied(bench, action)
    undo_killed(bench, plan, "rename")
    assert last(bench).kind is DONE
    assert bench.actor().quarantined() == []
    assert list(bench.directory.rglob("*.trashinfo")) == []


def test_an_undo_that_was_not_done_can_be_done_again(bench):
    plan = applied(bench)
    undo_killed(bench, plan, "rename", is_done=False)
    assert last(bench).kind is FAILED
    assert bench.undo(plan).done == 1
    assert len(bench.tree()) == 2


def test_an_undo_beside_a_taken_name_is_finished(bench):
    plan = applied(bench)
    victim(bench).write_bytes(b"a newcomer")
    undo_killed(bench, plan, "rename")
    assert last(bench).kind is OutcomeKind.RESTORED_BESIDE
    assert away(last(bench)).name == "a (restored 1).jpg"


def test_an_undo_whose_file_is_gone_is_a_conflict(bench):
    plan = applied(bench)
    undo_killed(bench, plan, "rename", is_done=False)
    quarantined(bench).rename(bench.directory / "taken by hand")
    assert last(bench).kind is CONFLICT


def test_an_undo_on_a_disk_that_is_away_stays_open(bench):
    plan = applied(bench)
    undo_killed(bench, plan, "rename")
    bench.root.rename(bench.directory / "away")
    bench.root.mkdir()
    assert bench.actor().outcomes(1, 10) == []
    bench.root.rmdir()
    (bench.directory / "away").rename(bench.root)
    assert last(bench).kind is DONE


@pytest.mark.parametrize(("step", "skip"), [("exchange", 0), ("unlink", 0)])
def test_an_undone_hard_link_is_finished(bench, step, skip):
    plan = applied(bench, Action.HARDLINK)
    undo_killed(bench, plan, step, skip=skip)
    assert last(bench).kind is DONE
    assert keeper(bench).stat().st_nlink == 1
    assert len(bench.everything()) == 2


def test_an_undone_hard_link_that_met_a_newcomer_gives_it_its_name_back(bench):
    plan = applied(bench, Action.HARDLINK)

    class Replaced(DyingCalls):
        def call(self, step, act):
            if step == "exchange":
                victim(bench).unlink()
                victim(bench).write_bytes(b"a newcomer")
            return super().call(step, act)

    with pytest.raises(Killed):
        bench.actor(Replaced("exchange")).undo(name_of(plan), None, bench.told.append)
    assert last(bench).kind is FAILED
    assert victim(bench).read_bytes() == b"a newcomer"
    assert len(bench.actor().quarantined()) == 1


@pytest.mark.parametrize(("is_done", "kind"), [(True, DONE), (False, FAILED)])
def test_an_expiry_is_what_the_disk_says(bench, is_done, kind):
    applied(bench)
    with pytest.raises(Killed):
        bench.actor(DyingCalls("unlink", is_done=is_done)).expire(bench.now_ns + 1, None, bench.told.append)
    assert last(bench).kind is kind
    assert len(bench.actor().quarantined()) == (0 if is_done else 1)


def test_an_expiry_on_a_disk_that_is_away_stays_open(bench):
    applied(bench)
    with pytest.raises(Killed):
        bench.actor(DyingCalls("unlink", is_done=False)).expire(bench.now_ns + 1, None, bench.told.append)
    bench.root.rename(bench.directory / "away")
    bench.root.mkdir()
    assert bench.actor().outcomes(1, 10) == []
