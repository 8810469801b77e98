"""The socket is ours alone from its first moment, is never stolen, and never removes what is not a dead socket."""

import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from dedupd.api.listen import bind_socket, inherited_socket
from dedupd.core.errors import AlreadyRunningError, ConfigError


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_others_can_neither_reach_nor_use_the_socket(tmp_path):
    path = tmp_path / "run" / "dedupd.sock"
    listening = bind_socket(path)
    assert mode_of(path) == 0o660
    assert mode_of(path.parent) == 0o750
    listening.close()
    assert not path.exists()


def test_the_umask_is_as_before(tmp_path):
    before = os.umask(0o022)
    try:
        bind_socket(tmp_path / "s").close()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    listening = bind_socket(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
    listening.close()


def test_a_living_socket_is_named_and_left_alone(tmp_path):
    path = tmp_path / "s"
    first = bind_socket(path)
    with pytest.raises(AlreadyRunningError, match=str(path)):
        bind_socket(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
    first.close()


def test_of_many_that_start_at_once_on_a_stale_socket_one_wins(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    won, lost = [], []

    def start():
        try:
            won.append(bind_socket(path))
        except AlreadyRunningError:
            lost.append(path)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(won), len(lost)) == (1, 7)
    won[0].close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "s"
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is no socket"):
        bind_socket(path)
    assert path.is_symlink() or path.exists()


def test_a_path_that_the_kernel_cannot_hold_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="over 107 bytes"):
        bind_socket(tmp_path / ("x" * 120))


def test_closing_leaves_a_successor_s_socket_alone(tmp_path):
    path = tmp_path / "s"
    first = bind_socket(path)
    path.rename(tmp_path / "moved")
    second = bind_socket(path)
    first.close()
    assert path.exists()
    second.close()


def test_without_systemd_nothing_is_inherited():
    assert inherited_socket({}) is None
    assert inherited_socket({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None  # meant for another process


TAKER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)  # where systemd puts it
from dedupd.api.listen import inherited_socket
from dedupd.core.errors import ConfigError
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    taken = inherited_socket()
except ConfigError as error:
    sys.exit(str(error))
assert "LISTEN_FDS" not in os.environ and not os.get_inheritable(3)
taken.socket.setblocking(True)
taken.socket.accept()[0].sendall(b"taken over")
taken.close()
"""


def taker(passed, count="1"):
    """A process that finds `passed` as descriptor 3, as systemd would hand it over."""
    environ = os.environ | {"LISTEN_FDS": count}
    command = [sys.executable, "-c", TAKER, str(passed)]
    return subprocess.Popen(command, env=environ, pass_fds=[passed], stderr=subprocess.PIPE)


def test_a_socket_from_systemd_is_taken_and_its_path_left_to_systemd(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        process = taker(listening.fileno())
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(30)
            client.connect(str(path))
            assert client.recv(100) == b"taken over"
        assert process.wait(30) == 0, process.stderr.read()
        process.stderr.close()
    assert path.exists()


@pytest.mark.parametrize("kind", ["not listening", "inet", "datagram", "two"])
def test_another_kind_of_socket_from_systemd_is_refused(tmp_path, kind):
    family = socket.AF_INET if kind == "inet" else socket.AF_UNIX
    type_ = socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM
    with socket.socket(family, type_) as passed:
        if kind == "inet":
            passed.bind(("127.0.0.1", 0))
            passed.listen()
        _, stderr = taker(passed.fileno(), "2" if kind == "two" else "1").communicate(timeout=30)
    assert b"systemd passed" in stderr
