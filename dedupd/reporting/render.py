"""The one door to the formats, and the safe way onto the disk. Owns the temporary file while it writes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from dedupd.core.errors import AccessError, DedupdError
from dedupd.core.records import ContentId
from dedupd.core.report import Report
from dedupd.reporting.write_csv import csv_chunks
from dedupd.reporting.write_json import json_chunks

if TYPE_CHECKING:
    from dedupd.reporting.html_group import PairOf

_PIECE_BYTES = 64 * 1024

PreviewOf = Callable[[ContentId], bytes | None]


class ReportFormat(StrEnum):
    """What a report can be written as."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.CSV: "text/csv; charset=utf-8; header=present",
    ReportFormat.HTML: "text/html; charset=utf-8",
}


def render(report: Report, form: ReportFormat, preview: PreviewOf, pair: PairOf) -> Iterator[bytes]:
    """The report in a format, in pieces of about _PIECE_BYTES, made as they are asked for.

    Args:
        report: what to write.
        form: which format.
        preview: the small JPEG of a content, or None; asked for HTML only, at most a few thousand times.
        pair: what is known of the pair of two contents, or None; asked for HTML only, as often.
    """
    match form:
        case ReportFormat.JSON:
            return json_chunks(report)
        case ReportFormat.CSV:
            return csv_chunks(report)
        case ReportFormat.HTML:
            # Here, as the table of HTML's entities takes 0.02 s to load, and few reports are pages.
            from dedupd.reporting.write_html import html_chunks  # noqa: PLC0415

            return html_chunks(report, preview, pair)
    assert_never(form)


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that readers see the old one or the whole new one, even after a power cut.

    A path that is there and is no regular file (/dev/stdout, a pipe) is written to as it is, never replaced; a
    symbolic link is followed, and its target replaced.

    Raises:
        AccessError: no permission.
        DedupdError: any other trouble of the file system; nothing is left behind.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as special:
                special.writelines(chunks)
        else:
            _replace(target, chunks)
    except PermissionError as error:
        raise AccessError(f"cannot write {path}: {error.strerror}; choose a folder that you may write to") from error
    except OSError as error:
        raise DedupdError(
            f"cannot write {path}: {error.strerror}; an older file there, if any, is unchanged"
        ) from error


def _replace(target: Path, chunks: Iterable[bytes]) -> None:
    temporary = target.with_name(f".dedupd-report.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:  # the umask decides who may read it
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
