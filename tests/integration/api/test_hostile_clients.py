"""Clients that send slowly, nothing, too much, or come in crowds hold nothing for long and keep nobody waiting."""

import json
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from dedupd.api.limits import Limits

from .test_admins import STRANGER, ask_as, needs_root

SHORT_S = 0.4
PATIENCE_S = 20  # how long a test waits for what should come after SHORT_S


@pytest.fixture
def hasty(album):
    """A server that waits for nobody."""
    return restarted(
        album, Limits(header_s=SHORT_S, body_s=SHORT_S, slowest_body_bytes_s=1024**2, idle_s=1, stuck_s=SHORT_S)
    )


def restarted(stand, limits):
    stand.stop()
    stand.limits = limits
    stand.start()
    return stand


def connected(stand):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_S)
    client.connect(str(stand.socket_path))
    return client


def all_of(client):
    """What comes until the server closes."""
    said = b""
    with suppress(ConnectionResetError):  # how a Unix socket ends when the other side left something unread
        while piece := client.recv(65536):
            said += piece
    return said


def sent_until_refused(client, piece):
    """How many bytes the server let itself be sent until it closed, a gigabyte at most."""
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        while sent < 1024**3:
            sent += client.send(piece)
        pytest.fail("a gigabyte was taken")
    return sent


def is_closed(client):
    """Whether the server has closed by now; waits for nothing."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_header_that_does_not_end_is_a_408_in_the_one_shape(hasty):
    with connected(hasty) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        head, _, body = all_of(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["error"]["code"] == "request"


def test_a_header_that_comes_byte_by_byte_is_cut_off(hasty):
    with connected(hasty) as client:
        client.settimeout(SHORT_S / 8)
        said = b""
        client.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        until = time.monotonic() + PATIENCE_S
        while not said and time.monotonic() < until:
            client.sendall(b"y")
            try:
                said = client.recv(100)
            except TimeoutError:
                continue
    assert said.startswith(b"HTTP/1.1 408 ")


def test_who_says_nothing_is_let_go_without_a_word(hasty):
    with connected(hasty) as client:
        assert all_of(client) == b""


def test_a_second_header_that_does_not_end_is_cut_off_too(hasty):
    with connected(hasty) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert b"HTTP/1.1 408 " in all_of(client)


def test_a_connection_at_rest_is_closed_after_a_while(hasty):
    with connected(hasty) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"HTTP/1.1 200 " in all_of(client)


@pytest.mark.parametrize("route", ["/v1/find", "/v1/have"])
def test_a_body_that_stops_coming_is_a_408(hasty, route):
    with connected(hasty) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{" % route.encode())
        assert b"HTTP/1.1 408 " in all_of(client)


def test_a_body_that_trickles_is_a_408_though_it_never_stops(hasty):
    with connected(hasty) as client:
        client.settimeout(SHORT_S / 8)
        client.sendall(b"POST /v1/find HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        said = b""
        until = time.monotonic() + PATIENCE_S
        while not said and time.monotonic() < until:
            client.sendall(b"y")
            try:
                said = client.recv(100)
            except TimeoutError:
                continue
    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_nobody_wants_ends_the_connection_instead_of_being_read(hasty):
    with connected(hasty) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (10 * 1024**3))
        assert sent_until_refused(client, bytes(65536)) < 16 * 1024**2


def test_who_takes_nothing_of_a_long_answer_is_let_go(hasty):
    with connected(hasty) as client:
        ask = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
        sent_until_refused(client, ask)  # reads nothing, and neither side's buffers are endless


def test_the_one_that_waits_longest_gives_way(album):
    stand = restarted(album, Limits(of_one_user=4))
    with ExitStack() as open_ones:
        waiting = [open_ones.enter_context(connected(stand)) for _ in range(4)]
        assert stand.client.status().roots  # a fifth
        assert all_of(waiting[0]) == b""
        assert not any(map(is_closed, waiting[1:]))


def test_who_is_being_answered_is_never_cut_off_and_the_newcomer_is_told(album):
    stand = restarted(album, Limits(of_one_user=4))
    with ExitStack() as open_ones:
        streams = [open_ones.enter_context(connected(stand)) for _ in range(4)]
        for stream in streams:
            stream.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
        with connected(stand) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            head, _, body = all_of(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["error"] == {
            "code": "retry",
            "message": "Too many clients are being answered.",
            "hint": "Try again in a moment.",
        }
        assert not any(map(is_closed, streams))


def test_one_user_s_full_share_leaves_another_user_his(album):
    needs_root()
    stand = restarted(album, Limits(of_one_user=4, connections=8))
    with ExitStack() as open_ones:
        for _ in range(4):
            stream = open_ones.enter_context(connected(stand))
            stream.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
        ((status, _),) = ask_as(stand, STRANGER, [["GET", "/healthz", None]])
        assert status == 200


def test_slow_uploads_of_one_user_do_not_keep_another_s_waiting(album):
    needs_root()
    with ExitStack() as open_ones:
        for _ in range(12):
            slow = open_ones.enter_context(connected(album))
            slow.sendall(b"POST /v1/find HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nPIC")
        ((status, _),) = ask_as(album, STRANGER, [["POST", "/v1/find", "PIC one"]])
        assert status == 200


def test_a_thousand_half_open_connections_leave_room(album):
    with ExitStack() as open_ones:
        for number in range(1000):
            client = open_ones.enter_context(connected(album))
            if number % 2:
                client.sendall(b"GET /v1/status HTTP/1.1\r\nhost:")
            if number % 100 == 0:
                assert album.client.status().roots
        assert album.client.status().roots
        assert len(album.server._server.server_state.connections) <= Limits().of_one_user
