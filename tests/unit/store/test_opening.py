"""A store opens in a safe place, in a state that it can believe, or says what to do."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

import dedupd.store
from dedupd.core.errors import AccessError, AlreadyRunningError, StopError, StoreDamagedError, StoreTooNewError
from dedupd.core.records import FilePath, FileRecord, FileStage, FileStat, RootId, RootRecord, RootState, Sequence
from dedupd.core.verdicts import NotDuplicate
from dedupd.store import LmdbLibrary, check
from dedupd.store.frame import framed, number_body
from dedupd.store.state_directory import filesystem_of, refuse_network_filesystem

MOUNTINFO = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw
30 27 0:40 / /mnt/nas rw - nfs4 nas:/photos rw
31 30 8:1 / /mnt/nas/local rw - xfs /dev/sda1 rw
32 27 8:2 / /mnt/two\040words rw - btrfs /dev/sdb1 rw
33 27 0:41 / /mnt/hidden rw - ext4 /dev/sdc1 rw
34 33 0:42 / /mnt/hidden rw - fuse.sshfs me@there: rw
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/home/me/state", "ext4"),
        (b"/mnt/nas", "nfs4"),
        (b"/mnt/nas/state", "nfs4"),
        (b"/mnt/nasty/state", "ext4"),
        (b"/mnt/nas/local/state", "xfs"),
        (b"/mnt/two words/state", "btrfs"),
        (b"/mnt/hidden/state", "fuse.sshfs"),
    ],
)
def test_the_filesystem_is_that_of_the_innermost_topmost_mount(path: bytes, kind: str) -> None:
    assert filesystem_of(path, MOUNTINFO) == kind


def test_the_filesystem_agrees_with_the_kernel_about_proc() -> None:
    assert filesystem_of(b"/proc/self", Path("/proc/self/mountinfo").read_bytes()) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse", "fuse.sshfs", "fuseblk"])
def test_a_network_filesystem_is_refused_with_the_remedy(kind: str) -> None:
    with pytest.raises(StopError, match=rf"/state: .*{re.escape(kind)}.*local disk"):
        refuse_network_filesystem(kind, Path("/state"))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "f2fs", ""])
def test_a_local_filesystem_is_accepted(kind: str) -> None:
    refuse_network_filesystem(kind, Path("/state"))


def test_only_its_owner_may_read_the_state(tmp_path: Path) -> None:
    old_umask = os.umask(0)
    try:
        LmdbLibrary(tmp_path / "new" / "state").close()
    finally:
        os.umask(old_umask)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "new/state", *tmp_path.rglob("state/**/*")]
    }
    assert modes == {"state": 0o700, "lock": 0o600, "library": 0o700, "data.mdb": 0o600}


def test_a_second_library_on_one_state_directory_is_refused(tmp_path: Path) -> None:
    library = LmdbLibrary(tmp_path)
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} uses"):
        LmdbLibrary(tmp_path)
    library.close()
    LmdbLibrary(tmp_path).close()


def test_a_store_that_was_not_closed_says_so_once(tmp_path: Path) -> None:
    assert LmdbLibrary(tmp_path / "never opened").was_closed_cleanly
    opens = "import sys, os; from pathlib import Path; from dedupd.store import LmdbLibrary"
    opens += "; library = LmdbLibrary(Path(sys.argv[1])); os._exit(0)"
    subprocess.run([sys.executable, "-c", opens, str(tmp_path)], check=True)
    assert not check(tmp_path).was_closed_cleanly
    library = LmdbLibrary(tmp_path)
    assert not library.was_closed_cleanly
    library.close()
    assert check(tmp_path).was_closed_cleanly
    library = LmdbLibrary(tmp_path)
    assert library.was_closed_cleanly
    library.close()


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    LmdbLibrary(tmp_path).close()
    with lmdb.open(str(tmp_path / "library"), max_dbs=1) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True) as txn:
            txn.put(b"schema", framed(b"schema", number_body(99)), db=meta)
    before = (tmp_path / "library/data.mdb").read_bytes()
    for refused in (LmdbLibrary, check):
        with pytest.raises(StoreTooNewError, match="schema 99"):
            refused(tmp_path)
    assert (tmp_path / "library/data.mdb").read_bytes() == before


def test_a_store_from_before_verdicts_is_checked_as_it_is_and_gets_their_tables_when_opened(tmp_path: Path) -> None:
    LmdbLibrary(tmp_path).close()
    later = (b"verdicts", b"pins", b"tombstones", b"generations", b"generation_vectors", b"suggested", b"fingerprints")
    with lmdb.open(str(tmp_path / "library"), max_dbs=64) as env:
        handles = [env.open_db(name, create=False) for name in later]
        with env.begin(write=True) as txn:
            for handle in handles:
                txn.drop(handle)
    before = (tmp_path / "library/data.mdb").read_bytes()
    report = check(tmp_path)
    assert report.is_clean
    assert report.rows["verdicts"] == 0
    assert (tmp_path / "library/data.mdb").read_bytes() == before
    verdict = NotDuplicate(a=b"1" * 32, b=b"2" * 32, said_at_ns=1)
    library = LmdbLibrary(tmp_path)
    with library.transaction() as txn:
        assert (txn.verdicts(), txn.pins(), list(txn.tombstones())) == ([], [], [])
        txn.put_verdict(verdict)
    with library.view() as view:
        assert view.verdicts() == [verdict]
    library.close()
    assert check(tmp_path).rows["verdicts"] == 1


def test_a_store_without_a_table_that_every_version_makes_is_refused(tmp_path: Path) -> None:
    LmdbLibrary(tmp_path).close()
    with lmdb.open(str(tmp_path / "library"), max_dbs=64) as env:
        edges = env.open_db(b"edges", create=False)
        with env.begin(write=True) as txn:
            txn.drop(edges)
    with pytest.raises(StopError):
        check(tmp_path)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/data.mdb").write_bytes(b"not a store" * 1000)
    with pytest.raises(StoreDamagedError, match="Your photos are not touched"):
        LmdbLibrary(tmp_path)
    assert not check(tmp_path).is_clean


@pytest.mark.parametrize("left", [0.9, 0.5, 0.1])
def test_a_store_that_was_cut_off_is_refused_and_does_not_end_the_process(tmp_path: Path, left: float) -> None:
    library = LmdbLibrary(tmp_path)
    with library.transaction() as txn:
        for number in range(1, 500):
            txn.put_root(root_with_reason(number))
    library.close()
    data = tmp_path / "library/data.mdb"
    os.truncate(data, int(data.stat().st_size * left))
    with pytest.raises(StoreDamagedError, match=r"data\.mdb ends too early"):
        LmdbLibrary(tmp_path)
    report = check(tmp_path)
    assert report.findings[0].table == "pages"
    assert report.rows == {}


def root_with_reason(number: int) -> RootRecord:
    return RootRecord(
        id=RootId(number),
        path=b"/",
        identity=None,
        state=RootState.SUSPECT,
        state_reason="x" * 1000,
        last_full_scan_ns=None,
        added_at_ns=0,
    )


def test_a_state_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StopError, match=r"file/state"):
        LmdbLibrary(tmp_path / "file" / "state")


@pytest.mark.skipif(os.geteuid() == 0, reason="NOT TESTED, a directory without permission: root may write anywhere")
def test_a_state_directory_without_permission_is_an_access_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AccessError, match="not writable"):
        LmdbLibrary(tmp_path / "state")


def test_checking_where_there_is_no_store_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="no dedupd store"):
        check(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_inside_a_transaction_is_a_mistake_that_is_named(tmp_path: Path) -> None:
    library = LmdbLibrary(tmp_path)
    with library.transaction() as outer:
        with pytest.raises(RuntimeError, match="transaction open"), library.transaction() as inner:
            inner.new_root_id()
        outer.set_cursor("kept", Sequence(1))
    with library.view() as view:
        assert view.cursor("kept") == 1
    library.close()


def with_a_fingerprint(library: LmdbLibrary) -> None:
    root = RootRecord(
        id=RootId(1),
        path=b"/photos",
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=1,
    )
    file = FileRecord(
        path=FilePath(root=root.id, directory=b"d", name=b"a.jpg"),
        stat=FileStat(dev=1, ino=2, size_bytes=3, mtime_ns=4, ctime_ns=5),
        stage=FileStage.PENDING,
        content=None,
        first_seen_ns=1,
    )
    with library.transaction() as txn:
        txn.put_root(root)
        txn.put_file(file)
        txn.keep_fingerprint(root.id, b"d")


def has_a_fingerprint(state_dir: Path) -> bool:
    library = LmdbLibrary(state_dir)
    with library.view() as view:
        kept = view.fingerprint(RootId(1), b"d")
    library.close()
    return kept is not None


def test_fingerprints_outlive_a_clean_end_but_no_other_writer_and_no_kill(tmp_path: Path) -> None:
    """An older dedupd changes files' rows and lets fingerprints stand; nobody may believe these afterwards."""
    state = tmp_path / "state"
    library = LmdbLibrary(state)
    with_a_fingerprint(library)
    shutil.copytree(state, tmp_path / "killed")  # between two transactions the file is what a kill would leave
    library.close()
    assert has_a_fingerprint(state)
    assert has_a_fingerprint(state)
    assert not has_a_fingerprint(tmp_path / "killed")
    with lmdb.open(str(state / "library"), max_dbs=64) as env, env.begin(write=True) as txn:
        txn.put(b"app_version", framed(b"app_version", b"0.1"), db=env.open_db(b"meta", txn=txn, create=False))
    assert check(state).is_clean
    assert not has_a_fingerprint(state)


def test_files_rows_are_written_and_deleted_in_one_place_that_drops_their_directory_s_fingerprint() -> None:
    places = [
        (path.name, function.name)
        for path in Path(dedupd.store.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        and re.search(
            r"(?:_put|_delete|\.put|\.delete|\.drop|\.pop|\.replace)\([^)]*tables\.files\b", ast.unparse(function)
        )
    ]
    assert places == [("writer.py", "_change_file")]
