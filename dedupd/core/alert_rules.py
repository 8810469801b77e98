"""When to alert, and about how much at once: the first arrival at once, what follows gathered, a scan summed up.

Pure state machines: time comes in as an argument (seconds of any steady clock), messages come out. They deliver
nothing (alerts.channels), and read no events themselves (alerts.watcher owns them and calls from one thread).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dedupd.core.alert_text import (
    Known,
    arrivals_title,
    cleanup_body,
    cleanup_title,
    duplicate_line,
    listed,
    returned_line,
    returned_title,
    scan_opening,
    scan_title,
)
from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Event,
    FileSetAside,
    Origin,
    PauseChanged,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, FilePath, Relation, RootId, Sequence
from dedupd.core.wording import count_text, path_words

LINES_A_MESSAGE = 10  # a phone shows about as many; the count and the events tell the rest
EVENTS_A_MESSAGE = 50  # carried along for hooks; bounds the memory of what waits
DEGRADED_AGAIN_S = 86_400.0  # no event says "well again", so the same trouble is told once a day
SCAN_QUIET_S = 300.0  # a finished scan is summed up after this even while other work keeps the backlog from emptying
RETRY_DELAYS_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)  # then every hour
RETURNED_KEPT = 10_000  # files that came back, remembered until they are told as duplicates too; about 2 MB
GIVE_UP_S = 86_400.0  # a duplicate of yesterday is no news


class AlertKind(StrEnum):
    """What an alert is about. Stable: hooks match on these."""

    DUPLICATES = "duplicates"  # files that arrived
    SCAN_DUPLICATES = "scan-duplicates"  # what a scan found, summed up
    RETURNED = "returned"  # files that a clean-up had taken away
    CLEANUP = "clean-up"  # one that did not go as planned, or that no person started
    ROOT_SUSPECT = "root-suspect"
    ROOT_ONLINE = "root-online"
    DEGRADED = "degraded"
    SUMMARY = "summary"  # several alerts that were held back, as one


class Lane(StrEnum):
    """Which cursor an event belongs to. Scans are held for hours, so they must not hold back the others."""

    NEWS = "alerts"
    SCANS = "alerts.scans"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """What the settings say about alerts."""

    relations: frozenset[Relation] = DUPLICATE_RELATIONS  # the closest match decides
    quiet_s: float = 10.0  # arrivals closer together than this go into one message
    gather_at_most_s: float = 60.0  # but nobody waits longer than this
    on_scan: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One message to people."""

    kind: AlertKind
    title: str  # one line
    body: str  # lines; may repeat the title's facts
    path: bytes | None  # absolute: the first file or the root that it is about
    count: int  # how many events it speaks of
    events: tuple[Event, ...]  # the first EVENTS_A_MESSAGE of them
    first: Sequence  # the oldest event in it
    is_urgent: bool = False  # goes out even when the hour's messages are used up

    @property
    def lane(self) -> Lane:
        """Which cursor waits for its delivery."""
        return Lane.SCANS if self.kind is AlertKind.SCAN_DUPLICATES else Lane.NEWS


def lane_of(event: Event) -> Lane:
    """Which cursor an event belongs to."""
    match event.fact:
        case DuplicateFound(origin=Origin.SCAN) | ScanFinished():
            return Lane.SCANS
        case _:
            return Lane.NEWS


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """Duplicates, or files that came back, on their way into one message."""

    first: Sequence
    path: bytes
    name: bytes
    began_s: float
    latest_s: float
    count: int = 0
    size_bytes: int = 0
    lines: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, event: Event, fact: DuplicateFound | CleanedReturned, now_s: float, known: Known) -> None:
        self.latest_s = now_s
        self.count += 1
        self.size_bytes += fact.size_bytes
        if len(self.lines) < LINES_A_MESSAGE:
            told = returned_line(fact, known) if isinstance(fact, CleanedReturned) else duplicate_line(fact, known)
            self.lines.append(told)
        if len(self.events) < EVENTS_A_MESSAGE:
            self.events.append(event)


