"""Where the report comes from, as the API sees it; composition joins it with the reporting department."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dedupd.core.records import Relation
from dedupd.core.report import Report
from dedupd.protocol.requests import ReportFormat


class ReportSource(Protocol):
    """Drafts and writes reports. Thread-safe; may take seconds, never on the API loop."""

    def draft(self, relations: frozenset[Relation]) -> Report:
        """All groups that these relations make, now."""

    def render(self, report: Report, report_format: ReportFormat, /) -> Iterator[bytes]:
        """The report's bytes in pieces: JSON as protocol.report.ReportMessage, CSV, or one self-contained page."""
