"""How others lost photos (D1 … D20), told to the actor: none of it happens here. Sources: the issues that are named."""

from __future__ import annotations

import ast
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.cleanup_bench import NO_LIMITS, Bench, ComparingCalls, DeedCalls, failing, name_of

import dedupd
from dedupd.cleanup.file_calls import FileCalls
from dedupd.core.cleanup_plan import Action, OutcomeKind
from dedupd.core.errors import RequestError, RetryError

PHOTO = b"photo" * 1000
PLACES = ("copies/a.jpg", "keep/a.jpg")


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, ComparingCalls())
    bench.write("keep/a.jpg", PHOTO)
    bench.write("copies/a.jpg", PHOTO)
    (tmp_path / "home").mkdir()
    return bench


def plan_of(bench, action=Action.QUARANTINE, limits=NO_LIMITS):
    return bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=action, limits=limits)


def flip_a_byte(path):
    times = path.stat()
    with path.open("r+b") as file:
        file.write(b"!")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def only(bench):
    assert len(bench.told) == 1
    return bench.told[0]


@pytest.mark.parametrize(
    ("action", "step"), [(Action.HARDLINK, "link"), (Action.HARDLINK, "exchange"), (Action.REFLINK, "share")]
)
@pytest.mark.parametrize("name", PLACES)
def test_d1_a_file_that_changes_between_the_comparison_and_the_link_is_not_linked(bench, action, step, name):
    """fclones #293: the reflink overwrote what had changed since the comparison."""
    plan = plan_of(bench, action)
    path = bench.root / name
    bench.calls = DeedCalls(step, lambda: flip_a_byte(path))
    bench.apply(plan)
    assert only(bench).kind is OutcomeKind.CONFLICT
    assert path.read_bytes() == b"!" + PHOTO[1:]
    other = next(bench.root / n for n in PLACES if n != name)
    assert other.read_bytes() == PHOTO
    assert other.stat().st_ino != path.stat().st_ino


def test_d2_across_filesystems_a_hard_link_fails_and_becomes_nothing_else(bench):
    """fclones #196: 23,000 files became symlinks."""
    before = bench.planned("copies/a.jpg").stat
    plan = plan_of(bench, Action.HARDLINK)
    bench.calls = DeedCalls("link", failing(errno.EXDEV))
    bench.apply(plan)
    assert only(bench).kind is OutcomeKind.FAILED
    assert "another filesystem" in only(bench).detail
    assert bench.planned("copies/a.jpg").stat == before


@pytest.mark.parametrize("digest", [b"", bytes(32), b"\1" * 31])
def test_d4_a_missing_digest_equals_nothing(bench, digest):
    """rmlint #672: entries without a checksum were taken for identical, and all but one were deleted."""
    item = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    victim = item.victims[0]
    none = replace(victim, file=replace(victim.file, digest=digest), stays=replace(victim.stays, digest=digest))
    with pytest.raises(RequestError, match="no digest"):
        bench.apply(bench.plan(replace(item, victims=(none,))))
    assert len(bench.tree()) == 2


def test_d4_empty_files_are_left_alone(bench):
    bench.write("keep/empty.jpg", b"")
    bench.write("copies/empty.jpg", b"")
    with pytest.raises(RequestError, match="empty"):
        bench.apply(bench.plan(bench.pair(1, "keep/empty.jpg", "copies/empty.jpg")))


def test_d5_no_file_is_kept_and_taken(bench):
    """rmlint #757: one path was the original and a duplicate as well."""
    bench.write("other/a.jpg", PHOTO)
    (bench.root / "other/link.jpg").hardlink_to(bench.root / "keep/a.jpg")
    away = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    for harmful in (
        bench.pair(2, "copies/a.jpg", "other/a.jpg"),  # keeps what the first takes
        bench.pair(2, "copies/a.jpg", "keep/a.jpg"),  # each is taken in favour of the other
        bench.pair(2, "other/a.jpg", "other/link.jpg"),  # takes another name of what the first keeps
    ):
        with pytest.raises(RequestError, match="another item keeps it"):
            bench.apply(bench.plan(away, harmful))
    with pytest.raises(RequestError, match="twice"):
        bench.apply(bench.plan(away, bench.pair(2, "other/a.jpg", "copies/a.jpg")))
    with pytest.raises(RequestError, match="one number"):
        bench.apply(bench.plan(away, bench.pair(1, "keep/a.jpg", "other/a.jpg")))
    assert len(bench.tree()) == 4


