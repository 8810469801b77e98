"""Generations: vectors of further models, made in the background, and the candidates that they bring.

For each batch: search (the index and the batch itself) → one transaction (vectors, suggested pairs) → add to the index.
So a content that has vectors of a model was searched by it, and killed at any point nothing is suggested twice or
missed. What is suggested the link thread looks at. Owns the indexes of further models; takes its work from the store.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

from dedupd.core.ports import GenerationProgress, Library, VectorIndex
from dedupd.core.records import ContentId, ModelTag
from dedupd.pipeline.candidates import candidate_pairs
from dedupd.pipeline.generation_book import GenerationBook, Shelf
from dedupd.pipeline.generation_lane import Described, Lane
from dedupd.pipeline.small_pictures import SmallPictures
from dedupd.pipeline.stage import Clock, OnCrash, Stage

_log = logging.getLogger(__name__)

_IDLE_WAIT_S = 1.0  # until the store is asked again for contents without vectors
_LARGER = 5_000  # contents, after which an index may be due to become another kind
_NOTHING_WAIT_S = 20.0  # without further models; short enough for the service watchdog


class Generations(Stage):
    """See the module; one thread for all further models."""

    def __init__(
        self,
        *,
        library: Library,
        book: GenerationBook,
        pictures: SmallPictures,
        clock: Clock,
        candidates: int,
        is_settled: Callable[[], bool],
        on_suggested: Callable[[], None],
        on_larger: Callable[[VectorIndex], None],
        on_crash: OnCrash,
        allow_backlog: Callable[[], bool] = lambda: True,
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            book: the generations and their indexes.
            pictures: gets small pictures.
            clock: time.
            candidates: how many neighbours of a picture a model may suggest, at most.
            is_settled: whether no files are being listed or read: else a library seems complete that is not.
            on_suggested: told that pairs wait to be looked at.
            on_larger: told of an index that has become larger by some thousands.
            on_crash: see Stage.
            allow_backlog: whether models may work now.
        """
        super().__init__("generations", on_crash)
        self._library = library
        self._book = book
        self._pictures = pictures
        self._clock = clock
        self._candidates = candidates
        self._is_settled = is_settled
        self._on_suggested = on_suggested
        self._on_larger = on_larger
        self._allow_backlog = allow_backlog
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._removed: list[ContentId] = []
        self._lanes: dict[ModelTag, Lane] = {}
        self._told_sizes: dict[ModelTag, int] = {}  # contents when `on_larger` was told
        self._is_open = False

    def forget(self, contents: Sequence[ContentId]) -> None:
        """Contents were removed from the store: drop them from the indexes. Thread-safe."""
        with self._lock:
            self._removed += contents
        self._wake()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do that can be done now. Thread-safe."""
        lanes = list(self._lanes.values())
        return (
            self._is_open and self._book.is_up_to_date() and all(lane.is_resting or not lane.lacks() for lane in lanes)
        )

    def progress(self) -> tuple[GenerationProgress, ...]:
        """How far each model is. Thread-safe."""
        with self._library.view() as view:
            total = view.counts().contents
            stored = {generation.tag: generation for generation in view.generations()}
        serving = {shelf.tag for shelf in self._book.serving()}
        now_s = self._clock.monotonic_s()
        told = []
        for shelf in self._book.shelves():
            lane = self._lanes.get(shelf.tag)
            done = stored[shelf.tag].contents if shelf.tag in stored else 0
            set_aside = 0 if lane is None else len(lane.set_aside)
            told.append(
                GenerationProgress(
                    name=shelf.name,
                    model=shelf.tag,
                    done=done,
                    total=total,
                    set_aside=set_aside,
                    is_serving=shelf.tag in serving,
                    is_configured=shelf.further is not None,
                    images_per_s=0.0 if lane is None else lane.rates.images_per_s(now_s),
                    eta_s=None if lane is None else lane.rates.eta_s(max(0, total - done - set_aside), now_s),
                    trouble="" if lane is None else lane.trouble,
                    devices=() if shelf.further is None else shelf.further.devices(),
                )
            )
        return tuple(told)

    def _wake(self) -> None:
        self._news.set()

    def _prepare(self) -> None:
        self._book.open()
        self._lanes = {
            shelf.tag: Lane(
                shelf,
                shelf.further,
                library=self._library,
                pictures=self._pictures,
                clock=self._clock,
                on_news=self._news.set,
            )
            for shelf in self._book.shelves()
            if shelf.further is not None
        }
        self._is_open = True

    def _step(self) -> None:
        self._news.clear()
        self._drop_removed()
        try:
            has_worked = self._load() or (self._allow_backlog() and self._advance())
        except CancelledError:  # the decode workers stopped under us
            if not self.is_stopping:
                raise
            return
        self._complete()
        if not (has_worked or self._drop()) and not self.is_stopping:
            self._news.wait(_IDLE_WAIT_S if self._lanes else _NOTHING_WAIT_S)

    def _load(self) -> bool:
        """Take some more vectors into an index that lacks them since the start; whether there was one."""
        for shelf in self._book.shelves():
            if not shelf.is_loaded:
                shelf.load_some(self._library)
                self._tell_if_larger(shelf)
                return True
        return False

    def _advance(self) -> bool:
        """Move every model on; whether a batch of one was done."""
        has_worked = False
        for lane in self._lanes.values():
            described = lane.advance()
            if described is not None:
                self._beat()
                self._take_in(lane, described)
                has_worked = True
        return has_worked

    def _take_in(self, lane: Lane, described: Described) -> None:
        """Search, store, add to the index."""
        batch = described.done
        if not batch:
            return
        shelf = lane.shelf
        with self._library.view() as view:
            pairs = candidate_pairs(view, shelf.index, batch, shelf.model, self._candidates)
        with self._library.transaction() as txn:
            stored = txn.put_generation_vectors(shelf.tag, {c: descriptor.stored for c, descriptor in batch})
            suggested = txn.suggest_pairs(sorted(pairs))
        kept = [(content, descriptor.stored) for content, descriptor in batch if content in stored]
        shelf.index.add([content for content, _ in kept], [vectors for _, vectors in kept])
        self._tell_if_larger(shelf)
        if suggested:
            self._on_suggested()

    def _tell_if_larger(self, shelf: Shelf) -> None:
        if len(shelf.index) - self._told_sizes.get(shelf.tag, 0) >= _LARGER:
            self._told_sizes[shelf.tag] = len(shelf.index)
            self._on_larger(shelf.index)

    def _complete(self) -> None:
        """Note the generations that lack nothing any more."""
        for lane in self._lanes.values():
            if lane.is_resting or lane.shelf.is_complete or not self._is_settled() or lane.lacks():
                continue
            with self._library.view() as view:
                counts = view.counts()
            if counts.contents and not counts.contents_unlinked:
                lane.shelf.is_complete = True
                if self._book.complete(lane.shelf.tag):
                    _log.info("generation.complete model=%s contents=%d", lane.shelf.tag, counts.contents)

    def _drop(self) -> bool:
        """Drop a bit of what nothing needs any more; whether there was something."""
        dropped = self._book.drop_some()
        if dropped is not None:
            _log.info("generation.dropping model=%s", dropped)
        return dropped is not None

    def _drop_removed(self) -> None:
        with self._lock:
            removed, self._removed = self._removed, []
        if removed:
            self._book.forget(removed)
