"""Changes to further models' generations and to the pairs that they suggest: that part of `LibraryTransaction`.

Keeps the number of contents in each generation's record. Commits nothing, decides nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

from dedupd.core.arrays import Vectors
from dedupd.core.generation import Generation
from dedupd.core.records import ContentId, ModelTag
from dedupd.store import frame, generation_codec, keys
from dedupd.store.generations import GenerationsView
from dedupd.store.row_writes import MOST_STORED, RowWrites, refuse_odd_vectors


class GenerationWrites(RowWrites, GenerationsView):
    """See `core.ports.LibraryTransaction`."""

    def put_generation(self, generation: Generation) -> None:
        """Begin a generation, or change what is known of it; `contents` stays as the store counts it.

        Raises:
            ValueError: it has vectors of another length.
        """
        number = self._model_number(generation.tag)
        known = self._stored_generation(number)
        if known is not None and known.contents and known.dim != generation.dim:
            raise ValueError(f"generation {generation.tag}: its vectors have length {known.dim}, not {generation.dim}")
        self._keep(number, replace(generation, contents=0 if known is None else known.contents))

    def put_generation_vectors(self, model: ModelTag, vectors: Mapping[ContentId, Vectors]) -> set[ContentId]:
        """Store contents' vectors of a generation; returns those that the library still holds.

        Raises:
            ValueError: the generation did not begin, or the vectors have another shape than its own.
        """
        number = self._known_model(model)
        generation = None if number is None else self._stored_generation(number)
        if number is None or generation is None:
            raise ValueError(f"no generation of {model}")
        stored: set[ContentId] = set()
        added = 0
        for content, rows in vectors.items():
            refuse_odd_vectors(rows, MOST_STORED, "stored")
            if rows.shape[1] != generation.dim:
                raise ValueError(f"generation {model}: vectors of length {rows.shape[1]}, not {generation.dim}")
            if self._txn.get(keys.content_key(content), None, self._tables.contents.handle) is None:
                continue
            key = generation_codec.vectors_key(number, content)
            added += self._txn.get(key, None, self._tables.generation_vectors.handle) is None
            self._put(self._tables.generation_vectors, key, frame.vectors_body(rows, number))
            stored.add(content)
        self._keep(number, replace(generation, contents=generation.contents + added))
        return stored

    def drop_generation(self, model: ModelTag, limit: int) -> bool:
        """Forget up to `limit` contents' vectors of a generation, and with the last of them itself: then True.

        One that is not known is gone already. The model's number stays: it is never given twice.
        """
        number = self._known_model(model)
        generation = None if number is None else self._stored_generation(number)
        if number is None or generation is None:
            return True
        key = frame.model_key(number)
        gone = [row for row, _ in islice(self._scan(self._tables.generation_vectors, key), limit)]
        for row in gone:
            self._delete(self._tables.generation_vectors, row)
        if next(self._scan(self._tables.generation_vectors, key), None) is None:
            self._delete(self._tables.generations, key)
            return True
        self._keep(number, replace(generation, contents=generation.contents - len(gone)))
        return False

    def suggest_pairs(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> int:
        """Have pairs looked at; returns how many are new. Those that have an edge are left out.

        Raises:
            ValueError: the smaller id does not come first.
        """
        new = 0
        for a, b in pairs:
            if a >= b:
                raise ValueError(f"pair {a}–{b}: the smaller content comes first")
            key = keys.pair_key(a, b)
            if self._txn.get(key, None, self._tables.edges.handle) is None:
                new += self._txn.put(key, b"", db=self._tables.suggested.handle, overwrite=False)
        return new

    def remove_suggested(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None:
        """Forget pairs that were looked at; those that are not there are no error."""
        for a, b in pairs:
            self._delete(self._tables.suggested, keys.pair_key(a, b))

    def _remove_from_generations(self, content: ContentId) -> None:
        """Forget what every generation has of a content."""
        for key, value in self._scan(self._tables.generations):
            generation = self._generation_from(key, value)
            number = int.from_bytes(key, "big")
            if self._delete(self._tables.generation_vectors, generation_codec.vectors_key(number, content)):
                self._keep(number, replace(generation, contents=generation.contents - 1))

    def _stored_generation(self, number: int) -> Generation | None:
        key = frame.model_key(number)
        value = self._txn.get(key, None, self._tables.generations.handle)
        return None if value is None else self._generation_from(key, value)

    def _keep(self, number: int, generation: Generation) -> None:
        self._put(self._tables.generations, frame.model_key(number), generation_codec.generation_body(generation))
