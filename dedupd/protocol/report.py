"""The report on the wire: what `dedupctl report --format json` and GET /v1/report say.

Its JSON is a superset of: generated_at, total_images, duplicate_groups, total_duplicates, keep_policy,
groups[{keep, duplicates}]. Does not decide anything; core.report holds the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.fields import RelationName
from dedupd.protocol.text import camera_text, path_b64, path_text, utc_text

if TYPE_CHECKING:  # for the annotations only: core.records imports numpy, and dedupctl reads these messages without it
    from dedupd.core.report import Report, ReportFile, ReportGroup


class PathMessage(Struct, frozen=True, kw_only=True):
    """A path; `path_b64` is there only when the path is not valid UTF-8."""

    path: str
    path_b64: str | UnsetType = UNSET


class ReportFileMessage(Struct, frozen=True, kw_only=True):
    """One file in a group."""

    path: str  # absolute
    path_b64: str | UnsetType = UNSET
    root: int
    content: int
    size_bytes: int
    width: int  # px, orientation applied
    height: int
    format: str
    modified_at: str
    modified_at_ns: int
    taken_at: str | None  # local camera time, no zone
    relation: RelationName | None  # to the kept file; null for the kept file itself
    similarity: float  # 0 … 1, to the kept file
    probability: float  # 0 … 1, that both come from one shot; 0 where an older version found the pair
    reason: str
    frees_bytes: int


class ReportGroupMessage(Struct, frozen=True, kw_only=True):
    """A kept file and its duplicates; `related` only chain to them and are never for clean-up."""

    id: int
    relation: RelationName  # the weakest in the group
    similarity: float  # 0 … 1, of the weakest
    probability: float  # 0 … 1, of the weakest
    frees_bytes: int
    keep: ReportFileMessage
    duplicates: tuple[ReportFileMessage, ...]
    related: tuple[ReportFileMessage, ...]


class ReportMessage(Struct, frozen=True, kw_only=True):
    """All groups at one moment."""

    generated_at: str
    generated_at_ns: int
    total_images: int
    total_contents: int
    duplicate_groups: int
    total_duplicates: int
    frees_bytes: int
    keep_policy: str
    relations: tuple[RelationName, ...]
    roots: tuple[PathMessage, ...]
    problems: int
    pending: int  # while > 0 the report is not complete
    groups: tuple[ReportGroupMessage, ...]


def report_message(report: Report) -> ReportMessage:
    """The wire form of a report."""
    return ReportMessage(
        generated_at=utc_text(report.generated_at_ns),
        generated_at_ns=report.generated_at_ns,
        total_images=report.total_images,
        total_contents=report.total_contents,
        duplicate_groups=report.duplicate_groups,
        total_duplicates=report.total_duplicates,
        frees_bytes=report.frees_bytes,
        keep_policy=report.keep_policy,
        relations=report.relations,
        roots=tuple(path_message(root) for root in report.roots),
        problems=report.problems,
        pending=report.pending,
        groups=tuple(report_group_message(group) for group in report.groups),
    )


def report_group_message(group: ReportGroup) -> ReportGroupMessage:
    """The wire form of one group; also for a writer that streams a long report group by group."""
    return ReportGroupMessage(
        id=group.id,
        relation=group.relation,
        similarity=group.similarity,
        probability=group.probability,
        frees_bytes=group.frees_bytes,
        keep=report_file_message(group.keep),
        duplicates=tuple(report_file_message(file) for file in group.duplicates),
        related=tuple(report_file_message(file) for file in group.related),
    )


def report_file_message(file: ReportFile) -> ReportFileMessage:
    """The wire form of one file in a group."""
    return ReportFileMessage(
        path=path_text(file.path),
        path_b64=path_b64(file.path),
        root=file.file.root,
        content=file.content,
        size_bytes=file.size_bytes,
        width=file.width_px,
        height=file.height_px,
        format=file.format,
        modified_at=utc_text(file.mtime_ns),
        modified_at_ns=file.mtime_ns,
        taken_at=camera_text(file.taken_at_ms),
        relation=file.relation,
        similarity=file.similarity,
        probability=file.probability,
        reason=file.reason,
        frees_bytes=file.frees_bytes,
    )


def path_message(path: bytes) -> PathMessage:
    """The wire form of a bare path."""
    return PathMessage(path=path_text(path), path_b64=path_b64(path))
