"""What to tell about a file that duplicates others: made inside the transaction that makes it true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dedupd.core.events import DuplicateFound, Match, Origin
from dedupd.core.grouping import Tie
from dedupd.core.ports import LibraryView
from dedupd.core.records import ContentId, ContentRecord, FilePath, FileRecord, Relation

_MAX_MATCHES = 16  # as events.DuplicateFound documents; a person reads the first few


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The file that brought a new content: the link stage tells of it, the describe stage of every further copy."""

    path: FilePath
    origin: Origin


def present_files(view: LibraryView, content: ContentId) -> list[FileRecord]:
    """The files of a content that were there when last looked at."""
    return [file for file in view.files_of(content) if file.missing_since_ns is None]


def same_bytes_matches(files: Iterable[FileRecord], content: ContentId) -> list[Match]:
    """Other files of the very bytes, one for each inode."""
    by_inode = {(file.stat.dev, file.stat.ino): file.path for file in reversed(list(files))}
    return [
        Match(path=path, content=content, relation=Relation.SAME_BYTES, similarity=1.0, probability=1.0)
        for path in reversed(by_inode.values())
    ]


def tied_matches(view: LibraryView, ties: Mapping[ContentId, Tie]) -> list[Match]:
    """Files of other contents that are verified duplicates, the closest first."""
    ordered = sorted(ties.items(), key=lambda item: (item[1].relation.rank, -item[1].similarity, item[0]))
    return [
        Match(
            path=file.path,
            content=other,
            relation=tie.relation,
            similarity=tie.similarity,
            probability=tie.probability,
        )
        for other, tie in ordered
        for file in view.some_files_of(other, 1)
    ]


def duplicate_found(
    path: FilePath, content: ContentRecord, origin: Origin, matches: list[Match]
) -> DuplicateFound | None:
    """The fact to tell, or None when nothing that is there matches."""
    if not matches:
        return None
    return DuplicateFound(
        path=path,
        content=content.id,
        size_bytes=content.size_bytes,
        origin=origin,
        matches=tuple(matches[:_MAX_MATCHES]),
        group=min(content.id, *(match.content for match in matches)),
    )
