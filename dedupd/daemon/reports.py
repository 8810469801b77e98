"""Joins groups, store, previews and the reporting department to what the API and the one-shot scan ask for."""

from __future__ import annotations

from collections.abc import Iterator

from dedupd.core.keeper import KEEP_POLICY
from dedupd.core.records import ContentId, Edge, Relation, RootId
from dedupd.core.report import Report
from dedupd.daemon.build import Engine
from dedupd.imaging.preview_segment import detached
from dedupd.protocol.requests import ReportFormat as WireFormat
from dedupd.reporting.render import ReportFormat, render
from dedupd.reporting.report import draft_report


class EngineReports:
    """Implements the API's `ReportSource`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def draft(self, relations: frozenset[Relation], *, roots: frozenset[RootId] | None = None) -> Report:
        """All groups that these relations make, now; with `roots` those that have a file in one of these."""
        return draft_report(
            self._engine.library,
            self._engine.groups,
            relations=relations,
            keep_policy=KEEP_POLICY,
            now_ns=self._engine.clock.wall_ns(),
            roots=roots,
        )

    def render(self, report: Report, report_format: WireFormat, /) -> Iterator[bytes]:
        """The report's bytes in pieces."""
        return render(report, ReportFormat(report_format), self.preview, self.pair)

    def preview(self, content: ContentId) -> bytes | None:
        """A content's preview as a page shows it: a third smaller than it is kept."""
        preview = self._engine.previews.get(content)
        return None if preview is None else detached(preview)

    def pair(self, one: ContentId, other: ContentId) -> Edge | None:
        """What is known of two contents now."""
        with self._engine.library.view() as view:
            return view.edge(min(one, other), max(one, other))
