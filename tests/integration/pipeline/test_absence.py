"""What is gone, what only seems so, and which roots can be believed: a vanished disk is not a deleted library."""

import os

import pytest

from dedupd.core.events import RootOnline, RootSuspect, ScanFinished
from dedupd.core.records import FileStage, RootState
from dedupd.pipeline.housekeep import purge_missing, sweep_orphans

DAY_NS = 86_400 * 10**9


def library_of(bench, count, *, directory="d"):
    for number in range(count):
        bench.write(f"{directory}/{number}.jpg", f"{directory}{number}")
    bench.settle_all()
    bench.reader.decoded.clear()
    bench.reader.read_paths.clear()
    return bench


def missing(bench):
    return sorted(name for name, stage in bench.known().items() if stage == "missing")


def remove(bench, count, *, directory="d"):
    for number in range(count):
        (bench.photos / f"{directory}/{number}.jpg").unlink()


# ------------------------------------------------------------------------------------------------------------ deletions


def test_a_deleted_file_is_marked_after_patience_and_back_again_without_reading(bench):
    library_of(bench, 5)
    content = bench.record("d/0.jpg").content
    (bench.photos / "d/0.jpg").rename(bench.tmp_path / "aside")
    bench.dirty("d")
    assert missing(bench) == []
    bench.ripen()
    assert missing(bench) == ["d/0.jpg"]
    before = bench.record("d/0.jpg").stat
    (bench.tmp_path / "aside").rename(bench.photos / "d/0.jpg")
    bench.dirty("d", closed=["0.jpg"])
    bench.work()
    record = bench.record("d/0.jpg")
    assert (record.missing_since_ns, record.content, record.stat.ino) == (None, content, before.ino)
    assert bench.reader.decoded == []


def test_a_missing_row_is_purged_only_after_its_days_and_a_later_full_scan(bench):
    library_of(bench, 5)
    remove(bench, 1)
    bench.dirty("d")
    bench.ripen()
    since_ns = bench.record("d/0.jpg").missing_since_ns
    assert purge_missing(bench.library, since_ns + 8 * DAY_NS, 7.0) == 0, "no full scan since"
    bench.clock.advance(6 * 86_400)
    bench.scan()
    assert purge_missing(bench.library, since_ns + 8 * DAY_NS, 7.0) == 0, "the scan was before the days were over"
    bench.clock.advance(2 * 86_400)
    bench.scan()
    assert purge_missing(bench.library, bench.clock.wall_ns(), 7.0) == 1
    assert "d/0.jpg" not in bench.known()
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 1


def test_a_file_changed_in_place_leaves_its_old_content_to_be_swept_and_its_group_shrinks(bench):
    bench.write("a.jpg", "beach", "one")
    bench.write("b.jpg", "beach", "two")
    bench.settle_all()
    old = bench.record("b.jpg").content
    [group] = bench.groups.all(frozenset(bench_relations()))
    assert set(group.contents) == {bench.record("a.jpg").content, old}
    bench.write("b.jpg", "forest")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    assert [*bench.groups.all(frozenset(bench_relations()))] == []
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 1
    bench.compare()
    assert old not in bench.index
    assert bench.groups.component(old) == [old]
    assert bench.edges() == []


def bench_relations():
    from dedupd.core.records import DUPLICATE_RELATIONS

    return DUPLICATE_RELATIONS


def test_a_touched_file_is_not_decoded_and_keeps_its_pairs(bench):
    bench.write("a.jpg", "beach", "one")
    bench.write("b.jpg", "beach", "two")
    bench.settle_all()
    edges, decoded, told = bench.edges(), len(bench.reader.decoded), bench.told()
    bench.age(bench.photos / "b.jpg", 1000)
    bench.dirty("")
    bench.work()
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 0
    assert (bench.edges(), len(bench.reader.decoded), bench.told()) == (edges, decoded, told)


# -------------------------------------------------------------------------------------------------------- mass absence


def test_many_files_gone_in_one_pass_make_the_root_suspect_and_mark_nothing(bench):
    library_of(bench, 300)
    remove(bench, 64)
    bench.scan()
    bench.ripen()
    assert missing(bench) == []
    assert bench.root_record().state is RootState.SUSPECT
    assert [e.known_files for e in bench.events(RootSuspect)] == [300]


