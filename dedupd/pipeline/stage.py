"""A stage: one named thread that steps until told to stop, and shows by its pulse that it still does.

A stage that raises has met a bug or a failed store: it reports the crash and ends, and the daemon stops as a whole,
because going on with half a pipeline would be silence where an alert is due.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

OnCrash = Callable[[str, BaseException], None]


class Clock(Protocol):
    """Time, so that tests can have their own."""

    def monotonic_s(self) -> float: ...
    def wall_ns(self) -> int: ...


class SystemClock:
    """The real time."""

    def monotonic_s(self) -> float:
        """CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds."""
        return time.time_ns()


class Stage(ABC):
    """A thread that calls `_step` again and again; a step takes at most about a second when there is little to do."""

    def __init__(self, name: str, on_crash: OnCrash) -> None:
        self.name = name
        self._on_crash = on_crash
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dedupd-{name}", daemon=True)
        self._pulse_s = time.monotonic()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask it to end after the step it is in; returns at once."""
        self._stopping.set()
        self._wake()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def seconds_since_pulse(self) -> float:
        """How long the current step has taken; for the service watchdog."""
        return time.monotonic() - self._pulse_s

    @property
    def is_stopping(self) -> bool:
        """Whether `request_stop` was called."""
        return self._stopping.is_set()

    def _beat(self) -> None:
        """Show life within a long step."""
        self._pulse_s = time.monotonic()

    def _goes_on(self) -> bool:
        """Show life within a long step; False once it should end."""
        self._beat()
        return not self.is_stopping

    @abstractmethod
    def _step(self) -> None:
        """Do one bounded piece of work, or wait briefly for some."""

    def _prepare(self) -> None:  # noqa: B027 - optional hook
        """Run once in the thread before the first step."""

    def _wake(self) -> None:  # noqa: B027 - optional hook
        """Cut short the wait of a step that has nothing to do."""

    def _run(self) -> None:
        try:
            self._prepare()
            while not self._stopping.is_set():
                self._beat()
                self._step()
        except BaseException as error:  # noqa: BLE001 - the supervisor must learn of any end of a stage
            self._on_crash(self.name, error)
