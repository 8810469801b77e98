"""Reads what further models say of contents, and the pairs that they suggest: that part of the `LibraryView` port.

Owns nothing. The built-in descriptor's vectors have a table of their own, which `reader` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from dedupd.core.arrays import Vectors
from dedupd.core.generation import Generation
from dedupd.core.records import ContentId, ModelTag
from dedupd.store import frame, generation_codec, keys
from dedupd.store.rows import Rows

_KEYS_AHEAD = 1024  # contents looked at before a cursor is let go


class GenerationsView(Rows):
    """See `core.ports.LibraryView`."""

    def generations(self) -> list[Generation]:
        """Further models of which there are vectors, or will be, those that began first first."""
        table = self._tables.generations
        return [self._generation_from(key, value) for key, value in self._scan(table)]

    def generation_vectors(self, model: ModelTag, content: ContentId) -> Vectors | None:
        """One content's vectors of one model, float32 [views, dim], half-precision values."""
        number = self._known_model(model)
        if number is None:
            return None
        table, key = self._tables.generation_vectors, generation_codec.vectors_key(number, content)
        body = self._body(table, key)
        return None if body is None else frame.vectors_from(table.name, key, body)

    def all_generation_vectors(self, model: ModelTag, after: ContentId) -> Iterator[tuple[ContentId, Vectors]]:
        """A model's vectors of the contents with higher ids than `after`, in id order."""
        number = self._known_model(model)
        if number is None:
            return
        table, start = self._tables.generation_vectors, generation_codec.vectors_key(number, ContentId(after + 1))
        for key, value in self._scan(table, frame.model_key(number), start):
            body = frame.unframed(table.name, key, value)
            yield generation_codec.content_of(key), frame.vectors_from(table.name, key, body)

    def contents_without(self, model: ModelTag, after: ContentId) -> Iterator[ContentId]:
        """Contents with higher ids than `after` that lack a model's vectors, up to the first that is not linked."""
        number = self._known_model(model)
        prefix = b"" if number is None else frame.model_key(number)
        first_unlinked = next((key for key, _ in self._scan(self._tables.queries)), None)
        start = keys.content_key(ContentId(after + 1))
        while chunk := self._content_keys(start):
            start = chunk[-1] + b"\0"
            if first_unlinked is not None and chunk[-1] >= first_unlinked:
                chunk = [key for key in chunk if key < first_unlinked]
            lacking = chunk if number is None else self._not_held(prefix, chunk)
            yield from map(keys.content_of, lacking)
            if first_unlinked is not None and start >= first_unlinked:
                return

    def suggested_pairs(self, limit: int) -> list[tuple[ContentId, ContentId]]:
        """Pairs that further models suggest, in the order of their ids."""
        return [keys.pair_of(key) for key, _ in islice(self._scan(self._tables.suggested), limit)]

    def _content_keys(self, start: bytes) -> list[bytes]:
        """The next keys of contents; no cursor stays open while the caller works."""
        with self._txn.cursor(self._tables.contents.handle) as cursor:
            if not cursor.set_range(start):
                return []
            return list(islice(cursor.iternext(keys=True, values=False), _KEYS_AHEAD))

    def _not_held(self, prefix: bytes, contents: list[bytes]) -> list[bytes]:
        """Those of which no vectors are stored; only keys are read, as the values are large."""
        table = self._tables.generation_vectors
        if table.handle is None:
            return contents
        with self._txn.cursor(table.handle) as cursor:
            return [key for key in contents if not cursor.set_key(prefix + key)]

    def _generation_from(self, key: bytes, value: bytes) -> Generation:
        body = frame.unframed(self._tables.generations.name, key, value)
        tag = self._body(self._tables.models, key)
        if tag is None:
            raise frame.DamagedRecordError("generations", key, "its model has no name")
        return generation_codec.generation_from(key, body, frame.model_from(tag))