class AlertRules:
    """Turns events into messages. Not thread-safe; the watcher's thread owns it."""

    def __init__(self, policy: AlertPolicy) -> None:
        self._policy = policy
        self._arrivals: dict[AlertKind, _Gathered] = {}  # DUPLICATES and RETURNED
        self._last_arrival_s: dict[AlertKind, float] = {}
        self._returned: set[tuple[FilePath, ContentId]] = set()  # told as back, so not as duplicates as well
        self._scans: dict[RootId, _Gathered] = {}
        self._finished_scans: dict[RootId, bytes] = {}  # root → its path, until the backlog is done
        self._suspect: set[RootId] = set()
        self._degraded: dict[tuple[str, str], float] = {}  # what and the message without its figures → when told

    def take(  # noqa: PLR0911 - one for each kind of event
        self, event: Event, *, now_s: float, known: Known
    ) -> AlertMessage | None:
        """Note an event; a message when it is to be told at once."""
        match event.fact:
            case DuplicateFound() as fact:
                return self._duplicate(event, fact, now_s, known)
            case ScanFinished() as fact:
                self._finished_scans[fact.root] = fact.root_path
            case RootSuspect() as fact if fact.root not in self._suspect:
                self._suspect.add(fact.root)
                return _root_suspect(event, fact)
            case RootOnline() as fact:
                self._suspect.discard(fact.root)
                return _root_online(event, fact)
            case Degraded() as fact:
                return self._degradation(event, fact, now_s)
            case CleanedReturned() as fact:
                return self._return(event, fact, now_s, known)
            case CleanupFinished() as fact:
                return _cleanup_finished(event, fact)
            # Told already; `dedupctl problems` shows what was set aside; who paused knows it.
            case RootSuspect() | FileSetAside() | PauseChanged():
                pass
        return None

    def due(self, now_s: float, *, is_backlog_done: bool) -> list[AlertMessage]:
        """The messages whose gathering is over.

        Args:
            now_s: the steady clock.
            is_backlog_done: nothing is pending in the store, and every event has been taken.
        """
        messages = []
        for kind, arrivals in list(self._arrivals.items()):
            if now_s >= self._arrivals_due_s(arrivals):
                messages.append(_arrivals_message(kind, arrivals))
                del self._arrivals[kind]
        for root, scan in list(self._scans.items()):
            quiet_s = now_s - scan.latest_s
            if root in self._finished_scans:
                is_over = is_backlog_done or quiet_s >= SCAN_QUIET_S
            else:  # work of an earlier run that was resumed
                is_over = is_backlog_done and quiet_s >= self._policy.gather_at_most_s
            if is_over:
                messages.append(_scan_message(scan, self._finished_scans.get(root)))
                del self._scans[root]
        if is_backlog_done:
            self._finished_scans.clear()
        return messages

    def next_due_s(self) -> float | None:
        """When arrivals are next due; None when none are gathered. Scans depend on the backlog instead."""
        return min((self._arrivals_due_s(arrivals) for arrivals in self._arrivals.values()), default=None)

    @property
    def holds_scans(self) -> bool:
        """Whether `due` must be asked again once the backlog is done."""
        return bool(self._scans or self._finished_scans)

    def oldest_held(self, lane: Lane) -> Sequence | None:
        """The oldest event of a lane that no message has carried off yet."""
        if lane is Lane.NEWS:
            return min((arrivals.first for arrivals in self._arrivals.values()), default=None)
        return min((scan.first for scan in self._scans.values()), default=None)

    def _arrivals_due_s(self, arrivals: _Gathered) -> float:
        return min(arrivals.latest_s + self._policy.quiet_s, arrivals.began_s + self._policy.gather_at_most_s)

    def _duplicate(self, event: Event, fact: DuplicateFound, now_s: float, known: Known) -> AlertMessage | None:
        if (fact.path, fact.content) in self._returned:
            self._returned.discard((fact.path, fact.content))
            return None
        if fact.matches[0].relation not in self._policy.relations:
            return None
        if fact.origin is Origin.SCAN:
            if self._policy.on_scan:
                scan = self._scans.get(fact.path.root) or _begin(event, fact, now_s, known)
                self._scans[fact.path.root] = scan
                scan.add(event, fact, now_s, known)
            return None
        return self._arrival(AlertKind.DUPLICATES, event, fact, now_s, known)

    def _return(self, event: Event, fact: CleanedReturned, now_s: float, known: Known) -> AlertMessage | None:
        if len(self._returned) >= RETURNED_KEPT:
            self._returned.clear()
        self._returned.add((fact.path, fact.content))
        return self._arrival(AlertKind.RETURNED, event, fact, now_s, known)

    def _arrival(
        self, kind: AlertKind, event: Event, fact: DuplicateFound | CleanedReturned, now_s: float, known: Known
    ) -> AlertMessage | None:
        """The first of a kind is told at once, what follows it is gathered."""
        last_s = self._last_arrival_s.get(kind)
        is_calm = last_s is None or now_s - last_s >= self._policy.quiet_s
        self._last_arrival_s[kind] = now_s
        arrivals = self._arrivals.get(kind) or _begin(event, fact, now_s, known)
        arrivals.add(event, fact, now_s, known)
        if is_calm and kind not in self._arrivals:
            return _arrivals_message(kind, arrivals)
        self._arrivals[kind] = arrivals
        return None

    def _degradation(self, event: Event, fact: Degraded, now_s: float) -> AlertMessage | None:
        key = (fact.what, "".join(c for c in fact.message if not c.isdigit()))
        told_s = self._degraded.get(key)
        if told_s is not None and now_s - told_s < DEGRADED_AGAIN_S:
            return None
        self._degraded[key] = now_s
        return _single(event, AlertKind.DEGRADED, f"dedupd is degraded: {fact.what}", fact.message, None)


