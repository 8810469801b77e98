"""Logging to standard error: an event name and keys, one line each, with journald's priority prefix under systemd."""

from __future__ import annotations

import logging
import os
import sys
from typing import ClassVar


class _LineFormatter(logging.Formatter):
    """`name key=value …`; what could break a line is escaped."""

    _PRIORITIES: ClassVar[dict[int, int]] = {10: 7, 20: 6, 30: 4, 40: 3, 50: 2}  # sd-daemon(3)

    def __init__(self, *, is_journal: bool) -> None:
        super().__init__()
        self._is_journal = is_journal

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = text.encode("utf-8", "backslashreplace").decode()
        if not self._is_journal:
            return f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():8} {text}"
        prefix = f"<{self._PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.splitlines())


def set_up_logging(level: str) -> None:
    """Send the package's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter(is_journal="JOURNAL_STREAM" in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("apscheduler", "PIL", "asyncio", "watchdog", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def fields(**values: object) -> str:
    """`key=value` words for a log line; text is quoted when it holds spaces, bytes are shown as paths."""
    words = []
    for key, value in values.items():
        shown = os.fsdecode(value) if isinstance(value, bytes) else value
        if isinstance(shown, float):
            shown = f"{shown:.3g}"
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(shown))
        words.append(f'{key}="{text}"' if " " in text or not text else f"{key}={text}")
    return " ".join(words)