def test_a_suspect_root_does_not_swing_back_while_the_same_files_are_gone(bench):
    for number in range(40):  # most directories are as they were; one large one is gone
        bench.write(f"year{number}/a.jpg", f"year{number}")
    library_of(bench, 100, directory="big")
    (bench.photos / "big").rename(bench.tmp_path / "big")
    bench.scan()
    bench.ripen()
    for _ in range(10):
        bench.clock.advance(6)
        bench.look(3)
    assert bench.root_record().state is RootState.SUSPECT
    assert (len(bench.events(RootSuspect)), len(bench.events(RootOnline))) == (1, 0)
    (bench.tmp_path / "big").rename(bench.photos / "big")
    bench.clock.advance(6)
    bench.look(3)
    assert bench.root_record().state is RootState.ONLINE
    assert missing(bench) == []


def test_an_accepted_root_has_its_absent_files_marked(bench):
    library_of(bench, 300)
    remove(bench, 200)
    bench.scan()
    bench.ripen()
    bench.intake.accept(bench.root_record().id)
    bench.look()
    bench.ripen()
    assert len(missing(bench)) == 200
    assert [e.was_accepted for e in bench.events(RootOnline)] == [True]


def test_an_acceptance_is_used_up_by_the_scan_that_follows(bench):
    library_of(bench, 100)
    bench.intake.accept(bench.root_record().id)
    (bench.photos / "d/0.jpg").rename(bench.photos / "d/moved.jpg")  # the scan finds a file gone that is only moved
    bench.look()
    bench.work()
    bench.ripen()
    remove_all(bench.photos)
    bench.clock.advance(6)
    bench.scan()
    bench.ripen()
    assert missing(bench) == []
    assert bench.root_record().state is RootState.SUSPECT


def remove_all(folder):
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names:
            os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118
        if directory != str(folder):
            os.rmdir(directory)  # noqa: PTH106


def test_accepting_a_root_that_is_away_does_not_make_its_empty_mount_point_believed(bench):
    library_of(bench, 10)
    bench.photos.rename(bench.tmp_path / "unplugged")
    bench.scan()
    assert bench.root_record().state is RootState.OFFLINE
    bench.intake.accept(bench.root_record().id)
    bench.look()
    bench.photos.mkdir()
    for _ in range(3):
        bench.clock.advance(6)
        bench.look()
    bench.ripen()
    assert bench.root_record().state is RootState.SUSPECT
    assert missing(bench) == []


@pytest.mark.parametrize("has_same_files", [True, False])
def test_another_directory_in_the_roots_place_is_believed_only_with_the_same_files(bench, has_same_files):
    import shutil

    library_of(bench, 60)
    other = bench.tmp_path / "other"
    if has_same_files:
        shutil.copytree(bench.photos, other)
    else:
        other.mkdir()
        bench.write("x.jpg", "x", root=other)
    bench.photos.rename(bench.tmp_path / "old")
    other.rename(bench.photos)
    bench.clock.advance(6)
    bench.scan()
    bench.work()
    bench.ripen()
    assert missing(bench) == []
    assert bench.root_record().state is (RootState.ONLINE if has_same_files else RootState.SUSPECT)
    assert bench.reader.decoded == []


def test_a_root_that_is_away_at_start_comes_back_whole(bench):
    library_of(bench, 10)
    bench.photos.rename(bench.tmp_path / "unplugged")
    bench.reopen()
    bench.scan()
    bench.ripen()
    assert bench.root_record().state is RootState.OFFLINE
    (bench.tmp_path / "unplugged").rename(bench.photos)
    bench.clock.advance(6)
    bench.look(3)
    bench.work()
    assert bench.root_record().state is RootState.ONLINE
    assert set(bench.known().values()) == {"indexed"}
    assert bench.reader.read_paths == []


# ------------------------------------------------------------------------------------------------------- hidden places