class HourlyLimit:
    """At most so many messages in any hour. Not thread-safe; each channel's thread owns one."""

    WINDOW_S = 3600.0

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._sent_s: deque[float] = deque(maxlen=per_hour)

    def wait_s(self, now_s: float) -> float:
        """How long until the next message may go; 0: now."""
        if len(self._sent_s) < self._per_hour:
            return 0.0
        return max(0.0, self._sent_s[0] + self.WINDOW_S - now_s)

    def note_sent(self, now_s: float) -> None:
        """Count a message."""
        self._sent_s.append(now_s)


def retry_delay_s(failures: int, delays_s: Sequence_[float] = RETRY_DELAYS_S) -> float:
    """How long to wait after so many failures in a row (1 …)."""
    return delays_s[min(failures, len(delays_s)) - 1]


def summary(messages: Sequence_[AlertMessage]) -> AlertMessage:
    """Several messages that were held back, as one."""
    if len(messages) == 1:
        return messages[0]
    of_files = {AlertKind.DUPLICATES, AlertKind.RETURNED}
    lines = [m.body if m.kind in of_files and m.count == 1 else m.title for m in messages]
    return AlertMessage(
        kind=AlertKind.SUMMARY,
        title=f"{len(messages):,} more alerts",
        body=listed(lines[:LINES_A_MESSAGE], len(lines)),
        path=messages[0].path,
        count=sum(m.count for m in messages),
        events=tuple(event for m in messages for event in m.events)[:EVENTS_A_MESSAGE],
        first=min(m.first for m in messages),
        is_urgent=any(m.is_urgent for m in messages),
    )


def _begin(event: Event, fact: DuplicateFound | CleanedReturned, now_s: float, known: Known) -> _Gathered:
    path = known.absolute(fact.path)
    return _Gathered(first=event.sequence, path=path, name=fact.path.name, began_s=now_s, latest_s=now_s)


def _arrivals_message(kind: AlertKind, arrivals: _Gathered) -> AlertMessage:
    title = returned_title if kind is AlertKind.RETURNED else arrivals_title
    return AlertMessage(
        kind=kind,
        title=title(arrivals.count, arrivals.name),
        body=listed(arrivals.lines, arrivals.count),
        path=arrivals.path,
        count=arrivals.count,
        events=tuple(arrivals.events),
        first=arrivals.first,
    )


def _scan_message(scan: _Gathered, root_path: bytes | None) -> AlertMessage:
    name = (root_path or b"").rstrip(b"/").rpartition(b"/")[2] or root_path or b"the library"
    return AlertMessage(
        kind=AlertKind.SCAN_DUPLICATES,
        title=scan_title(scan.count, name),
        body=scan_opening(scan.count, scan.size_bytes) + "\n" + listed(scan.lines, scan.count),
        path=scan.path,
        count=scan.count,
        events=tuple(scan.events),
        first=scan.first,
    )


def _root_suspect(event: Event, fact: RootSuspect) -> AlertMessage:
    title = f"{path_words(fact.root_path)} is not as it was"
    body = (
        f"{fact.reason}\n{count_text(fact.known_files, 'file is', 'files are')} known there. If it is right as it is:"
        f" dedupctl roots accept {path_words(fact.root_path)}"
    )
    return _single(event, AlertKind.ROOT_SUSPECT, title, body, fact.root_path)


def _cleanup_finished(event: Event, fact: CleanupFinished) -> AlertMessage | None:
    """None for one that went as planned and that a person started, who has seen it."""
    is_urgent = bool(fact.conflicts or fact.failed or fact.stopped)
    if not is_urgent and not (fact.is_automatic and fact.done):
        return None
    message = _single(event, AlertKind.CLEANUP, cleanup_title(fact), cleanup_body(fact), None)
    return replace(message, is_urgent=is_urgent)


def _root_online(event: Event, fact: RootOnline) -> AlertMessage:
    title = f"{path_words(fact.root_path)} is back"
    how = "A person accepted it as it is." if fact.was_accepted else "It looks like itself again."
    return _single(event, AlertKind.ROOT_ONLINE, title, how, fact.root_path)


def _single(event: Event, kind: AlertKind, title: str, body: str, path: bytes | None) -> AlertMessage:
    """A message about the state of things, which no limit holds back."""
    return AlertMessage(
        kind=kind, title=title, body=body, path=path, count=1, events=(event,), first=event.sequence, is_urgent=True
    )
