"""Where a stage that ends by an error leaves word; the main thread looks here and stops the whole process."""

from __future__ import annotations

import logging
import threading

from dedupd.core.errors import DedupdError, FaultError
from dedupd.daemon.log import fields

_log = logging.getLogger(__name__)


class CrashBox:
    """Holds the first crash. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: tuple[str, BaseException] | None = None
        self._ignored = False
        self.rung = threading.Event()

    def report(self, stage: str, error: BaseException) -> None:
        """A stage ended by this error; what comes after the stop began is only a consequence."""
        with self._lock:
            if self._ignored:
                return
            if self._first is None:
                self._first = (stage, error)
        _log.critical("stage.crashed %s", fields(stage=stage, error=error), exc_info=error)
        self.rung.set()

    def ignore_from_now_on(self) -> None:
        """The stop has begun."""
        with self._lock:
            self._ignored = True

    def raise_first(self) -> None:
        """Raise the first crash, if there was one, so that its exit code becomes the process's."""
        if self._first is None:
            return
        stage, error = self._first
        if isinstance(error, DedupdError):
            raise error
        raise FaultError(
            f"the stage {stage!r} ended by a fault of dedupd ({type(error).__name__}: {error}). Nothing that was "
            "stored is lost; start it again, and report the lines above."
        ) from error