@pytest.mark.parametrize("action", [a for a in Action if a is not Action.REFLINK])
def test_d6_metadata_survive(bench, action):
    """rmlint #378: a hard link pass removed extended attributes."""
    path = bench.root / "copies/a.jpg"
    os.setxattr(path, "user.rating", b"5")
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 1234, 5678)

    def facts(name):
        file = bench.root / name
        stat = file.stat()
        attributes = {key: os.getxattr(file, key) for key in os.listxattr(file)}
        return stat.st_ino, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, attributes

    before = [facts(name) for name in PLACES]
    assert bench.apply(plan_of(bench, action)).done == 1
    bench.undo()
    assert [facts(name) for name in PLACES] == before


def test_d7_a_file_that_became_a_link_of_the_kept_one_is_no_second_file(bench):
    """rmlint #466: to share the blocks of a file with itself fails."""
    plan = plan_of(bench, Action.REFLINK)
    (bench.root / "copies/a.jpg").unlink()
    (bench.root / "copies/a.jpg").hardlink_to(bench.root / "keep/a.jpg")
    bench.apply(plan)
    assert only(bench).kind is OutcomeKind.CONFLICT
    linked = bench.pair(1, "keep/a.jpg", "copies/a.jpg")
    with pytest.raises(RequestError):
        bench.apply(bench.plan(linked, action=Action.REFLINK))


def test_d8_the_name_is_never_missing_while_a_link_takes_its_place(bench):
    """czkawka #1498: the file was deleted first, then the link failed."""

    class Watching(FileCalls):
        calls = 0

        def call(self, step, act):
            assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO
            Watching.calls += 1
            return super().call(step, act)

    plan = plan_of(bench, Action.HARDLINK)
    bench.calls = Watching()
    assert bench.apply(plan).done == 1
    assert Watching.calls > 50
    bench.undo()


@pytest.mark.parametrize("step", ["link", "exchange", "sync"])
def test_d8_d15_where_the_link_fails_the_file_is_there(bench, step):
    """czkawka #1498, jdupes #36: a failure halfway left nothing or litter."""
    before = bench.planned("copies/a.jpg").stat.ino
    plan = plan_of(bench, Action.HARDLINK)
    skip = 7 if step == "sync" else 0  # those before are the journal's and the quarantine's
    bench.calls = DeedCalls(step, failing(errno.EMLINK), skip=skip)
    bench.apply(plan)
    assert only(bench).kind is OutcomeKind.FAILED
    assert bench.planned("copies/a.jpg").stat.ino == before
    assert sorted(bench.everything()) == ["photos/copies/a.jpg", "photos/keep/a.jpg"]


def test_d9_an_emptied_folder_is_explained_file_by_file(bench):
    """czkawka #1314: whole folders were empty and nobody could say why."""
    for number in range(20):
        bench.write(f"keep/{number}.jpg", PHOTO + b"%d" % number)
        bench.write(f"emptied/{number}.jpg", PHOTO + b"%d" % number)
    bench.apply(bench.plan(*(bench.pair(n + 1, f"keep/{n}.jpg", f"emptied/{n}.jpg") for n in range(20))))
    assert list((bench.root / "emptied").iterdir()) == []
    told = {outcome.path: outcome for outcome in bench.actor().outcomes(0, 100)}
    for number in range(20):
        outcome = told[bytes(bench.root / f"emptied/{number}.jpg")]
        assert Path(os.fsdecode(outcome.now_at)).read_bytes() == PHOTO + b"%d" % number
        assert outcome.kept == bytes(bench.root / f"keep/{number}.jpg")


def test_d10_d12_a_root_that_is_not_mounted_freezes_everything(bench):
    """czkawka #1147, immich #17290: a disk that was away was taken for a deletion."""
    plan = plan_of(bench)
    other = bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), limits=replace(NO_LIMITS, conflicts=9))
    bench.apply(other)
    bench.root.rename(bench.directory / "away")
    bench.root.mkdir()  # the empty mount point
    with pytest.raises(RetryError, match="another directory"):
        bench.apply(plan)
    for attempt in (bench.undo, bench.expire):
        assert attempt().done == 0
        assert len(bench.actor().quarantined()) == 1, "still known, for when the disk is back"
    bench.root.rmdir()
    (bench.directory / "away").rename(bench.root)
    assert bench.undo().done == 1


