"""`dedupd run`: start everything, feed the watchdog while it all moves, stop it in mirror order.

Owns the signals and the order; the engine and the servers do the work.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from dedupd.alerts.watcher import AlertWatcher
from dedupd.api.admins import Admins
from dedupd.api.app import Application
from dedupd.api.listen import ListeningSocket, bind_socket, inherited_socket
from dedupd.api.server import ApiServer
from dedupd.core.errors import ConfigError, StopError
from dedupd.core.ignore_rules import IgnoreRules
from dedupd.daemon.alerting import make_alert_watcher
from dedupd.daemon.backup import backup_pieces
from dedupd.daemon.build import Engine, build_engine
from dedupd.daemon.clean_up import make_clean_up
from dedupd.daemon.control import DaemonControl
from dedupd.daemon.crash_box import CrashBox
from dedupd.daemon.further import MakeEmbedder
from dedupd.daemon.log import fields
from dedupd.daemon.memory import ceiling_bytes
from dedupd.daemon.pressure import rules_of, share_rules_of, step_back
from dedupd.daemon.reports import EngineReports
from dedupd.daemon.schedule import make_schedule
from dedupd.daemon.sd_notify import Notifier
from dedupd.settings.schema import Settings
from dedupd.sources.local_watch import LocalWatch

_log = logging.getLogger(__name__)

_STUCK_S = 90.0  # a stage's step may take seconds (a batch of evidence); beyond this the service is not well
_STOP_STAGE_S = 2.0  # SIGTERM must end the process within 5 s
_LOOP_S = 1.0
_STATUS_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `dedupd run` was asked for."""

    settings: Settings
    roots: tuple[Path, ...]
    state_dir: Path
    socket_path: Path
    read_again: Callable[[], tuple[Settings, tuple[Path, ...]]]  # for SIGHUP; raises ConfigError
    make_embedder: MakeEmbedder | None = None  # as `build_engine` takes it


class _Signals:
    """SIGTERM and SIGINT stop, SIGHUP reloads."""

    def __init__(self) -> None:
        self.wanted = threading.Event()  # something is to be done
        self.stop = False
        self.reload = False

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True
        self.wanted.set()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload = True
        self.wanted.set()


