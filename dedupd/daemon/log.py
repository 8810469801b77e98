"""Logging: an event name and keys, one line each. To the journal with fields under systemd, else to standard error.

Where standard error is the journal but its native socket is not there, lines go to standard error with sd-daemon(3)'s
priority prefix.
"""

from __future__ import annotations

import logging
import os
import sys

from dedupd.daemon.journal import PRIORITIES, SOCKET, Fields, JournalHandler, is_stderr_the_journal


class _LineFormatter(logging.Formatter):
    """`name key=value …`; what could break a line is escaped."""

    def __init__(self, *, has_priority: bool, has_time: bool) -> None:
        super().__init__()
        self._has_priority = has_priority
        self._has_time = has_time

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = text.encode("utf-8", "backslashreplace").decode()
        if self._has_time:
            return f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():8} {text}"
        if not self._has_priority:
            return text
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.splitlines())


def set_up_logging(level: str, identifier: str = "dedupd") -> None:
    """Send the package's log to the journal, where systemd connected standard error to it, else to standard error.

    Args:
        level: the least that is logged.
        identifier: what the journal calls this process, as the unit's SyslogIdentifier.
    """
    is_journal = is_stderr_the_journal()
    is_native = is_journal and SOCKET.is_socket()
    handler: logging.Handler = JournalHandler(identifier) if is_native else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter(has_priority=is_journal and not is_native, has_time=not is_journal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("apscheduler", "PIL", "asyncio", "watchdog", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def fields(**values: object) -> Fields:
    """`key=value` words for a log line; text is quoted when it holds spaces, bytes are shown as paths."""
    words = []
    for key, value in values.items():
        shown = os.fsdecode(value) if isinstance(value, bytes) else value
        if isinstance(shown, float):
            shown = f"{shown:.3g}"
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(shown))
        words.append(f'{key}="{text}"' if " " in text or not text else f"{key}={text}")
    said = Fields(" ".join(words))
    said.values = values
    return said
