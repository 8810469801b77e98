"""Shares: asked by the stages before each piece of the backlog whether its share of processor and disk is used up.

The rule is `core.shares`; this has the clock and the measuring, and remembers for people that it held something up. The
backlog is dealt out in small pieces, so holding back the next for a moment makes its share; nobody sleeps for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from dedupd.core.manners import Hold, HoldReason
from dedupd.core.shares import Allowance, ShareRules, Spent, spent_between
from dedupd.pipeline.stage import Clock

_LOOK_EVERY_S = 0.1
_SHOWN_S = 2.0  # a share is held by short waits: people are told for so long after one

Spending = Callable[[], Mapping[int, Spent]]


class Shares:
    """See the module. Thread-safe."""

    def __init__(self, *, clock: Clock, rules: ShareRules, spending: Spending, cores: int) -> None:
        """Hand it its collaborators.

        Args:
            clock: time.
            rules: the configuration's.
            spending: what each of dedupd's processes took since it began, by process id.
            cores: how many there are.
        """
        self._clock = clock
        self._spending = spending
        self._cores = cores
        self._lock = threading.Lock()
        self.configure(rules)

    def configure(self, rules: ShareRules) -> None:
        """Go by other rules from now on."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._rules = rules
            self._cpu = Allowance(self._cores * rules.cpu_percent / 100, now_s)
            self._disk = Allowance(rules.read_bytes_per_s, now_s)
            self._before: Mapping[int, Spent] | None = None
            self._look_at_s = now_s
            self._words = self._last_words = ""
            self._held_s: float | None = None  # when it last held something up

    def allow(self) -> bool:
        """Whether more of the backlog may be begun now."""
        if not self._rules.is_any_set:
            return True
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s >= self._look_at_s:
                self._look_at_s = now_s + _LOOK_EVERY_S
                self._words = self._look(now_s)
            if self._words:
                self._held_s = now_s
            return not self._words

    def hold(self) -> Hold | None:
        """Why the backlog waits, or did a moment ago."""
        with self._lock:
            if self._held_s is None or self._clock.monotonic_s() - self._held_s > _SHOWN_S:
                return None
            return Hold(reason=HoldReason.SHARE, words=self._last_words)

    def _look(self, now_s: float) -> str:
        """Which share is used up, in words; "" where none is."""
        found = self._spending()
        spent = spent_between(found if self._before is None else self._before, found)
        self._before = found
        has_cpu = self._cpu.spend(spent.cpu_s, now_s)
        has_disk = self._disk.spend(spent.read_bytes, now_s)
        if not has_cpu:
            self._last_words = f"its share of the processor, {self._rules.cpu_percent:g} %, is used"
        elif not has_disk:
            self._last_words = f"its share of the disk, {self._rules.read_bytes_per_s / 1e6:g} MB/s, is used"
        return "" if has_cpu and has_disk else self._last_words
