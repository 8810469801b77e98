"""The report's values: what `dedupctl report` and `dedupd scan --report` say, before any format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dedupd.core.grouping import Share
from dedupd.core.records import ContentId, FilePath, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """One file in a group."""

    path: bytes  # absolute
    file: FilePath
    content: ContentId
    size_bytes: int
    width_px: int
    height_px: int
    format: str
    mtime_ns: int
    taken_at_ms: int | None  # local camera time as in records.Capture
    relation: Relation | None  # to the kept file; None for the kept file itself
    similarity: float  # 0 … 1, to the kept file
    probability: float  # 0 … 1, as `records.Edge.probability`, of the pair with the kept file
    reason: str  # why this relation, or for the kept file why it is kept
    frees_bytes: int  # what removing this file would free: 0 for a hard link of another file that stays


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportGroup:
    """A kept file and its duplicates; `related` only chain to it."""

    id: ContentId
    relation: Relation  # the weakest in the group
    similarity: float  # of the weakest
    probability: float  # of the weakest
    keep: ReportFile
    duplicates: tuple[ReportFile, ...]
    related: tuple[ReportFile, ...]
    frees_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All groups: the totals as of one moment, the groups as they are when they are reached."""

    generated_at_ns: int  # CLOCK_REALTIME
    total_images: int  # files that are there and indexed
    total_contents: int
    duplicate_groups: int
    shares: tuple[Share, ...]  # what each relation that occurs adds, the closest first
    keep_policy: str
    relations: tuple[Relation, ...]
    roots: tuple[bytes, ...]
    problems: int  # files set aside
    pending: int  # files and contents not worked off yet: the report is not complete while > 0
    groups: Iterable[ReportGroup]  # in order, as often as asked, a few in memory at a time

    @property
    def total_duplicates(self) -> int:
        """Files beside the kept ones."""
        return sum(share.files for share in self.shares)

    @property
    def frees_bytes(self) -> int:
        """What removing all of them would free."""
        return sum(share.frees_bytes for share in self.shares)
