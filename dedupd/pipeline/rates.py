"""How fast work goes: totals since start, a rate over the last half minute, an estimate of what is left.

Thread-safe; the describe and link stages count, anyone may read.
"""

from __future__ import annotations

import threading
from collections import deque

_WINDOW_S = 30.0


class Rates:
    """Counts of what the stages did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque()
        self.read_total = 0
        self.decoded_total = 0
        self.compared_total = 0

    def count(self, *, read: int = 0, decoded: int = 0, compared: int = 0, now_s: float) -> None:
        """Add to the totals; `read` also makes the rate."""
        with self._lock:
            self.read_total += read
            self.decoded_total += decoded
            self.compared_total += compared
            if read:
                self._recent.append((now_s, read))
            self._trim(now_s)

    def images_per_s(self, now_s: float) -> float:
        """Files described a second over the last half minute; 0 when there were none."""
        with self._lock:
            self._trim(now_s)
            if len(self._recent) < 2:  # one batch has no duration
                return 0.0
            spent = max(now_s - self._recent[0][0], 1e-3)
            return sum(n for _, n in list(self._recent)[1:]) / spent

    def eta_s(self, pending: int, now_s: float) -> float | None:
        """Seconds until `pending` files are done at the present rate; None when there is no telling."""
        rate = self.images_per_s(now_s)
        return pending / rate if pending and rate > 0 else None

    def _trim(self, now_s: float) -> None:
        while self._recent and self._recent[0][0] < now_s - _WINDOW_S:
            self._recent.popleft()
