"""`dedupd scan`: the whole job once, with progress for a person, then a summary; the index stays for next time."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from dedupd.core.cleanup_plan import RunEnd
from dedupd.core.ports import Progress
from dedupd.core.records import DUPLICATE_RELATIONS, Problem, RootId
from dedupd.core.report import Report
from dedupd.daemon.build import Engine, build_engine
from dedupd.daemon.control import DaemonControl
from dedupd.daemon.crash_box import CrashBox
from dedupd.daemon.no_changes import NoChanges
from dedupd.daemon.reports import EngineReports
from dedupd.daemon.tidying import tidy
from dedupd.imaging.spawn import Spawned
from dedupd.reporting.render import ReportFormat, render, write_atomically
from dedupd.settings.schema import Settings

if TYPE_CHECKING:
    from dedupd.daemon.scan_clean_up import ScanCleanUp
    from dedupd.daemon.scan_display import ScanDisplay

_LOOK_EVERY_S = 0.1  # while it is shown how far the scan is; that takes a millisecond
_LOOK_QUIETLY_EVERY_S = 0.02
_SETTLE_WRITE_S = 2.0  # nobody waits ten seconds for a scan: a file written in the last two is left to settle


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What `dedupd scan` was asked for."""

    settings: Settings
    roots: tuple[Path, ...]
    state_dir: Path
    report: Path | None
    as_json: bool
    is_quiet: bool
    show_problems: bool
    clean_up: ScanCleanUp | None = None  # None: nothing is planned
    started: tuple[Spawned, ...] = ()  # decode workers that are on their way already


class InterruptedScanError(Exception):
    """Ctrl-C or SIGTERM; what was done is kept."""


def run_scan(options: ScanOptions) -> RunEnd | None:
    """Scan, wait until everything is linked, write and print what was found; how a clean-up ended, if one was done.

    Raises:
        StopError: the state directory cannot be used, or the store failed.
        InterruptedScanError: a person stopped it.
    """
    crashes = CrashBox()
    watch = msgspec.structs.replace(
        options.settings.watch,
        settle_after_write_s=min(_SETTLE_WRITE_S, options.settings.watch.settle_after_write_s),
    )
    settings = msgspec.structs.replace(options.settings, watch=watch)
    wants_stop = _stop_on_signals()
    engine = build_engine(
        settings,
        options.state_dir,
        lambda _ignore: NoChanges(),
        crashes.report,
        is_awaited=True,
        started=options.started,
    )
    try:
        control = DaemonControl(engine)
        began_s = time.monotonic()
        engine.start(options.roots)
        _wait(engine, control, crashes, _display(options), wants_stop)
        tidy(engine)
        engine.save_snapshot()
        progress = control.progress()
        reports = EngineReports(engine)
        report = reports.draft(DUPLICATE_RELATIONS, roots=_root_ids(engine))  # others were found by earlier scans
        if options.report is not None:
            form = report_format(options.report)
            write_atomically(options.report, render(report, form, reports.preview, reports.pair))
        if options.as_json:
            sys.stdout.buffer.writelines(render(report, ReportFormat.JSON, reports.preview, reports.pair))
            sys.stdout.buffer.flush()
        elif not options.is_quiet:
            _print_summary(options, report, progress, _problems_below(engine), time.monotonic() - began_s)
        end = None
        if options.clean_up is not None:
            end = _clean_up(engine, options.clean_up, options)
    finally:
        crashes.ignore_from_now_on()
        engine.stop(timeout_s=2.0)
    crashes.raise_first()
    return end


def report_format(path: Path) -> ReportFormat:
    """The format that a file's suffix asks for.

    Raises:
        ValueError: another suffix than .json, .csv, .html.
    """
    suffix = path.suffix.lower().lstrip(".")
    return ReportFormat("html" if suffix == "htm" else suffix)


def _wait(
    engine: Engine,
    control: DaemonControl,
    crashes: CrashBox,
    display: ScanDisplay | None,
    wants_stop: Callable[[], bool],
) -> None:
    """Until nothing is left to do, twice in a row: between two stages a moment may look like the end."""
    quiet_looks, wait_s = 0, _LOOK_QUIETLY_EVERY_S if display is None else _LOOK_EVERY_S
    with display or nullcontext():
        while quiet_looks < 2:
            if wants_stop():
                raise InterruptedScanError
            if crashes.rung.is_set():
                crashes.raise_first()
            quiet_looks = quiet_looks + 1 if _looks_done(engine, control, display) else 0
            time.sleep(wait_s)


# What prints loads rich, a twentieth of a second that a quiet scan does without.


def _display(options: ScanOptions) -> ScanDisplay | None:
    if options.is_quiet:
        return None
    from rich.console import Console  # noqa: PLC0415

    from dedupd.daemon.scan_display import ScanDisplay  # noqa: PLC0415

    return ScanDisplay(Console(stderr=True))


def _print_summary(
    options: ScanOptions, report: Report, progress: Progress, problems: list[tuple[bytes, Problem]], spent_s: float
) -> None:
    from rich.console import Console  # noqa: PLC0415

    from dedupd.daemon.scan_summary import ScanSummary, print_summary  # noqa: PLC0415

    summary = ScanSummary(
        report=report,
        report_path=options.report,
        progress=progress,
        problems=problems,
        folders=len(options.roots),
        spent_s=spent_s,
    )
    print_summary(Console(highlight=False), summary, all_problems=options.show_problems)


def _clean_up(engine: Engine, asked: ScanCleanUp, options: ScanOptions) -> RunEnd | None:
    from rich.console import Console  # noqa: PLC0415

    from dedupd.daemon.scan_clean_up import clean_up_after_scan  # noqa: PLC0415

    console = Console(stderr=options.as_json, quiet=options.is_quiet and not options.as_json, highlight=False)
    return clean_up_after_scan(engine, asked, _root_ids(engine), console)


def _looks_done(engine: Engine, control: DaemonControl, display: ScanDisplay | None) -> bool:
    """Show how far it is, if anybody sees it, and say whether it is done; to know how far takes a millisecond."""
    if display is None and not _rests(engine):
        return False
    progress = control.progress()
    if display is not None:
        display.show(progress)
    return _is_done(engine, progress)


def _rests(engine: Engine) -> bool:
    return engine.intake.is_idle and engine.describe.is_idle


def _is_done(engine: Engine, progress: Progress) -> bool:
    if not _rests(engine) or progress.counts.contents_unlinked:
        return False
    if progress.counts.pairs_suggested or not engine.generations.is_idle:
        return False
    if not progress.counts.files_pending:
        return True
    with engine.library.view() as view:  # files of roots that are not there now wait for another time
        pending = view.pending_files(progress.counts.files_pending)
    return not any(engine.roots.online(file.path.root) for file in pending)


def _root_ids(engine: Engine) -> frozenset[RootId]:
    return frozenset(root.id for root in engine.roots.watched())


def _problems_below(engine: Engine) -> list[tuple[bytes, Problem]]:
    paths = engine.roots.paths()
    watched = _root_ids(engine)
    with engine.library.view() as view:
        return [
            (paths[file.path.root] + b"/" + file.path.relative(), file.problem)
            for file in view.problems()
            if file.problem is not None and file.path.root in watched and file.missing_since_ns is None
        ]


def _stop_on_signals() -> Callable[[], bool]:
    stopped: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return lambda: bool(stopped)
