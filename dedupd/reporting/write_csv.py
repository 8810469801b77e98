r"""Writes a report as CSV (RFC 4180, UTF-8 without a byte order mark), one row for each file.

Spreadsheets run a cell that begins with = + - @, tab or carriage return as a formula. Such text, and text that begins
with an apostrophe, gets one apostrophe in front (OWASP, "CSV Injection"); taking one leading apostrophe away gives the
text back. A path that is not UTF-8 shows its odd bytes as \xff, and its exact bytes stand in `path_b64`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from msgspec import UNSET

from dedupd.core.report import Report, ReportFile, ReportGroup
from dedupd.protocol.text import camera_text, path_b64, path_text, utc_text

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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")


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
        _harmless(path_text(file.path)),
        file.relation or "",
        f"{file.similarity:.4f}",
        file.size_bytes,
        file.width_px,
        file.height_px,
        _harmless(file.format),
        utc_text(file.mtime_ns),
        camera_text(file.taken_at_ms) or "",
        file.frees_bytes,
        _harmless(file.reason),
        "" if exact is UNSET else exact,
        f"{file.probability:.4f}",
    )


def _harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
