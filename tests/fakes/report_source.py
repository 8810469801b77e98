"""Reports of a real store and of the groups that a test says there are."""

from dataclasses import dataclass

from dedupd.core.ports import Groups, Library, PreviewCache
from dedupd.reporting.render import ReportFormat, render
from dedupd.reporting.report import draft_report

NOW_NS = 1_760_000_000_000_000_000


@dataclass
class LibraryReports:
    """A whole `ReportSource`; its clock stands still at NOW_NS."""

    library: Library
    groups: Groups
    previews: PreviewCache

    def draft(self, relations):
        return draft_report(
            self.library, self.groups, relations=relations, keep_policy="largest picture first", now_ns=NOW_NS
        )

    def render(self, report, report_format, /):
        return render(report, ReportFormat(report_format), self.previews.get, self.pair)

    def pair(self, one, other):
        with self.library.view() as view:
            return view.edge(min(one, other), max(one, other))
