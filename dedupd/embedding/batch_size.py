"""How many pictures go to a device at once: found by trying, halved when they do not fit.

Two small rules without clock or device. `Room` lives in a worker, which alone knows what fits; `Pace` lives with the
pool, which hands out batches. Neither ever changes what comes out, only how fast.
"""

from __future__ import annotations

_CLEAN_BATCHES = 16  # full ones in a row after which a little more is tried again
_PAYS = 1.05  # times the pictures a second that twice the batch must bring, else the smaller one stays

FIRST_PICTURES = 8
MOST_PICTURES = {"cuda": 512, "xpu": 256, "mps": 64, "cpu": 8}  # on a CPU larger ones only leave the cache (measured)


class Room:
    """The largest batch that fits into a device's memory, as far as is known."""

    def __init__(self) -> None:
        self._limit: int | None = None  # None: nothing was too large yet
        self._clean = 0

    @property
    def limit(self) -> int | None:
        """No batch may be larger; None: no bound is known."""
        return self._limit

    def failed(self, pictures: int) -> None:
        """A batch did not fit; the limit is half of it, at least one picture."""
        self._limit = max(1, pictures // 2)
        self._clean = 0

    def fitted(self, pictures: int) -> None:
        """A batch fitted. After some at the limit it grows by an eighth: what took the memory may be gone."""
        if self._limit is None or pictures < self._limit:
            return
        self._clean += 1
        if self._clean >= _CLEAN_BATCHES:
            self._limit += max(1, self._limit // 8)
            self._clean = 0


class Pace:
    """The batch size that a device does most pictures a second at: doubled as long as that pays."""

    def __init__(self, kind: str, fixed: int = 0) -> None:
        """A size of `fixed` pictures, or one that is found if that is 0, for a device of a kind ("cuda", …)."""
        self._most = fixed or MOST_PICTURES[kind]
        self._wanted = fixed or min(FIRST_PICTURES, self._most)
        self._limit: int | None = None  # what the worker says that fits
        self._best = 0.0  # pictures a second at half of the size
        self._is_found = bool(fixed)
        self._is_warm = False

    @property
    def size(self) -> int:
        """How many pictures the next batch should have."""
        return self._wanted if self._limit is None else min(self._wanted, self._limit)

    def did(self, pictures: int, seconds: float, limit: int | None) -> None:
        """Learn from one batch: how many pictures, how long, and what the worker says of its memory."""
        is_full = pictures >= self.size
        self._limit = limit
        self._is_found |= limit is not None and limit < self._wanted
        if self._is_found or not is_full:
            return
        if not self._is_warm:  # the first batch of a size pays for kernels and caches
            self._is_warm = True
            return
        self._is_warm = False
        rate = pictures / max(seconds, 1e-9)
        if rate < self._best * _PAYS:
            self._wanted //= 2
            self._is_found = True
        elif self._wanted * 2 > self._most:
            self._is_found = True
        else:
            self._best = rate
            self._wanted *= 2
