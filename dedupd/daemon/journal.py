"""Log records as entries of systemd's journal, with a field for each key, over its native socket.

Decides nothing about what is logged. A journal that does not answer costs a moment, then entries, never the daemon:
what was lost is counted and told with the next entry that gets through. Source: systemd's "Native Journal Protocol"
(systemd.io/JOURNAL_NATIVE_PROTOCOL) and systemd.exec(5) on $JOURNAL_STREAM. Owns one datagram socket.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PRIORITIES = {10: 7, 20: 6, 30: 4, 40: 3, 50: 2}  # logging's levels as those of syslog(3)
SOCKET = Path("/run/systemd/journal/socket")
_PATIENCE_S = 0.1  # for a full queue: the kernel holds few datagrams, and journald takes them in milliseconds
_LONGEST_NAME = 64  # longer field names are refused by journald
_IN_FORMAT = re.compile(r"(?:([A-Za-z]\w*)=)?%[-#0 +]*[\d.]*[a-zA-Z]")
_EVENT = re.compile(r"[a-z][\w.-]*")
_STRANGE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Fields(str):
    """`key=value` words that still know their keys and values."""

    __slots__ = ("values",)

    values: Mapping[str, object]


def is_stderr_the_journal() -> bool:
    """Whether systemd connected standard error to the journal and nobody has redirected it since."""
    try:
        device, inode = map(int, os.environ.get("JOURNAL_STREAM", "").split(":"))
        facts = os.fstat(sys.stderr.fileno())
    except (ValueError, OSError):
        return False
    return (facts.st_dev, facts.st_ino) == (device, inode)


class JournalHandler(logging.Handler):
    """Sends each record as one entry.

    Fields: MESSAGE (the line as standard error would have it, then the traceback), PRIORITY, SYSLOG_IDENTIFIER,
    SYSLOG_PID, CODE_FILE, CODE_LINE, CODE_FUNC, DEDUPD_EVENT (the line's first word), DEDUPD_THREAD, and DEDUPD_KEY for
    each `key=value`, paths as the bytes that they are.
    """

    def __init__(self, identifier: str, address: Path = SOCKET) -> None:
        """Make the socket; nothing is sent and nobody need listen yet."""
        super().__init__()
        self._identifier = identifier
        self._address = os.fspath(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lost = 0
        self._is_stuck = False  # the last entry found no room: the next does not wait

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry, or count it as lost; raises nothing, as a log must not end what it tells of."""
        try:
            fields = dict(self._fields_of(record))
            if self._lost:
                fields["DEDUPD_LOST_BEFORE"] = self._lost
            self._send(b"".join(field(name, value) for name, value in fields.items()))
        except OSError:
            self._lost += 1
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)
        else:
            self._lost = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()

    def _fields_of(self, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
        event = _EVENT.match(str(record.msg))
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", PRIORITIES.get(record.levelno, 6)
        yield "SYSLOG_IDENTIFIER", self._identifier
        yield "SYSLOG_PID", os.getpid()
        yield "CODE_FILE", record.pathname
        yield "CODE_LINE", record.lineno
        yield "CODE_FUNC", record.funcName
        yield "DEDUPD_THREAD", record.threadName
        for name, value in _named_values(record):
            yield _field_name(name), value
        if event is not None:
            yield "DEDUPD_EVENT", event[0]

    def _send(self, entry: bytes) -> None:
        self._socket.setblocking(False)  # a timeout would have Python ask first, and poll(2) says full too early
        try:
            self._send_now(entry)
        except BlockingIOError:
            if self._is_stuck:
                raise
            self._is_stuck = True
            self._socket.settimeout(_PATIENCE_S)
            self._send_now(entry)
        self._is_stuck = False

    def _send_now(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._address)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_by_file(entry)

    def _send_by_file(self, entry: bytes) -> None:
        """What no datagram holds goes as a sealed file in memory, which journald maps."""
        fd = os.memfd_create("dedupd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            left = memoryview(entry)
            while left:
                left = left[os.write(fd, left) :]
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", fd))]
            self._socket.sendmsg([], passed, 0, self._address)
        finally:
            os.close(fd)


def field(name: str, value: object) -> bytes:
    """One field on the wire: a line, or with its length before it where it holds anything that is no plain text."""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    head = name.encode("ascii")
    if _STRANGE.search(raw) is None and _is_text(raw):
        return head + b"=" + raw + b"\n"
    return head + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"


def _named_values(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """What the record says under a name: `key=%s` of its format, `fields(…)`, and its extras."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    names = [found[1] for found in _IN_FORMAT.finditer(str(record.msg).replace("%%", ""))]
    if len(names) == len(arguments):
        yield from ((name, value) for name, value in zip(names, arguments, strict=True) if name)
    for value in arguments:
        if isinstance(value, Fields):
            yield from value.values.items()
    yield from ((name, value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD)


def _field_name(key: str) -> str:
    return ("DEDUPD_" + re.sub(r"[^A-Z0-9]", "_", key.upper()))[:_LONGEST_NAME]


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
