"""Moves, swaps and links: the same bytes under other names are never decoded again and never told as duplicates."""

import os

import pytest

from dedupd.core.records import FileStage, RootState


def settled_with(bench, *names):
    for number, name in enumerate(names):
        bench.write(name, f"scene{number}")
    bench.settle_all()
    bench.reader.decoded.clear()
    return bench


def test_a_file_renamed_within_a_directory_keeps_its_content_and_leaves_no_row(bench):
    settled_with(bench, "a.jpg", "z.jpg")
    content = bench.record("a.jpg").content
    (bench.photos / "a.jpg").rename(bench.photos / "b.jpg")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    bench.ripen()
    assert bench.known() == {"b.jpg": "indexed", "z.jpg": "indexed"}
    assert bench.record("b.jpg").content == content
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_a_file_moved_between_directories_is_not_told_whichever_directory_is_looked_at_first(bench):
    settled_with(bench, "one/a.jpg", "two/z.jpg")
    (bench.photos / "one/a.jpg").rename(bench.photos / "two/a.jpg")
    bench.dirty("one")
    bench.ripen()  # the hint about the new place comes late
    bench.dirty("two", closed=["a.jpg"])
    bench.work()
    bench.ripen()
    assert bench.known() == {"two/a.jpg": "indexed", "two/z.jpg": "indexed"}
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_a_file_moved_between_two_roots_keeps_its_content(make_bench):
    bench = settled_with(make_bench(roots=("photos", "archive")), "a.jpg", "b.jpg")
    (bench.photos / "a.jpg").rename(bench.root_paths[1] / "a.jpg")
    bench.dirty("", root=2)
    bench.dirty("", root=1)
    bench.work()
    bench.ripen()
    assert bench.record("a.jpg", root=2).stage is FileStage.INDEXED
    assert bench.record("a.jpg", root=1) is None
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_a_renamed_directory_is_read_but_not_decoded(bench):
    settled_with(bench, *(f"old/deep/{number}.jpg" for number in range(40)), "stays.jpg")
    (bench.photos / "old").rename(bench.photos / "new")
    bench.dirty("")
    bench.dirty("new", is_recursive=True)
    bench.work()
    bench.ripen()
    bench.work()
    assert bench.known() == {**{f"new/deep/{n}.jpg": "indexed" for n in range(40)}, "stays.jpg": "indexed"}
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_two_files_that_swap_names_swap_contents(bench):
    settled_with(bench, "a.jpg", "b.jpg")
    before = bench.record("a.jpg").content, bench.record("b.jpg").content
    (bench.photos / "a.jpg").rename(bench.photos / "t.jpg")
    (bench.photos / "b.jpg").rename(bench.photos / "a.jpg")
    (bench.photos / "t.jpg").rename(bench.photos / "b.jpg")
    bench.dirty("", closed=["a.jpg", "b.jpg"])
    bench.work()
    bench.ripen()
    assert (bench.record("b.jpg").content, bench.record("a.jpg").content) == before
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_a_file_renamed_over_another_takes_its_place_and_the_old_name_goes(bench):
    settled_with(bench, "a.jpg", "b.jpg")
    content = bench.record("a.jpg").content
    (bench.photos / "a.jpg").replace(bench.photos / "b.jpg")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    bench.ripen()
    assert bench.known() == {"b.jpg": "indexed"}
    assert bench.record("b.jpg").content == content
    assert bench.told() == []


def test_a_case_only_rename_is_a_rename(bench):
    settled_with(bench, "photo.JPG", "z.jpg")
    (bench.photos / "photo.JPG").rename(bench.photos / "Photo.jpg")
    bench.dirty("", closed=["Photo.jpg"])
    bench.work()
    bench.ripen()
    assert bench.known() == {"Photo.jpg": "indexed", "z.jpg": "indexed"}
    assert (bench.reader.decoded, bench.told()) == ([], [])


def test_a_hard_link_is_no_duplicate(bench):
    settled_with(bench, "a.jpg", "z.jpg")
    os.link(bench.photos / "a.jpg", bench.photos / "b.jpg")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    assert bench.told() == []
    assert sum(bench.record(name).link_of_same_inode for name in ("a.jpg", "b.jpg")) == 1


