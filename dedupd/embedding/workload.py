"""What waits to be embedded and what is on a device: every picture of every batch is answered exactly once.

Plain bookkeeping, not thread-safe: the pool asks it under its lock and resolves futures outside of it. Starts nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dedupd.core.arrays import Pixels, Vectors
from dedupd.core.ports import Descriptor

SUSPECT_DEATHS = 2  # a picture that was on so many workers that ended is tried where the ground is firmest


class Job:
    """One batch as it was asked for."""

    def __init__(self, pictures: Sequence[Pixels], digests: Sequence[bytes], dim: int) -> None:
        self.future: Future[list[Descriptor]] = Future()
        self.pictures = pictures
        self._digests = digests
        self._vectors: Vectors = np.zeros((len(pictures), dim), dtype=np.float32)
        self._left = len(pictures)
        self._failed: dict[int, str] = {}
        self._is_wanted: bool | None = None  # None: not asked yet

    @property
    def is_done(self) -> bool:
        """Whether every picture has its answer."""
        return self._left == 0

    def begin(self) -> bool:
        """Whether who asked has not cancelled; from now on they cannot."""
        if self._is_wanted is None:
            self._is_wanted = self.future.set_running_or_notify_cancel()
        return self._is_wanted

    def embedded(self, place: int, vector: Vectors) -> None:
        """A picture's vector."""
        self._vectors[place] = vector
        self._left -= 1

    def failed(self, place: int, reason: str) -> None:
        """A picture has none, and why."""
        self._failed[place] = reason
        self._left -= 1

    def give_up(self, error: Exception) -> None:
        """Answer who asked by an error, unless they have cancelled."""
        if self.begin():
            self.future.set_exception(error)

    def resolve(self) -> None:
        """Answer who asked: descriptors, or ValueError that names the first picture that failed."""
        if self._failed:
            place, reason = min(self._failed.items())
            named = f"content {self._digests[place].hex()[:16]}"
            more = f" (and on {len(self._failed) - 1} more of the batch)" if len(self._failed) > 1 else ""
            self.future.set_exception(ValueError(f"the model failed on {named}{more}: {reason}"))
        else:
            rows = (self._vectors[place : place + 1] for place in range(len(self._vectors)))
            self.future.set_result([Descriptor(stored=row, queries=row) for row in rows])


class Place(NamedTuple):
    """One picture of a job."""

    job: Job
    at: int

    @property
    def picture(self) -> Pixels:
        """Its pixels."""
        return self.job.pictures[self.at]


@dataclass(slots=True, kw_only=True)
class Portion:
    """Pictures that go to a device together."""

    places: list[Place]
    deaths: int = 0  # workers that ended while they computed it
    died_on: str = ""  # the device of the last of them


class Claim(NamedTuple):
    """Which work a device may take."""

    device: str
    takes_fresh: bool = True
    takes_suspects: bool = True  # pictures that were on workers that ended, more than once
    is_alone: bool = True  # no other device serves: it takes again what its own worker ended on


@dataclass(slots=True)
class Workload:
    """Jobs by picture: fresh ones in the order they came, and portions to be done again."""

    _fresh: deque[Place] = field(default_factory=deque)
    _again: deque[Portion] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """Pictures that are on no device."""
        return len(self._fresh) + sum(len(portion.places) for portion in self._again)

    def add(self, job: Job) -> None:
        """A new job's pictures, behind all others."""
        self._fresh.extend(Place(job, at) for at in range(len(job.pictures)))

    def has_for(self, claim: Claim) -> bool:
        """Whether there is something to take."""
        return bool(claim.takes_fresh and self._fresh) or any(_suits(portion, claim) for portion in self._again)

    def take(self, claim: Claim, most: int) -> Portion | None:
        """A portion to be done again, whatever its size, or up to `most` fresh pictures."""
        for portion in self._again:
            if _suits(portion, claim):
                self._again.remove(portion)
                return portion
        places: list[Place] = []
        while claim.takes_fresh and self._fresh and len(places) < most:
            place = self._fresh.popleft()
            if place.job.begin():
                places.append(place)
            else:
                self._fresh = deque(other for other in self._fresh if other.job is not place.job)
        return Portion(places=places) if places else None

    def put_back(self, portion: Portion) -> None:
        """A portion that no worker has looked at."""
        self._again.appendleft(portion)

    def died(self, portion: Portion, device: str) -> None:
        """A worker ended while it computed a portion: each of its pictures is done again, alone."""
        for place in portion.places:
            self._again.append(Portion(places=[place], deaths=portion.deaths + 1, died_on=device))

    def drop_all(self) -> list[Job]:
        """Forget all that is on no device; returns whose pictures that were, each job once."""
        places = [*self._fresh, *(place for portion in self._again for place in portion.places)]
        self._fresh.clear()
        self._again.clear()
        return list(dict.fromkeys(place.job for place in places))


def _suits(portion: Portion, claim: Claim) -> bool:
    if portion.deaths >= SUSPECT_DEATHS:
        return claim.takes_suspects
    return claim.takes_fresh and (portion.died_on != claim.device or claim.is_alone)
