"""The system calls: no symlink is followed, no name overwritten, and whoever writes to a file is noticed."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from fakes.cleanup_bench import FaultyCalls, Killed

from dedupd.cleanup import file_calls
from dedupd.cleanup.file_calls import FileCalls


@pytest.fixture
def calls():
    return FileCalls()


@pytest.fixture
def base(tmp_path, calls):
    fd = calls.open_base(bytes(tmp_path))
    yield fd
    calls.close(fd)


def test_nothing_leads_out_of_the_base(tmp_path, calls, base):
    outside = tmp_path.parent / (tmp_path.name + "-outside")
    outside.mkdir()
    (outside / "x").write_bytes(b"x")
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "x").symlink_to(outside / "x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "inner").symlink_to("sub")  # leads to no place outside, and is none the less another path
    for way in (b"link", b"..", b"link/.", b"inner", bytes(outside)):
        with pytest.raises(OSError) as caught:
            calls.open_directory(base, way)
        assert caught.value.errno in {errno.ELOOP, errno.EXDEV}
    with pytest.raises(OSError):
        calls.open_file(base, b"x")
    with pytest.raises(OSError):
        calls.open_base(bytes(tmp_path / "link"))


def test_a_taken_name_is_kept(tmp_path, calls, base):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    for act in (
        lambda: calls.rename(base, b"a", base, b"b"),
        lambda: calls.link(base, b"a", base, b"b"),
        lambda: calls.create(base, b"b", 0o600),
        lambda: calls.make_directory(base, b"b", 0o700),
    ):
        with pytest.raises(FileExistsError):
            act()
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"ab"


def test_names_change_places_in_one_step(tmp_path, calls, base):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    calls.exchange(base, b"a", base, b"b")
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"ba"
    assert sorted(calls.names(base)) == [b"a", b"b"]


def test_a_writer_is_noticed_by_the_lease_and_a_reader_is_none(tmp_path, calls, base):
    (tmp_path / "a").write_bytes(b"a")
    fd = calls.open_file(base, b"a")
    assert calls.is_open_for_writing(fd) is False
    with (tmp_path / "a").open("rb"):
        assert calls.is_open_for_writing(fd) is False
    with (tmp_path / "a").open("ab"):
        assert calls.is_open_for_writing(fd) is True
    assert calls.is_open_for_writing(fd) is False
    calls.close(fd)
    assert calls.is_open_for_writing(fd) is None, "what cannot be asked cannot be told"


def test_somebody_who_opens_the_file_in_that_very_moment_does_not_end_the_process(tmp_path):
    """SIGIO ends a process by default; a lease that is broken sends one unless another signal is asked for."""
    path = tmp_path / "a"
    path.write_bytes(b"a")
    looking = (
        "import os, signal, sys; from dedupd.cleanup.file_calls import FileCalls; calls = FileCalls();"
        "assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL; fd = os.open(sys.argv[1], os.O_RDONLY);"
        "print(sum(calls.is_open_for_writing(fd) is True for _ in range(20_000)))"
    )
    with subprocess.Popen([sys.executable, "-c", looking, str(path)], stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            with path.open("ab"):
                pass
        assert process.returncode == 0
        assert int(process.stdout.read()) > 0, "the two never met"


def test_an_interrupted_call_is_made_again():
    rest = [InterruptedError(), InterruptedError()]

    def act():
        if rest:
            raise rest.pop()
        return 7

    assert FileCalls().call("step", act) == 7


def test_write_writes_all_of_it(calls):
    reading, writing = os.pipe()
    content = os.urandom(300_000)  # more than a pipe holds: the kernel takes it in pieces
    received = []

    def drain():
        while piece := os.read(reading, 65_536):
            received.append(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    calls.write(writing, content)
    os.close(writing)
    thread.join()
    os.close(reading)
    assert b"".join(received) == content


def test_a_file_of_somebody_else_is_read_all_the_same(calls):
    """Only its owner may ask that its access time stays, and root."""
    base = calls.open_base(b"/etc")
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            fd = calls.open_file(base, b"passwd")
        finally:
            os.seteuid(0)
    else:
        fd = calls.open_file(base, b"passwd")
    assert b"root" in calls.read(fd, 0)
    calls.close(fd)
    calls.close(base)


def test_what_the_kernel_answers_about_shared_blocks():
    def answer(shared, status):
        return struct.pack("=QQHHI", 0, 4096, 1, 0, 0) + struct.pack("=qQQiI", 5, 0, shared, status, 0)

    assert file_calls._shared_bytes(answer(4096, 0)) == 4096
    assert file_calls._shared_bytes(answer(0, 1)) is None, "they differ"
    for shared, status, code in ((0, -errno.EXDEV, errno.EXDEV), (0, 0, errno.EIO)):
        with pytest.raises(OSError) as caught:
            file_calls._shared_bytes(answer(shared, status))
        assert caught.value.errno == code


def test_a_system_without_the_calls_is_told_what_is_missing():
    ctypes.set_errno(errno.ENOSYS)
    error = file_calls._last_error("openat2", b"a.jpg")
    assert error.errno == errno.ENOSYS
    assert "openat2: clean-up needs Linux 5.6" in str(error)


@pytest.mark.parametrize("size", [1, 16 << 20, (16 << 20) + 1])
def test_sharing_is_refused_where_the_filesystem_cannot(tmp_path, calls, base, size):
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    one, other = calls.open_file(base, b"a"), calls.open_file(base, b"b")
    with suppress(OSError):  # where it can be done at all
        assert calls.share(one, other, size)
    assert (tmp_path / "b").stat().st_size == size
    calls.close(one)
    calls.close(other)


def test_the_counting_stand_in_strikes_at_its_step_and_dead_stays_dead(tmp_path):
    def die():
        raise Killed

    calls = FaultyCalls(2, before=die)
    fd = calls.open_base(bytes(tmp_path))
    for _ in range(2):
        with pytest.raises(Killed):
            calls.stat(fd)
    assert calls.steps == ["open-base", "stat"]
    os.close(fd)
