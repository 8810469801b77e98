"""What others do to the files in the middle of an act: each moment in which it can be noticed, one by one."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.cleanup_bench import Bench, ComparingCalls, DeedCalls, failing

from dedupd.core.cleanup_plan import Action, OutcomeKind

PHOTO = b"photo" * 1000
CONFLICT = OutcomeKind.CONFLICT


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    (tmp_path / "home").mkdir()
    bench.write("keep/a.jpg", PHOTO)
    bench.write("copies/a.jpg", PHOTO)
    return bench


def plan_of(bench, action=Action.QUARANTINE):
    return bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=action)


def replaced(path, content=b"a picture that just came"):
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def dated_back(path, deed):
    times = path.stat()
    deed(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def only(bench):
    assert len(bench.told) == 1
    return bench.told[0].kind, bench.told[0].detail


# ------------------------------------------------------------------------------------------------ before the act


@pytest.mark.parametrize("name", ["copies/a.jpg", "keep/a.jpg"])
@pytest.mark.parametrize(
    ("deed", "word"),
    [
        (replaced, "replaced"),
        (lambda path: path.write_bytes(PHOTO), "changed"),
        (lambda path: path.unlink(), "no longer there"),
        (lambda path: shutil.rmtree(path.parent), "no longer there"),
    ],
)
def test_what_changed_since_the_plan_is_a_conflict(bench, name, deed, word):
    plan = plan_of(bench)
    deed(bench.root / name)
    bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert f"{word}" in only(bench)[1]


def test_an_index_that_was_wrong_about_the_bytes_is_found_out(bench):
    item = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    victim = item.victims[0]
    other = b"\1" * 32
    wrong = replace(victim, file=replace(victim.file, digest=other), stays=replace(victim.stays, digest=other))
    bench.apply(bench.plan(replace(item, victims=(wrong,))))
    assert only(bench) == (CONFLICT, "The file holds other bytes than planned.")


def test_files_that_were_never_equal_are_found_out_byte_by_byte(bench):
    bench.write("copies/a.jpg", PHOTO[:-1] + b"?")
    item = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    victim = item.victims[0]
    wrong = replace(victim, file=replace(victim.file, digest=victim.stays.digest))
    bench.apply(bench.plan(replace(item, victims=(wrong,))))
    assert only(bench)[1].startswith("The files differ")


def test_a_file_on_a_disk_that_is_mounted_within_the_root_is_left_alone(bench):
    class Mounted(ComparingCalls):
        def stat(self, fd):
            facts = super().stat(fd)
            if Path(f"/proc/self/fd/{fd}").readlink() != bench.root / "copies/a.jpg":
                return facts
            return os.stat_result((*facts[:2], 77, *facts[3:]), {name: getattr(facts, name) for name in finer})

    finer = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns", "st_blksize", "st_blocks", "st_rdev")
    item = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    victim = item.victims[0]
    elsewhere = replace(victim, file=replace(victim.file, stat=replace(victim.file.stat, dev=77)))
    bench.calls = Mounted()
    bench.apply(bench.plan(replace(item, victims=(elsewhere,))))
    assert only(bench) == (CONFLICT, "It lies on another filesystem than its root.")


# --------------------------------------------------------------------------------------------- in the middle of it


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.MOVE])
def test_a_file_that_is_replaced_before_it_is_renamed_gets_its_name_back(bench, action):
    plan = plan_of(bench, action)
    bench.calls = DeedCalls("rename", lambda: replaced(bench.root / "copies/a.jpg"))
    bench.apply(plan)
    assert only(bench) == (CONFLICT, "The file was replaced meanwhile.")
    assert (bench.root / "copies/a.jpg").read_bytes() == b"a picture that just came"


@pytest.mark.parametrize(
    ("deed", "word"),
    [(lambda path: path.write_bytes(PHOTO), "changed"), (lambda p: dated_back(p, flip), "other bytes")],
)
def test_a_file_that_is_changed_before_it_is_renamed_is_put_back(bench, deed, word):
    plan = plan_of(bench)
    bench.calls = DeedCalls("rename", lambda: deed(bench.root / "copies/a.jpg"))
    bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert word in only(bench)[1]
    assert (bench.root / "copies/a.jpg").exists()


def test_a_writer_that_comes_just_before_the_rename_brings_the_file_back(bench):
    plan = plan_of(bench)
    opened = []
    bench.calls = DeedCalls("rename", lambda: opened.append((bench.root / "copies/a.jpg").open("r+b")))
    bench.apply(plan)
    opened[0].write(b"!")
    opened[0].close()
    assert only(bench) == (CONFLICT, "The file is open for writing.")
    assert (bench.root / "copies/a.jpg").read_bytes() == b"!" + PHOTO[1:]


def test_a_writer_of_the_kept_file_that_comes_just_before_the_rename_brings_the_file_back(bench):
    plan = plan_of(bench)
    opened = []
    bench.calls = DeedCalls("rename", lambda: opened.append((bench.root / "keep/a.jpg").open("r+b")))
    bench.apply(plan)
    opened[0].close()
    assert only(bench) == (CONFLICT, "The kept file is open for writing.")
    assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO


def flip(path):
    with path.open("r+b") as file:
        file.write(b"!")


@pytest.mark.parametrize(
    ("deed", "word"),
    [
        (lambda path: replaced(path, PHOTO), "replaced"),
        (lambda path: dated_back(path, flip), "changed"),
        (lambda path: path.unlink(), "no longer there"),
    ],
)
def test_a_kept_file_that_goes_while_the_other_is_renamed_brings_it_back(bench, deed, word):
    plan = plan_of(bench)
    bench.calls = DeedCalls("rename", lambda: deed(bench.root / "keep/a.jpg"))
    bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert word in only(bench)[1]
    assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO


def test_a_kept_file_that_is_replaced_before_it_is_linked_is_not_linked(bench):
    plan = plan_of(bench, Action.HARDLINK)
    bench.calls = DeedCalls("link", lambda: replaced(bench.root / "keep/a.jpg"))
    bench.apply(plan)
    assert only(bench) == (CONFLICT, "The kept file was replaced meanwhile.")
    assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO
    assert (bench.root / "keep/a.jpg").read_bytes() == b"a picture that just came"


def test_a_name_in_the_quarantine_that_is_taken_before_the_link_is_left_alone(bench):
    plan = plan_of(bench, Action.HARDLINK)
    taken = []

    def take():
        folder = next((bench.root / ".dedupd-quarantine").glob("*/copies"))
        (folder / "a.jpg").write_bytes(b"somebody else's")
        taken.append(folder / "a.jpg")

    bench.calls = DeedCalls("link", take)
    bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert taken[0].read_bytes() == b"somebody else's"


def test_what_somebody_takes_out_of_the_quarantine_in_the_very_moment_is_theirs(bench):
    plan = plan_of(bench)

    def take():
        next((bench.root / ".dedupd-quarantine").rglob("a.jpg")).rename(bench.root / "mine.jpg")

    class Taken(DeedCalls):
        has_renamed = False

        def call(self, step, act):
            if self.has_renamed:
                return super().call(step, act)
            result = ComparingCalls.call(self, step, act)
            self.has_renamed = step == "rename"
            return result

    bench.calls = Taken("look", take)
    bench.apply(plan)
    assert only(bench)[0] is CONFLICT
    assert (bench.root / "mine.jpg").read_bytes() == PHOTO


def test_a_rename_that_was_done_although_it_reported_an_error_is_undone(bench):
    plan = plan_of(bench)

    class Lying(ComparingCalls):
        has_lied = False

        def call(self, step, act):
            result = super().call(step, act)
            if step == "rename" and not self.has_lied:
                self.has_lied = True
                failing(errno.EIO)()
            return result

    bench.calls = Lying()
    bench.apply(plan)
    assert only(bench)[0] is OutcomeKind.FAILED
    assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO


def test_a_deletion_that_was_done_although_it_reported_an_error_counts(bench):
    bench.apply(plan_of(bench))

    class Lying(ComparingCalls):
        def call(self, step, act):
            result = super().call(step, act)
            if step == "unlink":
                failing(errno.EIO)()
            return result

    bench.calls = Lying()
    assert bench.expire().done == 1
    assert bench.everything() == {"photos/keep/a.jpg": PHOTO}


def test_shared_blocks_of_a_bundle_stay_shared_where_another_file_of_it_fails(bench):
    bench.write("keep/a.raw", b"raw" * 500)
    bench.write("copies/a.raw", b"raw" * 500)
    item = bench.item(
        1, "keep/a.jpg", bench.victim("copies/a.jpg", "keep/a.jpg"), bench.victim("copies/a.raw", "keep/a.raw")
    )
    before = bench.everything()
    plan = bench.plan(item, action=Action.REFLINK)
    bench.calls = DeedCalls("share", failing(errno.EIO), skip=1)
    bench.apply(plan)
    assert [outcome.kind for outcome in bench.told] == [OutcomeKind.FAILED] * 2
    assert bench.everything() == before


def test_a_kept_file_for_which_no_place_is_found_stays(bench):
    class NoBest(ComparingCalls):
        def open_directory(self, directory, below):
            if below.startswith(b"best"):
                failing(errno.EIO)()
            return super().open_directory(directory, below)

    bench.calls = NoBest()
    assert bench.apply(plan_of(bench, Action.SORT)).done == 1
    assert (bench.root / "keep/a.jpg").exists()


# ------------------------------------------------------------------------------------------------------- later


def held(bench):
    assert bench.expire().conflicts == 1
    assert PHOTO in bench.everything().values()
    return bench.told[-1].detail


def test_expiry_holds_a_file_that_was_linked_to_the_kept_files_place(bench):
    bench.apply(plan_of(bench))
    (bench.root / "keep/a.jpg").unlink()
    (bench.root / "keep/a.jpg").hardlink_to(next((bench.root / ".dedupd-quarantine").rglob("a.jpg")))
    assert held(bench) == "It is the kept file itself under another name."


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "An empty file"), (PHOTO + b"more", "differ"), (PHOTO[:9], "differ")]
)
def test_expiry_holds_a_file_whose_kept_one_grew_or_shrank(bench, content, word):
    bench.apply(plan_of(bench))
    (bench.root / "keep/a.jpg").write_bytes(content)
    assert word in held(bench)
