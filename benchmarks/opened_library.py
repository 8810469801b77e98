"""The library that a scan left behind, opened to ask its verifier about any pair of files.

Pairs go the way they go in the daemon: the same comparer, a decode worker of its own, the stored records and previews.
Stores nothing. Owns one decode worker until it is closed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.truth import Pair, pair_of
from dedupd.core.records import ContentId, Edge
from dedupd.imaging.decode_pool import DecodePool
from dedupd.pipeline.compare import Comparer
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.stage import SystemClock
from dedupd.store import DiskPreviewCache, LmdbLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the verifier says of two files that are not equal byte for byte."""

    edge: Edge
    cpu_ms: float  # of the worker and of this process


class OpenedLibrary:
    """A state directory after a scan."""

    def __init__(self, state: Path) -> None:
        self._library = LmdbLibrary(state)
        with self._library.view() as view:
            roots = {root.id: root.path for root in view.roots()}
            self.contents: dict[bytes, ContentId] = {  # by absolute path
                roots[file.path.root] + b"/" + file.path.relative(): file.content
                for file in view.files()
                if file.content is not None
            }
        self._reader = DecodePool(1)
        self._comparer = Comparer(
            library=self._library,
            reader=self._reader,
            previews=DiskPreviewCache(state / "previews"),
            clock=SystemClock(),
            rates=Rates(),
            root_paths=lambda: roots,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.close()
        self._library.close()

    def look(self, pair: Pair) -> Looked | None:
        """Compare two files now; None when they are one content, or one cannot be read."""
        a, b = (self.contents.get(path) for path in pair)
        if a is None or b is None or a == b:
            return None
        began_s = self._cpu_s()
        edge = self._comparer.explain(a, b)
        return None if edge is None else Looked(edge=edge, cpu_ms=1000 * (self._cpu_s() - began_s))

    def is_one_content(self, pair: Pair) -> bool:
        a, b = (self.contents.get(path) for path in pair)
        return a is not None and a == b

    def nearest(self, paths: list[bytes]) -> Iterator[tuple[float, Pair]]:
        """All pairs of these files' contents, those first whose stored vectors are nearest; one file a content."""
        by_content = {self.contents[path]: path for path in paths if path in self.contents}
        with self._library.view() as view:
            vectors = {content: rows for content, rows in view.all_vectors() if content in by_content}
        contents = list(vectors)
        if len(contents) < 2:
            return
        starts = np.cumsum([0, *(len(vectors[c]) for c in contents[:-1])])
        stacked = np.concatenate([vectors[c] for c in contents])
        views = np.maximum.reduceat(stacked @ stacked.T, starts, axis=1)
        near = np.triu(np.maximum.reduceat(views, starts, axis=0), 1)
        for flat in np.argsort(-near, axis=None):
            row, column = divmod(int(flat), len(contents))
            if row < column:
                yield float(near[row, column]), pair_of(by_content[contents[row]], by_content[contents[column]])

    def _cpu_s(self) -> float:
        spent_s = time.process_time()
        for pid in self._reader.worker_pids():
            spent_s += sum(
                int(path.read_text().split()[0]) / 1e9 for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
            )
        return spent_s