def test_an_unreadable_directory_hides_what_is_below_without_marking_it(make_bench, veiled_lister):
    bench = make_bench(lister=veiled_lister)
    library_of(bench, 5, directory="a/b/c")
    library_of(bench, 30, directory="rest")
    veiled_lister.veiled = {b"a/b", b"a/b/c"}
    bench.scan()
    bench.ripen()
    bench.dirty("a/b")
    bench.ripen()
    assert missing(bench) == []


def test_a_mount_over_a_directory_hides_what_is_deep_below_it_without_marking_it(make_bench, veiled_lister):
    bench = make_bench(lister=veiled_lister)
    library_of(bench, 5, directory="a/b/c")
    library_of(bench, 30, directory="rest")
    veiled_lister.covered = {b"a"}  # a/b/c is simply not there on what is mounted over a
    bench.scan()
    bench.ripen()
    bench.dirty("")
    bench.ripen()
    assert missing(bench) == []


def test_files_that_cannot_be_looked_at_for_a_while_keep_what_is_known_of_them(make_bench):
    # A directory that may be listed but not searched (mode 0444): every lstat in it fails.
    from dataclasses import replace

    from dedupd.core.ignore_rules import IgnoreRules
    from dedupd.core.records import Problem, ProblemCode
    from dedupd.sources.local_scan import LocalLister

    class Unsearchable(LocalLister):
        is_on = False

        def listing(self, root, directory):
            listing = super().listing(root, directory)
            if not self.is_on:
                return listing
            problem = Problem(code=ProblemCode.NO_PERMISSION, detail="played", at_ns=0, retry_at_ns=None)
            return replace(listing, files={}, odd=dict.fromkeys(listing.files, problem))

    lister = Unsearchable(IgnoreRules())
    bench = library_of(make_bench(lister=lister), 5)
    lister.is_on = True
    bench.write("d/new.jpg", "new")
    bench.scan()
    bench.ripen()
    known = bench.known()
    assert known.pop("d/new.jpg") == "set-aside"
    assert set(known.values()) == {"indexed"}
    assert [os.fsdecode(e.path.name) for e in set_aside(bench)] == ["new.jpg"]
    lister.is_on = False
    bench.scan()
    bench.work()
    assert set(bench.known().values()) == {"indexed"}


def set_aside(bench):
    from dedupd.core.events import FileSetAside

    return bench.events(FileSetAside)


def test_files_that_are_ignored_from_now_on_leave_the_library(bench):
    library_of(bench, 30)
    bench.write("exports/a.jpg", "d0")
    bench.settle_all()
    assert bench.record("exports/a.jpg").stage is FileStage.INDEXED
    bench.ignore = ("exports",)
    bench.reopen()
    bench.scan()
    bench.ripen()
    assert missing(bench) == ["exports/a.jpg"]
    bench.ignore = ()
    bench.reader.read_paths.clear()
    bench.reopen()
    bench.scan()
    bench.work()
    assert missing(bench) == []
    assert bench.reader.read_paths == []


# --------------------------------------------------------------------------------------------------- dirty directories


def test_a_recursive_hint_about_a_subtree_that_is_gone_marks_what_it_held(bench):
    library_of(bench, 30, directory="keep")
    library_of(bench, 3, directory="gone/deep")
    remove_all(bench.photos / "gone")
    (bench.photos / "gone").rmdir()
    bench.dirty("gone", is_recursive=True)
    bench.ripen()
    assert missing(bench) == [f"gone/deep/{n}.jpg" for n in range(3)]


def test_a_hint_about_an_ignored_directory_brings_nothing(bench):
    library_of(bench, 3)
    bench.write("@eaDir/thumb.jpg", "thumb")
    bench.dirty("@eaDir", "@eaDir/deeper")
    bench.dirty("@eaDir", is_recursive=True)
    assert len(bench.known()) == 3
    assert bench.intake.is_idle


def test_a_root_that_cannot_be_listed_for_a_moment_loses_nothing(make_bench, veiled_lister):
    bench = library_of(make_bench(lister=veiled_lister), 5)
    scans = len(bench.events(ScanFinished))
    veiled_lister.veiled = {b""}
    bench.dirty("")
    bench.scan()
    bench.ripen()
    assert missing(bench) == []
    assert len(bench.events(ScanFinished)) == scans, "a scan that saw nothing is none"
    assert bench.intake.is_idle


