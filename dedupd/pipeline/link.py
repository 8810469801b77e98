"""Link: search → verify → one transaction (edges, stage, events) → add to the index and the groups.

Killed at any point, every true pair is found exactly once: what was committed is linked and is in the index after the
catch-up, what was not is still unlinked in the store and is searched again. When nothing new waits, it looks at the
pairs that further models suggest, a few at a time, so that an arrival never waits long. Owns the index and the group
book's changes; takes its work from the store.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace

from dedupd.core.arrays import Vectors
from dedupd.core.errors import RetryError
from dedupd.core.ports import Descriptor, Library, LibraryTransaction, LibraryView, Model, Priority, VectorIndex
from dedupd.core.records import ContentId, Edge
from dedupd.pipeline.asked import GaveUpError
from dedupd.pipeline.candidates import Pair, candidate_pairs, pair_of
from dedupd.pipeline.compare import Comparer, Verified
from dedupd.pipeline.facts import Newcomer
from dedupd.pipeline.group_book import GroupBook
from dedupd.pipeline.stage import Clock, OnCrash, Stage
from dedupd.pipeline.tell import Teller

_log = logging.getLogger(__name__)

_BATCH = 16  # contents of a first scan a transaction; given up when something arrives
_ARRIVALS = 8  # contents that have just arrived a transaction: before all others, and told of as soon as possible
_ROOM = 256  # described contents that may wait before the backlog pauses
_CLOSURE = 8  # members of a matched component that a newcomer is also compared with directly
_KEEPER_CLOSURE = 256  # members a batch compares with a group's best: who lacks that pair is only "related"
_REFUSED_KEPT = 50_000  # pairs; about 5 MB
_SUGGESTED_A_TURN = 24  # pairs; half a second of evidence on one core, which is how long an arrival may wait for it
_CLOSING_ROUNDS = 4  # each round doubles the length of a chain in one batch that is closed to its ends
_NO_WORKER_WAIT_S = 1.0  # until the pool is asked again when it could not start a worker
_IDLE_WAIT_S = 1.0


class Link(Stage):
    """See the module; one thread."""

    def __init__(
        self,
        *,
        library: Library,
        index: VectorIndex,
        model: Model,
        comparer: Comparer,
        groups: GroupBook,
        clock: Clock,
        candidates: int,
        on_crash: OnCrash,
        allow_backlog: Callable[[], bool] = lambda: True,
    ) -> None:
        """Hand it its collaborators.

        `candidates` is how many neighbours of a picture get a second look, at most; `allow_backlog` whether pairs that
        models suggest may be looked at now.
        """
        super().__init__("link", on_crash)
        self._library = library
        self._index = index
        self._model = model
        self._comparer = comparer
        self._groups = groups
        self._candidates = candidates
        self._allow_backlog = allow_backlog
        self._has_held_back = False  # there may be suggested pairs that were not allowed to be looked at
        self._news = threading.Event()
        self._teller = Teller(clock, groups.ties)
        self._removed: set[ContentId] = set()
        self._asked: deque[Callable[[], None]] = deque()
        self._first: list[Callable[[Callable[[], bool]], None]] = []
        self._lock = threading.Lock()
        self._unlinked = 0
        self._refused: set[Pair] = set()  # looked at, and no pair: others that ask for them get no second look

    def notice(self, described: dict[ContentId, Newcomer]) -> None:
        """New contents wait in the store. Thread-safe."""
        self._teller.notice(described)
        with self._lock:
            self._unlinked += len(described)
        self._wake()

    def suggested(self) -> None:
        """Pairs that further models suggest wait in the store. Thread-safe."""
        self._wake()

    def forget(self, contents: Sequence[ContentId]) -> None:
        """Contents were removed from the store: drop them from index and groups. Thread-safe."""
        with self._lock:
            self._removed.update(contents)
        self._wake()

    def between_batches(self, work: Callable[[], None]) -> None:
        """Run something in this thread while index and store agree (a snapshot). Thread-safe."""
        self._asked.append(work)
        self._wake()

    def before_all(self, work: Callable[[Callable[[], bool]], None]) -> None:
        """Run something in this thread before the first batch; it gets whether to go on. Only before `start`."""
        self._first.append(work)

    def has_room(self) -> bool:
        """Whether the backlog may go on being described."""
        return self._unlinked < _ROOM

    @property
    def waiting(self) -> int:
        """Described contents not linked yet."""
        return self._unlinked

    def _wake(self) -> None:
        self._news.set()

    def _prepare(self) -> None:
        with self._library.view() as view:
            self._unlinked = view.counts().contents_unlinked
        for work in self._first:
            work(self._goes_on)
        self._news.set()

    def _step(self) -> None:
        if not (self._news.wait(_IDLE_WAIT_S) or self._has_held_back):
            self._run_asked()
            return
        self._news.clear()
        try:
            while not self.is_stopping and (self._link_batch() or self._look_at_suggested()):
                self._beat()
        except CancelledError:  # decode workers stopped under us: the work stays in the store
            if not self.is_stopping:
                raise
        except RetryError as error:  # the same, or none can be started now
            if not self.is_stopping:
                _log.warning("link.delayed reason=%s", error)
                self._stopping.wait(_NO_WORKER_WAIT_S)
                self._news.set()

    def _link_batch(self) -> bool:
        """Link up to a batch; whether there may be more."""
        self._drop_removed()
        self._run_asked()
        with self._library.view() as view:
            batch = self._arrivals(view)
            is_urgent = bool(batch)
            batch = batch or view.unlinked_contents(_BATCH)
            pairs = self._candidate_pairs(view, batch) if batch else set()
        if not batch:
            self._unlinked = 0
            return False
        try:
            verified = self._verify_closed(pairs, is_urgent=is_urgent)
        except GaveUpError:
            return True
        linked: dict[ContentId, Vectors] = {}
        with self._library.transaction() as txn:
            edges = _put(txn, verified)
            for content_id, descriptor in batch:
                if txn.content(content_id) is not None:
                    txn.mark_linked(content_id)
                    linked[content_id] = descriptor.stored
            self._teller.tell(txn, linked, edges)
        self._index.add(list(linked), list(linked.values()))
        for edge in edges:
            self._groups.add(edge)
        with self._lock:
            self._unlinked = max(0, self._unlinked - len(batch))
        self._teller.linked(content_id for content_id, _ in batch)
        return is_urgent or len(batch) == _BATCH

    def _arrivals(self, view: LibraryView) -> list[tuple[ContentId, Descriptor]]:
        """What has just arrived and is not linked yet."""
        waiting = self._teller.arrivals()[:_ARRIVALS]
        found = [(content, view.unlinked_content(content)) for content in waiting]
        self._teller.forget(content for content, descriptor in found if descriptor is None)  # gone, or linked before
        return [(content, descriptor) for content, descriptor in found if descriptor is not None]

    def _look_at_suggested(self) -> bool:
        """Look at some pairs that further models suggest; whether there may be more.

        With the priority of a first scan's evidence: what arrives has this given up.
        """
        self._has_held_back = not self._allow_backlog()
        if self._has_held_back:
            return False
        with self._library.view() as view:
            pairs = set(view.suggested_pairs(_SUGGESTED_A_TURN))
        if not pairs:
            return False
        try:
            verified = self._verify_closed(pairs - self._refused, is_urgent=False)
        except GaveUpError:
            return True
        with self._library.transaction() as txn:
            edges = _put(txn, verified)
            txn.remove_suggested(pairs)
            self._teller.tell(txn, self._teller.not_told(edges), edges)
        for edge in edges:
            self._groups.add(edge)
        return True

    def _verify_closed(self, pairs: set[Pair], *, is_urgent: bool) -> Verified:
        """Look at the candidate pairs, and at those that would otherwise only be tied through a third picture.

        Raises:
            GaveUpError: it is not urgent, and something has arrived.
        """
        seen = set(pairs)
        verified = self._look_at(pairs, is_urgent=is_urgent)
        self._remember_refused(pairs - {(edge.a, edge.b) for edge in verified.edges})
        for _ in range(_CLOSING_ROUNDS):
            closing = self._closing_pairs(verified.edges, seen)
            if not closing:
                break
            seen |= closing
            more = self._look_at(closing, is_urgent=is_urgent)
            self._remember_refused(closing - {(edge.a, edge.b) for edge in more.edges})
            digested = {c.id: c for c in (*verified.digested, *more.digested)}
            verified = Verified(edges=(*verified.edges, *more.edges), digested=tuple(digested.values()))
        return verified

    def _look_at(self, pairs: set[Pair], *, is_urgent: bool) -> Verified:
        if is_urgent:
            return self._comparer.verify(sorted(pairs), Priority.ARRIVAL_EVIDENCE)
        return self._comparer.verify(sorted(pairs), Priority.EVIDENCE, gives_up=lambda: self._teller.has_arrivals)

    def _candidate_pairs(self, view: LibraryView, batch: Sequence[tuple[ContentId, Descriptor]]) -> set[Pair]:
        """Pairs worth a second look: the index, the batch itself, equal JPEG data."""
        pairs = candidate_pairs(view, self._index, batch, self._model, self._candidates)
        for content, _ in batch:
            record = view.content(content)
            if record is not None and record.image_digest is not None:
                same = view.contents_with_image_digest(record.image_digest)
                pairs |= {pair_of(content, other) for other in same if other != content}
        return pairs

    def _closing_pairs(self, edges: Sequence[Edge], done: set[Pair]) -> set[Pair]:
        """Direct pairs between a newcomer and what its match is already grouped with: groups must not chain."""
        fresh: dict[ContentId, set[ContentId]] = {}
        for edge in edges:
            if edge.relation.is_duplicate:
                fresh.setdefault(edge.a, set()).add(edge.b)
                fresh.setdefault(edge.b, set()).add(edge.a)
        pairs: set[Pair] = set()
        for content, matched in fresh.items():
            reached = {c for other in matched for c in (*self._groups.component(other), *fresh[other])}
            missing = reached - matched - set(self._groups.ties(content)) - {content}
            pairs |= {pair_of(content, other) for other in sorted(missing)[:_CLOSURE]}
        for whole in self._joined(fresh):
            best = self._groups.best_of(whole, edges)
            if best is not None:
                missing = whole - fresh.get(best, set()) - set(self._groups.ties(best)) - {best}
                lacking = {pair_of(best, other) for other in missing} - done - self._refused
                pairs |= set(sorted(lacking, reverse=True)[:_KEEPER_CLOSURE])  # the newest first
        return pairs - done

    def _joined(self, fresh: Mapping[ContentId, set[ContentId]]) -> Iterator[set[ContentId]]:
        """The components as they will be with these matches, those that they touch."""
        left = set(fresh)
        while left:
            whole: set[ContentId] = set()
            todo = [left.pop()]
            while todo:
                content = todo.pop()
                if content not in whole:
                    reached = self._groups.component(content)
                    whole.update(reached)
                    todo += [matched for member in reached for matched in fresh.get(member, ())]
            left -= whole
            yield whole

    def _remember_refused(self, pairs: set[Pair]) -> None:
        """Keep others (a group's next newcomer, a further model) from having these looked at again; none is stored."""
        if len(self._refused) + len(pairs) > _REFUSED_KEPT:
            self._refused.clear()
        self._refused |= pairs

    def _run_asked(self) -> None:
        while self._asked:
            self._asked.popleft()()

    def _drop_removed(self) -> None:
        with self._lock:
            removed, self._removed = self._removed, set()
        if removed:
            self._index.remove(removed)
            for content in removed:
                self._groups.remove(content)


def _put(txn: LibraryTransaction, verified: Verified) -> list[Edge]:
    """Store what was found of contents that are still there; returns the edges among them."""
    for content in verified.digested:
        if (record := txn.content(content.id)) is not None:
            txn.put_content(replace(record, pixel_digest=content.pixel_digest))
    edges = [e for e in verified.edges if txn.content(e.a) is not None and txn.content(e.b) is not None]
    for edge in edges:
        txn.put_edge(edge)
    return edges
