"""What every `Library` promises. A whole one joins by a line in LIBRARIES, a partial one by one in VECTOR_SHELVES."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fakes.vector_library import VectorLibrary

from dedupd.core import stat_key
from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Fact,
    FileSetAside,
    Match,
    Origin,
    PauseChanged,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.generation import Generation
from dedupd.core.grouping import bond_of
from dedupd.core.ports import (
    DecodedImage,
    Descriptor,
    Library,
    LibraryTransaction,
    LibraryView,
    NewContent,
    VectorChange,
)
from dedupd.core.records import (
    Box,
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Geometry,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store import LmdbLibrary

LIBRARIES: dict[str, Callable[[Path], Library]] = {"lmdb": LmdbLibrary}

ROOT = RootId(1)
OTHER_ROOT = RootId(2)
MODEL = ModelTag("test-8")


@pytest.fixture(params=sorted(LIBRARIES))
def empty_library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    library = LIBRARIES[request.param](tmp_path / "state")
    yield library
    library.close()


@pytest.fixture
def library(empty_library: Library) -> Library:
    with empty_library.transaction() as txn:
        txn.put_root(root(ROOT, b"/photos"))
        txn.put_root(root(OTHER_ROOT, b"/cards"))
    return empty_library


def root(id_: RootId, path: bytes) -> RootRecord:
    return RootRecord(
        id=id_,
        path=path,
        identity=RootIdentity(dev=2049, fsid=0xFFFF_FFFF_FFFF_FFFF, ino=2, filesystem="ext4"),
        state=RootState.SUSPECT,
        state_reason="it is empty",
        last_full_scan_ns=None,
        added_at_ns=17,
    )


def path_of(name: bytes, directory: bytes = b"2024/\xe9t\xe9", root_id: RootId = ROOT) -> FilePath:
    return FilePath(root=root_id, directory=directory, name=name)


def file_of(path: FilePath, ino: int = 1, **changes: object) -> FileRecord:
    pending = FileRecord(
        path=path,
        stat=FileStat(dev=2049, ino=ino, size_bytes=5, mtime_ns=-7, ctime_ns=1_700_000_000_000_000_001),
        stage=FileStage.PENDING,
        content=None,
        first_seen_ns=1_700_000_000_000_000_000,
    )
    return replace(pending, **changes)  # type: ignore[arg-type]


def indexed(path: FilePath, content: ContentRecord, ino: int = 1, **changes: object) -> FileRecord:
    return file_of(path, ino, stage=FileStage.INDEXED, content=content.id, **changes)


def unit_rows(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def new_content(seed: int, image_digest: bytes | None = None) -> NewContent:
    return NewContent(
        digest=seed.to_bytes(32, "big"),
        size_bytes=1000 + seed,
        image=DecodedImage(
            format="JPEG",
            width_px=4032,
            height_px=3024,
            image_digest=image_digest,
            capture=Capture(
                taken_at_ms=-5, make="Nïkon", exposure_s=1 / 250, iso=100, has_gps=True, rating=4, has_icc=True
            ),
            quality=Quality(sharpness=12.5, information=6.25, jpeg_quality=92),
            decoder="test",
            small=np.zeros((4, 4, 3), np.uint8),
            preview=b"",
            trailing_bytes=2**33,
        ),
        descriptor=Descriptor(stored=unit_rows(seed, 2), queries=unit_rows(seed, 5)),
        first_seen_ns=99,
    )


def edge_of(a: ContentRecord, b: ContentRecord, relation: Relation = Relation.RE_ENCODED) -> Edge:
    return Edge(
        a=min(a.id, b.id),
        b=max(a.id, b.id),
        relation=relation,
        similarity=0.97,
        reason="the same picture at half the size",
        evidence=Evidence(
            method="dense",
            similarity=0.98,
            geometry=Geometry(
                scale=0.5, rotation_deg=-90.0, is_mirrored=True, overlap_of_a=1.0, overlap_of_b=0.9, inliers=0
            ),
            residual_low=0.5,
            worst_region=0.01,
            motion_px=0.25,
            tone_change=0.0,
            differences=(Box(left=0.0, top=0.25, right=0.5, bottom=1.0),),
            noise_correlation=-0.5,
            band_errors=(0.25, 0.125),
            band_lows=(0.5, 0.25),
            excess=0.75,
            bad_share=0.0625,
            error_levels=1.5,
            textured_windows=40,
            compared_px=216,
            frame_offset_px=0.25,
            protrusion_px=0.125,
            band_gains=(0.5, 1.0),
            chroma_gain=0.75,
            overlay_share=0.0625,
            overlay_is_on_b=True,
            fine_px=1500,
            fine_errors=(0.125, 0.0625),
            fine_noise_correlation=0.5,
            fine_foreign=0.0625,
            usual_excess=0.25,
        ),
        verifier="rules-1",
        found_at_ns=3,
        probability=0.9990234375,
    )


def add_contents(library: Library, *seeds: int) -> list[ContentRecord]:
    with library.transaction() as txn:
        return [txn.add_content(new_content(seed), MODEL) for seed in seeds]


def put(library: Library, *files: FileRecord) -> None:
    with library.transaction() as txn:
        for file in files:
            txn.put_file(file)


FACTS: list[Fact] = [
    DuplicateFound(
        path=path_of(b"a.jpg"),
        content=ContentId(4),
        size_bytes=17,
        origin=Origin.ARRIVAL,
        matches=(
            Match(path=path_of(b"\xff.jpg"), content=ContentId(3), relation=Relation.SAME_PIXELS, similarity=1.0),
        ),
        group=ContentId(3),
    ),
    FileSetAside(path=path_of(b"a.jpg"), code=ProblemCode.TRUNCATED, detail="ends after 12 bytes"),
    PauseChanged(is_paused=True, until_ns=1_760_000_000_000_000_000),
    PauseChanged(is_paused=False),
    RootSuspect(root=ROOT, root_path=b"/photos", reason="it is empty", known_files=12),
    RootOnline(root=ROOT, root_path=b"/photos", was_accepted=True),
    ScanFinished(root=ROOT, root_path=b"/photos", files=5, added=4, changed=3, missing=2, duration_s=0.5),
    Degraded(what="watching", message="raise fs.inotify.max_user_watches"),
    CleanupFinished(
        plan="ab" * 32,
        run=RunKind.UNDO,
        done=9,
        conflicts=1,
        failed=2,
        skipped=3,
        bytes_=2**40,
        stopped="three files were not as planned",
        is_automatic=True,
    ),
    CleanedReturned(
        path=path_of(b"\xff.jpg"),
        content=ContentId(4),
        size_bytes=17,
        origin=Origin.SCAN,
        cleaned_at_ns=1_700_000_000_000_000_000,
        plan="cd" * 32,
        kept=b"/cards/\xff/a.jpg",
        is_kept_there=True,
    ),
]


def test_every_kind_of_fact_is_among_those_that_are_told_here() -> None:
    assert {type(fact) for fact in FACTS} == set(get_args(Fact))


# ---------------------------------------------------------------------------------------------------- transactions


def test_a_new_library_knows_nothing(empty_library: Library) -> None:
    with empty_library.view() as view:
        counts = view.counts()
        assert {getattr(counts, name) for name in counts.__slots__} == {0}
        assert view.sequence() == 0
        assert view.oldest_event() == 1
        assert view.roots() == []
        assert list(view.files()) == []
        assert view.content(ContentId(1)) is None
        assert view.content_by_digest(b"x" * 32) is None
        assert changes(view) == []
        assert view.events(Sequence(0), 10) == []
        assert view.cursor("alerts") == 0


def test_an_exception_leaves_nothing_of_its_transaction(library: Library) -> None:
    def change_and_fail() -> None:
        with library.transaction() as txn:
            content = txn.add_content(new_content(1), MODEL)
            txn.put_file(indexed(path_of(b"a.jpg"), content))
            txn.append(FACTS[0], 1)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    with library.view() as view:
        assert view.counts().files == view.counts().contents == view.counts().events == 0
        assert list(view.directories(ROOT)) == []
        assert view.sequence() == 0


def test_a_view_does_not_see_what_is_committed_after_it_began(library: Library) -> None:
    with library.view() as before:
        put(library, file_of(path_of(b"a.jpg")))
        assert before.file(path_of(b"a.jpg")) is None
    with library.view() as after:
        assert after.file(path_of(b"a.jpg")) is not None


def test_a_transaction_sees_its_own_changes(library: Library) -> None:
    with library.transaction() as txn:
        txn.put_file(file_of(path_of(b"a.jpg")))
        assert txn.counts().files_pending == 1
        assert [f.path.name for f in txn.files_in(ROOT, b"2024/\xe9t\xe9")] == [b"a.jpg"]


def test_files_may_be_changed_while_they_are_listed(library: Library) -> None:
    names = [b"%04d.jpg" % n for n in range(3000)]
    put(library, *(file_of(path_of(name), ino=n) for n, name in enumerate(names)))
    with library.transaction() as txn:
        seen = []
        for file in txn.files(ROOT):
            seen.append(file.path.name)
            if file.stat.ino % 2:
                txn.remove_file(file.path)
            else:
                txn.put_file(replace(file, attempts=1))
    assert seen == names
    with library.view() as view:
        assert [(f.path.name, f.attempts) for f in view.files()] == [(name, 1) for name in names[::2]]


def test_transactions_of_several_threads_wait_for_each_other(library: Library) -> None:
    def add_roots() -> None:
        for _ in range(20):
            with library.transaction() as txn:
                txn.put_root(root(txn.new_root_id(), b"/more"))

    threads = [threading.Thread(target=add_roots) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with library.view() as view:
        assert len([r for r in view.roots() if r.path == b"/more"]) == 80
        assert len(view.roots()) == 82  # ids that were put without asking are not given again


# ----------------------------------------------------------------------------------------------------------- roots


def test_roots_come_back_as_they_were_put(library: Library) -> None:
    unseen = replace(root(ROOT, b"/ph\xffotos"), identity=None, last_full_scan_ns=5, is_watched=False)
    with library.transaction() as txn:
        txn.put_root(unseen)
    with library.view() as view:
        assert view.root(ROOT) == unseen
        assert view.root(RootId(77)) is None
        assert view.roots() == [unseen, root(OTHER_ROOT, b"/cards")]


def test_root_ids_are_never_given_twice(empty_library: Library) -> None:
    ids = []
    for _ in range(3):
        with empty_library.transaction() as txn:
            ids.append(txn.new_root_id())
            txn.put_root(root(ids[-1], b"/photos"))
        with empty_library.transaction() as txn:
            txn.remove_root(ids[-1])
    assert len(set(ids)) == 3
    assert all(id_ >= 1 for id_ in ids)


def test_removing_a_root_forgets_its_files_only(library: Library) -> None:
    (content,) = add_contents(library, 1)
    put(
        library,
        indexed(path_of(b"a.jpg"), content, 1),
        file_of(path_of(b"b.jpg", b""), 2),
        indexed(path_of(b"a.jpg", root_id=OTHER_ROOT), content, 3),
    )
    with library.transaction() as txn:
        assert txn.remove_root(ROOT) == 2
    with library.view() as view:
        assert [f.path.root for f in view.files()] == [OTHER_ROOT]
        assert list(view.directories(ROOT)) == []
        assert view.root(ROOT) is None
        assert view.counts().files_pending == 0
        assert list(view.shared_contents()) == []
        assert [f.path.root for f in view.files_of(content.id)] == [OTHER_ROOT]
        assert view.files_at_inode(2049, 1) == []


# ----------------------------------------------------------------------------------------------------------- files


def test_files_come_back_as_they_were_put(library: Library) -> None:
    (content,) = add_contents(library, 1)
    stat = FileStat(dev=2**64 - 1, ino=2**64 - 1, size_bytes=2**50, mtime_ns=-(2**62), ctime_ns=2**62)
    problem = Problem(code=ProblemCode.DAMAGED, detail="no Huffman table", at_ns=5, retry_at_ns=None)
    files = [
        file_of(path_of(b"plain.jpg")),
        file_of(path_of(b"\xff\xfe.jpg", b""), stat=stat),
        file_of(path_of(b"n" * 255, b"d" * 3000)),
        file_of(path_of(b"n" * 700 + b"1")),
        file_of(path_of(b"n" * 700 + b"2"), missing_since_ns=9),
        file_of(path_of(b"new\nline\\.jpg"), stage=FileStage.SET_ASIDE, problem=problem, attempts=3),
        file_of(path_of(b"retry"), stage=FileStage.SET_ASIDE, problem=replace(problem, retry_at_ns=2**62)),
        indexed(path_of(b"done.jpg"), content, link_of_same_inode=True),
    ]
    put(library, *files)
    with library.view() as view:
        assert [view.file(file.path) for file in files] == files
        assert sorted(view.files(), key=lambda f: f.path) == sorted(files, key=lambda f: f.path)
        assert view.file(path_of(b"plain.jpg", b"")) is None


def test_a_directory_is_listed_without_its_subdirectories(library: Library) -> None:
    files = [file_of(path_of(b"x.jpg", directory)) for directory in (b"", b"a", b"a/b", b"ab")]
    put(library, *files, file_of(path_of(b"x.jpg", b"a", OTHER_ROOT)))
    with library.view() as view:
        assert view.files_in(ROOT, b"a") == [files[1]]
        assert view.files_in(ROOT, b"nowhere") == []
        assert set(view.directories(ROOT)) == {b"", b"a", b"a/b", b"ab"}
    with library.transaction() as txn:
        txn.remove_file(files[2].path)
        txn.remove_file(files[2].path)  # not known any more: no error
    with library.view() as view:
        assert set(view.directories(ROOT)) == {b"", b"a", b"ab"}


def test_packed_stats_hold_every_file_that_is_there(library: Library) -> None:
    there = [file_of(path_of(b"%04d.jpg" % n, b"d"), ino=n) for n in range(2500)]
    there.append(file_of(path_of(b"n" * 400, b"d"), ino=7))
    problem = Problem(code=ProblemCode.TRUNCATED, detail="", at_ns=0, retry_at_ns=1)
    there.append(file_of(path_of(b"retry.jpg", b"d"), stage=FileStage.SET_ASIDE, problem=problem))
    gone = [file_of(path_of(name, b"d"), missing_since_ns=1) for name in (b"gone.jpg", b"n" * 401)]
    put(library, *there, *gone, file_of(path_of(b"below.jpg", b"d/e")))
    with library.view() as view:
        assert view.packed_stats_in(ROOT, b"d") == {f.path.name: stat_key.pack(f.stat) for f in there}
        assert view.packed_stats_in(ROOT, b"nowhere") == {}


def test_the_files_of_a_root_that_are_there_are_counted(library: Library) -> None:
    here = [file_of(path_of(b"%04d.jpg" % n, b"d%d" % (n % 3)), ino=n) for n in range(200)]
    gone = file_of(path_of(b"gone.jpg", b"d1"), missing_since_ns=1)
    put(library, *here, gone, file_of(path_of(b"other.jpg", b"d1", OTHER_ROOT)))
    with library.view() as view:
        assert [view.count_present(each) for each in (ROOT, OTHER_ROOT, RootId(99))] == [200, 1, 0]
    with library.transaction() as txn:
        txn.remove_root(OTHER_ROOT)
    with library.view() as view:
        assert [view.count_present(each) for each in (ROOT, OTHER_ROOT)] == [200, 0]


def fingerprints(library: Library, *directories: bytes) -> list[bytes | None]:
    with library.view() as view:
        return [view.fingerprint(ROOT, directory) for directory in directories]


def test_a_fingerprint_stands_for_the_stats_of_a_directory_until_one_of_them_changes(library: Library) -> None:
    (content,) = add_contents(library, 1)
    one, two = file_of(path_of(b"1.jpg", b"d"), ino=1), file_of(path_of(b"n" * 400, b"d"), ino=2)
    put(library, one, two, file_of(path_of(b"below.jpg", b"d/e"), ino=3))
    assert fingerprints(library, b"d", b"d/e", b"nowhere") == [None, None, None]
    changes: list[Callable[[LibraryTransaction], None]] = [
        lambda txn: txn.put_file(file_of(path_of(b"new.jpg", b"d"), ino=9)),
        lambda txn: txn.put_file(replace(two, stat=replace(two.stat, ctime_ns=1))),
        lambda txn: txn.put_file(replace(one, missing_since_ns=1)),
        lambda txn: txn.put_file(one),  # it is back
        lambda txn: txn.remove_file(two.path),
        lambda txn: put_back_otherwise(txn, one),
    ]
    for change in changes:
        with library.transaction() as txn:
            for directory in (b"d", b"d/e", b"nowhere"):
                txn.keep_fingerprint(ROOT, directory)
        with library.view() as view:
            stats = [view.packed_stats_in(ROOT, directory) for directory in (b"d", b"d/e")]
        kept = [*map(stat_key.fingerprint, stats), None]
        assert fingerprints(library, b"d", b"d/e", b"nowhere") == kept
        with library.transaction() as txn:
            known = next(file for file in txn.files_in(ROOT, b"d") if file.missing_since_ns is None)
            txn.put_file(replace(known, stage=FileStage.INDEXED, content=content.id))  # its bytes were read
        assert fingerprints(library, b"d", b"d/e", b"nowhere") == kept, "what is known of the bytes is no matter"
        with library.transaction() as txn:
            change(txn)
        assert fingerprints(library, b"d", b"d/e") == [None, kept[1]]
    with library.transaction() as txn:
        txn.remove_root(ROOT)
    assert fingerprints(library, b"d", b"d/e") == [None, None]


def put_back_otherwise(txn: LibraryTransaction, file: FileRecord) -> None:
    """Within one transaction a directory changes and is as it was again: a fingerprint may be lost, never wrong."""
    txn.remove_file(file.path)
    txn.put_file(file)


def test_a_fingerprint_asked_for_with_a_change_stands_for_what_is_there_after_it(library: Library) -> None:
    put(library, file_of(path_of(b"1.jpg", b"d"), ino=1))
    with library.transaction() as txn:
        txn.put_file(file_of(path_of(b"2.jpg", b"d"), ino=2))
        txn.keep_fingerprint(ROOT, b"d")
    with library.view() as view:
        assert view.fingerprint(ROOT, b"d") == stat_key.fingerprint(view.packed_stats_in(ROOT, b"d"))


def test_each_file_is_counted_in_the_one_list_that_it_is_in(library: Library) -> None:
    (content,) = add_contents(library, 1)
    problem = Problem(code=ProblemCode.EMPTY, detail="", at_ns=0, retry_at_ns=None)
    path = path_of(b"a.jpg")
    aside = file_of(path, stage=FileStage.SET_ASIDE, problem=problem)
    for file, pending, set_aside, missing in [
        (file_of(path), 1, 0, 0),
        (aside, 0, 1, 0),
        (replace(aside, missing_since_ns=4), 0, 0, 1),
        (file_of(path, missing_since_ns=4), 0, 0, 1),
        (indexed(path, content, missing_since_ns=4), 0, 0, 1),
        (indexed(path, content), 0, 0, 0),
    ]:
        put(library, file)
        with library.view() as view:
            counts = view.counts()
            assert (counts.files, counts.files_pending, counts.files_set_aside, counts.files_missing) == (
                1,
                pending,
                set_aside,
                missing,
            )
            assert view.pending_files(10) == [file] * pending
            assert list(view.problems()) == [file] * set_aside
            assert list(view.missing_files()) == [file] * missing


def test_pending_files_stop_at_the_limit(library: Library) -> None:
    put(library, *(file_of(path_of(b"%d.jpg" % n)) for n in range(100)))
    with library.view() as view:
        assert len(view.pending_files(7)) == 7
        assert view.pending_files(0) == []


def test_files_are_found_by_inode_until_their_inode_changes(library: Library) -> None:
    put(library, file_of(path_of(b"b"), 5), file_of(path_of(b"a"), 5), file_of(path_of(b"c"), 6))
    put(library, file_of(path_of(b"a"), 5, missing_since_ns=3))
    with library.view() as view:
        assert view.files_at_inode(2049, 5) == [path_of(b"a"), path_of(b"b")]
        assert view.files_at_inode(2050, 5) == []
    put(library, file_of(path_of(b"b"), 6))
    with library.view() as view:
        assert view.files_at_inode(2049, 5) == [path_of(b"a")]
        assert view.files_at_inode(2049, 6) == [path_of(b"b"), path_of(b"c")]


def test_files_of_a_content_come_present_ones_first_then_by_path(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    put(
        library,
        indexed(path_of(b"a", b"z"), one, 1),
        indexed(path_of(b"b", b"a"), one, 2, missing_since_ns=1),
        indexed(path_of(b"c", b"", OTHER_ROOT), one, 3),
        indexed(path_of(b"a", b"a"), one, 4),
        indexed(path_of(b"other"), two, 5),
    )
    with library.view() as view:
        assert [f.path.relative() for f in view.files_of(one.id)] == [b"a/a", b"z/a", b"c", b"a/b"]
        assert view.files_of(ContentId(99)) == []


def test_some_files_of_a_content_are_such_as_are_there_up_to_the_limit(library: Library) -> None:
    [content] = add_contents(library, 1)
    there = [indexed(path_of(name), content, ino) for ino, name in enumerate((b"a", b"b", b"c"))]
    put(library, *there, indexed(path_of(b"gone"), content, 9, missing_since_ns=5))
    with library.view() as view:
        assert sorted(view.some_files_of(content.id, 10), key=lambda file: file.path) == there
        for limit in (0, 1, 2):
            some = view.some_files_of(content.id, limit)
            assert len(some) == limit
            assert all(file in there for file in some)
        assert view.some_files_of(ContentId(99), 5) == []


def test_shared_contents_are_those_with_two_files_that_are_there(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    a, b, c = path_of(b"a"), path_of(b"b"), path_of(b"c")

    def shared() -> list[ContentId]:
        with library.view() as view:
            return list(view.shared_contents())

    put(library, indexed(a, one), indexed(c, two))
    assert shared() == []
    put(library, indexed(b, one, link_of_same_inode=True))  # a hard link is a file too
    assert shared() == [one.id]
    put(library, indexed(b, one, missing_since_ns=1))
    assert shared() == []
    put(library, indexed(b, two))
    assert shared() == [two.id]
    put(library, indexed(a, two))
    put(library, file_of(b))
    assert shared() == [two.id]
    with library.transaction() as txn:
        txn.remove_file(a)
    assert shared() == []


@pytest.mark.parametrize(
    "odd",
    [
        file_of(path_of(b"a", root_id=RootId(9))),
        file_of(path_of(b"a"), stage=FileStage.INDEXED),
        file_of(path_of(b"a"), content=ContentId(1)),
        file_of(path_of(b"a"), stage=FileStage.INDEXED, content=ContentId(12345)),
        file_of(path_of(b"")),
        file_of(path_of(b"a/b")),
        file_of(path_of(b"a", b"/x")),
        file_of(path_of(b"a", b"x/")),
    ],
    ids=[
        "unknown root",
        "indexed without content",
        "content without indexed",
        "unknown content",
        "no name",
        "slash",
        "absolute",
        "slash at the end",
    ],
)
def test_a_file_that_contradicts_the_library_is_refused(library: Library, odd: FileRecord) -> None:
    add_contents(library, 1)
    with library.transaction() as txn, pytest.raises(ValueError):
        txn.put_file(odd)
    with library.view() as view:
        assert view.counts().files == 0


# -------------------------------------------------------------------------------------------------------- contents


def test_a_content_is_described_until_it_is_linked(library: Library) -> None:
    (content,) = add_contents(library, 1)
    image = new_content(1).image
    assert content == ContentRecord(
        id=content.id,
        digest=new_content(1).digest,
        size_bytes=1001,
        format=image.format,
        width_px=image.width_px,
        height_px=image.height_px,
        image_digest=None,
        pixel_digest=None,
        quality=image.quality,
        capture=image.capture,
        decoder=image.decoder,
        stage=ContentStage.DESCRIBED,
        first_seen_ns=99,
        trailing_bytes=2**33,
    )
    with library.view() as view:
        assert view.content(content.id) == view.content_by_digest(content.digest) == content
        assert list(view.all_vectors()) == []
        ((waiting, descriptor),) = view.unlinked_contents(10)
        assert waiting == content.id
        np.testing.assert_allclose(descriptor.stored, unit_rows(1, 2), atol=5e-4)
        np.testing.assert_allclose(descriptor.queries, unit_rows(1, 5), atol=5e-4)
        assert view.counts().contents_unlinked == 1
    with library.transaction() as txn:
        txn.mark_linked(content.id)
        txn.mark_linked(content.id)  # nothing happens twice
    with library.view() as view:
        linked = view.content(content.id)
        assert linked == replace(content, stage=ContentStage.LINKED)
        assert view.unlinked_contents(10) == []
        assert view.counts().contents_unlinked == 0
        ((found, vectors),) = view.all_vectors()
        assert found == content.id
        np.testing.assert_array_equal(vectors, descriptor.stored)
        assert vectors.dtype == np.float32
        assert [(c.content, c.is_removal) for c in changes(view)] == [(content.id, False)]


def changes(view: LibraryView, after: int = 0) -> list[VectorChange]:
    found = view.vector_changes(Sequence(after))
    assert found is not None
    return list(found)


def test_a_known_digest_gives_the_known_content(library: Library) -> None:
    (content,) = add_contents(library, 1)
    with library.transaction() as txn:
        txn.mark_linked(content.id)
        again = txn.add_content(replace(new_content(1), first_seen_ns=500), MODEL)
        assert again == replace(content, stage=ContentStage.LINKED)
        assert txn.counts().contents == 1


def test_unlinked_contents_come_oldest_first_up_to_the_limit(library: Library) -> None:
    added = add_contents(library, *range(1, 41))
    with library.transaction() as txn:
        txn.mark_linked(added[1].id)
    with library.view() as view:
        assert [c for c, _ in view.unlinked_contents(3)] == [added[0].id, added[2].id, added[3].id]
        assert len(view.unlinked_contents(1000)) == 39


def test_one_unlinked_content_is_found_by_its_id_until_it_is_linked(library: Library) -> None:
    first, second = add_contents(library, 1, 2)
    with library.transaction() as txn:
        txn.mark_linked(first.id)
    with library.view() as view:
        assert view.unlinked_content(first.id) is None
        assert view.unlinked_content(ContentId(99)) is None
        found = view.unlinked_content(second.id)
        assert found is not None
        ((_, expected),) = view.unlinked_contents(1)
        np.testing.assert_array_equal(found.stored, expected.stored)
        np.testing.assert_array_equal(found.queries, expected.queries)


def test_contents_are_found_by_image_digest_as_long_as_they_have_it(library: Library) -> None:
    with library.transaction() as txn:
        one = txn.add_content(new_content(1, b"i" * 32), MODEL)
        two = txn.add_content(new_content(2, b"i" * 32), MODEL)
        txn.add_content(new_content(3, b"i" * 31), MODEL)
        txn.add_content(new_content(4), MODEL)
    with library.view() as view:
        assert view.contents_with_image_digest(b"i" * 32) == [one.id, two.id]
    with library.transaction() as txn:
        txn.put_content(replace(one, image_digest=b"j" * 32))
        txn.remove_content(two.id)
    with library.view() as view:
        assert view.contents_with_image_digest(b"i" * 32) == []
        assert view.contents_with_image_digest(b"j" * 32) == [one.id]


def test_what_is_learnt_later_is_put_but_an_old_copy_is_refused(library: Library) -> None:
    (content,) = add_contents(library, 1)
    later = replace(content, pixel_digest=b"p" * 32)
    with library.transaction() as txn:
        txn.put_content(later)
        txn.mark_linked(content.id)
    with library.transaction() as txn:
        for old in (later, replace(later, stage=ContentStage.LINKED, digest=b"d" * 32)):
            with pytest.raises(ValueError):
                txn.put_content(old)
        with pytest.raises(ValueError):
            txn.put_content(replace(later, id=ContentId(77)))
        with pytest.raises(ValueError):
            txn.mark_linked(ContentId(77))
    with library.view() as view:
        assert list(view.contents()) == [replace(later, stage=ContentStage.LINKED)]


def test_a_content_that_a_file_holds_is_not_removed(library: Library) -> None:
    (content,) = add_contents(library, 1)
    put(library, indexed(path_of(b"a.jpg"), content, missing_since_ns=1))
    with library.transaction() as txn, pytest.raises(ValueError, match=r"a\.jpg"):
        txn.remove_content(content.id)
    with library.view() as view:
        assert view.content(content.id) == content


def test_removing_a_content_returns_its_edges_and_leaves_nothing(library: Library) -> None:
    one, two, three = add_contents(library, 1, 2, 3)
    edges = [edge_of(one, two), edge_of(two, three), edge_of(one, three)]
    with library.transaction() as txn:
        for edge in edges:
            txn.put_edge(edge)
        for content in (one, two):
            txn.mark_linked(content.id)
        assert sorted(txn.remove_content(two.id), key=lambda e: (e.a, e.b)) == edges[:2]
        assert txn.remove_content(two.id) == []
    with library.view() as view:
        assert list(view.edges()) == [edges[2]]
        assert view.content(two.id) is None
        assert view.content_by_digest(two.digest) is None
        assert view.stored_vectors(two.id) is None
        assert [c for c, _ in view.all_vectors()] == [one.id]
        assert [(c.content, c.is_removal) for c in changes(view)] == [
            (one.id, False),
            (two.id, False),
            (two.id, True),
        ]
    with library.transaction() as txn:
        again = txn.add_content(new_content(2), MODEL)
    assert again.id not in {one.id, two.id, three.id}


@pytest.mark.parametrize(
    ("stored", "queries"), [((0, 8), (1, 8)), ((5, 8), (1, 8)), ((1, 8), (49, 8)), ((1, 8), (1, 9))]
)
def test_a_descriptor_of_odd_shape_is_refused(
    library: Library, stored: tuple[int, int], queries: tuple[int, int]
) -> None:
    odd = Descriptor(stored=np.ones(stored, np.float32), queries=np.ones(queries, np.float32))
    with library.transaction() as txn, pytest.raises(ValueError):
        txn.add_content(replace(new_content(1), descriptor=odd), MODEL)
    with library.view() as view:
        assert view.counts().contents == 0


# ----------------------------------------------------------------------------------------------------------- edges


def test_an_edge_is_replaced_and_found_from_both_ends(library: Library) -> None:
    one, two, three = add_contents(library, 1, 2, 3)
    edge = edge_of(one, two)
    bare = replace(edge.evidence, geometry=None, differences=(), noise_correlation=None)
    other = replace(edge_of(two, three), evidence=bare)
    with library.transaction() as txn:
        txn.put_edge(other)
        txn.put_edge(edge)
        txn.put_edge(replace(edge, relation=Relation.EDITED))
    with library.view() as view:
        assert view.edge(one.id, two.id) == view.edge(two.id, one.id) == replace(edge, relation=Relation.EDITED)
        assert view.edge(one.id, three.id) is None
        assert list(view.edges()) == [replace(edge, relation=Relation.EDITED), other]
        assert list(view.bonds()) == [bond_of(each) for each in view.edges()]
        assert view.counts().edges == 2


def test_the_bonds_of_edges_say_who_lacks_and_who_shows_more(library: Library) -> None:
    one, two, three = add_contents(library, 1, 2, 3)
    edges = []
    for edge, is_on_b in ((edge_of(one, two), False), (edge_of(one, three), True)):
        geometry = replace(edge.evidence.geometry, overlap_of_a=0.75, overlap_of_b=0.5)
        evidence = replace(edge.evidence, geometry=geometry, overlay_share=0.25, overlay_is_on_b=is_on_b)
        edges.append(replace(edge, evidence=evidence, probability=0.875))
    with library.transaction() as txn:
        for edge in edges:
            txn.put_edge(edge)
    with library.view() as view:
        bonds = list(view.bonds())
    assert bonds == [bond_of(edge) for edge in edges]
    assert [(bond.overlap_of_a, bond.overlap_of_b, bond.has_overlay) for bond in bonds] == [(0.75, 0.5, True)] * 2
    assert [bond.overlay_is_on_b for bond in bonds] == [False, True]
    assert [(b.tie_of_a.is_overlaid, b.tie_of_b.is_overlaid) for b in bonds] == [(True, False), (False, True)]
    assert [(b.tie_of_a.covers, b.tie_of_b.covers) for b in bonds] == [(0.5, 0.75)] * 2


def test_an_edge_needs_two_known_contents_in_order(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    edge = edge_of(one, two)
    with library.transaction() as txn:
        for odd in (replace(edge, b=ContentId(99)), replace(edge, a=edge.b, b=edge.a), replace(edge, b=edge.a)):
            with pytest.raises(ValueError):
                txn.put_edge(odd)


# ------------------------------------------------------------------------------------ further models' generations

FURTHER, OTHER_MODEL = ModelTag("further-6"), ModelTag("other-6")
FIRST_ID = ContentId(0)
GENERATION = Generation(tag=FURTHER, name="some/model \udce9", dim=6, candidate_similarity=0.75)


def six(seed: int, rows: int = 1) -> np.ndarray:
    """Vectors that half precision holds exactly."""
    return np.random.default_rng(seed).integers(-8, 8, (rows, 6)).astype(np.float32) / 8


def link_all(library: Library, contents: list[ContentRecord]) -> None:
    with library.transaction() as txn:
        for content in contents:
            txn.mark_linked(content.id)


def begin(library: Library, *generations: Generation) -> None:
    with library.transaction() as txn:
        for generation in generations:
            txn.put_generation(generation)


def test_a_generation_comes_back_and_counts_its_contents_itself(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    begin(library, GENERATION, replace(GENERATION, tag=OTHER_MODEL, name="other", contents=77))
    with library.transaction() as txn:
        assert txn.put_generation_vectors(FURTHER, {one.id: six(1, 4), two.id: six(2)}) == {one.id, two.id}
        assert txn.put_generation_vectors(FURTHER, {two.id: six(3)}) == {two.id}
        txn.put_generation(replace(GENERATION, was_complete=True, contents=99))
    with library.view() as view:
        first, second = view.generations()
        assert first == replace(GENERATION, name="some/model \\udce9", was_complete=True, contents=2)
        assert (second.tag, second.contents, second.was_complete) == (OTHER_MODEL, 0, False)
        np.testing.assert_array_equal(view.generation_vectors(FURTHER, one.id), six(1, 4))
        np.testing.assert_array_equal(view.generation_vectors(FURTHER, two.id), six(3))
        assert view.generation_vectors(OTHER_MODEL, one.id) is None
        assert view.generation_vectors(ModelTag("never"), one.id) is None
        assert [content for content, _ in view.all_generation_vectors(FURTHER, FIRST_ID)] == [one.id, two.id]
        assert [content for content, _ in view.all_generation_vectors(FURTHER, one.id)] == [two.id]
        assert list(view.all_generation_vectors(OTHER_MODEL, FIRST_ID)) == []


def test_the_built_in_descriptor_is_no_generation_and_none_is_mistaken_for_it(library: Library) -> None:
    [one] = add_contents(library, 1)
    link_all(library, [one])
    begin(library, GENERATION)
    with library.transaction() as txn:
        txn.put_generation_vectors(FURTHER, {one.id: six(1)})
    with library.view() as view:
        assert [g.tag for g in view.generations()] == [FURTHER]
        [(content, vectors)] = view.all_vectors()
        assert (content, vectors.shape) == (one.id, (2, 8))


def test_what_lacks_vectors_is_named_up_to_the_first_content_that_is_not_linked(library: Library) -> None:
    contents = add_contents(library, 1, 2, 3, 4, 5)
    ids = [content.id for content in contents]
    link_all(library, [contents[i] for i in (0, 1, 2, 4)])
    begin(library, GENERATION, replace(GENERATION, tag=OTHER_MODEL))
    with library.transaction() as txn:
        txn.put_generation_vectors(FURTHER, {ids[1]: six(1)})
    with library.view() as view:
        assert list(view.contents_without(FURTHER, FIRST_ID)) == [ids[0], ids[2]]
        assert list(view.contents_without(FURTHER, ids[0])) == [ids[2]]
        assert list(view.contents_without(OTHER_MODEL, FIRST_ID)) == ids[:3]
        assert list(view.contents_without(ModelTag("never"), FIRST_ID)) == ids[:3]
    link_all(library, [contents[3]])
    with library.view() as view:
        assert list(view.contents_without(FURTHER, ids[0])) == ids[2:]
        assert list(view.contents_without(FURTHER, ids[4])) == []


def test_many_contents_are_gone_through_however_many_have_vectors(library: Library) -> None:
    contents = add_contents(library, *range(1, 2501))
    link_all(library, contents)
    begin(library, GENERATION)
    lacking = [contents[i].id for i in (0, 1023, 1024, 2047, 2499)]
    with library.transaction() as txn:
        txn.put_generation_vectors(FURTHER, {c.id: six(1) for c in contents if c.id not in lacking})
    with library.view() as view:
        assert list(view.contents_without(FURTHER, FIRST_ID)) == lacking
        assert view.generations()[0].contents == 2495


def test_vectors_of_a_content_go_with_it(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    begin(library, GENERATION, replace(GENERATION, tag=OTHER_MODEL))
    with library.transaction() as txn:
        for model in (FURTHER, OTHER_MODEL):
            txn.put_generation_vectors(model, {one.id: six(1), two.id: six(2)})
        txn.remove_content(one.id)
    with library.transaction() as txn:
        assert [g.contents for g in txn.generations()] == [1, 1]
        assert txn.generation_vectors(FURTHER, one.id) is None
        assert txn.put_generation_vectors(FURTHER, {one.id: six(1), two.id: six(2)}) == {two.id}
        assert [g.contents for g in txn.generations()] == [1, 1]


def test_a_generation_is_dropped_in_small_steps_and_can_begin_again(library: Library) -> None:
    contents = add_contents(library, 1, 2, 3)
    begin(library, GENERATION, replace(GENERATION, tag=OTHER_MODEL))
    with library.transaction() as txn:
        for model in (FURTHER, OTHER_MODEL):
            txn.put_generation_vectors(model, {c.id: six(c.id) for c in contents})
    with library.transaction() as txn:
        assert not txn.drop_generation(FURTHER, 2)
        assert [g.contents for g in txn.generations()] == [1, 3]
    with library.transaction() as txn:
        assert txn.drop_generation(FURTHER, 2)
        assert txn.drop_generation(FURTHER, 2)
        assert txn.drop_generation(ModelTag("never"), 2)
    with library.view() as view:
        assert [g.tag for g in view.generations()] == [OTHER_MODEL]
        assert list(view.all_generation_vectors(FURTHER, FIRST_ID)) == []
        assert len(list(view.all_generation_vectors(OTHER_MODEL, FIRST_ID))) == 3
    begin(library, replace(GENERATION, dim=4))
    with library.view() as view:
        assert [(g.tag, g.contents) for g in view.generations()] == [(FURTHER, 0), (OTHER_MODEL, 3)]


def test_a_generation_takes_no_vectors_but_its_own(library: Library) -> None:
    [one] = add_contents(library, 1)
    begin(library, GENERATION)
    with library.transaction() as txn:
        for model, vectors in (
            (ModelTag("never"), six(1)),
            (FURTHER, unit_rows(1, 1)),  # of another length
            (FURTHER, six(1, 5)),
            (FURTHER, six(1)[0]),
            (FURTHER, six(1).astype(np.float64)),
        ):
            with pytest.raises(ValueError):
                txn.put_generation_vectors(model, {one.id: vectors})
        txn.put_generation_vectors(FURTHER, {one.id: six(1)})
        with pytest.raises(ValueError):
            txn.put_generation(replace(GENERATION, dim=4))


def test_suggested_pairs_wait_until_they_are_removed_and_those_with_an_edge_are_left_out(library: Library) -> None:
    one, two, three = add_contents(library, 1, 2, 3)
    with library.transaction() as txn:
        txn.put_edge(edge_of(one, two))
        assert txn.suggest_pairs([(one.id, two.id), (two.id, three.id), (one.id, three.id)]) == 2
        assert txn.suggest_pairs([(two.id, three.id)]) == 0
        with pytest.raises(ValueError):
            txn.suggest_pairs([(three.id, one.id)])
    with library.transaction() as txn:
        assert txn.suggested_pairs(10) == [(one.id, three.id), (two.id, three.id)]
        assert txn.suggested_pairs(1) == [(one.id, three.id)]
        assert txn.counts().pairs_suggested == 2
        txn.remove_content(three.id)
        txn.remove_suggested([(one.id, three.id), (two.id, three.id), (one.id, two.id)])
        assert (txn.suggested_pairs(10), txn.counts().pairs_suggested) == ([], 0)


# ------------------------------------------------------------------------------------------- verdicts and tombstones

LOW, MIDDLE, HIGH = (bytes([first]) * 32 for first in (0, 7, 255))
VERDICT = NotDuplicate(a=LOW, b=HIGH, said_at_ns=1_700_000_000_000_000_000)
PIN = Pin(digest=MIDDLE, path=path_of(b"\xff.jpg"), said_at_ns=5)
TOMBSTONE = Tombstone(digest=HIGH, cleaned_at_ns=6, plan="ab" * 32, path=b"/photos/\xff.jpg", kept=b"/cards/a.jpg")


def test_what_was_said_of_a_pair_is_found_in_any_order(library: Library) -> None:
    other = NotDuplicate(a=LOW, b=MIDDLE, said_at_ns=2)
    with library.transaction() as txn:
        txn.put_verdict(VERDICT)
        txn.put_verdict(other)
        assert txn.verdict(LOW, HIGH) == txn.verdict(HIGH, LOW) == VERDICT
    with library.view() as view:
        assert view.verdict(HIGH, LOW) == VERDICT
        assert view.verdict(MIDDLE, HIGH) is None
        assert view.verdict(LOW, LOW) is None
        assert view.verdicts() == [other, VERDICT]
    with library.transaction() as txn:
        txn.put_verdict(replace(VERDICT, said_at_ns=3))
        assert txn.verdict(LOW, HIGH) == replace(VERDICT, said_at_ns=3)
        assert txn.remove_verdict(HIGH, LOW)
        assert not txn.remove_verdict(LOW, HIGH)
        assert txn.verdicts() == [other]


def test_a_pin_and_a_tombstone_are_found_by_digest(library: Library) -> None:
    with library.transaction() as txn:
        txn.put_pin(PIN)
        txn.put_tombstone(TOMBSTONE)
    with library.view() as view:
        assert (view.pin(MIDDLE), view.pins()) == (PIN, [PIN])
        assert (view.tombstone(HIGH), list(view.tombstones())) == (TOMBSTONE, [TOMBSTONE])
        assert (view.pin(HIGH), view.tombstone(MIDDLE), view.pin(b""), view.tombstone(b"")) == (None,) * 4
    with library.transaction() as txn:
        txn.put_tombstone(replace(TOMBSTONE, cleaned_at_ns=9))
        assert txn.tombstone(HIGH) == replace(TOMBSTONE, cleaned_at_ns=9)
        assert txn.remove_pin(MIDDLE)
        assert txn.remove_tombstone(HIGH)
        assert not txn.remove_pin(MIDDLE)
        assert not txn.remove_tombstone(HIGH)
        assert (txn.pins(), list(txn.tombstones())) == ([], [])


def test_what_was_said_outlives_the_contents_and_the_roots_that_it_is_about(library: Library) -> None:
    one, two = add_contents(library, 1, 2)
    said = NotDuplicate(a=min(one.digest, two.digest), b=max(one.digest, two.digest), said_at_ns=1)
    with library.transaction() as txn:
        txn.put_verdict(said)
        txn.put_pin(replace(PIN, digest=one.digest))
        txn.put_tombstone(replace(TOMBSTONE, digest=two.digest))
        for content in (one, two):
            txn.remove_content(content.id)
        txn.remove_root(ROOT)
    again = add_contents(library, 2, 1)
    assert {c.id for c in again}.isdisjoint({one.id, two.id})
    with library.view() as view:
        assert view.verdict(again[0].digest, again[1].digest) == said
        assert view.pin(one.digest) == replace(PIN, digest=one.digest)
        assert view.tombstone(two.digest) == replace(TOMBSTONE, digest=two.digest)


def test_what_is_no_digest_or_out_of_order_is_refused(library: Library) -> None:
    with library.transaction() as txn:
        for odd in (
            replace(VERDICT, a=HIGH, b=LOW),
            replace(VERDICT, b=LOW),
            replace(VERDICT, b=HIGH + b"1"),
            replace(VERDICT, a=b""),
        ):
            with pytest.raises(ValueError):
                txn.put_verdict(odd)
        with pytest.raises(ValueError):
            txn.put_pin(replace(PIN, digest=b"short"))
        with pytest.raises(ValueError):
            txn.put_tombstone(replace(TOMBSTONE, digest=b""))
        assert (txn.verdicts(), txn.pins(), list(txn.tombstones())) == ([], [], [])


# ---------------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_events_come_back_as_they_were_told(library: Library, fact: Fact) -> None:
    with library.transaction() as txn:
        sequence = txn.append(fact, 1_700_000_000_000_000_000)
    with library.view() as view:
        (event,) = view.events(Sequence(0), 10)
        assert (event.sequence, event.at_ns, event.fact) == (sequence, 1_700_000_000_000_000_000, fact)


def test_events_and_vector_changes_share_one_rising_number(library: Library) -> None:
    (content,) = add_contents(library, 1)
    with library.transaction() as txn:
        first = txn.append(FACTS[0], 1)
        txn.mark_linked(content.id)
        second = txn.append(FACTS[1], 2)
    with library.view() as view:
        (change,) = changes(view)
        assert [first, change.sequence, second] == [1, 2, 3]
        assert view.sequence() == 3
        assert [e.sequence for e in view.events(Sequence(0), 10)] == [1, 3]
        assert [e.sequence for e in view.events(first, 10)] == [3]
        assert [e.sequence for e in view.events(Sequence(0), 1)] == [1]
        assert changes(view, 2) == []


def test_trimmed_events_are_a_gap_that_can_be_seen(library: Library) -> None:
    for at in range(5):
        with library.transaction() as txn:
            txn.append(FACTS[0], at)
    with library.transaction() as txn:
        assert txn.trim_events(2) == 3
        assert txn.trim_events(2) == 0
    with library.view() as view:
        assert view.oldest_event() == 4
        assert [e.at_ns for e in view.events(Sequence(0), 10)] == [3, 4]
        assert view.counts().events == 2
    with library.transaction() as txn:
        txn.trim_events(0)
        assert txn.oldest_event() == txn.sequence() + 1 == 6


def test_a_trimmed_vector_log_says_so_to_who_needs_the_trimmed_part(library: Library) -> None:
    added = add_contents(library, 1, 2, 3)
    for content in added:
        with library.transaction() as txn:
            txn.mark_linked(content.id)
    with library.transaction() as txn:
        assert txn.trim_vector_log(Sequence(3)) == 2
        assert txn.trim_vector_log(Sequence(3)) == 0
    with library.view() as view:
        assert view.vector_changes(Sequence(1)) is None
        assert [c.content for c in changes(view, 2)] == [added[2].id]
        assert changes(view, 3) == []


def test_cursors_are_kept_by_name(library: Library) -> None:
    with library.transaction() as txn:
        txn.set_cursor("alerts", Sequence(7))
        txn.set_cursor("köche", Sequence(1))
        txn.set_cursor("alerts", Sequence(9))
    with library.view() as view:
        assert (view.cursor("alerts"), view.cursor("köche"), view.cursor("x")) == (9, 1, 0)


def test_a_waiting_thread_wakes_at_the_commit_of_a_newer_event(library: Library) -> None:
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(library.wait_for_events(Sequence(1), 20)))
    waiter.start()
    with library.transaction() as txn:
        txn.append(FACTS[0], 1)
    assert not library.wait_for_events(Sequence(1), 0)
    assert library.wait_for_events(Sequence(0), 0)
    with library.transaction() as txn:
        txn.append(FACTS[0], 1)
        assert not library.wait_for_events(Sequence(1), 0)  # not committed yet
    waiter.join(20)
    assert answers == [True]


def test_waiting_ends_when_the_library_is_closed(library: Library) -> None:
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(library.wait_for_events(Sequence(0), 60)))
    waiter.start()
    library.close()
    waiter.join(20)
    assert answers == [False]


def test_a_listener_hears_after_the_commit_of_what_may_be_grouped_otherwise_now(library: Library) -> None:
    heard: list[frozenset[ContentId]] = []
    library.on_changed_contents(heard.append)

    def told(change: Callable[[LibraryTransaction], object]) -> frozenset[ContentId]:
        heard.clear()
        with library.transaction() as txn:
            change(txn)
            assert heard == []
        return frozenset[ContentId]().union(*heard)

    with library.transaction() as txn:
        txn.put_root(root(ROOT, b"/photos"))
        one, two, three = (txn.add_content(new_content(seed), MODEL) for seed in (1, 2, 3))
    file = indexed(path_of(b"a"), one)
    assert told(lambda txn: txn.put_file(file)) == {one.id}
    assert told(lambda txn: txn.put_file(file)) == frozenset()
    moved = replace(file, stat=replace(file.stat, ino=file.stat.ino + 1))
    assert told(lambda txn: txn.put_file(moved)) == {one.id}, "a hard link may have become a file of its own"
    assert told(lambda txn: txn.put_file(indexed(path_of(b"a"), two))) == {one.id, two.id}
    assert told(lambda txn: txn.put_file(replace(indexed(path_of(b"a"), two), missing_since_ns=1))) == {two.id}
    assert told(lambda txn: txn.remove_file(path_of(b"a"))) == frozenset(), "it was not there any more"
    assert told(lambda txn: txn.put_edge(edge_of(one, two))) == {one.id, two.id}
    assert told(lambda txn: txn.put_content(replace(one, pixel_digest=b"p" * 32))) == {one.id}
    assert told(lambda txn: txn.put_pin(replace(PIN, digest=one.digest))) == {one.id}
    assert told(lambda txn: txn.remove_pin(one.digest)) == {one.id}
    said = replace(VERDICT, a=min(one.digest, three.digest), b=max(one.digest, three.digest))
    assert told(lambda txn: txn.put_verdict(said)) == {one.id, three.id}
    assert told(lambda txn: txn.remove_verdict(said.b, said.a)) == {one.id, three.id}
    assert told(lambda txn: txn.remove_content(two.id)) == {one.id, two.id}
    assert told(lambda txn: txn.append(FACTS[0], 1)) == frozenset()


def test_a_transaction_that_is_given_up_is_not_heard_of(library: Library) -> None:
    heard: list[frozenset[ContentId]] = []
    library.on_changed_contents(heard.append)

    def break_off() -> None:
        with library.transaction() as txn:
            txn.put_root(root(ROOT, b"/photos"))
            txn.put_file(indexed(path_of(b"a"), txn.add_content(new_content(1), MODEL)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert heard == []


def test_closing_twice_is_no_error_and_a_closed_library_refuses_work(library: Library) -> None:
    library.close()
    library.close()
    with pytest.raises(Exception, match="closed"), library.view() as view:
        view.counts()
    with pytest.raises(Exception, match="closed"), library.transaction() as txn:
        txn.new_root_id()


# --------------------------------------------------------------------------------------------------------- reopening


@pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
def test_all_is_there_after_reopening(make: Callable[[Path], Library], tmp_path: Path) -> None:
    library = make(tmp_path)
    with library.transaction() as txn:
        fill(txn)
    with library.view() as view:
        before = everything(view)
    library.close()
    library = make(tmp_path)
    with library.view() as view:
        assert everything(view) == before
    assert library.wait_for_events(Sequence(0), 0)
    library.close()


def fill(txn: LibraryTransaction) -> None:
    txn.put_root(root(ROOT, b"/photos"))
    one, two = (txn.add_content(new_content(seed), MODEL) for seed in (1, 2))
    txn.put_file(indexed(path_of(b"a"), one))
    txn.put_file(indexed(path_of(b"b"), one))
    txn.put_edge(edge_of(one, two))
    txn.mark_linked(two.id)
    txn.put_verdict(VERDICT)
    txn.put_pin(PIN)
    txn.put_tombstone(TOMBSTONE)
    txn.put_generation(GENERATION)
    txn.put_generation_vectors(FURTHER, {one.id: six(1)})
    txn.suggest_pairs([(one.id, ContentId(two.id + 1))])
    txn.append(FACTS[0], 5)
    txn.set_cursor("alerts", Sequence(1))


def everything(view: LibraryView) -> list[object]:
    return [
        view.roots(),
        list(view.files()),
        list(view.contents()),
        list(view.edges()),
        [view.verdicts(), view.pins(), list(view.tombstones())],
        [view.generations(), view.suggested_pairs(10), list(view.contents_without(FURTHER, FIRST_ID))],
        [(content, rows.tolist()) for content, rows in view.all_generation_vectors(FURTHER, FIRST_ID)],
        view.events(Sequence(0), 100),
        changes(view),
        view.counts(),
        view.sequence(),
        list(view.shared_contents()),
        view.cursor("alerts"),
        [(content, vectors.tolist()) for content, vectors in view.all_vectors()],
        [(content, d.stored.tolist(), d.queries.tolist()) for content, d in view.unlinked_contents(10)],
    ]


# ------------------------------------------------------------------------------------------ the part an index reads


class LmdbShelf:
    """Links and forgets in the real store, as `VectorLibrary` does in memory."""

    def __init__(self, folder: Path) -> None:
        self.library = LmdbLibrary(folder / "state")

    def link(self, *seeds: int) -> None:
        with self.library.transaction() as txn:
            for seed in seeds:
                txn.mark_linked(txn.add_content(new_content(seed), MODEL).id)

    def forget(self, *contents: ContentId) -> None:
        with self.library.transaction() as txn:
            for content in contents:
                txn.remove_content(content)

    def trim_log(self) -> None:
        with self.library.transaction() as txn:
            txn.trim_vector_log(Sequence(txn.sequence() + 1))

    def close(self) -> None:
        self.library.close()


class MemoryShelf:
    """The stand-in that the index's tests use."""

    def __init__(self, _: Path) -> None:
        self.library = VectorLibrary()
        self.link, self.forget, self.trim_log = self.library.link, self.library.forget, self.library.trim_log

    def close(self) -> None:
        assert self.library.open_views == 0


