"""What `dedupd scan` prints at the end: how much there is twice, the groups that free the most, what was not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from dedupd.core.ports import Progress
from dedupd.core.records import Problem, RootState
from dedupd.core.report import Report, ReportGroup
from dedupd.core.wording import bytes_text, count_text, path_words

_SHOWN_GROUPS = 5
_SHOWN_DUPLICATES = 4
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSummary:
    """What there is to say."""

    report: Report
    report_path: Path | None
    progress: Progress
    problems: Sequence[tuple[bytes, Problem]]  # by absolute path
    folders: int
    spent_s: float


def print_summary(console: Console, summary: ScanSummary, *, all_problems: bool) -> None:
    """Print it; paths are shown below their folder, with nothing in them that could move the cursor."""
    report, progress = summary.report, summary.progress
    _say(
        console,
        f"\n[bold]{count_text(report.total_images, 'image', 'images')}[/] in "
        f"{count_text(summary.folders, 'folder', 'folders')}, {progress.decoded_total:,} of them decoded now, "
        f"in {summary.spent_s:.1f} s",
    )
    if report.duplicate_groups:
        duplicates = count_text(report.total_duplicates, "duplicate", "duplicates")
        groups = count_text(report.duplicate_groups, "group", "groups")
        _say(console, f"[bold]{duplicates} in {groups}[/]; without them {bytes_text(report.frees_bytes)} would be free")
        for group in islice(report.groups, _SHOWN_GROUPS):
            _print_group(console, group, report.roots)
        if report.duplicate_groups > _SHOWN_GROUPS:
            _say(
                console,
                f"\n[dim]… and {count_text(report.duplicate_groups - _SHOWN_GROUPS, 'more group', 'more groups')}[/]",
            )
    else:
        _say(console, "[green]No duplicates.[/]")
    console.print()
    for root in progress.roots:
        if root.root.is_watched and root.root.state is not RootState.ONLINE:
            _say(console, f"[yellow]{_safe(root.root.path)}: {escape(root.root.state_reason)}[/]")
    _print_problems(console, summary, all_problems=all_problems)
    others = sum(sum(root.others.values()) for root in progress.roots)
    if others:
        _say(console, f"[dim]{count_text(others, 'other file', 'other files')} (no picture suffix) not looked at[/]")
    if summary.report_path is not None:
        _say(console, f"Report: {escape(str(summary.report_path))}")
    else:
        _say(console, "[dim]For a page with pictures add --report duplicates.html[/]")


def _print_group(console: Console, group: ReportGroup, roots: Sequence[bytes]) -> None:
    _say(console, f"\n  keep [bold]{_below(group.keep.path, roots)}[/]  [dim]frees {bytes_text(group.frees_bytes)}[/]")
    for file in group.duplicates[:_SHOWN_DUPLICATES]:
        relation = file.relation.value if file.relation else ""
        _say(console, f"    [cyan]{relation:<12}[/] {_below(file.path, roots)}")
    left = len(group.duplicates) - _SHOWN_DUPLICATES
    if left > 0:
        _say(console, f"    [dim]{'':<12} … and {left:,} more[/]")


def _print_problems(console: Console, summary: ScanSummary, *, all_problems: bool) -> None:
    problems = summary.problems
    if not problems:
        return
    _say(console, f"[yellow]{count_text(len(problems), 'file', 'files')} could not be read:[/]")
    told = problems if all_problems else problems[:_SHOWN_PROBLEMS]
    for path, problem in told:
        _say(
            console,
            f"  {_below(path, summary.report.roots)}: {escape(problem.detail)} [dim]({problem.code.value})[/]",
        )
    if len(told) < len(problems):
        _say(console, f"  [dim]… and {len(problems) - len(told):,} more; --problems shows all[/]")


def _say(console: Console, text: str) -> None:
    """One line, never broken by us: a path must stay one that can be copied."""
    console.print(text, soft_wrap=True)


def _below(path: bytes, roots: Sequence[bytes]) -> str:
    """A path without its root where there is only one; whole where there are several, so that it stays clear."""
    if len(roots) == 1 and path.startswith(roots[0] + b"/"):
        path = path[len(roots[0]) + 1 :]
    return _safe(path)


def _safe(path: bytes) -> str:
    return escape(path_words(path))
