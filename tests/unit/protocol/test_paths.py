"""Daemon and client meet at the same socket, whatever the environment says."""

from pathlib import Path

import pytest

from dedupd.protocol.paths import default_socket_paths, socket_path_for, state_dir_for

ENVIRONMENTS = [
    {"HOME": "/home/ada"},
    {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7"},
    {"HOME": "/home/ada", "XDG_STATE_HOME": "/state"},
    {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "not/absolute"},
    {"HOME": "/home/ada", "DEDUPD_SOCKET": "/tmp/mine.sock", "XDG_RUNTIME_DIR": "/run/user/7"},
]


@pytest.mark.parametrize("environ", ENVIRONMENTS)
@pytest.mark.parametrize("is_system", [True, False])
def test_the_client_looks_where_the_daemon_listens(environ, is_system):
    assert socket_path_for(is_system=is_system, environ=environ) in default_socket_paths(environ)


def test_a_named_socket_is_the_only_one():
    assert default_socket_paths(ENVIRONMENTS[-1]) == (Path("/tmp/mine.sock"),)


def test_the_users_daemon_comes_before_the_service():
    assert default_socket_paths(ENVIRONMENTS[1])[0] == Path("/run/user/7/dedupd/dedupd.sock")
    assert default_socket_paths(ENVIRONMENTS[1])[-1] == Path("/run/dedupd/dedupd.sock")


def test_a_daemon_that_was_started_outside_a_session_is_found_from_within_one():
    outside, within = ENVIRONMENTS[0], ENVIRONMENTS[1]
    assert socket_path_for(is_system=False, environ=outside) in default_socket_paths(within)


def test_the_state_directory_follows_the_xdg_specification():
    assert state_dir_for(is_system=False, environ=ENVIRONMENTS[0]) == Path("/home/ada/.local/state/dedupd")
    assert state_dir_for(is_system=False, environ=ENVIRONMENTS[2]) == Path("/state/dedupd")
    assert state_dir_for(is_system=True, environ=ENVIRONMENTS[2]) == Path("/var/lib/dedupd")
