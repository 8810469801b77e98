"""A forked process that works and tells, until the test ends it at a moment of its own choosing.

It is forked, not started, because importing takes longer than what is disturbed. It must make its own store: none may
be open at the fork.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable

Say = Callable[..., None]
FAILED = "failed"


class Forked:
    """A process that does `work(say)`. What it says arrives as dicts, each with the moment at which it was said."""

    def __init__(self, work: Callable[[Say], None]) -> None:
        mine, theirs = (
            socket.socketpair()
        )  # its `sendto` is no call that a file's writing makes, which may be made to fail
        self._reading, writing = mine.detach(), theirs.detach()
        self._rest = b""
        self._status: int | None = None
        self.said: list[dict] = []
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            _work(work, writing)
        os.close(writing)

    def hear(self, word: str, *, times: int = 1) -> bool:
        """Wait until it has said a word so often; False when it ends before."""
        while sum(one["word"] == word for one in self.said) < times:
            if not self._read():
                return False
        return True

    def run_on(self, seconds: float) -> None:
        """Let it work for so long, or until it says something."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not select.select([self._reading], [], [], left)[0]:
            pass

    def kill(self) -> float:
        """End it at once; returns when. It must be at work still."""
        at = self.must_work()
        self.kill_whatever()
        return at

    def must_work(self) -> float:
        """Fail the test if it has ended already; returns the moment of asking."""
        if self.has_ended():
            self.refuse_failure()
            raise AssertionError(f"it ended by itself, status {self._status}, after saying {self.said[-3:]}")
        return time.monotonic()

    def has_ended(self) -> float:
        """When it was seen that it had ended by itself; 0 while it is at work."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                return 0
            self._status = status
            while self._read():
                pass
        return time.monotonic()

    def kill_whatever(self) -> None:
        """End it at once, if it has not ended."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)

    def last_words(self) -> int:
        """Read all that it said and wait for its end; returns its wait status."""
        while self._read():
            pass
        os.close(self._reading)
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        return self._status

    def refuse_failure(self, before: float = float("inf")) -> None:
        """Fail the test if it failed before a moment: what fails after its disk went is no fault of its own."""
        for one in self.said:
            if one["word"] == FAILED and one["at"] < before:
                raise AssertionError(one["trace"])

    def acknowledged(self, word: str, before: float = float("inf")) -> list[dict]:
        """All that it said under a word before a moment.

        With its power cut a process would say nothing more. Here it lives on for an instant, in which ext4 may answer
        an fsync under way with success, though what it was about is lost.
        """
        return [one for one in self.said if one["word"] == word and one["at"] < before]

    def _read(self) -> bool:
        try:
            part = os.read(self._reading, 1 << 16)
        except ConnectionResetError:
            part = b""
        *lines, self._rest = (self._rest + part).split(b"\n")
        self.said += map(json.loads, lines)
        return bool(part)


def _work(work: Callable[[Say], None], writing: int) -> None:
    """The child's life."""

    def say(word: str, **more: object) -> None:
        line = json.dumps({"word": word, "at": time.monotonic(), **more}).encode() + b"\n"
        with socket.socket(fileno=os.dup(writing)) as sender:
            sender.sendall(line)

    code = 1
    try:
        work(say)
        say("ended")
        code = 0
    except BaseException:  # noqa: BLE001 - it is told, and the process ends
        say(FAILED, trace=traceback.format_exc())
    finally:
        os._exit(code)
