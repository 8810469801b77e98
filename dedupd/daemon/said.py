"""What people say of pictures: these are no duplicates, keep this one. Entered in the library, in force at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations

from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.ports import Library, LibraryView
from dedupd.core.records import ContentId, ContentRecord, FilePath
from dedupd.core.verdicts import NotDuplicate, Pin, digest_pair
from dedupd.core.wording import path_words

MOST_AT_ONCE = 1000  # contents; every one of every other


Pairs = Iterable[tuple[ContentId, ContentId]]


class Said:
    """The half of the `Cleanup` port that is about what people said. Thread-safe."""

    def __init__(
        self,
        library: Library,
        *,
        part: Callable[[Pairs], None],
        join: Callable[[Pairs], None],
        now_ns: Callable[[], int],
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            part: parts pairs in the groups of which the store holds a verdict by now.
            join: joins pairs again of which it holds none any more.
            now_ns: CLOCK_REALTIME.
        """
        self._library = library
        self._part = part
        self._join = join
        self._now_ns = now_ns

    def reject(self, contents: frozenset[ContentId]) -> list[NotDuplicate]:
        """Say that these are no duplicates of each other; see the port."""
        _must_be_some(contents)
        with self._library.transaction() as txn:
            records = _known(txn, contents)
            verdicts = []
            for one, other in combinations(records, 2):
                a, b = digest_pair(one.digest, other.digest)
                verdict = NotDuplicate(a=a, b=b, said_at_ns=self._now_ns())
                txn.put_verdict(verdict)
                verdicts.append(verdict)
        self._part(combinations(sorted(contents), 2))
        return verdicts

    def withdraw(self, contents: frozenset[ContentId]) -> int:
        """Take back what was said; see the port."""
        _must_be_some(contents)
        with self._library.transaction() as txn:
            records = _known(txn, contents)
            removed = sum(txn.remove_verdict(one.digest, other.digest) for one, other in combinations(records, 2))
        self._join(combinations(sorted(contents), 2))
        return removed

    def rejected(self) -> list[NotDuplicate]:
        """All that was said, the newest first."""
        with self._library.view() as view:
            return sorted(view.verdicts(), key=lambda verdict: (-verdict.said_at_ns, verdict.a, verdict.b))

    def pin(self, file: FilePath) -> Pin:
        """Keep a file; see the port."""
        with self._library.transaction() as txn:
            pin = Pin(digest=_content_at(txn, file).digest, path=file, said_at_ns=self._now_ns())
            txn.put_pin(pin)
        return pin

    def unpin(self, file: FilePath) -> bool:
        """No longer; see the port."""
        with self._library.transaction() as txn:
            record = txn.file(file)
            content = None if record is None or record.content is None else txn.content(record.content)
            digests = {pin.digest for pin in txn.pins() if pin.path == file}
            if content is not None:
                digests.add(content.digest)
            return sum(map(txn.remove_pin, digests)) > 0

    def pins(self) -> list[Pin]:
        """All pins, the newest first."""
        with self._library.view() as view:
            return sorted(view.pins(), key=lambda pin: (-pin.said_at_ns, pin.digest))


def _must_be_some(contents: frozenset[ContentId]) -> None:
    if len(contents) < 2:
        raise RequestError("One picture alone is no duplicate of anything. Name two or more.")
    if len(contents) > MOST_AT_ONCE:
        raise RequestError(f"{len(contents)} pictures at once are too many. Name up to {MOST_AT_ONCE}.")


def _known(view: LibraryView, contents: frozenset[ContentId]) -> list[ContentRecord]:
    records = []
    for content in sorted(contents):
        record = view.content(content)
        if record is None:
            raise NotFoundError(f"There is no content {content} in the library.")
        records.append(record)
    return records


def _content_at(view: LibraryView, file: FilePath) -> ContentRecord:
    record = view.file(file)
    content = None if record is None or record.content is None else view.content(record.content)
    if record is None or content is None or record.missing_since_ns is not None:
        raise NotFoundError(f"{path_words(file.relative())} is not in the library, so it cannot be kept by name.")
    return content
