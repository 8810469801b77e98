"""Tell of duplicates: which file of which content an event is about, in the transaction that makes it true.

One event for each file: a pair of two newcomers is told by the later one, and what has an older duplicate already was
told. What arrives is linked before an older backlog; of a picture of the backlog that turns out to be its duplicate the
arrival tells, for which somebody waits. Owns what is known of how contents arrived, until they have been told of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from dedupd.core.events import DuplicateFound, Origin
from dedupd.core.grouping import Tie
from dedupd.core.ports import LibraryTransaction, LibraryView
from dedupd.core.records import ContentId, Edge, FilePath, FileRecord
from dedupd.core.records import Sequence as Sequence_
from dedupd.pipeline.facts import Newcomer, duplicate_found, present_files, tied_matches
from dedupd.pipeline.said import is_rejected
from dedupd.pipeline.stage import Clock

_ARRIVED_KEPT = 1000  # contents whose arrival is remembered until further models have searched for them
_EVENTS_A_LOOK = 1000


class Teller:
    """See the module. Used by the link thread; `notice` by any."""

    def __init__(self, clock: Clock, ties: Callable[[ContentId], Mapping[ContentId, Tie]]) -> None:
        self._clock = clock
        self._ties = ties
        self._lock = threading.Lock()
        self._newcomers: dict[ContentId, Newcomer] = {}
        self._waiting: set[ContentId] = set()  # of the newcomers, those that have arrived
        self._arrived: dict[ContentId, Newcomer] = {}  # linked already; the latest
        self._told: set[ContentId] = set()  # of those, who has been told of

    def notice(self, described: Mapping[ContentId, Newcomer]) -> None:
        """New contents, and the files that brought them."""
        with self._lock:
            self._newcomers.update(described)
            self._waiting.update(content for content, new in described.items() if new.origin is Origin.ARRIVAL)

    @property
    def has_arrivals(self) -> bool:
        """Whether something that has arrived is not linked yet. Thread-safe."""
        return bool(self._waiting)

    def arrivals(self) -> list[ContentId]:
        """What has arrived and is not linked yet, the oldest first."""
        with self._lock:
            return sorted(self._waiting)

    def forget(self, contents: Iterable[ContentId]) -> None:
        """There is nothing to link of these."""
        with self._lock:
            for content in contents:
                self._waiting.discard(content)
                self._newcomers.pop(content, None)

    def linked(self, contents: Iterable[ContentId]) -> None:
        """These were told of. Arrivals are remembered: a further model may find a duplicate a little later."""
        with self._lock:
            for content in contents:
                newcomer = self._newcomers.pop(content, None)
                self._waiting.discard(content)
                if newcomer is not None and newcomer.origin is Origin.ARRIVAL:
                    self._arrived[content] = newcomer
                    if len(self._arrived) > _ARRIVED_KEPT:
                        oldest = next(iter(self._arrived))
                        del self._arrived[oldest]
                        self._told.discard(oldest)

    def not_told(self, edges: Sequence[Edge]) -> set[ContentId]:
        """The later ones of pairs found late that nobody was told of. Ask before the pairs are taken in."""
        later = {edge.b for edge in edges if edge.relation.is_duplicate}
        return {content for content in later if all(other > content for other in self._ties(content))}

    def tell(self, txn: LibraryTransaction, contents: Collection[ContentId], edges: Sequence[Edge]) -> None:
        """One event for each newcomer; a pair of two newcomers is told by the later one."""
        tellers = {*contents, *self._arrived_before(contents, edges)}
        for content in sorted(tellers):
            ties = {
                (edge.a if edge.b == content else edge.b): edge
                for edge in edges
                if edge.relation.is_duplicate and content in (edge.a, edge.b) and not is_rejected(txn, edge.a, edge.b)
            }
            older = {other: edge for other, edge in ties.items() if other < content or other not in tellers}
            record = txn.content(content)
            files = present_files(txn, content)
            if record is None or not files or not older:
                continue
            newcomer = self._newcomers.get(content) or self._arrived.get(content)
            path = newcomer.path if newcomer else None
            if path not in {f.path for f in files}:
                path = _first_not_told(txn, files)
            if path is None:
                continue
            matches = tied_matches(
                txn, {other: Tie(e.relation, e.similarity, e.probability) for other, e in older.items()}
            )
            fact = duplicate_found(path, record, newcomer.origin if newcomer else Origin.SCAN, matches)
            if fact is not None:
                txn.append(fact, self._clock.wall_ns())
                if newcomer is not None and newcomer.origin is Origin.ARRIVAL:
                    self._told.add(content)

    def _arrived_before(self, contents: Collection[ContentId], edges: Sequence[Edge]) -> set[ContentId]:
        """Later contents of these pairs that were linked first, as they had arrived, and have nothing told of yet."""
        later = {edge.b for edge in edges if edge.relation.is_duplicate and edge.a in contents}
        return {content for content in later - set(contents) if content in self._arrived and content not in self._told}


def _first_not_told(view: LibraryView, files: Sequence[FileRecord]) -> FilePath | None:
    """The first of a content's files that was not told as a copy of the others.

    Only after a restart, or when the file that brought the content has gone again, is the outbox needed to know it.
    """
    if len(files) == 1:
        return files[0].path
    told: set[FilePath] = set()
    after = Sequence_(0)
    while events := view.events(after, _EVENTS_A_LOOK):
        told.update(e.fact.path for e in events if isinstance(e.fact, DuplicateFound))
        after = events[-1].sequence
    left = [file for file in files if file.path not in told]
    return min(left, key=lambda f: (f.first_seen_ns, f.path)).path if left else None
