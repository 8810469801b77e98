"""A backup of a running daemon, taken back into an empty directory, answers as before; and nothing is overwritten."""

import os
import subprocess
import sys
import tarfile
import threading

import pytest

from dedupd.core.errors import AlreadyRunningError, StopError, StoreDamagedError
from dedupd.core.records import RootRecord, RootState
from dedupd.daemon.backup import back_up, backup_pieces, restore
from dedupd.store import LmdbLibrary


@pytest.fixture
def state(tmp_path):
    state = tmp_path / "state"
    library = LmdbLibrary(state)
    put_root(library, b"/first")
    library.close()
    (state / "plans").mkdir()
    (state / "plans" / ("a" * 64 + ".plan")).write_bytes(b"a plan")
    (state / "plans" / ".half.tmp").write_bytes(b"not finished")
    (state / "actor").mkdir()
    (state / "actor" / "000001.journal").write_bytes(b"a journal")
    (state / "previews").mkdir(exist_ok=True)
    return state


def put_root(library, path):
    with library.transaction() as txn:
        txn.put_root(
            RootRecord(
                id=txn.new_root_id(),
                path=path,
                identity=None,
                state=RootState.ONLINE,
                state_reason="",
                last_full_scan_ns=None,
                added_at_ns=1,
            )
        )


def roots(state):
    library = LmdbLibrary(state)
    try:
        with library.view() as view:
            return [root.path for root in view.roots()]
    finally:
        library.close()


def test_what_is_restored_is_what_was_backed_up(tmp_path, state):
    back_up(state, None, tmp_path / "b.tar")
    again = tmp_path / "again"
    assert restore(tmp_path / "b.tar", again).is_clean
    assert roots(again) == [b"/first"]
    assert (again / "plans" / ("a" * 64 + ".plan")).read_bytes() == b"a plan"
    assert (again / "actor" / "000001.journal").read_bytes() == b"a journal"
    assert not (again / "plans" / ".half.tmp").exists()
    assert oct((again / "library" / "data.mdb").stat().st_mode & 0o777) == "0o600"


def test_a_copy_of_a_store_that_is_written_to_meanwhile_is_whole(tmp_path, state):
    library = LmdbLibrary(state)
    stop, written = threading.Event(), []

    def write():
        while not stop.is_set():
            put_root(library, b"/%d" % len(written))
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            with (tmp_path / "copy").open("w+b") as copy, (tmp_path / f"{number}.tar").open("wb") as out:
                library.copy_to(copy)
                out.writelines(backup_pieces(state, copy))
    finally:
        stop.set()
        writer.join()
        library.close()
    for number in range(5):
        assert restore(tmp_path / f"{number}.tar", tmp_path / str(number)).is_clean


def test_nothing_is_overwritten(tmp_path, state):
    (tmp_path / "b.tar").write_bytes(b"mine")
    with pytest.raises(StopError, match="there already"):
        back_up(state, None, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == b"mine"
    back_up(state, None, tmp_path / "c.tar")
    with pytest.raises(StopError, match="empty directory"):
        restore(tmp_path / "c.tar", state)
    assert roots(state) == [b"/first"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_restore_beside_a_daemon_is_refused(tmp_path, state):
    back_up(state, None, tmp_path / "b.tar")
    library = LmdbLibrary(state)
    with pytest.raises(AlreadyRunningError):
        restore(tmp_path / "b.tar", state)
    library.close()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "library/../../evil", "previews/1.jpg"])
def test_a_tar_file_with_anything_else_in_it_is_refused_and_leaves_nothing(tmp_path, state, name):
    back_up(state, None, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(StopError, match="no backup"):
        restore(tmp_path / "b.tar", tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["lock"]
    assert not (tmp_path / "evil").exists()


def test_a_damaged_store_in_a_backup_is_not_restored(tmp_path, state):
    back_up(state, None, tmp_path / "b.tar")
    bytes_ = bytearray((tmp_path / "b.tar").read_bytes())
    at = bytes_.index(b"/first")
    bytes_[at : at + 6] = b"/fiRst"
    (tmp_path / "b.tar").write_bytes(bytes_)
    with pytest.raises(StoreDamagedError):
        restore(tmp_path / "b.tar", tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["lock"]


def test_a_running_daemon_gives_its_backup_and_stays_paused_over_a_restart(tmp_path, make_daemon):
    photos = tmp_path / "photos"
    photos.mkdir()
    daemon = make_daemon(photos).start()
    assert "until" in daemon.ctl("pause", "2h").stdout
    target = tmp_path / "running.tar"
    command = [sys.executable, "-m", "dedupd.daemon.main", "backup", target, "--socket", daemon.socket]
    said = subprocess.run([*command, "--state-dir", daemon.state], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert restore(target, tmp_path / "again").is_clean
    assert roots(tmp_path / "again") == [os.fsencode(photos)]
    daemon.stop()
    daemon.start()
    assert daemon.json("status")["hold"]["reason"] == "paused"
    assert daemon.json("resume")["hold"] is None
    assert [event["is_paused"] for event in daemon.events("pause-changed")] == [True, False]
