"""Manners: whether work that nobody waits for may go on now. Pure: clock, pressure and pause come in as arguments.

A backlog is everything that a scan found, a further model lacks, or it suggests. What arrives, and what people ask, is
somebody's wish and has rules of its own: only a quiet hour may hold up arrivals, where the configuration says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_HOUR: Final = 60  # minutes
_CALM: Final = 0.5  # of the limit: only then work goes on, so that it does not begin and stop all the time
FOREVER_NS: Final = 2**62  # a pause that ends only when somebody says so


class HoldReason(StrEnum):
    """Why the backlog waits."""

    PAUSED = "paused"  # a person said so
    QUIET = "quiet-hours"  # the configuration's hours
    BUSY = "busy"  # the machine has other work
    SHARE = "share"  # what it may take of processor or disk is used up for the moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The backlog waits."""

    reason: HoldReason
    words: str  # for people
    until_ns: int | None = None  # CLOCK_REALTIME, of a pause; None: not known or until somebody says so
    holds_arrivals: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A span of local time, every day; one that ends before it begins goes over midnight."""

    from_minute: int  # of the day, 0 … 1439
    to_minute: int  # not within the span any more

    def contains(self, minute: int) -> bool:
        """Whether a minute of the day lies in it."""
        if self.from_minute <= self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute

    def __str__(self) -> str:
        return f"{_clock_text(self.from_minute)}-{_clock_text(self.to_minute)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """How much of the last ten seconds somebody waited for a resource, in percent; None where the kernel has no word.

    Source: https://docs.kernel.org/accounting/psi.html, "some avg10". `load` is the load average of a minute, a core.
    """

    cpu: float | None = None
    io: float | None = None
    memory: float | None = None
    load: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MannersRules:
    """What holds up a backlog; limits of 0 hold up nothing."""

    quiet: tuple[QuietHours, ...] = ()
    quiet_arrivals: bool = True  # whether arrivals are read in quiet hours, too
    cpu_pressure: float = 0.0  # percent
    io_pressure: float = 0.0
    memory_pressure: float = 0.0
    load: float = 0.0  # a core

    @property
    def asks_for_pressure(self) -> bool:
        """Whether any limit is set."""
        return bool(self.cpu_pressure or self.io_pressure or self.memory_pressure or self.load)


def quiet_hours(text: str) -> QuietHours:
    """The span of "22:00-07:00".

    Raises:
        ValueError: it is none, or it has no minute.
    """
    begin, _, end = text.partition("-")
    span = QuietHours(from_minute=_minute_of(begin), to_minute=_minute_of(end))
    if span.from_minute == span.to_minute:
        raise ValueError(f"{text}: it begins when it ends")
    return span


def hold_now(
    rules: MannersRules,
    *,
    now_ns: int,
    minute: int,
    pressure: Pressure,
    paused_until_ns: int,
    was_busy: bool,
) -> Hold | None:
    """Why the backlog waits now, None if it may go on.

    Args:
        rules: the configuration's.
        now_ns: CLOCK_REALTIME.
        minute: of the local day, 0 … 1439.
        pressure: of the machine.
        paused_until_ns: CLOCK_REALTIME; 0: not paused.
        was_busy: whether the last answer was "busy": then the pressure must fall to half of its limit first.
    """
    if paused_until_ns > now_ns:
        is_open = paused_until_ns >= FOREVER_NS
        words = "paused until `dedupctl resume`" if is_open else "paused"
        return Hold(reason=HoldReason.PAUSED, words=words, until_ns=None if is_open else paused_until_ns)
    for span in rules.quiet:
        if span.contains(minute):
            words = f"quiet hours, {span}"
            return Hold(reason=HoldReason.QUIET, words=words, holds_arrivals=not rules.quiet_arrivals)
    for name, unit, limit, value in (
        ("CPU pressure", " %", rules.cpu_pressure, pressure.cpu),
        ("I/O pressure", " %", rules.io_pressure, pressure.io),
        ("memory pressure", " %", rules.memory_pressure, pressure.memory),
        ("load", " a core", rules.load, pressure.load),
    ):
        if limit and value is not None and value > limit * (_CALM if was_busy else 1.0):
            return Hold(reason=HoldReason.BUSY, words=f"{name} is {value:.3g}{unit}, the limit {limit:g}{unit}")
    return None


def _minute_of(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()):
        raise ValueError(f"{text!r} is no time of day such as 22:00")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{text} is no time of day")
    return int(hours) * _HOUR + int(minutes)


def _clock_text(minute: int) -> str:
    return f"{minute // _HOUR:02}:{minute % _HOUR:02}"
