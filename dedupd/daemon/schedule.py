"""What runs by the clock: hourly scans, housekeeping, snapshots. APScheduler keeps the times, the engine has the jobs.

A job that fails is logged and runs again at its next time: none of them is needed for correctness within the hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from dedupd.core.errors import StopError
from dedupd.daemon.build import Engine
from dedupd.daemon.clean_up import CleanUp
from dedupd.daemon.log import fields
from dedupd.daemon.tidying import tidy
from dedupd.pipeline.housekeep import retry_set_aside
from dedupd.pipeline.stage import OnCrash

_log = logging.getLogger(__name__)

_RETRY_EVERY_S = 30
_HOUSEKEEPING_EVERY_S = 3600
_FIRST_HOUSEKEEPING_S = (
    600  # an index that was made anew, and groups after a first scan, take twice the memory until then
)
_SNAPSHOT_EVERY_S = 900
_SCAN_JITTER = 0.25  # of the interval, so that two boxes on one NAS do not scan in step


def make_schedule(engine: Engine, clean_up: CleanUp, on_crash: OnCrash) -> BackgroundScheduler:
    """Every job of the daemon, not started yet."""
    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(2)}, timezone=UTC)

    def add(
        name: str, every_s: float, work: Callable[[], object], *, jitter_s: float = 0.0, first_s: float | None = None
    ) -> None:
        scheduler.add_job(
            _guarded(name, work, on_crash),
            IntervalTrigger(seconds=max(1, round(every_s)), jitter=round(jitter_s) or None),
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC) + timedelta(seconds=every_s if first_s is None else first_s),
        )

    settings = engine.settings
    rescan_s = settings.watch.rescan_every_s
    add("rescan", rescan_s, lambda: _rescan(engine), jitter_s=_SCAN_JITTER * rescan_s)
    add("retry", _RETRY_EVERY_S, lambda: _retry(engine))
    add("housekeeping", _HOUSEKEEPING_EVERY_S, lambda: tidy(engine), first_s=_FIRST_HOUSEKEEPING_S)
    add("snapshot", _SNAPSHOT_EVERY_S, engine.save_snapshot)
    add("clean-up", settings.cleanup.auto_every_h * 3600, clean_up.work_by_the_clock)
    add("clean-up news", _HOUSEKEEPING_EVERY_S, clean_up.catch_up, first_s=0.0)
    return scheduler


def _rescan(engine: Engine) -> None:
    if engine.manners.allow_scans():
        engine.intake.scan(None)


def _retry(engine: Engine) -> None:
    if retry_set_aside(engine.library, engine.clock.wall_ns()):
        engine.describe.notice()


def _guarded(name: str, work: Callable[[], object], on_crash: OnCrash) -> Callable[[], None]:
    """A broad except on purpose: the schedule must outlive one failed job, but a failed store must stop all."""

    def run() -> None:
        try:
            work()
        except StopError as error:
            on_crash(name, error)
        except Exception:  # noqa: BLE001 - see the docstring
            _log.exception("job.failed %s", fields(job=name))

    return run
