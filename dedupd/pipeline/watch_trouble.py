"""Tells that changes of a root are not watched as they should be, once, with the remedy.

Decides nothing about roots and mends nothing: the change source does. Owns what was told. A trouble that mends itself
between two looks, such as a watcher that is started again, is told to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dedupd.core.events import Degraded
from dedupd.core.ports import Library, WatchHealth, WatchState
from dedupd.core.records import RootId, RootRecord
from dedupd.pipeline.stage import Clock

_WHAT = "watching"  # the stable word of the event
_TROUBLES = frozenset({WatchState.PARTIAL, WatchState.FAILED})


class WatchTrouble:
    """Owned by the intake thread."""

    def __init__(self, library: Library, clock: Clock) -> None:
        self._library = library
        self._clock = clock
        self._failed: set[RootId] = set()  # at the last look
        self._told: dict[RootId, WatchState] = {}

    def look(self, health: Sequence[WatchHealth], *, believed: Callable[[RootId], RootRecord | None]) -> None:
        """Take in how all roots are watched now; called every few seconds.

        Args:
            health: of each root.
            believed: the root if it is online. Of one that is not, people were told already, and with more reason.
        """
        failed = {root.root for root in health if root.state is WatchState.FAILED and believed(root.root) is not None}
        news: list[str] = []
        for root in health:
            if root.state not in _TROUBLES or believed(root.root) is None:
                self._told.pop(root.root, None)
            elif self._told.get(root.root) is not root.state and (
                root.state is WatchState.PARTIAL or root.root in self._failed
            ):
                self._told[root.root] = root.state
                news.append(root.message)
        self._failed = failed
        if not news:
            return
        with self._library.transaction() as txn:
            for message in dict.fromkeys(news):
                txn.append(Degraded(what=_WHAT, message=message), self._clock.wall_ns())
