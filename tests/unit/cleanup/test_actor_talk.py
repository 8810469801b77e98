"""The actor's socket: who is answered, what happens when either end goes away, and what ends the actor."""

from __future__ import annotations

import os
import socket
import struct
import threading

import msgspec
import pytest
from fakes.cleanup_bench import Bench

from dedupd.cleanup import actor_wire as wire
from dedupd.cleanup.actor_server import ActorServer
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.cleanup.remote_actor import RemoteActor
from dedupd.core.errors import (
    DegradedError,
    FaultError,
    NotFoundError,
    RequestError,
    RetryError,
    StopError,
    StoreWriteError,
)

MINE = frozenset({os.getuid()})


class BrokenActor(LocalActor):
    """A real actor whose journal cannot be written, or that has a fault, where a test says so."""

    trouble: Exception | None = None

    def quarantined(self):
        if self.trouble is not None:
            raise self.trouble
        return super().quarantined()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def serve(bench):
    """Start a server over an actor; gives a way to connect, and what `serve` ended with."""
    running = []

    def start(actor, *, allowed=MINE, idle_exit_s=600.0):
        path = str(bench.directory / "s")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        server = ActorServer(actor, listening, allowed_uids=allowed, idle_exit_s=idle_exit_s)
        ended = []

        def run():
            try:
                server.serve()
                ended.append(None)
            except StopError as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        running.append((server, thread, listening))

        def connect():
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            return sock

        return connect, thread, ended

    yield start
    for server, thread, listening in running:
        server.stop()
        thread.join()
        listening.close()


def broken(bench, trouble):
    actor = BrokenActor(bench.directory / "journal", bench.calls, lambda: bench.now_ns)
    actor.trouble = trouble
    return actor


def test_a_stranger_is_hung_up_on_and_told_nothing(bench, serve):
    connect, _, _ = serve(bench.actor(), allowed=frozenset({os.getuid() + 1}))
    with pytest.raises(RetryError, match="went away"):
        RemoteActor(connect).quarantined()


def test_an_actor_that_nobody_asks_ends_by_itself(bench, serve):
    _, thread, ended = serve(bench.actor(), idle_exit_s=0.0)
    thread.join(30)
    assert ended == [None]


def test_a_journal_that_cannot_be_written_ends_the_actor_and_says_so(bench, serve):
    connect, thread, ended = serve(broken(bench, StoreWriteError("the journal's disk fails")))
    with pytest.raises(DegradedError, match="disk fails"):
        RemoteActor(connect).quarantined()
    thread.join(30)
    assert isinstance(ended[0], StoreWriteError)


def test_a_fault_ends_the_actor_and_its_inside_is_not_told(bench, serve):
    connect, thread, ended = serve(broken(bench, KeyError("inside")))
    with pytest.raises(DegradedError, match="its log") as told:
        RemoteActor(connect).quarantined()
    assert "inside" not in str(told.value)
    thread.join(30)
    assert isinstance(ended[0], FaultError)


def test_refusals_come_back_as_what_they_are(bench, serve):
    connect, _, _ = serve(bench.actor())
    actor = RemoteActor(connect)
    with pytest.raises(NotFoundError):
        actor.undo("0" * 64, None, bench.told.append)
    with pytest.raises(NotFoundError):
        actor.expire(bench.now_ns, "0" * 64, bench.told.append)
    bench.write("a", b"x")
    bench.write("b", b"x")
    plan = bench.plan(bench.pair(1, "a", "b"))
    with pytest.raises(RequestError):
        actor.apply("0" * 64, plan, bench.told.append)
    assert (bench.root / "b").exists()
    assert actor.outcomes(0, 10) == []
    assert actor.done_since(0) == (0, 0)


def test_a_run_goes_on_when_whoever_asked_went_away(bench, serve):
    for name in ("a", "b", "c"):
        bench.write(name, b"x")
    plan = bench.plan(bench.item(1, "a", bench.victim("b", "a")), bench.item(2, "a", bench.victim("c", "a")))
    data = encode_plan(plan)
    connect, _, _ = serve(bench.actor())
    sock = connect()
    wire.send(sock, wire.Apply(plan_id=plan_id(data), plan=msgspec.Raw(data)))
    sock.close()  # without listening to a single outcome

    actor = RemoteActor(connect)
    done = threading.Event()
    for _ in range(1000):
        if len(actor.outcomes(0, 10)) == 2:
            break
        done.wait(0.02)
    assert [outcome.item for outcome in actor.outcomes(0, 10)] == [1, 2]
    assert not (bench.root / "b").exists()
    assert not (bench.root / "c").exists()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\x00",
        struct.pack(">I", 5) + b"abc",
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", 2) + b"\xff\xfe",
        struct.pack(">I", wire.MOST_BYTES + 1),
    ],
    ids=["nothing", "half a length", "half a message", "no JSON", "no text", "too long"],
)
def test_what_none_of_ours_says_is_a_broken_talk(said):
    for receive in (wire.receive_request, wire.receive_reply):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(said)
            theirs.shutdown(socket.SHUT_WR)
            if receive is wire.receive_request and not said:
                assert receive(ours) is None
            else:
                with pytest.raises(wire.BrokenTalkError):
                    receive(ours)


def test_an_end_that_cannot_be_heard_is_a_broken_talk():
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        with pytest.raises(wire.BrokenTalkError):
            wire.receive_reply(ours)


def answering(*replies):
    """A way to an actor that gives each caller one of these replies; None: it hangs up."""
    left = list(replies)

    def connect():
        ours, theirs = socket.socketpair()
        reply = left.pop(0)
        if reply is not None:
            wire.send(theirs, reply)
            theirs.shutdown(socket.SHUT_WR)
            threading.Thread(target=drain, args=(theirs,)).start()
        else:
            theirs.close()
        return ours

    return connect


def drain(sock):
    with sock:
        while sock.recv(4096):
            pass


def test_an_idle_actor_that_just_ended_is_asked_once_more():
    assert RemoteActor(answering(None, wire.Held(entries=[]))).quarantined() == []
    with pytest.raises(RetryError):
        RemoteActor(answering(None, None)).quarantined()


def test_an_answer_to_another_question_is_told_as_one_of_another_version():
    other, counted = wire.Held(entries=[]), wire.Counted(files=1, bytes_=2)
    for ask, reply in (
        (lambda actor: actor.quarantined(), counted),
        (lambda actor: actor.outcomes(0, 1), counted),
        (lambda actor: actor.done_since(0), other),
        (lambda actor: actor.undo(None, None, lambda _outcome: None), other),
    ):
        with pytest.raises(DegradedError, match="different versions"):
            ask(RemoteActor(answering(reply)))
    RemoteActor(answering()).close()
