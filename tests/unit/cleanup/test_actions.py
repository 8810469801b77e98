"""Each action does what it says to real files, and undo makes it as if it had never been."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.cleanup_bench import Bench, ComparingCalls, name_of

from dedupd.core.cleanup_plan import Action, OutcomeKind

PHOTO = b"photo" * 1000
SIDECAR = b"<xmp/>"


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    bench.write("keep/a.jpg", PHOTO)
    bench.write("copies/2020/a.jpg", PHOTO)
    return bench


def plan_of(bench, action):
    return bench.plan(bench.pair(1, "keep/a.jpg", "copies/2020/a.jpg"), action=action)


@pytest.mark.parametrize(
    ("action", "away"),
    [
        (Action.QUARANTINE, "quarantine/2026-09-21-{id}/copies/2020/a.jpg"),
        (Action.HARDLINK, "quarantine/2026-09-21-{id}/copies/2020/a.jpg"),
        (Action.MOVE, "sorted/photos/copies/2020/a.jpg"),
        (Action.SORT, "sorted/duplicates/photos/copies/2020/a.jpg"),
    ],
)
def test_the_file_goes_where_a_person_can_find_it_and_comes_back(bench, action, away):
    before = bench.everything()
    victim = bench.root / "copies/2020/a.jpg"
    ino = victim.stat().st_ino
    plan = plan_of(bench, action)
    end = bench.apply(plan)
    assert (end.done, end.conflicts, end.failed, end.skipped, end.bytes_, end.stopped) == (1, 0, 0, 0, len(PHOTO), "")
    assert away.format(id=name_of(plan)[:8]) in bench.everything()
    outcome = bench.told[0]
    assert outcome.kind is OutcomeKind.DONE
    assert outcome.path == bytes(victim)
    assert Path(os.fsdecode(outcome.now_at)).stat().st_ino == ino
    assert bench.undo().done == 1
    assert bench.everything() == before
    assert victim.stat().st_ino == ino
    assert bench.actor().quarantined() == []


def test_a_hard_linked_file_is_the_kept_one_under_its_own_name(bench):
    plan = plan_of(bench, Action.HARDLINK)
    bench.apply(plan)
    kept, linked = bench.root / "keep/a.jpg", bench.root / "copies/2020/a.jpg"
    assert kept.stat().st_ino == linked.stat().st_ino
    assert kept.stat().st_nlink == 2
    assert [entry.now_at != entry.path for entry in bench.actor().quarantined()] == [True]


def test_sorting_takes_the_kept_file_and_what_belongs_to_it_to_best(bench):
    bench.write("keep/a.xmp", SIDECAR)
    item = bench.item(1, "keep/a.jpg", bench.victim("copies/2020/a.jpg", "keep/a.jpg"), companions=("keep/a.xmp",))
    before = bench.everything()
    plan = bench.plan(item, action=Action.SORT)
    assert bench.apply(plan).done == 1, "only what was taken counts"
    assert sorted(bench.everything()) == [
        "sorted/best/photos/keep/a.jpg",
        "sorted/best/photos/keep/a.xmp",
        "sorted/duplicates/photos/copies/2020/a.jpg",
    ]
    kept = [outcome for outcome in bench.told if outcome.kept == outcome.now_at]
    assert {outcome.path for outcome in kept} == {bytes(bench.root / "keep/a.jpg"), bytes(bench.root / "keep/a.xmp")}
    bench.undo()
    assert bench.everything() == before


def test_shared_blocks_change_no_name_and_need_no_undo(bench):
    before = bench.everything()
    plan = plan_of(bench, Action.REFLINK)
    assert bench.apply(plan).done == 1
    assert bench.everything() == before
    assert bench.undo(plan).done == 1
    assert bench.told[-1].detail.startswith("Nothing had to be put back")


def test_the_trash_has_a_note_that_a_desktop_understands(bench, tmp_path):
    (tmp_path / "home").mkdir()
    before = bench.everything()
    bench.apply(plan_of(bench, Action.TRASH))
    assert (tmp_path / "home/Trash/files/a.jpg").read_bytes() == PHOTO
    note = (tmp_path / "home/Trash/info/a.jpg.trashinfo").read_text()
    assert note.startswith(f"[Trash Info]\nPath={bench.root}/copies/2020/a.jpg\nDeletionDate=2026-09-2")
    assert [entry.expires_at_ns for entry in bench.actor().quarantined()] == [None]
    bench.undo()
    assert bench.everything() == before
    assert not (tmp_path / "home/Trash/info/a.jpg.trashinfo").exists()


def test_a_bundle_goes_as_one_and_its_only_sidecar_is_carried_to_the_kept_picture(bench):
    bench.write("copies/2020/a.xmp", SIDECAR)
    before = bench.everything()
    item = bench.item(
        1,
        "keep/a.jpg",
        bench.victim("copies/2020/a.jpg", "keep/a.jpg"),
        bench.victim("copies/2020/a.xmp", "keep/a.jpg", carried_to="keep/a.xmp"),
    )
    assert bench.apply(bench.plan(item)).done == 1
    assert bench.tree() == {"photos/keep/a.jpg": PHOTO, "photos/keep/a.xmp": SIDECAR}
    bench.undo()
    assert bench.everything() == before


def test_expiry_deletes_what_is_old_enough_while_the_kept_file_is_there(bench):
    plan = plan_of(bench, Action.QUARANTINE)
    bench.apply(plan)
    assert bench.expire(days=0).done == 0
    assert bench.expire().done == 1
    assert bench.everything() == {"photos/keep/a.jpg": PHOTO}
    assert [path.name for path in (bench.root / ".dedupd-quarantine").iterdir()] == ["README.txt"]
    assert bench.told[-1].now_at == b""
    assert bench.actor().quarantined() == []


def test_expiry_holds_what_has_become_the_last_copy(bench):
    bench.apply(plan_of(bench, Action.QUARANTINE))
    (bench.root / "keep/a.jpg").unlink()
    assert bench.expire().conflicts == 1
    assert PHOTO in bench.everything().values()
    assert [entry.held for entry in bench.actor().quarantined()] == ["The file that stayed is no longer there."]


def test_a_taken_name_is_never_overwritten(bench):
    bench.apply(plan_of(bench, Action.QUARANTINE))
    bench.write("copies/2020/a.jpg", b"another picture")
    bench.undo()
    assert bench.tree()["photos/copies/2020/a.jpg"] == b"another picture"
    assert bench.tree()["photos/copies/2020/a (restored 1).jpg"] == PHOTO
    assert bench.told[-1].kind is OutcomeKind.RESTORED_BESIDE
