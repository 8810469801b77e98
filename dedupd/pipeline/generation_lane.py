"""One further model at work: which contents lack its vectors, their pictures, batches with the embedder.

Its steps never wait; what is under way is a few batches, so that decoding and the device overlap. Stores nothing: the
stage takes what comes out, in the order of contents. Owns what is under way and what is set aside until later.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from itertools import islice

from dedupd.core.errors import DegradedError, RetryError
from dedupd.core.ports import Descriptor, Embedder, EmbedItem, Library
from dedupd.core.records import ContentId, ContentRecord
from dedupd.pipeline.generation_book import FurtherModel, Shelf
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.small_pictures import PictureOnItsWay, SmallPictures
from dedupd.pipeline.stage import Clock

_log = logging.getLogger(__name__)

_BATCHES = 4  # under way: with the devices, ready for them, being decoded
_FIRST_SIZE = 8  # contents in a batch; half a minute of a slow processor at most
_MOST = 128  # contents in a batch, 57 MB of pixels; 40 ms of a fast GPU
_SHORT_S, _LONG_S = 0.5, 4.0  # batches that take less or more are made larger or smaller
_PAUSE_S = 30.0  # after a failure that is nobody's picture
_LOOK_AGAIN_S = 3600.0  # until what could not be read is tried again


@dataclass(frozen=True, slots=True)
class Described:
    """A batch that the model has done, with what it could not do."""

    done: list[tuple[ContentId, Descriptor]]


class _Batch:
    """Some contents on their way through decoding and the model."""

    def __init__(self, pictures: list[tuple[ContentRecord, PictureOnItsWay]]) -> None:
        self.pictures = pictures
        self._awaited = deque(picture for _, picture in pictures)
        self.items: list[tuple[ContentRecord, EmbedItem]] = []
        self.future: Future[list[Descriptor]] | None = None

    def is_decoded(self) -> bool:
        """Whether every picture is here; they come about in the order in which they were asked for."""
        while self._awaited and self._awaited[0].is_here():
            self._awaited.popleft()
        return not self._awaited

    def cancel(self) -> None:
        for _, picture in self.pictures:
            picture.cancel()
        if self.future is not None:
            self.future.cancel()


class Lane:
    """See the module; for the stage's thread, but for the plain fields that anyone may read."""

    def __init__(
        self,
        shelf: Shelf,
        further: FurtherModel,
        *,
        library: Library,
        pictures: SmallPictures,
        clock: Clock,
        on_news: Callable[[], None],
    ) -> None:
        self.shelf = shelf
        self.embedder: Embedder = further.embedder
        self.rates = Rates()
        self.trouble = ""  # why it rests
        self.set_aside: set[ContentId] = set()  # no picture can be had now, or the model fails on it
        self._library = library
        self._pictures = pictures
        self._clock = clock
        self._on_news = on_news
        self._batches: deque[_Batch] = deque()
        self._begun_to = ContentId(0)
        self._size = _FIRST_SIZE
        self._resume_at_s = 0.0
        self._look_again_at_s = clock.monotonic_s() + _LOOK_AGAIN_S
        self._last_s = clock.monotonic_s()

    @property
    def is_resting(self) -> bool:
        """Whether it waits after a failure."""
        return self._clock.monotonic_s() < self._resume_at_s

    def lacks(self) -> bool:
        """Whether contents lack vectors that it could make now. Any thread."""
        if self._batches:
            return True
        with self._library.view() as view:
            lacking = view.contents_without(self.shelf.tag, self._begun_to)
            return any(content not in self.set_aside for content in lacking)

    def advance(self) -> Described | None:
        """Move everything on; the oldest batch if it is done.

        Raises:
            CancelledError: the decode workers stopped.
        """
        if self.is_resting:
            return None
        self.trouble = ""
        try:
            self._begin()
            for batch in self._batches:
                if batch.future is None and batch.is_decoded():
                    self._submit(batch)
            return self._finished()
        except (RetryError, DegradedError) as error:
            self._rest(str(error))
            return None

    def abandon(self) -> None:
        """Cancel what is under way; the store still lacks it."""
        while self._batches:
            self._batches.pop().cancel()

    def _begin(self) -> None:
        """Ask for the pictures of the next contents, as far as there is room."""
        if not self._batches and self._clock.monotonic_s() >= self._look_again_at_s:
            self._look_again_at_s = self._clock.monotonic_s() + _LOOK_AGAIN_S
            self.set_aside.clear()
            self._begun_to = ContentId(0)
        while len(self._batches) < _BATCHES:
            with self._library.view() as view:
                lacking = (c for c in view.contents_without(self.shelf.tag, self._begun_to) if c not in self.set_aside)
                contents = list(islice(lacking, self._size))
                records = [record for c in contents if (record := view.content(c)) is not None]
            if not records:
                return
            if not self._batches:
                self._last_s = self._clock.monotonic_s()
            self._begun_to = contents[-1]
            self._batches.append(_Batch([(r, self._pictures.begin(r, self._on_news)) for r in records]))

    def _submit(self, batch: _Batch) -> None:
        """Give a batch whose pictures are here to the model."""
        if not batch.items:
            for record, picture in batch.pictures:
                if picture.pixels is None:
                    self.set_aside.add(record.id)
                    _log.info("generation.unreadable model=%s content=%d", self.shelf.tag, record.id)
                else:
                    batch.items.append((record, EmbedItem(digest=record.digest, path=None, small=picture.pixels)))
        batch.future = self.embedder.embed([item for _, item in batch.items])
        batch.future.add_done_callback(lambda _: self._on_news())

    def _finished(self) -> Described | None:
        """The oldest batch if the model has done it; one that it failed on is tried picture by picture."""
        batch = self._batches[0] if self._batches else None
        if batch is None or batch.future is None or not batch.future.done():
            return None
        try:
            descriptors = batch.future.result()
        except (RetryError, DegradedError, CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - recorded below; the stage must outlive one picture
            self._batches.popleft()
            self._try_alone(batch, error)
            return Described([])
        self._batches.popleft()
        self._measure(len(descriptors))
        records = [record.id for record, _ in batch.items]
        return Described(list(zip(records, descriptors, strict=True)))

    def _try_alone(self, batch: _Batch, error: Exception) -> None:
        if len(batch.items) == 1:
            [(record, _)] = batch.items
            self.set_aside.add(record.id)
            _log.warning("generation.failed model=%s content=%d error=%r", self.shelf.tag, record.id, error)
            return
        for item in reversed(batch.items):
            single = _Batch([])
            single.items = [item]
            self._batches.appendleft(single)

    def _measure(self, done: int) -> None:
        """Fit the size of the next batches to what the last one took."""
        now_s = self._clock.monotonic_s()
        spent_s, self._last_s = now_s - self._last_s, now_s
        self.rates.count(read=done, now_s=now_s)
        if spent_s < _SHORT_S:
            self._size = min(_MOST, 2 * self._size)
        elif spent_s > _LONG_S:
            self._size = max(1, self._size // 2)

    def _rest(self, trouble: str) -> None:
        """Leave it alone for a while, and begin again with what the store lacks."""
        _log.warning("generation.rests model=%s wait_s=%g reason=%s", self.shelf.tag, _PAUSE_S, trouble)
        self.abandon()
        self.trouble = trouble
        self._begun_to = ContentId(0)
        self._size = _FIRST_SIZE
        self._resume_at_s = self._clock.monotonic_s() + _PAUSE_S
