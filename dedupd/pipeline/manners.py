"""Manners: asked by the stages between two pieces of work whether what nobody waits for may go on.

The rule is `core.manners`; this has the clock, the pressure and the pause that a person asked for, which is kept in the
store and survives a restart. Owns that pause, and what it found at its last look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dedupd.core.events import PauseChanged
from dedupd.core.manners import FOREVER_NS, Hold, HoldReason, MannersRules, Pressure, hold_now
from dedupd.core.ports import Library
from dedupd.core.records import Sequence
from dedupd.core.shares import ShareRules
from dedupd.pipeline.shares import Shares
from dedupd.pipeline.stage import Clock

_LOOK_EVERY_S = 1.0
_CURSOR = "paused-until"  # the store's table of numbers by name; nanoseconds of CLOCK_REALTIME, 0: not paused


class Manners:
    """See the module. Thread-safe."""

    def __init__(
        self,
        *,
        library: Library,
        clock: Clock,
        rules: MannersRules,
        pressure: Callable[[], Pressure],
        minute_of: Callable[[int], int] | None = None,
        shares: Shares | None = None,
        heeds_pause: bool = True,
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            clock: time.
            rules: the configuration's.
            pressure: how busy the machine is.
            minute_of: the minute of the local day at a CLOCK_REALTIME; None: as the system has it.
            shares: what the backlog may take of processor and disk; None: all.
            heeds_pause: False where somebody waits for the work: a pause stays, for the next daemon.
        """
        self._library = library
        self._clock = clock
        self._rules = rules
        self._pressure = pressure
        self._minute_of = minute_of or _local_minute
        self._shares = shares
        self._lock = threading.RLock()
        self._look_at_s = 0.0
        self._hold: Hold | None = None
        with library.view() as view:
            self._until_ns = int(view.cursor(_CURSOR)) if heeds_pause else 0

    def configure(self, rules: MannersRules, shares: ShareRules) -> None:
        """Go by other rules from now on."""
        with self._lock:
            self._rules = rules
            self._look_at_s = 0.0
        if self._shares is not None:
            self._shares.configure(shares)

    def allow_backlog(self) -> bool:
        """Whether work that nobody waits for may go on."""
        return self._hold_by_rules() is None and (self._shares is None or self._shares.allow())

    def allow_arrivals(self) -> bool:
        """Whether what has just arrived may be read."""
        hold = self._hold_by_rules()
        return hold is None or not hold.holds_arrivals

    def allow_scans(self) -> bool:
        """Whether scans by the clock may wake the disks; a busy machine does not keep them off."""
        hold = self._hold_by_rules()
        return hold is None or hold.reason is HoldReason.BUSY

    def hold(self) -> Hold | None:
        """Why the backlog waits, None if it does not."""
        return self._hold_by_rules() or (None if self._shares is None else self._shares.hold())

    def _hold_by_rules(self) -> Hold | None:
        """The same but for its share; looked at once a second."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s >= self._look_at_s:
                self._look_at_s = now_s + _LOOK_EVERY_S
                self._hold = self._look()
            return self._hold

    def pause(self, for_s: float | None) -> None:
        """Hold up the backlog for so long; None: until `resume`."""
        until_ns = FOREVER_NS if for_s is None else self._clock.wall_ns() + round(for_s * 1e9)
        self._set(min(until_ns, FOREVER_NS))

    def resume(self) -> None:
        """End a pause."""
        with self._lock:
            if self._until_ns:
                self._set(0)

    def _look(self) -> Hold | None:
        now_ns = self._clock.wall_ns()
        if 0 < self._until_ns <= now_ns:
            self._set(0)
        was_busy = self._hold is not None and self._hold.reason is HoldReason.BUSY
        return hold_now(
            self._rules,
            now_ns=now_ns,
            minute=self._minute_of(now_ns) if self._rules.quiet else 0,
            pressure=self._pressure() if self._rules.asks_for_pressure else Pressure(),
            paused_until_ns=self._until_ns,
            was_busy=was_busy,
        )

    def _set(self, until_ns: int) -> None:
        with self._lock:
            fact = PauseChanged(is_paused=until_ns > 0, until_ns=until_ns if 0 < until_ns < FOREVER_NS else None)
            with self._library.transaction() as txn:
                txn.set_cursor(_CURSOR, Sequence(until_ns))
                txn.append(fact, self._clock.wall_ns())
            self._until_ns = until_ns
            self._look_at_s = 0.0


def _local_minute(wall_ns: int) -> int:
    local = time.localtime(wall_ns / 1e9)
    return local.tm_hour * 60 + local.tm_min
