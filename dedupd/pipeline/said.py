"""What a person said of pairs, for those who know contents by number: verdicts go by digest.

Reads only; owns nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from dedupd.core.ports import LibraryView
from dedupd.core.records import ContentId


def is_rejected(view: LibraryView, one: ContentId, other: ContentId) -> bool:
    """Whether a person said that two contents are no duplicates; False where one of them is not known."""
    first, second = view.content(one), view.content(other)
    return first is not None and second is not None and view.verdict(first.digest, second.digest) is not None


def rejected_pairs(view: LibraryView) -> Iterator[tuple[ContentId, ContentId]]:
    """The known contents of which a person said so, the smaller number first."""
    for verdict in view.verdicts():
        a, b = view.content_by_digest(verdict.a), view.content_by_digest(verdict.b)
        if a is not None and b is not None:
            yield min(a.id, b.id), max(a.id, b.id)
