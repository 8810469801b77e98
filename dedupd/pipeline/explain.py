"""Explain: all that is known of one pair, as somebody asked for it, and the sheet that shows it.

Takes contents of the library and pictures that were sent. Decides by the same rules as everything else and stores
nothing; owns nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from dedupd.core.errors import NotFoundError, RetryError
from dedupd.core.illustration import Illustrated, SheetWords
from dedupd.core.other_side import seen_from_b
from dedupd.core.ports import (
    DecodedImage,
    EvidenceSide,
    Explained,
    ImageReader,
    Library,
    Priority,
    ReadFile,
    ShownSide,
    Upload,
)
from dedupd.core.records import ContentId, ContentRecord, ContentStage, Edge, Evidence
from dedupd.pipeline.compare import Comparer

NOT_STORED = ContentId(0)  # stands for a picture that the library does not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One of the two, with what comparing and drawing it take."""

    record: ContentRecord
    side: EvidenceSide | None  # None: nothing of it can be had now
    source: bytes | int | None
    pixel_digest: Callable[[], bytes | None] | None  # for what is not in the library

    def opened(self) -> bytes | int | None:
        """The source, a descriptor as one of the reader's own, which it closes."""
        return os.dup(self.source) if isinstance(self.source, int) else self.source


class Explainer:
    """Implements `explain` and `draw` of the `Matcher` port."""

    def __init__(self, *, library: Library, reader: ImageReader, comparer: Comparer) -> None:
        self._library = library
        self._reader = reader
        self._comparer = comparer

    def explain(self, a: ContentId | Upload, b: ContentId | Upload) -> Explained:
        """See the port."""
        first, second = self._asked(a), self._asked(b)
        edge = self._edge(first, second)
        if edge is None:
            raise _unreadable(first, second)
        with self._library.view() as view:
            verdict = view.verdict(first.record.digest, second.record.digest)
        seen = self._illustrated(first, second, None)
        evidence: Evidence | None = edge.evidence
        if (edge.a, edge.b) != (first.record.id, second.record.id):
            evidence = seen_from_b(edge.evidence) or _from_the_other_side(edge.evidence, seen)
        return Explained(
            a=first.record,
            b=second.record,
            edge=edge,
            evidence=evidence,
            figures=None if seen is None else seen.figures,
            verdict=verdict,
        )

    def draw(self, a: ContentId | Upload, b: ContentId | Upload, words: SheetWords) -> bytes:
        """See the port."""
        first, second = self._asked(a), self._asked(b)
        if first.side is None or second.side is None:
            raise _unreadable(first, second)
        seen = self._illustrated(first, second, words)
        if seen is None or seen.sheet is None:
            raise RetryError("The pictures could not be drawn: the decoder failed on them.")
        return seen.sheet

    def _edge(self, a: _Asked, b: _Asked) -> Edge | None:
        """The stored edge, or one made now: a picture that is not in the library first, else in the order of ids."""
        if a.record.id > b.record.id:
            a, b = b, a
        if a.record.id != NOT_STORED:
            with self._library.view() as view:
                stored = view.edge(a.record.id, b.record.id)
            if stored is not None:
                return stored
        if a.side is None or b.side is None:
            return None
        return self._comparer.look(
            a.record,
            a.side,
            b.record,
            a.pixel_digest,
            side_b=b.side,
            pixel_digest_b=b.pixel_digest,
            source=a.opened,
            source_b=b.opened,
        )

    def _illustrated(self, a: _Asked, b: _Asked, words: SheetWords | None) -> Illustrated | None:
        if a.side is None or b.side is None:
            return None
        first = ShownSide(side=a.side, source=_opened(a, words), digest=a.record.digest)
        second = ShownSide(side=b.side, source=_opened(b, words), digest=b.record.digest)
        found = self._reader.illustrate(first, second, words, priority=Priority.QUESTION).result()
        return found if isinstance(found, Illustrated) else None

    def _asked(self, picture: ContentId | Upload) -> _Asked:
        if isinstance(picture, Upload):
            return self._uploaded(picture)
        with self._library.view() as view:
            record = view.content(picture)
        if record is None:
            raise NotFoundError(f"There is no content {picture} in the library.")
        return _Asked(
            record=record,
            side=self._comparer.side(record),
            source=self._comparer.path_of(record.id),
            pixel_digest=None,
        )

    def _uploaded(self, upload: Upload) -> _Asked:
        image = upload.read.image
        assert isinstance(image, DecodedImage)  # as Upload promises

        def pixel_digest() -> bytes | None:
            found = self._reader.pixel_digest(os.dup(upload.fd), priority=Priority.QUESTION).result()
            return found if isinstance(found, bytes) else None

        side = EvidenceSide(content=None, preview=image.preview, width_px=image.width_px, height_px=image.height_px)
        return _Asked(record=as_content(upload.read, image), side=side, source=upload.fd, pixel_digest=pixel_digest)


def as_content(read: ReadFile, image: DecodedImage) -> ContentRecord:
    """A picture that is not in the library as the rules that decide want it."""
    return ContentRecord(
        id=NOT_STORED,
        digest=read.digest,
        size_bytes=read.stat.size_bytes,
        format=image.format,
        width_px=image.width_px,
        height_px=image.height_px,
        image_digest=image.image_digest,
        pixel_digest=None,
        quality=image.quality,
        capture=image.capture,
        decoder=image.decoder,
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
        trailing_bytes=image.trailing_bytes,
    )


def _opened(asked: _Asked, words: SheetWords | None) -> bytes | int | None:
    """The source to draw from; none where nothing is drawn."""
    return None if words is None else asked.opened()


def _from_the_other_side(stored: Evidence, seen: Illustrated | None) -> Evidence | None:
    """The evidence of (b, a) by a new look, for pairs stored without their corners; the full pictures' has no sides."""
    if seen is None:
        return None
    return replace(
        seen.evidence,
        fine_px=stored.fine_px,
        fine_errors=stored.fine_errors,
        fine_noise_correlation=stored.fine_noise_correlation,
        fine_foreign=stored.fine_foreign,
    )


def _unreadable(a: _Asked, b: _Asked) -> NotFoundError:
    lost = a if a.side is None else b
    return NotFoundError(
        f"content {lost.record.id} cannot be compared: no file of it is readable now. Check that its disk is mounted."
    )
