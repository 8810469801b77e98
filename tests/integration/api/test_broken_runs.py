"""What the client makes of a run's stream that breaks off or comes from a newer daemon."""

import socket
import threading

import msgspec
import pytest

from dedupd.client.cleaning import CleaningClient
from dedupd.core.errors import DaemonUnreachableError
from dedupd.protocol.cleanup import RunEndMessage

END = RunEndMessage(run="apply", plan="", done=0, conflicts=0, failed=0, skipped=0, size_bytes=0, stopped="")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def answering(tmp_path):
    """A client of a server that gives one answer, byte for byte, and ends the connection."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    threads = []

    def serve(answer):
        connected, _ = listening.accept()
        with connected:
            while not connected.recv(65536).endswith(b"\r\n\r\n"):
                pass
            connected.sendall(answer)

    def client(answer):
        thread = threading.Thread(target=serve, args=(answer,), daemon=True)
        threads.append(thread)
        thread.start()
        return CleaningClient(tmp_path / "s")

    yield client
    for thread in threads:
        thread.join(10)
    listening.close()


def chunk(line):
    return b"%x\r\n%s\r\n" % (len(line), line)


def test_signs_of_life_and_kinds_of_a_newer_daemon_are_passed_over(answering):
    end = msgspec.json.encode(END) + b"\n"
    answer = HEAD + chunk(b"\n") + chunk(b'{"kind": "weather", "sun": 1}\n') + chunk(end) + b"0\r\n\r\n"
    assert list(answering(answer).apply_plan("0" * 8)) == [END]


@pytest.mark.parametrize(
    "answer",
    [HEAD, HEAD + chunk(b"\n") + b"0\r\n\r\n", HEAD + chunk(b'{"kind": "outc'), HEAD + chunk(b"{}\n") + b"0\r\n\r\n"],
    ids=["at once", "without an end", "within a line", "after something unknown"],
)
def test_a_stream_that_breaks_off_is_no_end_and_says_where_to_look(answering, answer):
    with pytest.raises(DaemonUnreachableError, match="quarantine list"):
        list(answering(answer).apply_plan("0" * 8))


def test_a_refusal_of_the_connection_is_told_as_before(tmp_path):
    with pytest.raises(DaemonUnreachableError, match="No dedupd answers"):
        next(CleaningClient(tmp_path / "nobody").apply_plan("0" * 8))
