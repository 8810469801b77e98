"""`check` finds what is wrong, wherever it is, and nothing in a sound store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import lmdb
import numpy as np
import pytest

from dedupd.core import stat_key
from dedupd.core.errors import StoreDamagedError
from dedupd.core.events import Degraded
from dedupd.core.generation import Generation
from dedupd.core.ports import DecodedImage, Descriptor, NewContent
from dedupd.core.records import (
    Capture,
    ContentId,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootRecord,
    RootState,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store import LmdbLibrary, check, repair
from dedupd.store.environment import Tables
from dedupd.store.frame import framed, number_body

STAT = FileStat(dev=3, ino=5, size_bytes=0x1122_3344_5566, mtime_ns=7, ctime_ns=8)
PATH = FilePath(root=RootId(1), directory=b"d", name=b"a")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A store with at least one row in every table."""
    library = LmdbLibrary(tmp_path)
    with library.transaction() as txn:
        txn.put_root(
            RootRecord(
                id=RootId(1),
                path=b"/photos",
                identity=None,
                state=RootState.ONLINE,
                state_reason="",
                last_full_scan_ns=None,
                added_at_ns=0,
            )
        )
        one, two, _ = (txn.add_content(new_content(seed), ModelTag("m")) for seed in (1, 2, 3))
        aside = Problem(code=ProblemCode.EMPTY, detail="", at_ns=0, retry_at_ns=None)
        for name, stage, content, missing in [
            (b"a", FileStage.INDEXED, one.id, None),
            (b"b", FileStage.INDEXED, one.id, None),
            (b"c", FileStage.PENDING, None, None),
            (b"d", FileStage.SET_ASIDE, None, None),
            (b"e", FileStage.INDEXED, two.id, 4),
        ]:
            txn.put_file(
                FileRecord(
                    path=FilePath(root=RootId(1), directory=b"d", name=name),
                    stat=STAT,
                    stage=stage,
                    content=content,
                    first_seen_ns=1,
                    missing_since_ns=missing,
                    problem=aside if stage is FileStage.SET_ASIDE else None,
                )
            )
        evidence = Evidence(
            method="none",
            similarity=1.0,
            geometry=None,
            residual_low=0.0,
            worst_region=0.0,
            motion_px=0.0,
            tone_change=0.0,
        )
        txn.put_edge(
            Edge(
                a=one.id,
                b=two.id,
                relation=Relation.EDITED,
                similarity=1.0,
                reason="",
                evidence=evidence,
                verifier="v",
                found_at_ns=1,
            )
        )
        digest, other = bytes([1]) * 32, bytes([9]) * 32  # the second is of no content that is known
        txn.put_verdict(NotDuplicate(a=digest, b=other, said_at_ns=1))
        txn.put_pin(Pin(digest=digest, path=PATH, said_at_ns=1))
        txn.put_tombstone(Tombstone(digest=other, cleaned_at_ns=1, plan="p", path=b"/a", kept=b"/b"))
        further = ModelTag("further")
        txn.put_generation(Generation(tag=further, name="a/model", dim=4, candidate_similarity=0.5))
        txn.put_generation_vectors(further, {one.id: np.ones((1, 4), np.float32)})
        txn.suggest_pairs([(one.id, ContentId(9))])  # of one that has gone since
        txn.mark_linked(one.id)
        txn.keep_fingerprint(RootId(1), b"d")
        txn.append(Degraded(what="index", message=""), 1)
        txn.set_cursor("alerts", Sequence(1))
    library.close()
    return tmp_path


def new_content(seed: int) -> NewContent:
    return NewContent(
        digest=bytes([seed]) * 32,
        size_bytes=1,
        image=DecodedImage(
            format="PNG",
            width_px=1,
            height_px=1,
            image_digest=b"i",
            capture=Capture(),
            quality=Quality(sharpness=0.0, information=0.0),
            decoder="d",
            small=np.zeros((1, 1, 3), np.uint8),
            preview=b"",
        ),
        descriptor=Descriptor(stored=np.ones((1, 4), np.float32), queries=np.ones((2, 4), np.float32)),
        first_seen_ns=1,
    )


TABLES = [field.name for field in fields(Tables)]


def rows_of(state_dir: Path, table: str) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(state_dir / "library"), max_dbs=64, map_size=1 << 24) as env:
        handle = env.open_db(table.encode(), create=False)
        with env.begin(db=handle) as txn:
            return list(txn.cursor())


