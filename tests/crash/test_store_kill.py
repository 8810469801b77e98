"""A killed process, a full disk, a map that is too small: nothing that the store acknowledged is ever lost."""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.core.errors import AlreadyRunningError, DiskFullError
from dedupd.core.records import RootId, RootRecord, RootState, Sequence
from dedupd.store import LmdbLibrary, check

# One batch touches every table: numbered contents, files, an edge to the batch before, events, a cursor. Each batch is
# acknowledged on standard output after its commit.
WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from dedupd.core.events import FileSetAside
from dedupd.core.ports import DecodedImage, Descriptor, NewContent
from dedupd.core.records import *
from dedupd.store import LmdbLibrary

library = LmdbLibrary(Path(sys.argv[1]))
vectors = np.eye(4, 64, dtype=np.float32)
evidence = Evidence(method="none", similarity=1.0, geometry=None, residual_low=0.0, worst_region=0.0, motion_px=0.0,
                    tone_change=0.0)
os.write(1, b"ready\\n")
for number in range(int(sys.argv[2]), 1 << 30):
    with library.transaction() as txn:
        txn.put_root(RootRecord(id=RootId(1), path=b"/", identity=None, state=RootState.ONLINE, state_reason="",
                                last_full_scan_ns=number, added_at_ns=0))
        for part in range(3):
            content = txn.add_content(NewContent(
                digest=number.to_bytes(16, "big") + part.to_bytes(16, "big"), size_bytes=number,
                image=DecodedImage(format="JPEG", width_px=1, height_px=1, image_digest=b"i%d" % (number % 7),
                                   capture=Capture(), quality=Quality(sharpness=0.0, information=0.0), decoder="d",
                                   small=np.zeros((1, 1, 3), np.uint8), preview=b""),
                descriptor=Descriptor(stored=vectors, queries=np.tile(vectors, (4, 1))), first_seen_ns=number), "m")
            path = FilePath(root=RootId(1), directory=b"%d" % (number // 10), name=b"%d-%d" % (number, part))
            txn.put_file(FileRecord(path=path, stat=FileStat(dev=1, ino=number, size_bytes=1, mtime_ns=0, ctime_ns=0),
                                    stage=FileStage.INDEXED, content=content.id, first_seen_ns=0))
        if part and number % 2:
            txn.mark_linked(content.id)
        if content.id > 3:
            txn.put_edge(Edge(a=ContentId(content.id - 3), b=content.id, relation=Relation.EDITED, similarity=1.0,
                              reason="r", evidence=evidence, verifier="v", found_at_ns=number))
        txn.append(FileSetAside(path=path, code=ProblemCode.EMPTY, detail=str(number)), number)
        if number > 20:
            old = FilePath(root=RootId(1), directory=b"%d" % ((number - 20) // 10), name=b"%d-0" % (number - 20))
            txn.remove_file(old)
        txn.trim_events(50)
        txn.set_cursor("batch", number)
    os.write(1, b"%d\\n" % number)
"""


def start_writer(state_dir: Path, first: int) -> subprocess.Popen[bytes]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(state_dir), str(first)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    return writer


def kill_at_a_random_moment(writer: subprocess.Popen[bytes], luck: random.Random) -> int:
    """Let it commit some batches, kill it somewhere in the next ones; returns the last one acknowledged."""
    assert writer.stdout is not None
    acknowledged = b""
    for _ in range(luck.randint(1, 10)):
        acknowledged = writer.stdout.readline()
    until = time.monotonic() + luck.uniform(0, 0.004)
    while time.monotonic() < until and not select.select([writer.stdout], [], [], 0)[0]:
        pass  # a moment inside one of the transactions, which last about a millisecond each
    os.kill(writer.pid, signal.SIGKILL)
    lines = [acknowledged, *writer.stdout.read().splitlines(keepends=True)]
    writer.wait()
    writer.stdout.close()
    return int([line for line in lines if line.endswith(b"\n")][-1])


def assert_holds_whole_batches(state_dir: Path, acknowledged: int) -> int:
    """Nothing acknowledged is lost, nothing is there in part; returns the newest batch that is there."""
    report = check(state_dir)
    assert report.is_clean, report.findings
    library = LmdbLibrary(state_dir)
    assert not library.was_closed_cleanly
    with library.view() as view:
        newest = int(view.cursor("batch"))
        assert acknowledged <= newest <= acknowledged + 1  # a commit may be durable before its acknowledgement
        assert view.counts().contents == 3 * newest
        parts = {file.path.name for file in view.files()}
        assert parts == {
            b"%d-%d" % (number, part)
            for number in range(1, newest + 1)
            for part in range(3)
            if part or number > newest - 20
        }
        assert [e.at_ns for e in view.events(Sequence(0), 100)] == list(range(max(1, newest - 49), newest + 1))
        assert view.counts().edges == newest - 1
        record = view.root(RootId(1))
        assert record is not None
        assert record.last_full_scan_ns == newest
    library.close()
    return newest


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    luck = random.Random(20240607)
    newest = 0
    for _ in range(12):
        writer = start_writer(tmp_path, newest + 1)
        acknowledged = kill_at_a_random_moment(writer, luck)
        newest = assert_holds_whole_batches(tmp_path, acknowledged)


def test_a_second_process_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    first = start_writer(tmp_path, 1)
    try:
        with pytest.raises(AlreadyRunningError, match=rf"process {first.pid} uses"):
            LmdbLibrary(tmp_path)
        with pytest.raises(AlreadyRunningError, match=str(first.pid)):
            check(tmp_path)
    finally:
        first.kill()
        first.communicate()
    LmdbLibrary(tmp_path).close()  # the kernel gave the lock back


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 3 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "dedupd-test", str(mounted)],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"NOT TESTED, a full disk: mounting a tmpfs needs root: {mount.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def fill_until_it_fails(library: LmdbLibrary) -> tuple[int, DiskFullError]:
    """Commit numbered roots with long reasons; returns the last one acknowledged and what ended it."""
    for number in range(1, 10_000):
        try:
            with library.transaction() as txn:
                txn.put_root(numbered_root(number))
                txn.set_cursor("last", Sequence(number))
        except DiskFullError as error:
            return number - 1, error
    raise AssertionError("the disk never filled up")


def numbered_root(number: int) -> RootRecord:
    return RootRecord(
        id=RootId(number),
        path=b"/%d" % number,
        identity=None,
        state=RootState.SUSPECT,
        state_reason="x" * 3000,
        last_full_scan_ns=None,
        added_at_ns=0,
    )


def assert_has_exactly(library: LmdbLibrary, acknowledged: int) -> None:
    with library.view() as view:
        assert view.cursor("last") == acknowledged
        assert view.roots() == [numbered_root(number) for number in range(1, acknowledged + 1)]


def test_a_full_disk_stops_the_store_and_loses_nothing(small_disk: Path) -> None:
    state_dir = small_disk / "state"
    library = LmdbLibrary(state_dir)
    acknowledged, error = fill_until_it_fails(library)
    assert acknowledged > 10
    assert str(state_dir) in str(error)
    assert "Free some space" in str(error)
    for _ in range(2):  # refused at once, whatever the disk says by now
        with pytest.raises(DiskFullError), library.transaction() as txn:
            txn.put_root(numbered_root(9999))
    assert library.wait_for_events(Sequence(10**9), 60) is False  # nobody is left waiting
    library.close()

    assert check(state_dir).is_clean
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    library = LmdbLibrary(state_dir)
    assert_has_exactly(library, acknowledged)
    with library.transaction() as txn:
        txn.put_root(numbered_root(acknowledged + 1))
    library.close()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_opening_on_a_full_disk_says_so(small_disk: Path) -> None:
    fill(small_disk / "photos")
    with pytest.raises(DiskFullError, match="Free some space"):
        LmdbLibrary(small_disk / "state")


def test_a_store_that_outgrew_its_map_opens_with_a_larger_one(tmp_path: Path) -> None:
    library = LmdbLibrary(tmp_path, map_bytes=1 << 20)
    acknowledged, error = fill_until_it_fails(library)
    assert "Start dedupd again" in str(error)
    library.close()
    library = LmdbLibrary(tmp_path, map_bytes=1 << 20)
    assert_has_exactly(library, acknowledged)
    with library.transaction() as txn:
        txn.put_root(numbered_root(acknowledged + 1))
    library.close()
    assert check(tmp_path).is_clean
