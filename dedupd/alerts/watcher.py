"""Follows the outbox and turns it into alerts; never slows the flow, and alerts at least once.

Owns the thread that reads, the two cursors "alerts" and "alerts.scans" in the store, and one outlet for each channel.
A cursor passes an event only when every channel has delivered it or given it up, so what waits at the end (or at a
crash) is told after the next start, to a channel that had it already perhaps once more. Decides nothing about when
to alert: core.alert_rules does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dedupd.alerts.channels import Channel
from dedupd.alerts.outlet import ChannelStatus, Outlet
from dedupd.core.alert_rules import (
    GIVE_UP_S,
    RETRY_DELAYS_S,
    AlertMessage,
    AlertPolicy,
    AlertRules,
    Lane,
    lane_of,
)
from dedupd.core.alert_text import Known
from dedupd.core.errors import StopError
from dedupd.core.ports import Library, LibraryView
from dedupd.core.records import RootId, RootState
from dedupd.core.records import Sequence as EventSequence

_BEGUN = "alerts.begun"  # a cursor of 0 may also mean "from the first event on"
_EVENTS_A_READ = 1000
_LOOK_EVERY_S = 0.5  # so that stopping needs no wake-up of its own
_PENDING_LOOKED_AT = 4096  # beyond so many that all wait for an absent root, a summary may be early
_KEEP_CURSOR_EVERY_S = 5.0  # each is a synchronous commit

_log = logging.getLogger("dedupd.alerts")


@dataclass(slots=True)
class _Ticket:
    """A message under way: how many channels still have it."""

    message: AlertMessage
    left: int


class AlertWatcher:
    """Reads events, asks the rules, hands messages to the channels. `start` once, `stop` once."""

    def __init__(
        self,
        library: Library,
        channels: Sequence[Channel],
        *,
        policy: AlertPolicy,
        per_hour: int,
        root_paths: Callable[[], Mapping[RootId, bytes]],
        clock: Callable[[], float] = time.monotonic,
        delays_s: Sequence[float] = RETRY_DELAYS_S,
        give_up_s: float = GIVE_UP_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._library = library
        self._rules = AlertRules(policy)
        self._root_paths = root_paths
        self._clock = clock
        self._look_every_s = look_every_s
        self._outlets = [
            Outlet(c, done=self._done, per_hour=per_hour, delays_s=delays_s, give_up_s=give_up_s, clock=clock)
            for c in channels
        ]
        self._lock = threading.Lock()
        self._tickets: dict[int, _Ticket] = {}  # id of the message → its ticket, in the order of posting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._position = EventSequence(0)  # the last event read
        self._kept: dict[Lane, EventSequence] = dict.fromkeys(Lane, EventSequence(0))  # what the store knows
        self._kept_at_s = 0.0
        self._failure: StopError | None = None

    def start(self) -> None:
        """Find where the last run came to and begin. The very first start begins now, not with what is past."""
        with self._library.view() as view:
            now = view.sequence()
            has_begun = view.cursor(_BEGUN) != 0
            self._kept = {lane: view.cursor(lane) for lane in Lane}
        if not has_begun:
            self._kept = dict.fromkeys(Lane, now)
            self._write_cursors([*self._kept.items(), (_BEGUN, EventSequence(1))])
        self._position = min(self._kept.values())
        self._kept_at_s = self._clock()
        for outlet in self._outlets:
            outlet.start()
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Stop within the time; a hook that still runs when half of it is over is killed.

        Returns whether all threads ended; those that did not are daemon threads in a network time-out.
        """
        deadline = time.monotonic() + timeout_s
        self._stop.set()
        for outlet in self._outlets:
            outlet.stop_soon()
        self._thread.join(timeout_s)
        if not self._join_outlets(deadline - timeout_s / 2):
            for outlet in self._outlets:
                outlet.cut_short()
        all_ended = self._join_outlets(deadline)
        if self._thread.is_alive():
            return False
        if self._failure is None and self._thread.ident is not None:
            try:
                self._keep_cursors(at_once=True)
            except StopError as error:  # then the next start tells a few alerts again
                _log.warning("alerts.cursor_not_kept reason=%r", str(error))
        return all_ended

    @property
    def is_alive(self) -> bool:
        """Whether it still reads events; False after `stop`, or when the store failed (`failure` says how)."""
        return self._thread.is_alive()

    @property
    def failure(self) -> StopError | None:
        """Why the store ended it, if it did."""
        return self._failure

    def channels(self) -> tuple[ChannelStatus, ...]:
        """How each channel is doing, for status and metrics."""
        return tuple(outlet.status() for outlet in self._outlets)

    def _join_outlets(self, until_s: float) -> bool:
        """Wait for every outlet; whether all have ended."""
        ended = [outlet.join(until_s - time.monotonic()) for outlet in self._outlets]
        return all(ended)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                has_news = self._wait_for_news()
                is_backlog_done = self._read() if has_news or self._rules.holds_scans else False
                for message in self._rules.due(self._clock(), is_backlog_done=is_backlog_done):
                    self._post(message)
                self._keep_cursors(at_once=False)
        except StopError as error:
            self._failure = error
            _log.error("alerts.stopped reason=%r", str(error))

    def _wait_for_news(self) -> bool:
        """Wait until there are events, or something gathered is due, or it is time to look whether to stop."""
        due_s = self._rules.next_due_s()
        wait_s = self._look_every_s if due_s is None else min(self._look_every_s, max(0.0, due_s - self._clock()))
        began_s = time.monotonic()
        has_news = self._library.wait_for_events(self._position, wait_s)
        if not has_news and time.monotonic() - began_s < wait_s / 2:
            self._stop.wait(self._look_every_s)  # the library has ended and no longer waits
        return has_news

    def _read(self) -> bool:
        """Take one batch of events; whether after it nothing at all is left to be worked off."""
        with self._library.view() as view:
            events = view.events(self._position, _EVENTS_A_READ)
            known = Known(root_paths=self._root_paths(), content_of=view.content)
            for event in events:
                self._position = event.sequence
                if event.sequence <= self._kept[lane_of(event)]:
                    continue  # told in an earlier run; only the other lane was behind
                message = self._rules.take(event, now_s=self._clock(), known=known)
                if message is not None:
                    self._post(message)
            return len(events) < _EVENTS_A_READ and _is_worked_off(view)

    def _post(self, message: AlertMessage) -> None:
        """Give a message to every channel."""
        _log.debug("alert.posted kind=%s count=%d", message.kind, message.count)
        if not self._outlets:
            return
        with self._lock:
            self._tickets[id(message)] = _Ticket(message, len(self._outlets))
        for outlet in self._outlets:
            outlet.offer(message)

    def _done(self, message: AlertMessage) -> None:
        """A channel delivered a message or gave it up; called from the outlets' threads."""
        with self._lock:
            ticket = self._tickets[id(message)]
            ticket.left -= 1
            if ticket.left == 0:
                del self._tickets[id(message)]

    def _keep_cursors(self, *, at_once: bool) -> None:
        """Store how far each lane is settled, at most every few seconds."""
        now_s = self._clock()
        if not at_once and now_s - self._kept_at_s < _KEEP_CURSOR_EVERY_S:
            return
        settled = {lane: max(self._kept[lane], self._settled(lane)) for lane in Lane}
        if settled != self._kept:
            self._write_cursors(settled.items())
            self._kept = settled
        self._kept_at_s = now_s

    def _settled(self, lane: Lane) -> EventSequence:
        """The last event of a lane before the first that is gathered or under way."""
        with self._lock:
            under_way = [t.message.first for t in self._tickets.values() if t.message.lane is lane]
        held = self._rules.oldest_held(lane)
        open_ones = under_way if held is None else [*under_way, held]
        return EventSequence(min(open_ones) - 1) if open_ones else self._position

    def _write_cursors(self, cursors: Iterable[tuple[str, EventSequence]]) -> None:
        with self._library.transaction() as transaction:
            for name, sequence in cursors:
                transaction.set_cursor(name, sequence)


def _is_worked_off(view: LibraryView) -> bool:
    """Whether nothing is under way; what waits for a root that is not there now may wait for weeks."""
    counts = view.counts()
    if counts.contents_unlinked:
        return False
    if not counts.files_pending:
        return True
    readable = {root.id for root in view.roots() if root.is_watched and root.state is RootState.ONLINE}
    return not any(file.path.root in readable for file in view.pending_files(_PENDING_LOOKED_AT))
