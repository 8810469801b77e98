"""A worker gives up what decoding does not need, and its pool believes only well-formed answers."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dedupd.core.errors import RetryError
from dedupd.core.ports import Priority
from dedupd.imaging import wire
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.limits import MIB, DecodeLimits
from dedupd.imaging.worker_process import WorkerDiedError, WorkerProcess


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    os.environ["ALERT_PASSWORD"] = "swordfish"
    process = WorkerProcess(DecodeLimits())
    del os.environ["ALERT_PASSWORD"]
    yield process
    process.close()


def limit_of(pid: int, which: int) -> tuple[int, int]:
    return resource.prlimit(pid, which)


def test_it_is_locked_down(worker: WorkerProcess) -> None:
    status = Path(f"/proc/{worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert limit_of(worker.pid, resource.RLIMIT_AS) == (2048 * MIB, 2048 * MIB)
    assert limit_of(worker.pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert limit_of(worker.pid, resource.RLIMIT_CORE) == (0, 0)
    assert limit_of(worker.pid, resource.RLIMIT_NOFILE) == (32, 32)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


def test_the_kernel_takes_it_first(worker: WorkerProcess) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{worker.pid}/oom_score_adj").read_text()) == max(own, 800)


def test_it_sees_neither_our_environment_nor_our_descriptors(worker: WorkerProcess) -> None:
    assert b"swordfish" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
    targets = [link.readlink() for link in Path(f"/proc/{worker.pid}/fd").iterdir()]
    assert sorted(str(t).split(":")[0] for t in targets) == ["/dev/null"] * 3 + ["socket"]


def test_it_ends_when_the_pool_is_gone() -> None:
    process = WorkerProcess(DecodeLimits())
    process._sock.close()
    assert process._process.wait(20) == 0
    process.close()


def test_asking_a_dead_worker_says_so() -> None:
    process = WorkerProcess(DecodeLimits())
    process.kill()
    with pytest.raises(WorkerDiedError):
        process.ask(wire.Read())
    process.close()


def test_a_frame_that_is_too_long_or_no_message_is_refused() -> None:
    deep = msgspec.msgpack.encode({"type": "failed", "x": None})[:-1] + b"\x91" * 20_000 + b"\xc0"
    deep = len(deep).to_bytes(4, "little") + deep
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for frame in (b"\xff\xff\xff\xff", b"\x03\0\0\0abc", b"\x08\0\0\0\x81\xa4\xff\xff\xff\xff\xa1x", deep):
            theirs.sendall(frame)
            with pytest.raises(msgspec.DecodeError):
                wire.receive(ours, wire.reply_decoder)


def test_a_worker_that_cannot_start_is_the_machines_trouble_and_no_files(tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"anything")
    pool = DecodePool(1, limits=DecodeLimits(open_files=0))
    try:
        future = pool.read(os.fsencode(picture), is_known=lambda _: False, priority=Priority.QUESTION)
        with pytest.raises(RetryError, match="did not start"):
            future.result(30)
        assert pool.died_total == 0
    finally:
        pool.close()
