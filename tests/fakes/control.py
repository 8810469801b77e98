"""A daemon's control over a real store, with nothing behind it that works."""

from collections.abc import Callable
from dataclasses import replace

from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.examination import Finding, Verdict
from dedupd.core.manners import Hold, HoldReason
from dedupd.core.ports import Activity, Progress, RootProgress, WatchHealth, WatchState
from dedupd.core.records import ModelTag, RootId, RootRecord, RootState

NOW_NS = 1_760_000_000_000_000_000
MODEL = ModelTag("test-1")


class StillControl:
    """A whole `Control`. Counts and roots are the store's, every other number of its progress is fixed.

    A scan is only noted in `rescans`; `on_rescan` does what the test wants to come of it.
    """

    def __init__(self, library):
        self._library = library
        self.rescans: list = []
        self.on_rescan: Callable[[], None] = lambda: None
        self.activity = Activity.SCANNING
        self.generations = ()
        self.hold = None

    def progress(self) -> Progress:
        with self._library.view() as view:
            counts, roots = view.counts(), view.roots()
        return Progress(
            activity=self.activity,
            started_at_ns=NOW_NS,
            counts=counts,
            roots=tuple(map(_shown, roots)),
            read_total=10,
            decoded_total=8,
            compared_total=4,
            images_per_s=12.5,
            eta_s=200.0,
            degraded=("The disk is nearly full: free some space.",),
            workers=2,
            index_kind="exact",
            indexed=5,
            model=MODEL,
            generations=self.generations,
            hold=self.hold,
        )

    def examine(self):
        return (
            Finding(subject="clock", verdict=Verdict.OK, words="the clock is synchronised"),
            Finding(subject="root", verdict=Verdict.PROBLEM, words="/p is not there", remedy="mount its disk"),
        )

    def pause(self, for_s):
        until_ns = None if for_s is None else NOW_NS + round(for_s * 1e9)
        self.hold = Hold(reason=HoldReason.PAUSED, words="paused", until_ns=until_ns)
        return self.hold

    def resume(self):
        self.hold = None
        return self.hold

    def rescan(self, roots):
        with self._library.view() as view:
            for root in roots or ():
                _known(view, root)
        self.rescans.append(roots)
        self.on_rescan()

    def accept_root(self, root):
        with self._library.transaction() as txn:
            txn.put_root(replace(_known(txn, root), state=RootState.ONLINE, state_reason=""))

    def forget_root(self, root):
        with self._library.transaction() as txn:
            if _known(txn, root).is_watched:
                raise RequestError("The root is still configured: take it out of the configuration first.")
            return txn.remove_root(root)


def _known(view, root: RootId) -> RootRecord:
    known = view.root(root)
    if known is None:
        raise NotFoundError(f"There is no root {root}.")
    return known


def _shown(root: RootRecord) -> RootProgress:
    health = WatchHealth(
        root=root.id,
        state=WatchState.PARTIAL,
        watched_directories=5,
        unwatched_directories=2,
        overflows=0,
        message="Watches ran out: sysctl fs.inotify.max_user_watches=524288",
    )
    return RootProgress(
        root=root, health=health if root.is_watched else None, files=3, others={".mp4": 2}, is_scanning=False
    )
