"""Runs are told as they happen: what comes when, signs of life, and what is told when nobody could be told yet."""

import asyncio
import json
import threading

import pytest

from dedupd.api.runs import RunStreams
from dedupd.core.cleanup_plan import Outcome, OutcomeKind, RunEnd, RunKind
from dedupd.core.errors import RequestError, RetryError

END = RunEnd(run=RunKind.APPLY, plan="", done=1, conflicts=0, failed=0, skipped=0, bytes_=1, stopped="")
OUTCOME = Outcome(
    sequence=1,
    at_ns=1,
    run=RunKind.APPLY,
    plan="",
    item=1,
    kind=OutcomeKind.DONE,
    path=b"/a",
    now_at=b"",
    digest=b"",
    kept=b"/b",
    size_bytes=1,
    detail="",
)


def told(work, *, stopping=None, heartbeat_s=30.0, on_line=lambda kind: None):
    """The kinds of a run's lines, "" for a sign of life."""

    async def read():
        kinds = []
        async for line in await RunStreams(stopping or threading.Event(), heartbeat_s).start(work):
            assert line.endswith(b"\n")
            kinds.append(json.loads(line)["kind"] if line.strip() else "")
            on_line(kinds[-1])
        return kinds

    return asyncio.run(read())


def test_a_run_of_nothing_is_just_its_end():
    assert told(lambda _tell: END) == ["end"]


def test_files_come_before_the_end():
    def work(tell):
        tell(OUTCOME)
        tell(OUTCOME)
        return END

    assert told(work) == ["outcome", "outcome", "end"]


def test_a_refusal_before_the_first_file_is_raised():
    def work(_tell):
        raise RequestError("too old")

    with pytest.raises(RequestError, match="too old"):
        told(work)


def test_silence_is_broken_by_signs_of_life_and_a_late_refusal_is_told():
    alive = threading.Event()

    def work(_tell):
        alive.wait(30)
        raise RequestError("too old")

    kinds = told(work, heartbeat_s=0.01, on_line=lambda _kind: alive.set())
    assert kinds[0] == ""
    assert kinds[-1] == "failure"


def test_a_stream_ends_when_the_server_stops_and_the_run_does_not():
    stopping, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work(tell):
        tell(OUTCOME)
        release.wait(30)
        ended.set()
        return END

    assert told(work, stopping=stopping, on_line=lambda _kind: stopping.set()) == ["outcome", "failure"]
    release.set()  # the loop is closed by now: nobody listens, and that must not disturb the run
    assert ended.wait(30)


def test_a_server_that_stops_before_the_first_file_says_try_again():
    stopping, release = threading.Event(), threading.Event()
    stopping.set()
    with pytest.raises(RetryError, match="stopping"):
        told(lambda _tell: release.wait(30) and END, stopping=stopping)
    release.set()
