"""A real daemon with its real limits under crowds of slow, half-open and endless clients: others are answered."""

import resource
import socket
import statistics
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

MIB = 1024**2
MOST_MEMORY_MIB = 50
CROWD = 1000
TEN_GIB = 10 * 1024**3
ANOTHER_USER = 40_003  # nobody's on any machine

# Asks again and again as another user until its standard input ends; prints how long each answer took.
ASKER = """
import http.client, os, select, socket, sys, time
path, uid = sys.argv[1], int(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    connection = http.client.HTTPConnection("test", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(path)
    connection.request("GET", "/v1/status", headers={"connection": "close"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    print(answer.status, time.monotonic() - began, flush=True)
"""


@pytest.fixture
def daemon(make_daemon, library):
    """With as many descriptors for the test as it has clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CROWD)), hard))
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    yield daemon
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_mib(daemon):
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def connected(daemon):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(daemon.socket))
    return client


@contextmanager
def asking(daemon):
    """Another user asks all the while; gives the list to which each answer's (status, seconds) is added as it comes."""
    daemon.socket.parent.chmod(0o755)
    daemon.socket.chmod(0o666)  # the point is what happens once somebody is connected
    command = [sys.executable, "-c", ASKER, daemon.socket.name, str(ANOTHER_USER)]
    asker = subprocess.Popen(
        command,
        cwd=daemon.socket.parent,  # so that the other user needs no right to the folders above
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    answers = []

    def collect():
        while line := asker.stdout.readline():
            answers.append(line.split())

    collector = threading.Thread(target=collect)
    collector.start()
    yield answers
    asker.stdin.close()
    assert asker.wait(60) == 0, answers
    collector.join(10)
    asker.stdout.close()


def send_without_end(daemon, head, size_bytes):
    """Send a body until the daemon closes; returns how much it took."""
    piece, sent = bytes(MIB), 0
    with connected(daemon) as client, suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(head)
        while sent < size_bytes:
            sent += client.send(piece)
    return sent


def send_chunks_without_end(daemon):
    """The same without saying how long it will be."""
    chunk, sent = b"100000\r\n" + bytes(MIB) + b"\r\n", 0
    with connected(daemon) as client, suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(b"POST /v1/find HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        while sent < 10 * 1024:
            client.sendall(chunk)
            sent += 1
    return sent * MIB


class Crowd:
    """Connections of which half say nothing and half drip a header; who is closed comes back."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.clients = [self._another(number) for number in range(CROWD)]

    def drip(self):
        for number in range(1, CROWD, 2):
            try:
                self.clients[number].send(b"z")
            except (BrokenPipeError, ConnectionResetError):
                self.clients[number].close()
                self.clients[number] = self._another(number)

    def close(self):
        for client in self.clients:
            client.close()

    def _another(self, number):
        client = connected(self.daemon)
        if number % 2:
            client.sendall(b"GET /v1/status HTTP/1.1\r\nx-slow: ")
        return client


@contextmanager
def memory_watched(daemon):
    """Gives a list of what the daemon held, in MiB, at any twentieth of a second."""
    stop, seen_mib = threading.Event(), [resident_mib(daemon)]

    def watch():
        while not stop.wait(0.05):
            seen_mib.append(resident_mib(daemon))

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield seen_mib
    stop.set()
    watcher.join()


def test_crowds_and_endless_bodies_keep_nobody_waiting_and_take_little_memory(daemon, tools, record_testsuite_property):
    announced = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    taken = {}
    with ExitStack() as open_ones, memory_watched(daemon) as seen_mib, asking(daemon) as answers:
        tools.wait_for(lambda: answers, "the other user")
        for _ in range(20):  # bodies that begin and do not go on
            client = open_ones.enter_context(connected(daemon))
            client.sendall(announced % (b"/v1/find", 1000) + b"hello")
        crowd = open_ones.enter_context(closing(Crowd(daemon)))
        alone = len(answers)
        tools.wait_for(lambda: crowd.drip() or len(answers) >= alone + 30, "thirty answers among the crowd")
        among = len(answers)
        open_ones.close()
        taken["json"] = send_without_end(daemon, announced % (b"/v1/have", TEN_GIB), TEN_GIB)
        taken["picture"] = send_without_end(daemon, announced % (b"/v1/find", TEN_GIB), TEN_GIB)
        taken["unwanted"] = send_without_end(
            daemon, b"GET /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % TEN_GIB, TEN_GIB
        )
        taken["endless picture"] = send_chunks_without_end(daemon)
    assert 500 * MIB < taken.pop("endless picture") < 600 * MIB  # into a file without a name
    assert max(taken.values()) < 16 * MIB, taken
    assert {status for status, _ in answers} == {"200"}
    among_ms = [1000 * float(took_s) for _, took_s in answers[alone:among]]
    figures = {
        "median ms of another user's answers": round(statistics.median(among_ms), 1),
        "slowest ms": round(max(among_ms), 1),
        "memory before MiB": round(seen_mib[0], 1),
        "memory more MiB": round(max(seen_mib) - seen_mib[0], 1),
    }
    record_testsuite_property("flood", figures)
    assert max(seen_mib) - seen_mib[0] <= MOST_MEMORY_MIB, figures
    assert daemon.answers()
    assert not list(daemon.state.glob("dedupd-*"))
