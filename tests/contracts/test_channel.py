"""What every `Channel` promises. A far end joins by a class in FAR_ENDS that can break, mend and say what arrived."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fakes.channel import Recorder

from dedupd.alerts.channels import AppriseChannel, Channel, HookChannel, LogChannel
from dedupd.core.alert_rules import AlertKind, AlertMessage
from dedupd.core.errors import RetryError
from dedupd.core.events import Event, RootSuspect
from dedupd.core.records import RootId, Sequence

DEADLINE_S = 20.0
SECRET = "s3cret"


def alert(title: str = "Root in doubt", *, is_urgent: bool = False) -> AlertMessage:
    fact = RootSuspect(root=RootId(1), root_path=b"/photos", reason="it is empty", known_files=12)
    return AlertMessage(
        kind=AlertKind.ROOT_SUSPECT,
        title=title,
        body="/photos is empty; \x1b[2J12 files\nwere known in it",
        path=b"/photos/\xff",
        count=2,
        events=(Event(sequence=Sequence(7), at_ns=1, fact=fact),),
        first=Sequence(7),
        is_urgent=is_urgent,
    )


def wait_until(claim: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.01)


class FarEnd:
    """What is behind a channel."""

    channel: Channel

    def __init__(self, folder: Path) -> None: ...
    def titles(self) -> list[str]:
        """Of what arrived, in order."""
        raise NotImplementedError

    def hang(self) -> None:
        """From now on it does not answer."""

    def is_hanging(self) -> bool:
        """Whether a send waits for it now."""
        return False

    def break_down(self) -> None: ...
    def mend(self) -> None: ...
    def close(self) -> None: ...


HOOK = """
import json, pathlib, sys, time
out = pathlib.Path(__file__).parent
if (out / "hang").exists():
    (out / "hanging").touch()
    time.sleep(600)
if (out / "broken").exists():
    sys.exit(3)
with (out / "told").open("a") as told:
    print(json.dumps(json.load(sys.stdin)["title"]), file=told)
"""


class Program(FarEnd):
    """A hook that keeps what it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "hook.py").write_text(HOOK)
        argv = [sys.executable, "-S", str(folder / "hook.py"), f"--token={SECRET}"]
        self.channel = HookChannel(argv, DEADLINE_S, lambda: {RootId(1): b"/photos"})

    def titles(self) -> list[str]:
        return [json.loads(line) for line in (self._folder / "told").read_text().splitlines()]

    def hang(self) -> None:
        (self._folder / "hang").touch()

    def is_hanging(self) -> bool:
        return (self._folder / "hanging").exists()

    def break_down(self) -> None:
        (self._folder / "broken").touch()

    def mend(self) -> None:
        (self._folder / "broken").unlink()


class WebServer(FarEnd):
    """A web server on this machine that Apprise posts to."""

    def __init__(self, _: Path) -> None:
        far_end = self
        self._titles: list[str] = []
        self._status = 200

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if far_end._status == 200:
                    far_end._titles.append(posted["title"])
                self.send_response(far_end._status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.channel = AppriseChannel(f"json://user:{SECRET}@127.0.0.1:{self._server.server_port}/")

    def titles(self) -> list[str]:
        return self._titles

    def break_down(self) -> None:
        self._status = 500

    def mend(self) -> None:
        self._status = 200

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


class LogFile(FarEnd):
    """Where the log goes. It cannot break: what the log's own handlers do is theirs."""

    def __init__(self, _: Path) -> None:
        self.channel = LogChannel()
        self._lines: list[str] = []
        lines = self._lines

        class Keep(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                lines.append(record.getMessage())

        self._handler, self._logger = Keep(), logging.getLogger("dedupd.alerts")
        self._logger.addHandler(self._handler)
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)

    def titles(self) -> list[str]:
        assert all("\n" not in line for line in self._lines)
        return [line.partition("count=2 ")[2].partition(": ")[0] for line in self._lines]

    def close(self) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)


class InMemory(FarEnd):
    """The recorder of the watcher's tests."""

    channel: Recorder

    def __init__(self, _: Path) -> None:
        self.channel = Recorder()
        self._is_sending = False

    def titles(self) -> list[str]:
        return [message.title for message in self.channel.messages]

    def hang(self) -> None:
        self.channel.gate.clear()

    def is_hanging(self) -> bool:
        return not self.channel.gate.is_set()

    def break_down(self) -> None:
        self.channel.is_broken = True

    def mend(self) -> None:
        self.channel.is_broken = False


FAR_ENDS: dict[str, type[FarEnd]] = {"hook": Program, "apprise": WebServer, "log": LogFile, "recorder": InMemory}
BREAKING = ["apprise", "hook", "recorder"]
INTERRUPTIBLE = ["hook", "recorder"]  # Apprise's sends end by its own time-outs, the log's at once


@pytest.fixture(params=sorted(FAR_ENDS))
def far_end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FarEnd]:
    end = FAR_ENDS[request.param](tmp_path)
    yield end
    end.close()


def test_its_name_is_one_line_without_a_secret(far_end: FarEnd) -> None:
    name = far_end.channel.name
    assert name
    assert name.isprintable()
    assert SECRET not in name
    assert isinstance(far_end.channel.is_limited, bool)


def test_what_is_sent_has_arrived_when_send_returns_in_the_order_of_sending(far_end: FarEnd) -> None:
    far_end.channel.send(alert("first"))
    assert far_end.titles() == ["first"]
    far_end.channel.send(alert("second", is_urgent=True))
    far_end.channel.send(alert("third"))
    assert far_end.titles() == ["first", "second", "third"]


@pytest.mark.parametrize("far_end", BREAKING, indirect=True)
def test_a_far_end_that_is_down_is_a_retry_error_without_a_secret_until_it_is_back(far_end: FarEnd) -> None:
    far_end.break_down()
    for _ in range(2):
        with pytest.raises(RetryError) as failure:
            far_end.channel.send(alert("lost"))
        assert str(failure.value)
        assert SECRET not in str(failure.value)
    far_end.mend()
    far_end.channel.send(alert("delivered"))
    assert far_end.titles() == ["delivered"]


@pytest.mark.parametrize("far_end", INTERRUPTIBLE, indirect=True)
def test_closing_ends_a_send_under_way_as_a_failure(far_end: FarEnd) -> None:
    far_end.hang()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            far_end.channel.send(alert())
        except RetryError as failure:
            failures.append(failure)

    sending = threading.Thread(target=send)
    sending.start()
    wait_until(far_end.is_hanging)
    far_end.channel.close()
    sending.join(DEADLINE_S)
    assert not sending.is_alive()
    assert [type(failure) for failure in failures] == [RetryError]


def test_closing_an_idle_channel_from_another_thread_is_no_trouble(far_end: FarEnd) -> None:
    far_end.channel.send(alert("first"))
    closing = threading.Thread(target=far_end.channel.close)
    closing.start()
    closing.join(DEADLINE_S)
    assert not closing.is_alive()
    assert far_end.titles() == ["first"]


def test_no_descriptor_is_left_open(far_end: FarEnd) -> None:
    far_end.channel.send(alert("first"))  # what is opened once may stay
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a count, taken at one moment
    for _ in range(3):
        far_end.channel.send(alert())
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208  the same
