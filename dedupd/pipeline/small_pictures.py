"""Small pictures for further models: from the preview cache, else from a file that still holds the content.

Asks the decode workers and never waits for them: with the lowest priority an answer may take as long as a first scan.
Owns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from dedupd.core.arrays import Pixels
from dedupd.core.ports import DecodedImage, ImageReader, PreviewCache, Priority, ReadFile
from dedupd.core.records import ContentId, ContentRecord, Problem

_Answer = Pixels | ReadFile | Problem


class SmallPictures:
    """Begins to get small pictures."""

    def __init__(
        self, *, reader: ImageReader, previews: PreviewCache, paths_of: Callable[[ContentId], Sequence[bytes]]
    ) -> None:
        self._reader = reader
        self._previews = previews
        self._paths_of = paths_of

    def begin(self, content: ContentRecord, on_news: Callable[[], None]) -> PictureOnItsWay:
        """Ask for a content's small picture; `on_news` is called, from another thread, when there may be more to do."""
        return PictureOnItsWay(self._attempts(content, on_news), lambda answer: self._taken(content, answer))

    def _attempts(self, content: ContentRecord, on_news: Callable[[], None]) -> Iterator[Future[_Answer]]:
        """The ways to get it, each begun when it is asked for: the preview, then file by file."""
        future: Future[_Answer]
        preview = self._previews.get(content.id)
        if preview is not None:
            future = self._reader.decode_preview(preview, priority=Priority.BACKGROUND)  # type: ignore[assignment]  # a future is invariant
            future.add_done_callback(lambda _: on_news())
            yield future
        for path in self._paths_of(content.id):
            future = self._reader.read(  # type: ignore[assignment]  # as above
                path, is_known=lambda digest: digest != content.digest, priority=Priority.BACKGROUND
            )
            future.add_done_callback(lambda _: on_news())
            yield future

    def _taken(self, content: ContentRecord, answer: _Answer) -> Pixels | None:
        """The pixels of an answer; a preview that was lost is kept again."""
        if isinstance(answer, Problem):
            return None
        if not isinstance(answer, ReadFile):
            return answer
        if answer.digest != content.digest or not isinstance(answer.image, DecodedImage):
            return None  # the file holds another picture by now, or cannot be read
        self._previews.put(content.id, answer.image.preview)
        return answer.image.small


class PictureOnItsWay:
    """One small picture that was asked for. For one thread."""

    def __init__(self, attempts: Iterator[Future[_Answer]], take: Callable[[_Answer], Pixels | None]) -> None:
        self._attempts = attempts
        self._take = take
        self._future = next(attempts, None)
        self.pixels: Pixels | None = None  # once it is here; None then: it cannot be had now

    def is_here(self) -> bool:
        """Whether nothing more is to be waited for; where one way failed, the next is begun.

        Raises:
            RetryError: no decode worker can be started now.
            CancelledError: the decode workers stopped.
        """
        while self._future is not None and self._future.done():
            self.pixels = self._take(self._future.result())
            self._future = next(self._attempts, None) if self.pixels is None else None
        return self._future is None

    def cancel(self) -> None:
        """Do without it."""
        if self._future is not None:
            self._future.cancel()
        self._future = None
