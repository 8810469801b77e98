"""What every `Actor` promises, whether it acts in this process or is asked through a socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.cleanup_bench import DAY_NS, Bench, name_of

from dedupd.cleanup.actor_server import ActorServer
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.remote_actor import RemoteActor
from dedupd.core.cleanup_plan import Action, OutcomeKind, RunKind
from dedupd.core.cleanup_ports import Actor
from dedupd.core.errors import NotFoundError, RequestError, RetryError

PHOTO = b"photo" * 100


class HeldCalls(FileCalls):
    """Can be held before a file is renamed."""

    def __init__(self) -> None:
        self.is_held = threading.Event()
        self._may_go = threading.Event()
        self._may_go.set()

    def hold(self) -> None:
        self._may_go.clear()

    def let_go(self) -> None:
        self._may_go.set()

    def call(self, step, act):
        if step == "rename" and not self._may_go.is_set():
            self.is_held.set()
            self._may_go.wait()
        return super().call(step, act)


@contextmanager
def in_this_process(bench: Bench) -> Iterator[Actor]:
    actor = bench.actor()
    yield actor
    actor.close()


@contextmanager
def behind_a_socket(bench: Bench) -> Iterator[Actor]:
    path = str(bench.directory / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        server = ActorServer(bench.actor(), listening, allowed_uids=frozenset({os.getuid()}), idle_exit_s=600)
        thread = threading.Thread(target=server.serve)
        thread.start()

        def connect() -> socket.socket:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            return sock

        actor = RemoteActor(connect)
        yield actor
        actor.close()
        server.stop()
        thread.join()


MAKERS = [in_this_process, behind_a_socket]


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, HeldCalls())
    for number in (1, 2, 3):
        bench.write(f"keep/{number}.jpg", PHOTO * number)
        bench.write(f"copies/{number}.jpg", PHOTO * number)
    return bench


@pytest.fixture(params=MAKERS)
def actor(request, bench):
    with request.param(bench) as actor:
        yield actor


def plan_of(bench, *numbers):
    return bench.plan(*(bench.pair(n, f"keep/{n}.jpg", f"copies/{n}.jpg") for n in numbers))


def nobody(_outcome):
    """Tell nobody."""


def test_a_plan_is_done_told_and_journalled_item_by_item(bench, actor):
    plan = plan_of(bench, 1, 2, 3)
    (bench.root / "copies/2.jpg").unlink()
    told = []
    end = actor.apply(name_of(plan), plan, told.append)
    assert (end.run, end.plan, end.done, end.conflicts, end.bytes_) == (RunKind.APPLY, name_of(plan), 2, 1, 2000)
    assert [(o.item, o.kind) for o in told] == [
        (1, OutcomeKind.DONE),
        (2, OutcomeKind.CONFLICT),
        (3, OutcomeKind.DONE),
    ]
    assert actor.outcomes(0, 10) == told
    assert [outcome.sequence for outcome in told] == [1, 2, 3]
    assert actor.outcomes(1, 1) == told[1:2]
    assert not (bench.root / "copies/1.jpg").exists()
    assert Path(os.fsdecode(told[0].now_at)).read_bytes() == PHOTO


def test_what_is_set_aside_is_listed_until_it_is_back(bench, actor):
    plan = plan_of(bench, 1, 2)
    actor.apply(name_of(plan), plan, nobody)
    entries = actor.quarantined()
    assert [entry.path for entry in entries] == [bytes(bench.root / f"copies/{n}.jpg") for n in (1, 2)]
    assert entries[0].kept == bytes(bench.root / "keep/1.jpg")
    assert entries[0].expires_at_ns == bench.now_ns + 30 * DAY_NS
    assert actor.undo(None, frozenset({2}), nobody).done == 1
    assert [entry.item for entry in actor.quarantined()] == [1]
    assert actor.undo(name_of(plan), None, nobody).done == 1
    assert actor.quarantined() == []
    assert len(bench.tree()) == 6


def test_undo_puts_back_the_last_first(bench, actor):
    plan = plan_of(bench, 1, 2, 3)
    actor.apply(name_of(plan), plan, nobody)
    told = []
    actor.undo(name_of(plan), None, told.append)
    assert [outcome.item for outcome in told] == [3, 2, 1]


def test_what_is_back_is_not_put_back_again(bench, actor):
    plan = plan_of(bench, 1)
    actor.apply(name_of(plan), plan, nobody)
    actor.undo(name_of(plan), None, nobody)
    with pytest.raises(NotFoundError):
        actor.undo(name_of(plan), None, nobody)
    told = []
    assert actor.undo(name_of(plan), frozenset({1}), told.append).skipped == 1
    assert told[0].kind is OutcomeKind.SKIPPED


def test_unknown_plans_and_items_are_not_found(bench, actor):
    with pytest.raises(NotFoundError):
        actor.undo(None, None, nobody)
    with pytest.raises(NotFoundError):
        actor.undo("0" * 64, None, nobody)
    plan = plan_of(bench, 1)
    actor.apply(name_of(plan), plan, nobody)
    with pytest.raises(NotFoundError):
        actor.undo(name_of(plan), frozenset({1, 7}), nobody)
    assert actor.quarantined()[0].item == 1


def test_a_plan_is_applied_once(bench, actor):
    plan = plan_of(bench, 1)
    actor.apply(name_of(plan), plan, nobody)
    actor.undo(name_of(plan), None, nobody)
    with pytest.raises(RequestError, match="applied before"):
        actor.apply(name_of(plan), plan, nobody)


def test_a_plan_that_has_expired_or_is_not_what_its_name_says_touches_nothing(bench, actor):
    plan = plan_of(bench, 1)
    with pytest.raises(RequestError):
        actor.apply("0" * 64, plan, nobody)
    bench.now_ns = plan.expires_at_ns
    with pytest.raises(RequestError, match="expired"):
        actor.apply(name_of(plan), plan, nobody)
    assert actor.outcomes(0, 10) == []
    assert len(bench.tree()) == 6


def test_a_root_that_is_not_what_it_was_touches_nothing(bench, actor):
    plan = plan_of(bench, 1)
    bench.root.rename(bench.directory / "unmounted")
    with pytest.raises(RetryError):
        actor.apply(name_of(plan), plan, nobody)
    bench.root.mkdir()
    with pytest.raises(RetryError):
        actor.apply(name_of(plan), plan, nobody)
    assert actor.outcomes(0, 10) == []


def test_expiry_deletes_only_what_the_kept_file_still_makes_superfluous(bench, actor):
    plan = plan_of(bench, 1, 2)
    actor.apply(name_of(plan), plan, nobody)
    assert actor.expire(bench.now_ns, None, nobody).done == 0, "what was set aside just then is not before then"
    bench.write("keep/2.jpg", b"another picture")
    told = []
    end = actor.expire(bench.now_ns + 1, name_of(plan), told.append)
    assert (end.run, end.done, end.conflicts, end.bytes_) == (RunKind.EXPIRE, 1, 1, 500)
    assert [(o.item, o.kind, o.now_at == b"") for o in told] == [
        (1, OutcomeKind.DONE, True),
        (2, OutcomeKind.CONFLICT, False),
    ]
    assert [(entry.item, entry.held) for entry in actor.quarantined()] == [(2, told[1].detail)]


def test_what_a_day_took_is_counted_until_it_is_back(bench, actor):
    plan = plan_of(bench, 1, 2)
    actor.apply(name_of(plan), plan, nobody)
    assert actor.done_since(bench.now_ns) == (2, 1500)
    assert actor.done_since(bench.now_ns + 1) == (0, 0)
    actor.undo(None, frozenset({2}), nobody)
    assert actor.done_since(bench.now_ns) == (1, 500)


def test_one_run_at_a_time(bench, actor):
    plan = plan_of(bench, 1)
    bench.calls.hold()
    applying = threading.Thread(target=actor.apply, args=(name_of(plan), plan, nobody))
    applying.start()
    bench.calls.is_held.wait()
    with pytest.raises(RetryError):
        actor.undo(None, None, nobody)
    with pytest.raises(RetryError):
        actor.expire(bench.now_ns + DAY_NS, None, nobody)
    with pytest.raises(RetryError):
        actor.apply(name_of(plan), plan, nobody)
    assert actor.quarantined() == [], "questions are answered meanwhile"
    bench.calls.let_go()
    applying.join()
    assert actor.undo(None, None, nobody).done == 1


def test_a_sorted_library_tells_where_the_kept_file_went(bench, actor):
    plan = bench.plan(bench.pair(1, "keep/1.jpg", "copies/1.jpg"), action=Action.SORT)
    told = []
    assert actor.apply(name_of(plan), plan, told.append).done == 1
    assert told[-1].kept == told[-1].now_at == bytes(bench.folder / "best/photos/keep/1.jpg")
