"""Lets an index grow into its next kind beside the work, as soon as it is due.

A first scan adds vectors faster than the present kind stays cheap, and a new one takes up to a minute to train: so
neither the hourly housekeeping nor the stage's own thread is the place. Owns one thread while an index grows.
"""

from __future__ import annotations

import logging
import threading

from dedupd.core.errors import DedupdError
from dedupd.core.ports import VectorIndex
from dedupd.daemon.log import fields
from dedupd.index.faiss_index import FaissIndex

_log = logging.getLogger(__name__)


class Grower:
    """Grows one index at a time. Used by one thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def look_at(self, index: VectorIndex) -> None:
        """Begin to grow an index if that is due; returns at once. While another grows, the next look begins it."""
        if not isinstance(index, FaissIndex) or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=_grow, args=(index,), name="dedupd-grow", daemon=True)
        self._thread.start()


def _grow(index: FaissIndex) -> None:
    try:
        if index.grow_if_due():
            _log.info("index.grown %s", fields(kind=index.kind, contents=len(index)))
    except DedupdError as error:  # also the end of the library under it: the next start grows it again
        _log.warning("index.not-grown %s", fields(error=error))