def test_thousands_of_dirty_directories_cost_one_judgement_of_the_root(make_bench, veiled_lister):
    bench = library_of(make_bench(lister=veiled_lister), 5)
    veiled_lister.listed.clear()
    bench.dirty(*(f"no/such/{n}" for n in range(3000)))
    assert veiled_lister.listed.count(b"") <= 3
    assert bench.intake.is_idle


def test_the_same_subtree_dirty_again_and_again_is_walked_once(bench):
    library_of(bench, 5)
    for _ in range(50):
        bench.intake._scans.begin(bench.root_record().id, b"d", is_arrival=True)
    bench.intake._scans.begin(bench.root_record().id, b"d/below", is_arrival=True)
    assert len(bench.intake._scans) == 1
    bench.scan()
    assert bench.intake.is_idle


def test_files_that_only_settle_count_as_work(bench):
    bench.write("a.jpg", "a", age_s=1)
    bench.scan()
    assert not bench.intake.is_idle
    assert bench.known() == {}
    bench.clock.advance(11)
    bench.look()
    bench.work()
    assert bench.known() == {"a.jpg": "indexed"}
    assert bench.intake.is_idle


def test_files_that_find_no_room_to_settle_are_found_by_listing_again(make_bench):
    bench = make_bench(settle_limit=1)
    for number in range(4):
        bench.write(f"{number}.jpg", f"s{number}", age_s=1)
    bench.scan()
    assert not bench.intake.is_idle
    for _ in range(3):
        bench.clock.advance(11)
        bench.look()
    bench.work()
    assert set(bench.known().values()) == {"indexed"}
    assert len(bench.known()) == 4
    assert bench.intake.is_idle


def test_a_row_whose_content_was_swept_meanwhile_is_read_again(bench):
    library_of(bench, 3)
    record = bench.record("d/0.jpg")
    with bench.library.transaction() as txn:
        txn.remove_file(record.path)
        txn.remove_content(record.content)
    bench.intake._register.put([record])  # what reconciling had prepared a moment earlier
    bench.look()
    bench.work()
    assert bench.record("d/0.jpg").stage is FileStage.INDEXED


def test_a_forgotten_root_is_gone_from_book_and_store_and_may_come_back_as_a_new_one(make_bench):
    bench = make_bench(roots=("photos", "other"))
    library_of(bench, 3)
    root = bench.root_record().id
    assert bench.roots.forget(root) is None, "it is watched"
    bench.intake.configure([os.fsencode(bench.root_paths[1])])
    bench.look()
    assert bench.roots.forget(root) == 3
    assert list(bench.roots.paths()) == [2]
    assert bench.root_record() is None
    bench.dirty("d")
    bench.scan()
    assert bench.known() == {}
    bench.intake.configure([os.fsencode(path) for path in bench.root_paths])
    bench.look(3)
    bench.work()
    assert set(bench.known().values()) == {"indexed"}
    assert bench.reader.decoded == [], "its contents were still known"


def test_moving_a_folder_does_not_make_the_library_look_twice_as_large(bench):
    library_of(bench, 100, directory="old")
    (bench.photos / "old").rename(bench.photos / "d")
    bench.dirty("")
    bench.dirty("d", is_recursive=True)
    bench.work()
    bench.ripen()
    bench.work()
    bench.scan()
    remove(bench, 60)
    (bench.photos / "d/99.jpg").rename(bench.photos / "d/98b.jpg")
    bench.scan()
    bench.work()
    bench.ripen()
    assert [e.known_files for e in bench.events(RootSuspect)] in ([100], [101])


def test_the_count_of_a_roots_files_follows_moves_and_deletions(bench):
    library_of(bench, 10)
    (bench.photos / "d/0.jpg").rename(bench.photos / "d/x.jpg")
    bench.dirty("d")
    bench.work()
    bench.ripen()
    (bench.photos / "d/1.jpg").unlink()
    bench.dirty("d")
    bench.ripen()
    assert bench.roots.known_files(bench.root_record().id) == 9
    bench.scan()
    assert bench.roots.known_files(bench.root_record().id) == 9
