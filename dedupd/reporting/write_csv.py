r"""Writes a report as CSV (RFC 4180, UTF-8 without a byte order mark), one row for each file.

Text that a spreadsheet would run as a formula gets an apostrophe in front (`protocol.text.cell_text`). A path that is
not UTF-8 shows its odd bytes as \xff, and its exact bytes stand in `path_b64`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from msgspec import UNSET

from dedupd.core.report import Report, ReportFile, ReportGroup
from dedupd.protocol.text import camera_text, cell_text, path_b64, path_text, utc_text

COLUMNS = (
    "group",
    "role",  # keep, duplicate, related
    "path",
    "relation",
    "similarity",
    "size",  # bytes
    "width",
    "height",
    "format",
    "modified",  # UTC
    "taken",  # local camera time, no zone
    "frees_bytes",
    "reason",
    "path_b64",
    "probability",  # that both come from one shot
)
_ROWS_A_CHUNK = 500


def csv_chunks(report: Report) -> Iterator[bytes]:
    """The report as CSV: the heading, then each group's kept file, its duplicates and what is related."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    rows = 0
    for group in report.groups:
        for role, file in _files(group):
            writer.writerow(_row(group, role, file))
            rows += 1
            if rows % _ROWS_A_CHUNK == 0:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
    yield text.getvalue().encode()


def _files(group: ReportGroup) -> Iterator[tuple[str, ReportFile]]:
    yield "keep", group.keep
    for file in group.duplicates:
        yield "duplicate", file
    for file in group.related:
        yield "related", file


def _row(group: ReportGroup, role: str, file: ReportFile) -> tuple[str | int, ...]:
    exact = path_b64(file.path)
    return (
        group.id,
        role,
        cell_text(path_text(file.path)),
        file.relation or "",
        f"{file.similarity:.4f}",
        file.size_bytes,
        file.width_px,
        file.height_px,
        cell_text(file.format),
        utc_text(file.mtime_ns),
        camera_text(file.taken_at_ms) or "",
        file.frees_bytes,
        cell_text(file.reason),
        "" if exact is UNSET else exact,
        f"{file.probability:.4f}",
    )
