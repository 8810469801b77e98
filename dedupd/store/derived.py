"""What follows from the records: the rows that make finding cheap. Pure; the transaction and the check share it.

Each row here has an empty value; which rows exist is all it says.
"""

from __future__ import annotations

from dedupd.core.records import ContentId, ContentRecord, ContentStage, Edge, FileRecord, FileStage, FileStat
from dedupd.store import keys

DerivedRow = tuple[str, bytes]  # table, key

FILE_TABLES = ("inodes", "pending", "set_aside", "missing", "content_files")

_WORKLIST = {FileStage.PENDING: "pending", FileStage.SET_ASIDE: "set_aside"}


def rows_of_file(key: bytes, file: FileRecord) -> set[DerivedRow]:
    """The rows that a file makes. A missing file is on no list of work, only among the missing."""
    rows = {("inodes", keys.inode_key(file.stat.dev, file.stat.ino) + key)}
    if file.missing_since_ns is not None:
        rows.add(("missing", key))
    elif file.stage in _WORKLIST:
        rows.add((_WORKLIST[file.stage], key))
    if file.content is not None:
        rows.add(("content_files", keys.content_key(file.content) + key))
    return rows


def present_content(file: FileRecord | None) -> ContentId | None:
    """The content that a file adds one present file to."""
    return None if file is None or file.missing_since_ns is not None else file.content


def present_stat(file: FileRecord | None) -> FileStat | None:
    """What a file adds to its directory's fingerprint."""
    return None if file is None or file.missing_since_ns is not None else file.stat


def rows_of_content(content: ContentRecord) -> set[DerivedRow]:
    """The rows with empty values that a content makes."""
    if content.image_digest is None:
        return set()
    return {("image_digests", content.image_digest + keys.content_key(content.id))}


def rows_of_edge(edge: Edge) -> set[DerivedRow]:
    """The rows that an edge makes, so that it is found from both ends."""
    return {("edge_ends", keys.pair_key(edge.b, edge.a))}


def has_queries(content: ContentRecord) -> bool:
    """Whether the content still waits to be linked."""
    return content.stage is ContentStage.DESCRIBED
