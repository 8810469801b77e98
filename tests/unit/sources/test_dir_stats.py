"""The compiled part of the lister gives what Python's own calls give, or leaves the directory to them."""

import contextlib
import os
import shutil
import socket
import sysconfig
import tempfile
from pathlib import Path

import pytest
from fakes.nobody import without_privileges
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.stat_key import pack_fields
from dedupd.sources import local_scan

_CAN_BUILD = shutil.which("cc") is not None and Path(sysconfig.get_path("include"), "Python.h").exists()
if not local_scan.IS_BUILT and not _CAN_BUILD:
    pytest.skip("NOT TESTED: the compiled lister is not built, there is no C compiler", allow_module_level=True)

from dedupd.sources import _dir_stats  # noqa: E402 - not there without a compiler

file_names = st.binary(min_size=1, max_size=20).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def agree(path, names):
    """What both make of these names, which must be the same."""
    with opened(path) as fd:
        compiled = _dir_stats.stats_of(fd, names)
        assert compiled == local_scan.stats_of(fd, names)
    return compiled


@given(st.sets(file_names, max_size=8), st.integers(0, 1 << 40), st.integers(-(1 << 33), 1 << 33))
def test_names_and_stats_are_those_of_listdir_and_lstat(names, size_bytes, mtime_s):
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(sorted(names)):
            path = Path(folder, os.fsdecode(name))
            path.touch()
            os.truncate(path, size_bytes + number)
            os.utime(path, ns=(0, mtime_s * 10**9 + number))
        with opened(folder) as fd:
            assert _dir_stats.names_in(fd) == sorted(names)
            assert sorted(local_scan.names_in(fd)) == sorted(names)
            stats = _dir_stats.stats_of(fd, sorted(names))
            assert stats == local_scan.stats_of(fd, sorted(names))
            assert list(stats) == sorted(names)
        for name, packed in stats.items():
            facts = Path(folder, os.fsdecode(name)).lstat()
            assert packed == pack_fields(
                facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
            )


@pytest.mark.parametrize("kind", ["gone", "symlink", "directory", "pipe", "socket", "year 2400", "name too long"])
def test_what_is_no_plain_file_leaves_the_directory_to_the_caller(tmp_path, monkeypatch, kind):
    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    odd = "b.jpg"
    match kind:
        case "symlink":
            Path(odd).symlink_to("a.jpg")
        case "directory":
            Path(odd).mkdir()
        case "pipe":
            os.mkfifo(odd)
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(odd)
        case "year 2400":
            Path(odd).touch()
            os.utime(odd, (13_569_465_600, 13_569_465_600))
            if Path(odd).stat().st_mtime_ns < 1 << 63:
                pytest.skip("NOT TESTED: this filesystem keeps no such time")
        case "name too long":
            odd = "b" * 300
    assert agree(tmp_path, [b"a.jpg"]) is not None
    assert agree(tmp_path, [b"a.jpg", os.fsencode(odd)]) is None


def test_a_directory_that_may_not_be_entered_is_left_to_the_caller():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.jpg").write_bytes(b"x")
        folder.chmod(0o744)
        with opened(folder) as fd, without_privileges():
            assert _dir_stats.names_in(fd) == [b"a.jpg"]
            assert _dir_stats.stats_of(fd, [b"a.jpg"]) is None
            assert local_scan.stats_of(fd, [b"a.jpg"]) is None


def test_a_descriptor_can_be_read_again_and_stays_the_callers(tmp_path):
    (tmp_path / "a.jpg").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with opened(tmp_path) as fd:
        for _ in range(3):
            assert _dir_stats.names_in(fd) == [b"a.jpg"]
        with os.scandir(fd) as entries:
            assert [entry.name for entry in entries] == ["a.jpg"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_many_names_come_whole_and_in_order(tmp_path):
    names = [f"{'long-' * 20}{number:05}.jpg" for number in range(3000)]
    for name in names:
        (tmp_path / name).touch()
    with opened(tmp_path) as fd:
        found = _dir_stats.names_in(fd)
        assert found == sorted(map(os.fsencode, names))
        assert _dir_stats.stats_of(fd, found) == local_scan.stats_of(fd, found)


def test_what_is_no_directory_is_the_systems_error(tmp_path):
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        for names_in in (_dir_stats.names_in, local_scan.names_in):
            with pytest.raises(NotADirectoryError):
                names_in(fd)
    finally:
        os.close(fd)
    for names_in in (_dir_stats.names_in, local_scan.names_in):
        with pytest.raises(OSError, match="Bad file descriptor"):
            names_in(fd)


def test_other_values_are_refused(tmp_path):
    with opened(tmp_path) as fd:
        for wrong in ([b"a\0b"], ["text"], [None], (b"a",)):
            with pytest.raises((TypeError, ValueError)):
                _dir_stats.stats_of(fd, wrong)
        assert _dir_stats.stats_of(fd, []) == {}