VECTOR_SHELVES = {"lmdb": LmdbShelf, "in-memory": MemoryShelf}


@pytest.fixture(params=sorted(VECTOR_SHELVES))
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LmdbShelf | MemoryShelf]:
    shelf = VECTOR_SHELVES[request.param](tmp_path)
    yield shelf
    shelf.close()


def test_an_index_reads_the_vectors_of_what_is_linked(shelf: LmdbShelf | MemoryShelf) -> None:
    with shelf.library.view() as view:
        assert (view.sequence(), list(view.all_vectors()), changes(view)) == (0, [], [])
    shelf.link(1, 2, 3)
    shelf.forget(ContentId(2))
    with shelf.library.view() as view:
        vectors = dict(view.all_vectors())
        assert sorted(vectors) == [1, 3]
        assert (view.counts().contents, view.counts().contents_unlinked) == (2, 0)
        assert view.stored_vectors(ContentId(2)) is None
        for content, rows in vectors.items():
            stored = view.stored_vectors(content)
            assert stored is not None
            assert stored.dtype == np.float32
            assert np.array_equal(stored, rows)
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3)  # the store keeps 16 bits
        together = view.stored_vectors_of([ContentId(3), ContentId(2), ContentId(1), ContentId(3)])
        assert together[1] is None
        for content, rows in zip((3, 1, 3), together[:1] + together[2:], strict=True):
            assert rows is not None
            assert rows.dtype == np.float32
            assert np.array_equal(rows, vectors[ContentId(content)])
        assert view.stored_vectors_of([]) == []


def test_an_index_catches_up_from_the_log_as_far_as_it_reaches(shelf: LmdbShelf | MemoryShelf) -> None:
    shelf.link(1, 2)
    shelf.forget(ContentId(1))
    with shelf.library.view() as view:
        log = changes(view)
        assert [(change.content, change.is_removal) for change in log] == [(1, False), (2, False), (1, True)]
        assert [change.sequence for change in log] == sorted({change.sequence for change in log})
        assert log[-1].sequence == view.sequence()
        assert changes(view, log[1].sequence) == log[2:]
        assert changes(view, view.sequence()) == []
    shelf.trim_log()
    with shelf.library.view() as view:
        assert view.vector_changes(log[1].sequence) is None
        assert changes(view, log[2].sequence) == []
