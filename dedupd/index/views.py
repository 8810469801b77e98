"""How the views of contents become FAISS ids, and which contents an index holds.

Does not hold vectors. A `ViewTable` is owned by the index that it belongs to and is as thread-safe as a dict.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Vectors
from dedupd.core.records import ContentId

MAX_VIEWS = 4  # core.ports.Descriptor.stored has 1 … 4 rows
MAX_CONTENT = 2**48 - 1  # core.records.ContentId
_PAGE = 1 << 16  # contents in a page, one byte each: ids are given one after the other, so pages are well filled

Int64s = npt.NDArray[np.int64]  # int64 [n]


def view_ids(content: ContentId, views: int) -> list[int]:
    """The FAISS ids of a content's views: content × 4 + view number."""
    return list(range(content * MAX_VIEWS, content * MAX_VIEWS + views))


def checked_views(content: ContentId, vectors: Vectors, dim: int) -> Vectors:
    """The stored views of one content as float32 [1 … 4, dim]; ValueError names what is wrong with them."""
    if not 0 < content <= MAX_CONTENT:
        raise ValueError(f"content {content} is outside 1 … 2**48-1")
    rows = checked_rows(vectors, dim, f"the vectors of content {content}")
    if not 1 <= len(rows) <= MAX_VIEWS:
        raise ValueError(f"content {content} has {len(rows)} views, not 1 … {MAX_VIEWS}")
    return rows


def checked_rows(vectors: Vectors, dim: int, what: str) -> Vectors:
    """Vectors as C-contiguous float32 [n, dim] without NaN; ValueError names `what`."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"{what} have shape {rows.shape}, the index needs [n, {dim}]: was the model changed?")
    if not np.isfinite(rows).all():
        raise ValueError(f"{what} hold values that are not finite")
    return rows


class ViewTable:
    """How many views each content has in an index, in about one byte for each."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._contents = 0

    @classmethod
    def from_ids(cls, ids: Int64s) -> ViewTable:
        """The table that belongs to these FAISS ids; ValueError when they are no whole contents."""
        table = cls()
        if not len(ids):
            return table
        ids = np.sort(ids)
        first = np.append(0, 1 + np.flatnonzero(np.diff(ids // MAX_VIEWS)))
        contents, counts = ids[first] // MAX_VIEWS, np.diff(first, append=len(ids))
        numbers = np.arange(len(ids)) - np.repeat(first, counts)
        if contents[0] < 1 or contents[-1] > MAX_CONTENT or not np.array_equal(ids % MAX_VIEWS, numbers):
            raise ValueError("its ids are not the views 0, 1, … of contents")
        numbers_of_pages, begins = np.unique(contents // _PAGE, return_index=True)
        for number, begin, end in zip(
            numbers_of_pages.tolist(), begins.tolist(), [*begins[1:].tolist(), len(contents)], strict=True
        ):
            page = np.zeros(_PAGE, np.uint8)
            page[contents[begin:end] % _PAGE] = counts[begin:end]
            table._pages[number] = bytearray(page)
        table._contents = len(contents)
        return table

    def put(self, content: ContentId, views: int) -> None:
        """Note that a content has this many views; 0 forgets it."""
        page = self._pages.setdefault(content // _PAGE, bytearray(_PAGE))
        place = content % _PAGE
        self._contents += (views > 0) - (page[place] > 0)
        page[place] = views

    def get(self, content: int) -> int:
        """The number of views of a content, 0 for one that is not there."""
        page = self._pages.get(content // _PAGE)
        return page[content % _PAGE] if page is not None else 0

    def contents(self) -> list[ContentId]:
        """Every content, in id order."""
        found: list[ContentId] = []
        for number in sorted(self._pages):
            places = np.flatnonzero(np.frombuffer(bytes(self._pages[number]), dtype=np.uint8))
            found.extend(map(ContentId, (places + number * _PAGE).tolist()))
        return found

    def __len__(self) -> int:
        return self._contents
