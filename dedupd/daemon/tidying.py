"""Housekeeping: by the clock in a daemon, at the end of a scan. `pipeline.housekeep` does it to the store."""

from __future__ import annotations

import logging

from dedupd.daemon.build import Engine
from dedupd.daemon.log import fields
from dedupd.pipeline.housekeep import purge_missing, sweep_orphans, trim_outbox

_log = logging.getLogger(__name__)


def tidy(engine: Engine) -> None:
    """Forget what has been gone for long, let the index grow and the groups settle where it is due."""
    now_ns = engine.clock.wall_ns()
    purged = purge_missing(engine.library, now_ns, engine.settings.keep.missing_days)
    orphans = sweep_orphans(engine.library, engine.previews, engine.forget)
    trimmed = trim_outbox(engine.library, engine.settings.keep.events)
    grown = engine.opened.index.grow_if_due()
    settled = engine.groups.settle_if_due()
    _log.info(
        "housekeeping.done %s",
        fields(purged=purged, orphans=orphans, events_trimmed=trimmed, index_grown=grown, groups_settled=settled),
    )
