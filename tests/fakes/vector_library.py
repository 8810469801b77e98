"""The part of the store that an index reads, in memory: fast enough for a thousand openings of an index."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Contents
from contextlib import contextmanager
from itertools import takewhile

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Counts, VectorChange
from dedupd.core.records import ContentId, Sequence

DIMENSIONS = 16


class VectorLibrary:
    """The part of `Library` that an index reads: sequence, counts, vectors and the log of their changes."""

    def __init__(self) -> None:
        self.sequence = 0
        self.linked: dict[ContentId, Vectors] = {}
        self.log: list[VectorChange] = []
        self.log_begins_after = 0
        self.unlinked = 0
        self.open_views = 0

    def link(self, *contents: int, variant: int = 0) -> None:
        for content in contents:
            rows = (
                np.random.default_rng([content, variant]).normal(size=(content % 4 + 1, DIMENSIONS)).astype(np.float32)
            )
            self.linked[ContentId(content)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            self._note(content, is_removal=False)

    def forget(self, *contents: int) -> None:
        for content in contents:
            del self.linked[ContentId(content)]
            self._note(content, is_removal=True)

    def _note(self, content: int, *, is_removal: bool) -> None:
        self.sequence += 1
        change = VectorChange(sequence=Sequence(self.sequence), content=ContentId(content), is_removal=is_removal)
        self.log.append(change)

    def trim_log(self) -> None:
        self.log.clear()
        self.log_begins_after = self.sequence

    @contextmanager
    def view(self) -> Iterator[VectorView]:
        self.open_views += 1
        yield VectorView(self)
        self.open_views -= 1


class VectorView:
    def __init__(self, library: VectorLibrary) -> None:
        self.library = library

    def sequence(self) -> Sequence:
        return Sequence(self.library.sequence)

    def counts(self) -> Counts:
        contents, unlinked = len(self.library.linked) + self.library.unlinked, self.library.unlinked
        zeros = dict.fromkeys(("files", "files_pending", "files_set_aside", "files_missing", "edges", "events"), 0)
        return Counts(contents=contents, contents_unlinked=unlinked, **zeros)

    def stored_vectors(self, content: ContentId) -> Vectors | None:
        return self.library.linked.get(content)

    def stored_vectors_of(self, contents: Contents[ContentId]) -> list[Vectors | None]:
        return [self.library.linked.get(content) for content in contents]

    def all_vectors(self) -> Iterator[tuple[ContentId, Vectors]]:
        return iter(self.library.linked.items())

    def vector_changes(self, after: Sequence) -> Iterator[VectorChange] | None:
        if after < self.library.log_begins_after:
            return None
        newest_first = takewhile(lambda change: change.sequence > after, reversed(self.library.log))
        return reversed(list(newest_first))
