"""One channel's queue and thread: limits, retries, folds together what waits too long. Never blocks who offers.

Owns the channel, what waits for it and its counters. What becomes of a message (delivered, dropped) is told through
`done`; a message that is still waiting at the end is not done, so the watcher finds it again at the next start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dedupd.alerts.channels import Channel
from dedupd.core.alert_rules import (
    GIVE_UP_S,
    RETRY_DELAYS_S,
    AlertMessage,
    HourlyLimit,
    retry_delay_s,
    summary,
)
from dedupd.core.errors import RetryError

QUEUE_LIMIT = 200  # messages; with 50 events each some 10 MB at worst
FOLD_AFTER_FAILURES = 4  # then a summary of all that waits is tried, so that one odd message cannot block a channel

_log = logging.getLogger("dedupd.alerts")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel is doing, for status and metrics."""

    name: str
    sent: int  # messages taken by the channel since start
    failures: int  # attempts that failed since start
    dropped: int  # alerts given up since start
    waiting: int  # alerts not delivered yet
    trouble: str  # why the last attempt failed; "" after one that went well


@dataclass(frozen=True, slots=True)
class _Offered:
    """A message and since when it waits."""

    message: AlertMessage
    since_s: float


class Outlet:
    """Delivers messages to one channel, in order, urgent ones first."""

    def __init__(
        self,
        channel: Channel,
        *,
        done: Callable[[AlertMessage], None],
        per_hour: int,
        delays_s: Sequence[float] = RETRY_DELAYS_S,
        give_up_s: float = GIVE_UP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._done = done
        self._limit = HourlyLimit(per_hour) if channel.is_limited else None
        self._delays_s = delays_s
        self._give_up_s = give_up_s
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[_Offered] = deque()
        self._sending: list[_Offered] = []
        self._is_stopping = False
        self._sent = self._failures = self._dropped = 0
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name=f"alert-{channel.name}", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def offer(self, message: AlertMessage) -> None:
        """Queue a message. When the queue is full the oldest is dropped, counted and logged."""
        with self._changed:
            overflow = self._waiting.popleft() if len(self._waiting) >= QUEUE_LIMIT else None
            self._waiting.append(_Offered(message, self._clock()))
            self._changed.notify_all()
        if overflow is not None:
            self._drop([overflow], "too many alerts wait")

    def stop_soon(self) -> None:
        """Begin nothing new; a send under way may end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread ended within the time."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def cut_short(self) -> None:
        """Make the channel give up a send under way."""
        self._channel.close()

    def status(self) -> ChannelStatus:
        """How it is doing now."""
        with self._changed:
            return ChannelStatus(
                name=self._channel.name,
                sent=self._sent,
                failures=self._failures,
                dropped=self._dropped,
                waiting=len(self._waiting) + len(self._sending),
                trouble=self._trouble,
            )

    def _run(self) -> None:
        while self._take_next():
            self._deliver()

    def _take_next(self) -> bool:
        """Wait until something may go and move it to `_sending`; False when stopping."""
        was_held = False
        with self._changed:
            while not self._is_stopping:
                urgent = next((o for o in self._waiting if o.message.is_urgent), None)
                if urgent is not None:
                    self._waiting.remove(urgent)
                    self._sending = [urgent]
                    return True
                wait_s = self._wait_s() if self._waiting else None
                if wait_s == 0:
                    count = len(self._waiting) if was_held else 1
                    self._sending = [self._waiting.popleft() for _ in range(count)]
                    return True
                was_held = wait_s is not None
                self._changed.wait(wait_s)
        return False

    def _wait_s(self) -> float:
        return 0.0 if self._limit is None else self._limit.wait_s(self._clock())

    def _deliver(self) -> None:
        """Send what is in `_sending` until it is taken, given up, or the outlet stops."""
        failures = 0
        while self._sending and not self._is_stopping:
            reason = self._attempt(summary([offered.message for offered in self._sending]))
            if reason is None:
                self._note_delivered()
                return
            failures += 1
            self._note_failure(reason)
            self._give_up_old(reason)
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping, retry_delay_s(failures, self._delays_s))
                if failures >= FOLD_AFTER_FAILURES and len(self._sending) < QUEUE_LIMIT:
                    self._sending += self._waiting
                    self._waiting.clear()

    def _give_up_old(self, reason: str) -> None:
        """Drop what has waited too long."""
        too_old_s = self._clock() - self._give_up_s
        with self._changed:
            lost = [offered for offered in self._sending if offered.since_s <= too_old_s]
            self._sending = [offered for offered in self._sending if offered.since_s > too_old_s]
        if lost:
            self._drop(lost, reason)

    def _attempt(self, message: AlertMessage) -> str | None:
        """Send once; why it failed, or None."""
        try:
            self._channel.send(message)
        except RetryError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  delivery outlives a broken channel; its text may hold a secret
            return f"unexpected {type(error).__name__} in the channel"
        return None

    def _note_delivered(self) -> None:
        if self._limit is not None:
            self._limit.note_sent(self._clock())
        with self._changed:
            delivered, self._sending = self._sending, []
            self._sent += 1
            recovered, self._trouble = bool(self._trouble), ""
        if recovered:
            _log.info("alert.channel_recovered channel=%r", self._channel.name)
        for offered in delivered:
            self._done(offered.message)

    def _note_failure(self, reason: str) -> None:
        with self._changed:
            is_news = not self._trouble
            self._failures += 1
            self._trouble = reason
        level = logging.WARNING if is_news else logging.DEBUG  # once an outage
        _log.log(level, "alert.delivery_failed channel=%r reason=%r, it is tried again", self._channel.name, reason)

    def _drop(self, lost: Sequence[_Offered], reason: str) -> None:
        with self._changed:
            self._dropped += len(lost)
        _log.warning("alert.dropped channel=%r alerts=%d reason=%r", self._channel.name, len(lost), reason)
        for offered in lost:
            self._done(offered.message)
