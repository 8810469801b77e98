"""Answers about one pair, in words and as a picture. Blocking; runs in threads, owns nothing.

The pictures are named by path or number, or were sent. Opens no path that a client names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from dedupd.api.failures import BadPictureError
from dedupd.api.pictures import Gallery, PictureReads, named_content
from dedupd.core.errors import NotFoundError
from dedupd.core.illustration import SheetFormat, SheetWords
from dedupd.core.ports import Library, Matcher, Upload
from dedupd.core.records import ContentId, ContentRecord, Problem
from dedupd.core.wording import bytes_text, likeness_text
from dedupd.protocol import convert, convert_pair
from dedupd.protocol.pictures import PairMessage, PictureMessage

SHEET_MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

_Asked = ContentId | Upload


@dataclass(frozen=True, slots=True)
class Named:
    """A picture as the question names it: by path or number, or by a descriptor of what was sent and a name for it."""

    text: str
    fd: int | None = None


class PairAnswers:
    """Explains pairs from the store, the reader and the matcher."""

    def __init__(self, *, library: Library, matcher: Matcher, reads: PictureReads) -> None:
        self._library = library
        self._matcher = matcher
        self._reads = reads

    def explain(self, a: Named, b: Named) -> PairMessage:
        """All that is known of a pair. Descriptors stay open; who sent them closes them."""
        first, second = self._asked(a, "A"), self._asked(b, "B")
        return self._explained(first, second)

    def draw(self, a: Named, b: Named, form: str) -> bytes:
        """A pair as a picture for people."""
        first, second = self._asked(a, "A"), self._asked(b, "B")
        pair = self._explained(first, second)
        words = SheetWords(
            form=SheetFormat(form),
            title=f"{pair.relation}: {likeness_text(pair.similarity, pair.probability)}",
            lines=(pair.reason, *pair.words, *_contradictions(pair)),
            name_a=_shown_name(a, pair.a),
            name_b=_shown_name(b, pair.b),
            about_a=_about(pair.a),
            about_b=_about(pair.b),
        )
        return self._matcher.draw(first, second, words)

    def _explained(self, a: _Asked, b: _Asked) -> PairMessage:
        if not isinstance(a, Upload) and a == b:
            with self._library.view() as view:
                record = _present(view.content(a))
                picture = _message(Gallery.of(view), record)
                return convert_pair.same_content_message(record, picture, picture)
        explained = self._matcher.explain(a, b)
        with self._library.view() as view:
            gallery = Gallery.of(view)
            messages = [_message(gallery, record) for record in (explained.a, explained.b)]
        return convert_pair.pair_message(explained, *messages)

    def _asked(self, named: Named, which: str) -> _Asked:
        """The content that is meant, or what was sent where the library has no equal bytes."""
        if named.fd is None:
            with self._library.view() as view:
                return named_content(view, named.text).id
        read = self._reads.read(os.dup(named.fd))
        with self._library.view() as view:
            known = view.content_by_digest(read.digest)
        if known is not None:
            return known.id
        if isinstance(read.image, Problem):
            raise BadPictureError(read.image, f"Picture {which}")
        return Upload(read=read, fd=named.fd)


def _present(record: ContentRecord | None) -> ContentRecord:
    if record is None:
        raise NotFoundError("The picture went while it was looked at.")
    return record


def _message(gallery: Gallery, record: ContentRecord) -> PictureMessage:
    """The wire form of a picture; without files where it is not in the library."""
    return gallery.picture(record.id) or convert.picture_message(record, (), {})


def _contradictions(pair: PairMessage) -> list[str]:
    return [
        f"Contradicting: {fact.name}, {fact.a} against {fact.b}."
        for fact in pair.metadata
        if fact.standing == "contradicts"
    ]


def _shown_name(named: Named, picture: PictureMessage) -> str:
    """The file's name: as the question says it, else of the first file that is known."""
    text = named.text
    if not text or text.startswith("content:"):
        text = next((file.path for file in picture.files), text)
    return text.rpartition("/")[2]


def _about(picture: PictureMessage) -> str:
    return f"{picture.width} × {picture.height} {picture.format}, {bytes_text(picture.size_bytes)}"