def test_d11_what_only_knows_files_cannot_remove_them():
    """immich #9460 #10039: to remove a library from the index deleted the files."""
    deadly = {"unlink", "rename", "rmtree", "rmdir", "remove", "removedirs", "renames", "link", "symlink", "truncate"}
    package = Path(dedupd.__file__).parent
    for part in ("core", "pipeline", "sources", "imaging", "protocol", "settings"):
        for source in (package / part).rglob("*.py"):
            calls = {
                f"{ast.unparse(node.func.value)}.{node.func.attr}"
                for node in ast.walk(ast.parse(source.read_bytes()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in deadly
            }
            assert not {call for call in calls if call.startswith(("os.", "shutil.", "Path"))}, source


def test_d13_a_bundle_goes_whole_or_not_at_all(bench):
    """immich #27733: the halves of Live Photos were torn apart."""
    bench.write("keep/a.mov", b"video")
    bench.write("copies/a.mov", b"video")
    item = bench.item(
        1,
        "keep/a.jpg",
        bench.victim("copies/a.jpg", "keep/a.jpg"),
        bench.victim("copies/a.mov", "keep/a.mov"),
    )
    plan = bench.plan(item)
    before = bench.everything()
    flip_a_byte(bench.root / "keep/a.mov")
    before["photos/keep/a.mov"] = b"!ideo"
    bench.apply(plan)
    assert [outcome.kind for outcome in bench.told] == [OutcomeKind.CONFLICT] * 2
    assert "belongs to a file" in bench.told[0].detail
    assert bench.everything() == before


def test_d16_a_hard_linked_set_is_linked_anew_whole_or_not_at_all(bench):
    """fdupes #46: one name of a set was linked elsewhere, the others were left."""
    (bench.root / "copies/b.jpg").hardlink_to(bench.root / "copies/a.jpg")
    bench.apply(plan_of(bench, Action.HARDLINK))
    assert only(bench).kind is OutcomeKind.CONFLICT
    assert "other hard links" in only(bench).detail
    both = bench.plan(
        bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/a.jpg", "copies/b.jpg"), action=Action.HARDLINK
    )
    before = bench.planned("copies/a.jpg").stat.ino
    assert bench.apply(both).done == 2
    assert len({bench.planned(name).stat.ino for name in (*PLACES, "copies/b.jpg")}) == 1
    assert bench.undo().done == 2
    assert bench.planned("copies/a.jpg").stat.ino == bench.planned("copies/b.jpg").stat.ino == before


def test_d17_one_file_that_is_gone_stops_no_other_and_the_name_says_the_action(bench):
    """dupeGuru #247 #122: another action than thought was set; a missing file ended the run."""
    bench.write("keep/b.jpg", PHOTO * 2)
    bench.write("copies/b.jpg", PHOTO * 2)
    items = bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/b.jpg", "copies/b.jpg")
    plan = bench.plan(*items)
    assert name_of(plan) != name_of(replace(plan, action=Action.HARDLINK))
    (bench.root / "copies/a.jpg").unlink()
    end = bench.apply(plan)
    assert (end.done, end.conflicts) == (1, 1)


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.MOVE, Action.SORT, Action.TRASH])
def test_d18_across_filesystems_nothing_is_copied_and_deleted(bench, action):
    """send2trash #26: mounts that only looked like one filesystem."""
    bench.write("keep/b.jpg", PHOTO * 2)
    bench.write("copies/b.jpg", PHOTO * 2)
    plan = bench.plan(
        bench.pair(1, "keep/a.jpg", "copies/a.jpg"), bench.pair(2, "keep/b.jpg", "copies/b.jpg"), action=action
    )

    class OtherMount(ComparingCalls):
        def call(self, step, act):
            if step == "rename":
                failing(errno.EXDEV)()
            return super().call(step, act)

    before = bench.everything()
    bench.calls = OtherMount()
    assert bench.apply(plan).failed == 2
    assert bench.everything() == before
    assert list(bench.directory.rglob("*.trashinfo")) == []


def test_d18_a_folder_on_another_filesystem_is_refused_before_anything_is_done(bench):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == bench.root.stat().st_dev:
        pytest.skip("needs a second filesystem at /dev/shm")
    bench.folder = memory
    with pytest.raises(RequestError, match="another filesystem"):
        bench.apply(plan_of(bench, Action.MOVE))


@pytest.mark.parametrize("name", PLACES)
def test_d19_a_file_that_only_changed_the_case_of_its_name_is_not_lost(bench, name):
    """syncthing #1787: a rename from a.jpg to A.JPG was taken for a deletion."""
    plan = plan_of(bench)
    path = bench.root / name
    path.rename(path.with_name("A.JPG"))
    bench.apply(plan)
    assert only(bench).kind is OutcomeKind.CONFLICT
    assert sorted(bench.everything().values()) == [PHOTO, PHOTO]


def test_d20_what_is_edited_later_through_a_hard_link_is_still_there_as_it_was(bench):
    """duperemove #302: a hard link makes one edit change both, so its maintainers refuse it."""
    bench.apply(plan_of(bench, Action.HARDLINK))
    with (bench.root / "copies/a.jpg").open("r+b") as file:
        file.write(b"EDIT")
    assert (bench.root / "keep/a.jpg").read_bytes() == b"EDIT" + PHOTO[4:]
    assert bench.expire().conflicts == 1, "the kept file is no longer what it was: the other one stays"
    bench.undo()
    assert (bench.root / "copies/a.jpg").read_bytes() == PHOTO
    assert (bench.root / "keep/a.jpg").read_bytes() == b"EDIT" + PHOTO[4:]
