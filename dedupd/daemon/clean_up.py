"""Puts clean-up together for the running daemon: the way to the actor, the plans, what the actor's news change.

Nothing of it runs until somebody asks; the schedule asks for the policies that are automatic, and for expiry.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from dedupd.cleanup.plan_store import PlanStore
from dedupd.cleanup.remote_actor import RemoteActor
from dedupd.core.cleanup_policy import CleanupPolicy, PolicyError
from dedupd.core.errors import ConfigError, DedupdError
from dedupd.core.events import Degraded
from dedupd.daemon.actor_process import NamedActorSocket, OwnActorProcess
from dedupd.daemon.build import Engine, stat_of
from dedupd.daemon.clean_up_news import CleanUpNews
from dedupd.daemon.cleaning import DaemonCleanup
from dedupd.daemon.log import fields
from dedupd.settings.cleanup_policies import cleanup_policies

_log = logging.getLogger(__name__)

_HOUR_NS = 3600 * 1_000_000_000
_PLANS_KEPT_DAYS = 90.0


@dataclass(slots=True)
class CleanUp:
    """Clean-up as the daemon runs it."""

    engine: Engine
    cleanup: DaemonCleanup
    news: CleanUpNews
    way: NamedActorSocket | OwnActorProcess

    def catch_up(self) -> None:
        """Take in what the actor did while no daemon listened; does not start an actor that never did anything."""
        if not self.way.has_history():
            return
        try:
            taken = self.news.catch_up()
        except DedupdError as error:
            self._tell(error)
            return
        if taken:
            _log.info("clean-up.caught-up %s", fields(outcomes=taken))

    def work_by_the_clock(self) -> None:
        """What is done without anybody asking: policies that are automatic, and the expiry of the quarantine."""
        try:
            self.cleanup.clean_by_policy()
            if self.way.has_history():
                self.cleanup.expire_due()
                self.cleanup.forget_old_plans(_PLANS_KEPT_DAYS)
        except DedupdError as error:
            self._tell(error)

    def _tell(self, error: DedupdError) -> None:
        _log.warning("clean-up.failed %s", fields(code=error.code, error=error))
        with self.engine.library.transaction() as txn:
            txn.append(Degraded(what="clean-up", message=str(error)), self.engine.clock.wall_ns())

    def close(self) -> None:
        """End an actor of our own after the item under way."""
        self.way.close()


def make_clean_up(engine: Engine) -> CleanUp:
    """Every part of clean-up.

    Raises:
        ConfigError: a policy of the configuration is wrong.
    """
    _policies(engine)
    settings = engine.settings.cleanup
    way: NamedActorSocket | OwnActorProcess
    if settings.actor_socket:
        way = NamedActorSocket(Path(settings.actor_socket).expanduser())
    else:
        way = OwnActorProcess(engine.state_dir / "actor", settings.quarantine_days)
    actor = RemoteActor(way.connect)
    news = CleanUpNews(
        library=engine.library,
        actor=actor,
        stat_of=stat_of,
        look_again=engine.intake.look_again,
        expect=engine.describe.expect,
        now_ns=engine.clock.wall_ns,
    )
    cleanup = DaemonCleanup(
        library=engine.library,
        groups=engine.groups,
        actor=actor,
        plans=PlanStore(engine.state_dir / "plans"),
        news=news,
        policies=lambda: _policies(engine),
        keep_ns=lambda: round(engine.settings.cleanup.quarantine_days * 24 * _HOUR_NS),
        plan_ns=lambda: round(engine.settings.cleanup.plan_hours * _HOUR_NS),
        now_ns=engine.clock.wall_ns,
    )
    return CleanUp(engine=engine, cleanup=cleanup, news=news, way=way)


def _policies(engine: Engine) -> dict[str, CleanupPolicy]:
    try:
        return cleanup_policies(engine.settings.cleanup)
    except PolicyError as error:
        raise ConfigError(f"`{error.key}`: {error}") from error
