"""A confined process can do what decoding needs and nothing else; a kernel that cannot confine is no reason to stop.

Each attempt runs in a process of its own that is confined as a worker is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.skipping import not_possible
from PIL import Image

from dedupd.core.ports import DecodedImage, Priority, ReadFile
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.worker_process import WorkerProcess

_PREPARED = """
import ctypes, mmap, os, signal, socket, threading
from dedupd.imaging.confinement import confine
from dedupd.imaging.syscall_filter import system_call
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
MISSING = confine()
def refused(call, *args):
    try:
        call(*args)
    except PermissionError:
        return True
    return False
"""


def confined(code: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", before + _PREPARED + code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def _kernel_confines() -> None:
    missing = confined("print(MISSING)").stdout
    if missing.strip() != "()":
        not_possible(f"this kernel or container cannot confine decode workers: {missing}")


@pytest.mark.parametrize(
    "attempt",
    [
        "os.open, '/etc/hostname', os.O_RDONLY",
        "os.open, '/tmp/new', os.O_WRONLY | os.O_CREAT",
        "os.listdir, '/'",
        "os.stat, '/etc/hostname'",
        "os.unlink, '/tmp/new'",
        "os.rename, '/tmp/new', '/tmp/other'",
        "os.mkdir, '/tmp/new'",
        "os.chmod, '/tmp', 0o777",
        "os.symlink, '/etc', '/tmp/new'",
        "os.memfd_create, 'new'",
        "os.truncate, '/tmp/new', 0",
        "os.readlink, '/proc/self/exe'",
        "os.setpriority, os.PRIO_PROCESS, 0, 19",
        "mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC",
    ],
)
def test_what_decoding_does_not_need_is_refused(attempt: str) -> None:
    done = confined(f"print(refused({attempt}))")
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


@pytest.mark.parametrize(
    "attempt",
    [
        "os.execv('/bin/true', ['true'])",
        "os.fork()",
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_UNIX)",
        "os.kill(os.getppid(), 0)",
        "libc.ptrace(0, 0, 0, 0)",
        "libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.mount(0, 0, 0, 0, 0)",
        "libc.syscall(system_call('bpf'), 0, 0, 0)",
        "libc.syscall(system_call('io_uring_setup'), 1, 0)",
        "libc.syscall(system_call('tgkill'), os.getppid(), os.getppid(), 0)",
        "libc.syscall(0x40000000 | 39)",  # getpid by the other table of x86_64
    ],
)
def test_what_only_an_intruder_asks_for_ends_the_process(attempt: str) -> None:
    done = confined(f"{attempt}\nprint('went on')")
    assert (done.stdout, done.returncode) == ("", -signal.SIGSYS), done.stderr


def test_what_decoding_needs_still_works(tmp_path: Path) -> None:
    (tmp_path / "open").write_bytes(b"x" * 100_000)
    code = """
data = os.pread(FD, os.fstat(FD).st_size, 0)
thread = threading.Thread(target=lambda: done.append(len(data)))
done = []
thread.start(); thread.join()
block = bytearray(64 << 20); del block
print(done, os.getcwd() != "", len(os.urandom(8)))
"""
    before = f"import os\nFD = os.open({str(tmp_path / 'open')!r}, os.O_RDONLY)\n"
    assert confined(code, before=before).stdout == "[100000] True 8\n"


def test_an_abort_ends_the_process_as_an_abort() -> None:
    assert confined("os.abort()").returncode == -signal.SIGABRT


def test_a_worker_is_under_a_filter_with_every_thread_and_says_that_nothing_is_missing() -> None:
    worker = WorkerProcess(DecodeLimits())
    try:
        assert worker.unconfined == ()
        for task in Path(f"/proc/{worker.pid}/task").iterdir():
            assert "Seccomp:\t2" in (task / "status").read_text()
    finally:
        worker.close()


_WITHOUT = """
import ctypes
from dedupd.imaging.syscall_filter import install, refusing_filter
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
install(refusing_filter([{names}]))
"""


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (["landlock_create_ruleset"], ["Landlock"]),
        (["seccomp"], ["system call filter"]),
        (["landlock_create_ruleset", "seccomp"], ["Landlock", "system call filter"]),
    ],
)
def test_a_kernel_without_one_of_them_is_named_and_the_other_is_used(lacking: list[str], said: list[str]) -> None:
    done = confined("print([m.partition(':')[0] for m in MISSING])", before=_WITHOUT.format(names=repr(lacking)[1:-1]))
    assert done.stdout.strip() == repr(said), done.stderr


_POOL = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(message)s")
from dedupd.core.ports import Priority
from dedupd.imaging.decode_pool import DecodePool
pool = DecodePool(2)
for _ in range(2):
    print(pool.read(sys.argv[1].encode(), is_known=lambda _: False, priority=Priority.QUESTION).result(60).image.format)
pool.close()
"""


def test_workers_of_an_older_kernel_decode_all_the_same_and_the_log_says_it_once(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(3 * 64 * 64, dtype=np.uint8).reshape(64, 64, 3)).save(path)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(names="'landlock_create_ruleset', 'seccomp'") + _POOL, path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "PNG\nPNG\n", done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING decode.unconfined")]
    assert len(warnings) == 1, done.stderr
    assert "Landlock" in warnings[0]
    assert "system call filter" in warnings[0]


@pytest.mark.parametrize("is_confined", [True, False])
def test_a_file_is_read_the_same_way_with_and_without(tmp_path: Path, is_confined: bool) -> None:
    path = tmp_path / "picture.webp"
    Image.fromarray(np.arange(3 * 64 * 64, dtype=np.uint8).reshape(64, 64, 3)).save(path, lossless=True)
    pool = DecodePool(1, limits=DecodeLimits(is_confined=is_confined))
    try:
        answer = pool.read(os.fsencode(path), is_known=lambda _: False, priority=Priority.QUESTION).result(60)
    finally:
        pool.close()
    assert isinstance(answer, ReadFile)
    assert isinstance(answer.image, DecodedImage)
    assert np.array_equal(answer.image.small, np.asarray(Image.open(path)))