class Service:
    """One run of the daemon."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._notifier = Notifier.from_environment()
        self._signals = _Signals()
        self._crashes = CrashBox()

    def run(self) -> None:
        """Run until a signal or a crash.

        Raises:
            StopError: it cannot start, or a stage ended by an error; `exit_code` says which.
        """
        options = self._options
        step_back(options.settings.manners)
        self._signals.install()
        listening = inherited_socket() or bind_socket(options.socket_path)
        try:
            engine = build_engine(
                options.settings, options.state_dir, self._watch, self._crashes.report, options.make_embedder
            )
            try:
                self._serve(engine, listening)
            finally:
                self._crashes.ignore_from_now_on()
                engine.stop(_STOP_STAGE_S)
        finally:
            listening.close()
        self._crashes.raise_first()
        _log.info("dedupd.stopped")

    def _watch(self, ignore: IgnoreRules) -> LocalWatch:
        watch = self._options.settings.watch
        polled = frozenset(os.fsencode(root) for root in self._options.roots) if watch.poll_always else frozenset()
        program = "dedupd.daemon.watch_process"
        return LocalWatch(ignore=ignore, poll_interval_s=watch.poll_every_s, poll_always=polled, program=program)

    def _serve(self, engine: Engine, listening: ListeningSocket) -> None:
        _refuse_unknown(engine, self._options.roots)
        control = DaemonControl(engine, None if listening.path is None else Path(listening.path))
        clean_up = make_clean_up(engine)
        cleaning = self._options.settings.cleanup
        reports = EngineReports(engine)
        app = Application(
            library=engine.library,
            reader=engine.reader,
            matcher=engine.matcher,
            similar=engine.similar,
            groups=engine.groups,
            control=control,
            reports=reports,
            preview_of=reports.preview,
            upload_dir=engine.state_dir,
            cleanup=clean_up.cleanup,
            admins=Admins.named(cleaning.admins),
            quarantine_s=cleaning.quarantine_days * 86_400,
            make_backup=partial(_backup, engine),
        )
        server = ApiServer(app, listening.socket)
        alerts = make_alert_watcher(self._options.settings.alerts, engine)
        schedule = make_schedule(engine, clean_up, self._crashes.report)
        alerts.start()
        engine.start(self._options.roots)
        engine.reader.expect()
        server.start()
        schedule.start()
        gc.freeze()  # what start-up made stays; collections need not look at it again
        _log.info(
            "dedupd.ready %s",
            fields(
                socket=listening.path or "systemd",
                state=engine.state_dir,
                roots=",".join(map(str, self._options.roots)),
            ),
        )
        self._notifier.ready(f"watching {len(self._options.roots)} folders")
        try:
            alerts = self._loop(engine, control, server, alerts)
        finally:
            self._notifier.stopping()
            control.announce_stop()
            self._crashes.ignore_from_now_on()
            schedule.shutdown(wait=False)
            alerts.stop(_STOP_STAGE_S)
            server.stop(_STOP_STAGE_S)
            clean_up.close()

    def _loop(self, engine: Engine, control: DaemonControl, server: ApiServer, alerts: AlertWatcher) -> AlertWatcher:
        """Wait for signals and crashes; returns the alert watcher that is in use at the end."""
        next_status_s = 0.0
        while not self._signals.stop and not self._crashes.rung.is_set():
            self._signals.wanted.wait(_LOOP_S)
            self._signals.wanted.clear()
            if self._signals.reload:
                self._signals.reload = False
                alerts = self._reload(engine, alerts)
            now_s = engine.clock.monotonic_s()
            if now_s >= next_status_s:
                next_status_s = now_s + _STATUS_EVERY_S
                progress = control.progress()
                self._notifier.status(
                    f"{progress.activity.value}: {progress.counts.contents} pictures in {progress.counts.files} files, "
                    f"{progress.counts.files_pending} pending"
                )
            if server.is_alive and all(stage.seconds_since_pulse() < _STUCK_S for stage in engine.stages):
                self._notifier.alive()
        return alerts

    def _reload(self, engine: Engine, alerts: AlertWatcher) -> AlertWatcher:
        """Take over a changed configuration whole, or keep the old one and say why."""
        self._notifier.reloading()
        try:
            settings, roots = self._options.read_again()
            _refuse_unknown(engine, roots)
            has_new_alerts = settings.alerts != engine.settings.alerts
            next_alerts = make_alert_watcher(settings.alerts, engine) if has_new_alerts else alerts
        except ConfigError as error:
            _log.error("config.refused %s", fields(error=error, kept="the old one"))
            self._notifier.ready("the new configuration is wrong; still using the old one")
            return alerts
        engine.intake.configure([os.fsencode(root) for root in roots])
        if has_new_alerts:
            alerts.stop(_STOP_STAGE_S)
            next_alerts.start()
        for name in ("state_dir", "socket", "watch", "decode", "match", "model", "models"):
            if getattr(settings, name) != getattr(engine.settings, name):
                _log.warning("config.needs-restart %s", fields(setting=name))
        before, after = engine.settings.manners, settings.manners
        if (before.nice, before.idle_io) != (after.nice, after.idle_io):
            _log.warning("config.needs-restart %s", fields(setting="manners.nice, manners.idle_io"))
        engine.manners.configure(rules_of(settings.manners), share_rules_of(settings.manners))
        engine.memory.configure(ceiling_bytes(settings.limits.memory_mb))
        engine.settings = settings
        _log.info("config.reloaded %s", fields(roots=len(roots)))
        self._notifier.ready(f"watching {len(roots)} folders")
        return next_alerts


def _backup(engine: Engine) -> Iterator[bytes]:
    """Copy the store at once, into a file without a name; give it and what belongs to it in pieces."""
    store = tempfile.TemporaryFile(dir=engine.state_dir)  # noqa: SIM115 - closed when the pieces are through
    try:
        engine.library.copy_to(store)
    except BaseException:
        store.close()
        raise

    def pieces() -> Iterator[bytes]:
        with store:
            yield from backup_pieces(engine.state_dir, store)

    return pieces()


def _refuse_unknown(engine: Engine, roots: tuple[Path, ...]) -> None:
    """Refuse a folder that is not there and never was: a spelling mistake. A known one may come back."""
    with engine.library.view() as view:
        known = {record.path for record in view.roots()}
    for root in roots:
        if not root.is_dir() and os.fsencode(root) not in known:
            raise ConfigError(
                f"the folder {root} cannot be watched: it is not there, and it was never seen. "
                "Check the spelling, or mount the disk first."
            )


def run_service(options: RunOptions) -> None:
    """Run the daemon in the foreground; see `Service.run`."""
    if not options.roots:
        raise ConfigError(
            "there is no folder to watch. Name one: `dedupd run ~/Pictures`, or set `roots` in the configuration."
        )
    try:
        Service(options).run()
    except StopError as error:
        _log.critical("dedupd.stopped %s", fields(code=error.code))
        raise