def change(state_dir: Path, table: str, key: bytes, value: bytes | None) -> None:
    """Write behind the store's back."""
    with lmdb.open(str(state_dir / "library"), max_dbs=64, map_size=1 << 24) as env:
        handle = env.open_db(table.encode(), create=False)
        with env.begin(db=handle, write=True) as txn:
            if value is None:
                assert txn.delete(key)
            else:
                txn.put(key, value)


def test_a_sound_store_is_clean_and_every_table_was_counted(state_dir: Path) -> None:
    report = check(state_dir)
    assert report.findings == ()
    assert report.is_clean
    assert {name for name, rows in report.rows.items() if rows} == set(TABLES)
    assert (report.rows["files"], report.rows["contents"], report.rows["queries"]) == (5, 3, 2)


DERIVED = {"inodes", "pending", "set_aside", "missing", "content_files", "shared", "image_digests", "edge_ends"}
WITHOUT_VALUES = {*DERIVED, "suggested"}


@pytest.mark.parametrize("table", TABLES)
def test_a_flipped_bit_is_found_in_every_table_with_values(state_dir: Path, table: str) -> None:
    rows = [(key, value) for key, value in rows_of(state_dir, table) if value and key != b"schema"]
    if table in WITHOUT_VALUES:
        assert rows == []  # these have no values, only keys
        return
    for key, value in rows:
        for at in {0, len(value) // 2, len(value) - 1}:
            change(state_dir, table, key, value[:at] + bytes([value[at] ^ 4]) + value[at + 1 :])
            report = check(state_dir)
            assert (table, key.hex()) in {(f.table, f.key) for f in report.findings}
        change(state_dir, table, key, value)
    assert check(state_dir).is_clean


# Rows whose absence is not damage: numbers start at 0, a consumer or a person may never have said, and old log entries
# are trimmed.
MAY_BE_ABSENT = {
    "meta",
    "cursors",
    "outbox",
    "vector_log",
    "verdicts",
    "pins",
    "tombstones",
    "suggested",
    "fingerprints",
}


@pytest.mark.parametrize("table", [name for name in TABLES if name not in MAY_BE_ABSENT])
def test_a_lost_row_is_found_in_every_table(state_dir: Path, table: str) -> None:
    for key, value in rows_of(state_dir, table):
        change(state_dir, table, key, None)
        assert not check(state_dir).is_clean, f"{table} without {key.hex()}"
        change(state_dir, table, key, value)
    assert check(state_dir).is_clean


@pytest.mark.parametrize("table", sorted(DERIVED))
def test_a_row_too_many_is_found_in_every_derived_table(state_dir: Path, table: str) -> None:
    change(state_dir, table, b"\x00" * 24, b"")
    assert table in {f.table for f in check(state_dir).findings}


def test_the_numbers_given_are_never_behind_what_they_numbered(state_dir: Path) -> None:
    for name, table in [(b"last_root", "roots"), (b"last_content", "contents"), (b"last_event", "outbox")]:
        value = dict(rows_of(state_dir, "meta"))[name]
        change(state_dir, "meta", name, None)
        assert table in {f.table for f in check(state_dir).findings}
        change(state_dir, "meta", name, value)
    change(state_dir, "meta", b"sequence", None)
    assert {"outbox", "vector_log"} <= {f.table for f in check(state_dir).findings}


def test_keys_that_are_no_digests_are_found(state_dir: Path) -> None:
    for table, key in [
        ("verdicts", b"\2" * 32 + b"\1" * 32),
        ("verdicts", b"\1"),
        ("pins", b"\1"),
        ("tombstones", b""),
    ]:
        [(_, value)] = rows_of(state_dir, table)
        odd = key or b"\1" * 31
        change(state_dir, table, odd, framed(odd, value[4:]))
        assert (table, odd.hex()) in {(f.table, f.key) for f in check(state_dir).findings}
        change(state_dir, table, odd, None)
    assert check(state_dir).is_clean


def with_another_fingerprint(state_dir: Path) -> bytes:
    """A store whose one fingerprint is wrong, as only a fault in dedupd could leave it; returns its key."""
    [(key, _)] = rows_of(state_dir, "fingerprints")
    with lmdb.open(str(state_dir / "library"), max_dbs=64, map_size=1 << 24) as env:
        fingerprints, meta = (env.open_db(name, create=False) for name in (b"fingerprints", b"meta"))
        with env.begin(write=True) as txn:
            txn.put(key, framed(key, b"f" * 16), db=fingerprints)
            txn.put(b"closed_in", framed(b"closed_in", number_body(txn.id())), db=meta)
    return key


def test_a_fingerprint_that_is_not_its_directory_s_is_found_and_a_repair_drops_it(state_dir: Path) -> None:
    assert check(state_dir).rows["fingerprints"] == 1
    key = with_another_fingerprint(state_dir)
    assert [(f.table, f.key) for f in check(state_dir).findings] == [("fingerprints", key.hex())]
    assert repair(state_dir).after.rows["fingerprints"] == 0


def test_vectors_of_what_is_gone_and_a_pair_in_the_wrong_order_are_found(state_dir: Path) -> None:
    [(key, value)] = rows_of(state_dir, "generation_vectors")
    orphan = key[:-1] + b"\7"  # the same model, another content
    change(state_dir, "generation_vectors", orphan, framed(orphan, value[4:]))
    nobodys = b"\0\1" + key[2:]  # the built-in descriptor's number, which has no generation
    change(state_dir, "generation_vectors", nobodys, framed(nobodys, value[4:]))
    change(state_dir, "suggested", b"\2" * 8 + b"\1" * 8, b"")
    found = {(f.table, f.key) for f in check(state_dir).findings}
    assert {
        ("generation_vectors", orphan.hex()),
        ("generation_vectors", "0001"),
        ("suggested", "02" * 8 + "01" * 8),
    } <= (found)
    assert "generations" in {table for table, _ in found}  # it counts one, there are two


@pytest.fixture
def with_rot(state_dir: Path) -> Iterator[Path]:
    """The store after its disk changed one bit of the stat of each file, in the file below LMDB."""
    data = state_dir / "library/data.mdb"
    stored, good = data.read_bytes(), stat_key.pack(STAT)
    assert good in stored
    data.write_bytes(stored.replace(good, good[:16] + bytes([good[16] ^ 1]) + good[17:]))
    return state_dir


def test_bit_rot_on_the_disk_is_found(with_rot: Path) -> None:
    assert {f.table for f in check(with_rot).findings} >= {"files"}


def test_bit_rot_is_an_error_when_the_record_is_read_and_when_it_is_changed(with_rot: Path) -> None:
    library = LmdbLibrary(with_rot)
    with library.view() as view, pytest.raises(StoreDamagedError, match=r"table files .*dedupd check"):
        view.file(PATH)
    with library.transaction() as txn, pytest.raises(StoreDamagedError):
        txn.remove_file(PATH)
    library.close()


# ------------------------------------------------------------------------------------------------------------- repair


def everything(state_dir: Path) -> dict[str, list[tuple[bytes, bytes]]]:
    """All that is to be after a repair as it was before; fingerprints are only dropped."""
    return {table: rows_of(state_dir, table) for table in TABLES if table not in ("meta", "fingerprints")}


REBUILT = sorted({*DERIVED, "present_files", "digests"})


@pytest.mark.parametrize("table", REBUILT)
def test_what_is_derived_is_made_anew_as_it_was(state_dir: Path, table: str) -> None:
    before = everything(state_dir)
    for key, _ in rows_of(state_dir, table):
        change(state_dir, table, key, None)
    change(state_dir, table, b"\x00" * 23, b"")
    report = repair(state_dir)
    assert report.has_repaired
    assert report.after.is_clean
    assert everything(state_dir) == before
    assert not repair(state_dir).has_repaired


def test_a_repair_throws_the_snapshot_away(state_dir: Path) -> None:
    (state_dir / "index").mkdir()
    assert not repair(state_dir).has_repaired
    assert (state_dir / "index").is_dir()
    change(state_dir, "inodes", b"\x00" * 24, b"")
    repair(state_dir)
    assert not (state_dir / "index").exists()


@pytest.mark.parametrize("table", ["roots", "contents", "vectors", "edges", "directories"])
@pytest.mark.parametrize("is_flipped", [True, False])
def test_what_cannot_be_derived_is_refused_and_nothing_is_changed(
    state_dir: Path, table: str, is_flipped: bool
) -> None:
    key, value = rows_of(state_dir, table)[0]
    change(state_dir, table, key, value[:-1] + bytes([value[-1] ^ 1]) if is_flipped else None)
    change(state_dir, "inodes", b"\x00" * 24, b"")
    before = everything(state_dir)
    with pytest.raises(StoreDamagedError, match="nothing was changed"):
        repair(state_dir)
    assert everything(state_dir) == before
