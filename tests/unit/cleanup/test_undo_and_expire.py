"""Undo and expiry of files that others touched meanwhile: nothing is overwritten, nothing that is needed deleted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fakes.cleanup_bench import Bench, ComparingCalls, DeedCalls, FaultyCalls, failing, name_of

from dedupd.core.cleanup_plan import Action, OutcomeKind
from dedupd.core.errors import NotFoundError

PHOTO = b"photo" * 1000


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    (tmp_path / "home").mkdir()
    bench.write("keep/a.jpg", PHOTO)
    bench.write("copies/a.jpg", PHOTO)
    return bench


def applied(bench, action=Action.QUARANTINE):
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=action)
    assert bench.apply(plan).done == 1
    bench.told.clear()
    return plan


def victim(bench):
    return bench.root / "copies/a.jpg"


def keeper(bench):
    return bench.root / "keep/a.jpg"


def away(bench):
    return Path(os.fsdecode(bench.actor().quarantined()[0].now_at))


def last(bench):
    return bench.told[-1].kind, bench.told[-1].detail


# --------------------------------------------------------------------------------------------------------------- undo


def test_the_plan_that_was_applied_last_is_undone_by_default(bench):
    bench.write("copies/b.jpg", PHOTO)
    applied(bench)
    second = bench.plan(bench.pair(1, "keep/a.jpg", "copies/b.jpg"))
    bench.apply(second)
    assert bench.undo().plan == name_of(second)
    assert [entry.path for entry in bench.actor().quarantined()] == [bytes(victim(bench))]


def test_folders_that_are_gone_are_made_again(bench):
    applied(bench)
    victim(bench).parent.rmdir()
    assert bench.undo().done == 1
    assert victim(bench).read_bytes() == PHOTO


def test_a_file_that_was_changed_in_the_quarantine_is_put_back_and_that_is_said(bench):
    applied(bench)
    away(bench).write_bytes(b"changed")
    bench.undo()
    assert last(bench) == (OutcomeKind.DONE, "It was changed while it was set aside; it was put back as it is.")
    assert victim(bench).read_bytes() == b"changed"


def test_a_file_that_cannot_be_read_is_put_back_all_the_same(bench):
    applied(bench)
    bench.calls = DeedCalls("read", failing(errno.EIO))
    bench.undo()
    assert last(bench)[0] is OutcomeKind.DONE
    assert "could not be read" in last(bench)[1]
    assert victim(bench).read_bytes() == PHOTO


def test_a_file_that_a_person_put_back_is_known_to_be_back(bench):
    plan = applied(bench)
    away(bench).rename(victim(bench))
    bench.undo()
    assert last(bench) == (OutcomeKind.DONE, "It was at its place already.")
    assert bench.actor().quarantined() == []
    bench.undo(plan, frozenset({1}))
    assert last(bench) == (OutcomeKind.SKIPPED, "It was put back or deleted before.")


def test_a_file_that_a_person_took_away_is_no_longer_listed(bench):
    applied(bench)
    away(bench).rename(bench.directory / "mine.jpg")
    bench.undo()
    assert last(bench)[0] is OutcomeKind.SKIPPED
    assert "somebody has put it back or removed it" in last(bench)[1]
    assert bench.actor().quarantined() == []


def test_something_else_in_its_place_is_left_alone(bench):
    applied(bench)
    place = away(bench)
    place.unlink()
    place.mkdir()
    bench.undo()
    assert last(bench) == (OutcomeKind.CONFLICT, "The file is no regular file any more.")
    assert len(bench.actor().quarantined()) == 1


def test_where_the_system_refuses_the_file_stays_and_can_be_put_back_later(bench):
    applied(bench)
    for step in ("rename", "open-base"):
        calls, bench.calls = bench.calls, DeedCalls(step, failing(errno.EIO), skip=0 if step == "rename" else 1)
        bench.undo()
        assert last(bench)[0] is OutcomeKind.FAILED
        bench.calls = calls
    assert bench.undo().done == 1


def test_a_file_that_is_back_but_perhaps_not_on_the_disk_yet_is_looked_at_again(bench):
    applied(bench)
    steps = FaultyCalls()
    calls = DeedCalls("sync", failing(errno.EIO), skip=4)  # journal: directory, start, two intents
    bench.calls = calls
    bench.undo()
    assert last(bench)[0] is OutcomeKind.FAILED
    assert last(bench)[1].startswith("It was put back, but")
    assert victim(bench).read_bytes() == PHOTO
    bench.calls = steps
    bench.undo()
    assert last(bench) == (OutcomeKind.DONE, "It was at its place already.")


def test_a_name_that_is_taken_in_the_very_moment_is_kept(bench):
    applied(bench)
    bench.calls = DeedCalls("rename", lambda: victim(bench).write_bytes(b"just came"))
    bench.undo()
    assert last(bench) == (OutcomeKind.RESTORED_BESIDE, "Its name is taken; it was put back beside it.")
    assert victim(bench).read_bytes() == b"just came"


def test_where_every_name_is_taken_it_stays_where_it_is(bench):
    applied(bench)

    class Crowded(ComparingCalls):
        def look(self, directory, name):
            folder = Path(f"/proc/self/fd/{directory}").readlink()
            return super().look(directory, name) or (bench.root.stat() if folder == victim(bench).parent else None)

    place = away(bench)
    calls, bench.calls = bench.calls, Crowded()
    bench.undo()
    assert last(bench) == (OutcomeKind.FAILED, "The name where it was to go is taken.")
    bench.calls = calls
    assert place.read_bytes() == PHOTO


def test_undo_ends_when_the_actor_is_told_to(bench):
    bench.write("copies/b.jpg", PHOTO)
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/a.jpg", "copies/b.jpg"))
    bench.apply(plan)
    actor = bench.actor()
    end = actor.undo(None, None, lambda _outcome: actor._stopping.set())
    assert (end.done, end.stopped) == (1, "The actor was told to end.")


def test_what_was_never_taken_needs_no_undo(bench):
    bench.write("copies/b.jpg", PHOTO)
    plan = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/a.jpg", "copies/b.jpg"))
    victim(bench).unlink()
    bench.apply(plan)
    bench.undo(plan, frozenset({1}))
    assert last(bench) == (OutcomeKind.SKIPPED, "It was never taken.")
    assert bench.undo(plan).done == 1
    with pytest.raises(NotFoundError, match="left to put back"):
        bench.undo(plan)


# ----------------------------------------------------------------------------------------------------- undo of a link


def test_a_link_that_others_removed_leaves_its_name_to_the_file(bench):
    applied(bench, Action.HARDLINK)
    ino = away(bench).stat().st_ino
    victim(bench).unlink()
    bench.undo()
    assert victim(bench).stat().st_ino == ino


def test_a_newcomer_at_the_links_name_keeps_it(bench):
    applied(bench, Action.HARDLINK)
    victim(bench).unlink()
    victim(bench).write_bytes(b"a newcomer")
    bench.undo()
    assert last(bench)[0] is OutcomeKind.RESTORED_BESIDE
    assert victim(bench).read_bytes() == b"a newcomer"


def test_a_newcomer_in_the_very_moment_of_the_exchange_keeps_its_name(bench):
    applied(bench, Action.HARDLINK)

    def newcomer():
        victim(bench).unlink()
        victim(bench).write_bytes(b"a newcomer")

    bench.calls = DeedCalls("exchange", newcomer)
    bench.undo()
    assert last(bench)[0] is OutcomeKind.RESTORED_BESIDE
    assert victim(bench).read_bytes() == b"a newcomer"
    assert victim(bench).with_name("a (restored 1).jpg").read_bytes() == PHOTO


def test_the_last_name_of_the_kept_file_is_never_removed(bench):
    applied(bench, Action.HARDLINK)
    keeper(bench).write_bytes(PHOTO + b" edited")
    keeper(bench).unlink()
    bench.undo()
    assert "last name of the file that stayed" in last(bench)[1]
    assert victim(bench).read_bytes() == PHOTO
    assert PHOTO + b" edited" in bench.everything().values()


def test_an_undo_of_a_link_that_was_cut_short_by_the_system_is_finished_the_next_time(bench):
    applied(bench, Action.HARDLINK)
    bench.calls = DeedCalls("unlink", failing(errno.EIO))
    bench.undo()
    assert last(bench)[0] is OutcomeKind.FAILED
    bench.calls = ComparingCalls()
    bench.undo()
    assert last(bench) == (OutcomeKind.DONE, "It was at its place already.")
    assert keeper(bench).stat().st_nlink == 1
    assert len(bench.everything()) == 2


# ------------------------------------------------------------------------------------------------------------- expiry


def expiry_held(bench):
    end = bench.expire()
    assert (end.done, end.conflicts + end.failed) == (0, 1)
    assert PHOTO in bench.everything().values()
    assert bench.actor().quarantined()[0].held == bench.told[-1].detail
    return bench.told[-1].detail


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.HARDLINK])
def test_expiry_holds_what_is_still_needed(bench, action):
    applied(bench, action)
    content = keeper(bench).read_bytes()
    keeper(bench).rename(bench.root / "moved.jpg")
    assert "no longer there" in expiry_held(bench)
    bench.write("keep/a.jpg", content[:-1] + b"?")
    assert "differ" in expiry_held(bench)
    bench.write("keep/a.jpg", content)
    assert bench.expire().done == 1


def test_expiry_holds_a_near_copy_whose_kept_picture_changed(bench):
    bench.write("copies/small.jpg", b"smaller")
    bench.apply(bench.plan(bench.item(1, "keep/a.jpg", bench.victim("copies/small.jpg", "keep/a.jpg", is_exact=False))))
    keeper(bench).write_bytes(b"another picture")
    assert bench.expire().conflicts == 1
    assert "holds other bytes than planned" in bench.told[-1].detail
    keeper(bench).write_bytes(PHOTO)
    assert bench.expire().done == 1


def test_expiry_holds_what_was_changed_or_replaced_in_the_quarantine(bench):
    applied(bench)
    place = away(bench)
    aside = place.rename(bench.directory / "kept by the test")
    place.write_bytes(PHOTO)
    assert expiry_held(bench) == "The quarantined file is no longer what was set aside."
    aside.replace(place)
    with place.open("ab"):
        assert "open for writing" in expiry_held(bench)


def test_expiry_holds_a_file_that_is_replaced_in_the_very_moment(bench):
    applied(bench)
    place = away(bench)

    def replace():
        place.with_name("new").write_bytes(b"just came")
        place.with_name("new").replace(place)

    bench.calls = DeedCalls("look", replace, skip=3)  # for the file gone, the kept one, the quarantined one
    assert bench.expire().conflicts == 1
    assert bench.told[-1].detail == "The quarantined file was replaced meanwhile."
    assert place.read_bytes() == b"just came"


def test_expiry_holds_what_the_system_will_not_delete(bench):
    applied(bench)
    bench.calls = DeedCalls("unlink", failing(errno.EROFS))
    assert expiry_held(bench) == "The filesystem is read-only."


def test_expiry_forgets_what_a_person_took_away(bench):
    applied(bench)
    away(bench).rename(victim(bench))
    assert bench.expire().skipped == 1
    assert bench.actor().quarantined() == []


@pytest.mark.parametrize(
    "deed", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other"), lambda path: path.chmod(0o600)]
)
def test_a_deleted_file_is_written_back_when_the_kept_one_goes_in_the_very_moment(bench, deed):
    applied(bench)
    place = away(bench)
    facts = place.stat()
    bench.calls = DeedCalls("unlink", lambda: deed(keeper(bench)))
    assert bench.expire().conflicts == 1
    assert bench.told[-1].detail.endswith("So the quarantined file was written back.")
    assert place.read_bytes() == PHOTO
    assert (place.stat().st_mtime_ns, place.stat().st_mode) == (facts.st_mtime_ns, facts.st_mode)
    bench.calls = ComparingCalls()
    assert bench.undo().done == 1, "it is the file that can be put back"
    assert bench.told[-1].detail == ""


def test_a_file_that_was_written_back_expires_when_the_kept_one_is_there_again(bench):
    applied(bench)
    bench.calls = DeedCalls("unlink", lambda: keeper(bench).unlink())
    assert bench.expire().conflicts == 1
    bench.calls = ComparingCalls()
    bench.write("keep/a.jpg", PHOTO)
    assert bench.expire().done == 1
    assert bench.everything() == {"photos/keep/a.jpg": PHOTO}


def test_expiry_of_one_plan_leaves_the_others(bench):
    bench.write("copies/b.jpg", PHOTO)
    first = applied(bench)
    bench.apply(bench.plan(bench.pair(1, "keep/a.jpg", "copies/b.jpg")))
    assert bench.expire(plan=first).done == 1
    assert [entry.path for entry in bench.actor().quarantined()] == [bytes(bench.root / "copies/b.jpg")]
    with pytest.raises(NotFoundError):
        bench.actor().expire(0, "0" * 64, bench.told.append)


@pytest.mark.parametrize("action", [Action.MOVE, Action.SORT, Action.TRASH])
def test_what_was_moved_or_put_into_the_trash_never_expires(bench, action):
    applied(bench, action)
    before = bench.everything()
    assert bench.expire(days=10_000).done == 0
    assert bench.everything() == before
    assert all(entry.expires_at_ns is None for entry in bench.actor().quarantined())


def test_expiry_ends_when_the_actor_is_told_to(bench):
    bench.write("copies/b.jpg", PHOTO)
    bench.apply(bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/a.jpg", "copies/b.jpg")))
    actor = bench.actor()
    end = actor.expire(bench.now_ns + 1, None, lambda _outcome: actor._stopping.set())
    assert (end.done, end.stopped) == (1, "The actor was told to end.")
