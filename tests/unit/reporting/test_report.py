"""What the report promises about which file stays and what the others would free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dedupd.core.records import DUPLICATE_RELATIONS, FilePath, FileRecord, FileStage, FileStat, Relation, RootId
from dedupd.reporting.report import draft_report

ALL = DUPLICATE_RELATIONS


def drafted(shelf, groups, relations=ALL):
    groups.library = shelf.library
    return draft_report(shelf.library, groups, relations=relations, keep_policy="best", now_ns=7)


def test_several_files_of_the_same_bytes_leave_one_kept_and_the_rest_as_exact_duplicates(shelf, make):
    content = shelf.content(1)
    for name in (b"2019/Italy/a.jpg", b"a.jpg", b"b.jpg"):
        shelf.file(name, content, size=500)
    report = drafted(shelf, make.groups([make.group(content)]))
    (group,) = report.groups
    assert group.keep.path == b"/photos/a.jpg"  # the shortest path, then by path
    assert group.keep.relation is None
    assert [f.path for f in group.duplicates] == [b"/photos/b.jpg", b"/photos/2019/Italy/a.jpg"]
    assert {(f.relation, f.similarity, f.frees_bytes) for f in group.duplicates} == {(Relation.SAME_BYTES, 1.0, 500)}
    assert (group.relation, group.similarity, group.frees_bytes) == (Relation.SAME_BYTES, 1.0, 1000)


def test_a_hard_link_of_the_kept_file_frees_nothing(shelf, make):
    content = shelf.content(1)
    shelf.file(b"a.jpg", content, inode=5, is_link=True)
    shelf.file(b"link.jpg", content, inode=5, is_link=True)
    (group,) = drafted(shelf, make.groups([make.group(content)])).groups
    assert [f.frees_bytes for f in group.duplicates] == [0]
    assert "hard link" in group.duplicates[0].reason


def test_two_links_of_one_inode_free_its_bytes_once(shelf, make):
    kept, copy = shelf.content(1), shelf.content(2)
    shelf.file(b"kept.jpg", kept)
    shelf.file(b"copy.jpg", copy, inode=9, size=700, is_link=True)
    shelf.file(b"copy-link.jpg", copy, inode=9, size=700, is_link=True)
    report = drafted(shelf, make.groups([make.group(kept, make.member(copy))]))
    (group,) = report.groups
    assert sorted(f.frees_bytes for f in group.duplicates) == [0, 700]
    assert report.frees_bytes == 700


def test_a_file_of_its_own_is_kept_rather_than_a_hard_link_with_a_shorter_path(shelf, make):
    content = shelf.content(1)
    shelf.file(b"a.jpg", content, inode=5, is_link=True)
    shelf.file(b"b.jpg", content, inode=5, is_link=True)
    shelf.file(b"a/longer/path.jpg", content, inode=6)
    (group,) = drafted(shelf, make.groups([make.group(content)])).groups
    assert group.keep.path == b"/photos/a/longer/path.jpg"
    assert sorted(f.frees_bytes for f in group.duplicates) == [0, 1000]


def test_missing_files_are_left_out_and_a_group_of_one_vanishes(shelf, make):
    content, other = shelf.content(1), shelf.content(2)
    shelf.file(b"here.jpg", content)
    shelf.file(b"gone.jpg", content, missing_since_ns=3)
    shelf.file(b"gone-too.jpg", other, missing_since_ns=3)
    report = drafted(shelf, make.groups([make.group(content, make.member(other))]))
    assert [*report.groups] == []
    assert (report.duplicate_groups, report.total_duplicates, report.frees_bytes) == (0, 0, 0)


def test_members_keep_what_ties_them_to_the_kept_file(shelf, make):
    kept, copy = shelf.content(1, 4000, 3000), shelf.content(2)
    shelf.file(b"kept.jpg", kept)
    shelf.file(b"x/copy.jpg", copy)
    shelf.file(b"copy.jpg", copy)
    tie = make.member(copy, Relation.EDITED, 0.93)
    (group,) = drafted(shelf, make.groups([make.group(kept, tie)])).groups
    assert group.keep.reason == "more pixels"
    assert (group.keep.width_px, group.keep.height_px) == (4000, 3000)
    assert [f.path for f in group.duplicates] == [b"/photos/copy.jpg", b"/photos/x/copy.jpg"]
    assert {(f.relation, f.similarity, f.probability, f.reason) for f in group.duplicates} == {
        (Relation.EDITED, 0.93, 0.9375, "half the size")
    }


def test_a_group_tells_its_weakest_link(shelf, make):
    kept, copy, crop = (shelf.content(n) for n in range(1, 4))
    for number, content in enumerate((kept, kept, copy, crop)):
        shelf.file(b"%d.jpg" % number, content)
    members = (make.member(copy, Relation.RE_ENCODED, 0.90), make.member(crop, Relation.EDITED, 0.95))
    (group,) = drafted(shelf, make.groups([make.group(kept, *members)])).groups
    assert (group.relation, group.similarity, group.probability) == (Relation.EDITED, 0.95, 0.9375)
    (group,) = drafted(shelf, make.groups([make.group(kept)])).groups
    assert (group.relation, group.similarity, group.probability) == (Relation.SAME_BYTES, 1.0, 1.0)


def test_a_missing_keeper_is_replaced_and_only_what_is_verified_against_the_new_one_stays(shelf, make):
    keeper, first, tied, chained = (shelf.content(n) for n in range(1, 5))
    shelf.file(b"keeper.jpg", keeper, missing_since_ns=3)
    shelf.file(b"first.jpg", first)
    shelf.file(b"tied.jpg", tied)
    shelf.file(b"chained.jpg", chained)
    shelf.edge(first, tied, Relation.RE_ENCODED)
    groups = make.groups([make.group(keeper, make.member(first), make.member(tied), make.member(chained))])
    (group,) = drafted(shelf, groups).groups
    assert group.keep.path == b"/photos/first.jpg"
    assert "missing" in group.keep.reason
    assert [(f.path, f.probability) for f in group.duplicates] == [(b"/photos/tied.jpg", 0.875)]
    assert [f.path for f in group.related] == [b"/photos/chained.jpg"]


def test_related_pictures_are_shown_with_one_file_and_never_counted(shelf, make):
    kept, copy, far = (shelf.content(n) for n in range(1, 4))
    shelf.file(b"kept.jpg", kept)
    shelf.file(b"copy.jpg", copy)
    shelf.file(b"far.jpg", far)
    shelf.file(b"far-too.jpg", far)
    report = drafted(shelf, make.groups([make.group(kept, make.member(copy), related=[far])]))
    (group,) = report.groups
    assert [(f.path, f.relation, f.frees_bytes) for f in group.related] == [(b"/photos/far.jpg", None, 0)]
    assert report.total_duplicates == 1
    assert report.frees_bytes == 1000


def test_same_bytes_are_no_duplicates_when_that_relation_is_not_asked_for(shelf, make):
    kept, copy = shelf.content(1), shelf.content(2)
    shelf.file(b"kept.jpg", kept)
    shelf.file(b"twin.jpg", kept)
    shelf.file(b"copy.jpg", copy)
    groups = make.groups([make.group(kept, make.member(copy))])
    (group,) = drafted(shelf, groups, frozenset({Relation.RE_ENCODED})).groups
    assert [f.path for f in group.duplicates] == [b"/photos/copy.jpg"]


def test_the_groups_that_free_the_most_come_first_and_the_totals_add_up(shelf, make):
    small, large = shelf.content(1), shelf.content(2)
    for path, content, size in ((b"a", small, 10), (b"b", small, 10), (b"c", large, 9000), (b"d", large, 9000)):
        shelf.file(path + b".jpg", content, size=size)
    waiting = FileRecord(
        path=FilePath(root=RootId(1), directory=b"", name=b"new.jpg"),
        stat=FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=1, ctime_ns=1),
        stage=FileStage.PENDING,
        content=None,
        first_seen_ns=1,
    )
    with shelf.library.transaction() as txn:
        txn.put_file(waiting)
        txn.mark_linked(small)
    report = drafted(shelf, make.groups([make.group(small), make.group(large)]))
    assert [g.frees_bytes for g in report.groups] == [9000, 10]
    assert (report.total_images, report.total_contents) == (4, 2)
    assert (report.duplicate_groups, report.total_duplicates, report.frees_bytes) == (2, 2, 9010)
    assert report.pending == 2  # one file not read, one content not linked
    assert report.roots == (b"/photos",)
    assert report.generated_at_ns == 7
    assert [r.value for r in report.relations] == ["same-bytes", "same-pixels", "re-encoded", "edited"]


def test_the_totals_can_be_of_the_groups_with_a_file_in_some_roots_only(shelf, make):
    with shelf.library.transaction() as txn:
        txn.put_root(replace(txn.root(RootId(1)), id=RootId(2), path=b"/more"))
    near, far = shelf.content(1), shelf.content(2)
    for path, content, size in ((b"a", near, 10), (b"b", near, 10), (b"c", far, 9000), (b"d", far, 9000)):
        shelf.file(path + b".jpg", content, size=size)
    with shelf.library.transaction() as txn:
        file = txn.file(FilePath(root=RootId(1), directory=b"", name=b"b.jpg"))
        txn.put_file(replace(file, path=replace(file.path, root=RootId(2)), stat=replace(file.stat, ino=999)))
    groups = make.groups([make.group(near), make.group(far)], library=shelf.library)

    def draft(*roots):
        asked = frozenset(map(RootId, roots))
        return draft_report(shelf.library, groups, relations=ALL, keep_policy="best", now_ns=7, roots=asked)

    some = draft(2)
    assert [g.id for g in some.groups] == [near]
    assert (some.duplicate_groups, some.total_duplicates, some.frees_bytes) == (1, 2, 20)
    assert [g.id for g in draft(1, 2).groups] == [g.id for g in draft(1).groups] == [far, near]
    assert draft(1, 2).frees_bytes == draft(1).frees_bytes == 9020


def test_a_group_that_went_since_the_totals_is_left_out(shelf, make):
    going, staying = shelf.content(1), shelf.content(2)
    for number, content in enumerate((going, going, staying, staying)):
        shelf.file(b"%d.jpg" % number, content)
    report = drafted(shelf, make.groups([make.group(going), make.group(staying)]))
    assert len([*report.groups]) == 2
    shelf.file(b"1.jpg", going, missing_since_ns=3)
    assert [g.id for g in report.groups] == [staying]


@pytest.mark.parametrize("path", [b"\xff\xfe.jpg", b"new\nline.jpg", "Ünï/ç.jpg".encode()])
def test_paths_come_through_as_their_bytes(shelf, make, path):
    content = shelf.content(1)
    shelf.file(path, content)
    shelf.file(b"a/much/longer/path/to/the/copy.jpg", content)
    (group,) = drafted(shelf, make.groups([make.group(content)])).groups
    assert group.keep.path == b"/photos/" + path