def test_a_copy_is_told_when_only_a_former_hard_link_is_left(bench):
    settled_with(bench, "a.jpg", "z.jpg")
    os.link(bench.photos / "a.jpg", bench.photos / "b.jpg")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    first = next(name for name in ("a.jpg", "b.jpg") if not bench.record(name).link_of_same_inode)
    (bench.photos / first).unlink()
    bench.dirty("")
    bench.work()
    bench.ripen()
    bench.work()
    bench.write("copy.jpg", "scene0")
    bench.dirty("", closed=["copy.jpg"])
    bench.work()
    assert bench.told() == ["copy.jpg"]


def test_a_new_file_at_the_inode_of_a_deleted_one_is_another_file(bench, tmp_path):
    path = bench.write("old.jpg", "old")
    bench.write("z.jpg", "z")
    bench.settle_all()
    inode = path.stat().st_ino
    held = []
    path.unlink()
    for number in range(200):  # the filesystem gives a freed inode out again sooner or later
        new = bench.write(f"new{number}.jpg", f"new{number}")
        if new.stat().st_ino == inode:
            break
        held.append(new)
    else:
        pytest.skip("this filesystem did not use the inode again")
    bench.dirty("")
    bench.work()
    bench.ripen()
    bench.work()
    assert bench.record("old.jpg").missing_since_ns is not None
    assert bench.record(new.name).stage is FileStage.INDEXED
    assert bench.told() == []


def test_while_moved_files_wait_to_be_read_their_old_places_are_not_listed_over_and_over(make_bench, veiled_lister):
    bench = make_bench(lister=veiled_lister)
    settled_with(bench, *(f"old/{number}.jpg" for number in range(60)), *(f"rest/{n}.jpg" for n in range(300)))
    (bench.photos / "old").rename(bench.photos / "new")
    bench.reader.is_held = True
    bench.dirty("")
    bench.dirty("new", is_recursive=True)
    bench.read_once()
    bench.clock.advance(2.5)
    bench.look()
    veiled_lister.listed.clear()
    for _ in range(10):
        bench.clock.advance(0.1)
        bench.look(1)
    assert veiled_lister.listed.count(b"old") <= 1
    assert "missing" not in bench.known().values()
    bench.reader.release()
    bench.work()
    bench.ripen()
    assert sum(name.startswith("new/") for name in bench.known()) == 60
    assert not any(name.startswith("old/") for name in bench.known())


def test_a_file_moved_twice_before_it_is_read_leaves_no_row_that_waits_for_ever(bench):
    bench.write("first.jpg", "scene")
    bench.write("stays.jpg", "stays")
    bench.scan()
    (bench.photos / "first.jpg").rename(bench.photos / "second.jpg")
    bench.dirty("", closed=["second.jpg"])
    (bench.photos / "second.jpg").rename(bench.photos / "third.jpg")
    bench.dirty("", closed=["third.jpg"])
    bench.work()
    bench.ripen()
    bench.work()
    bench.ripen()
    assert bench.known()["third.jpg"] == "indexed"
    assert "pending" not in bench.known().values()
    assert bench.intake.is_idle


def test_a_write_through_one_hard_link_is_seen_at_the_other_name_too(bench):
    bench.write("one/a.jpg", "before")
    (bench.photos / "two").mkdir()
    os.link(bench.photos / "one/a.jpg", bench.photos / "two/b.jpg")
    bench.write("stays.jpg", "stays")
    bench.settle_all()
    (bench.photos / "one/a.jpg").write_bytes(b"picture|after||JPEG")
    bench.age(bench.photos / "one/a.jpg", 1000)
    bench.dirty("one", closed=["a.jpg"])
    bench.look()
    bench.work()
    assert bench.record("two/b.jpg").content == bench.record("one/a.jpg").content
    assert bench.known() == {"one/a.jpg": "indexed", "two/b.jpg": "indexed", "stays.jpg": "indexed"}
    assert bench.intake.is_idle


def test_files_renamed_before_they_were_read_do_not_wait_for_the_reading(bench):
    # In a storm of renames the store lagged behind the disk by all the reading; and that is no mass deletion either.
    for number in range(100):
        bench.write(f"d/{number}.jpg", f"s{number}")
    bench.scan()
    for number in range(80):
        (bench.photos / f"d/{number}.jpg").rename(bench.photos / f"d/new-{number}.jpg")
    bench.dirty("d")
    bench.ripen()
    known = bench.known()
    assert [name for name, stage in known.items() if stage == "missing"] == sorted(f"d/{n}.jpg" for n in range(80))
    assert sum(stage == "pending" for stage in known.values()) == 100
    assert bench.root_record().state is RootState.ONLINE
    bench.work()
    assert sum(stage == "indexed" for stage in bench.known().values()) == 100
