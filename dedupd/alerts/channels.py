"""Where alerts go: a program, an Apprise service, the log. Each sends one message and either did or raises RetryError.

Retrying, limits and queues are alerts.outlet's. A channel is used by one thread; only `close` comes from another.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

from dedupd.alerts.message_json import alert_json
from dedupd.core.alert_rules import AlertMessage
from dedupd.core.errors import ConfigError, RetryError
from dedupd.core.records import RootId
from dedupd.core.wording import path_words

if TYPE_CHECKING:  # importing Apprise takes 0.2 s, so only those who configured a URL pay for it
    from apprise import Apprise, AppriseResult

RootPaths = Callable[[], Mapping[RootId, bytes]]

_log = logging.getLogger("dedupd.alerts")
_OWN_ENVIRONMENT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
_LAST_WORDS_BYTES = 300  # of what a failing hook wrote to standard error


class Channel(Protocol):
    """One way to people."""

    name: str  # for logs and status; holds no secret
    is_limited: bool  # whether the hourly limit counts here

    def send(self, message: AlertMessage) -> None:
        """Deliver, or raise RetryError with a reason that holds no secret."""

    def close(self) -> None:
        """Give up a send under way as soon as possible; called from another thread, once."""


class LogChannel:
    """A line for each alert, for journald: `journalctl -u dedupd -g alert`."""

    name = "log"
    is_limited = False

    def send(self, message: AlertMessage) -> None:
        """Write the line; never fails."""
        level = logging.WARNING if message.is_urgent else logging.INFO
        text = message.body if message.count == 1 and not message.is_urgent else f"{message.title}: {message.body}"
        _log.log(
            level,
            "alert kind=%s count=%d %s",
            message.kind,
            message.count,
            text.replace("\n", " | "),
            extra={} if message.path is None else {"path": message.path},  # a field of its own in the journal
        )

    def close(self) -> None:
        """Nothing to give up."""


class HookChannel:
    """Runs a program for each alert.

    The program gets two more arguments, the kind and the path (empty where there is none), and the whole alert as
    JSON on standard input. No shell reads any of it. It runs in a session of its own in /, inherits no descriptor but
    0-2 and none of the variables by which systemd knows the daemon, and is killed with its session at the time-out.
    Exit status 0 means taken; anything else is tried again.
    """

    def __init__(self, argv: Sequence[str], timeout_s: float, root_paths: RootPaths) -> None:
        if not argv or not argv[0]:
            raise ConfigError("alerts.hook names no program; give the program and its arguments as a list")
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._root_paths = root_paths
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self.is_limited = True
        self.name = f"hook {os.path.basename(argv[0])}"  # noqa: PTH119  text, not a place on disk

    def send(self, message: AlertMessage) -> None:
        """Run the program once and wait for it."""
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaint:
            told.write(alert_json(message, self._root_paths()))  # a file, not a pipe: the hook need not read it
            told.seek(0)
            status = self._run([*self._argv, message.kind, message.path or b""], told, complaint)
            if status != 0:
                raise RetryError(f"{self._argv[0]} ended with {_ending(status)}{_last_words(complaint)}")

    def close(self) -> None:
        """Kill the program if it runs, and start none any more."""
        with self._lock:
            self._is_closed = True
            if self._running is not None:
                _kill_session(self._running)

    def _run(self, argv: list[str | bytes], told: IO[bytes], complaint: IO[bytes]) -> int:
        environment = {k: v for k, v in os.environ.items() if k not in _OWN_ENVIRONMENT}
        with self._lock:
            if self._is_closed:
                raise RetryError("dedupd is stopping")
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=told,
                    stdout=subprocess.DEVNULL,
                    stderr=complaint,
                    cwd="/",
                    env=environment,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise RetryError(f"cannot run {self._argv[0]}: {reason}; see alerts.hook") from error
            self._running = process
        try:
            return process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise RetryError(f"{self._argv[0]} did not end within {self._timeout_s:g} s and was killed") from None
        finally:
            with self._lock:
                self._running = None
                if process.poll() is None:
                    _kill_session(process)
            process.wait()


class AppriseChannel:
    """Sends through Apprise: ntfy, mail, Matrix, webhooks and a hundred others.

    The URL is a secret as a whole (topics, tokens and passwords stand in it), so only its scheme is ever shown, and
    what Apprise and the HTTP library log is kept out of the log.
    """

    def __init__(self, url: str) -> None:
        scheme = url.partition("://")[0] if "://" in url else ""
        self.name = f"apprise {scheme}" if re.fullmatch(r"[a-zA-Z0-9+.-]{1,20}", scheme) else "apprise"
        self.is_limited = True
        self._service = _service(url, self.name)

    def send(self, message: AlertMessage) -> None:
        """Hand the message to the service and wait for its answer (Apprise's own time-outs: some seconds)."""
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415  only who configured a URL pays for the import

        kind = NotifyType.WARNING if message.is_urgent else NotifyType.INFO
        try:
            result = self._service.notify(
                body=message.body, title=message.title, notify_type=kind, body_format=NotifyFormat.TEXT
            )
        except Exception as error:  # noqa: BLE001  a hundred plug-ins; what they say may quote the URL
            raise RetryError(f"{self.name} failed with {type(error).__name__}") from None
        if not result:
            raise RetryError(f"{self.name} did not take the message{_status_in(result)}")

    def close(self) -> None:
        """Nothing that could be cut short; the thread is left behind."""


def _service(url: str, name: str) -> Apprise:
    """The service behind a URL, its logs and those of its HTTP library kept to themselves."""
    import apprise  # noqa: PLC0415  only who configured a URL pays for the import

    for library in ("apprise", "urllib3", "requests"):  # at DEBUG they write whole URLs
        logger = logging.getLogger(library)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    asset = apprise.AppriseAsset(app_id="dedupd", app_desc="dedupd")
    plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise ConfigError(
            f"alerts.urls: Apprise does not understand the {name.removeprefix('apprise').strip() or 'first'} URL"
            " (not shown, it may hold a password); try it with: apprise -b test URL"
        )
    service = apprise.Apprise(asset=asset)
    service.add(plugin)
    return service


def _status_in(result: AppriseResult) -> str:
    """The HTTP status in what Apprise says of a failure; nothing else of it is safe to show."""
    for told in result.results:
        for attempt in told.attempts:
            for entry in attempt.logs:
                if found := re.search(r"\berror=(\d{3})\b", entry.message):
                    return f" (HTTP {found[1]})"
    return ""


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it is gone; or it changed its user, then it is not ours
        os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _last_words(complaint: IO[bytes]) -> str:
    size = complaint.seek(0, os.SEEK_END)
    complaint.seek(max(0, size - _LAST_WORDS_BYTES))
    words = path_words(b" ".join(complaint.read().split()))
    return f": {words}" if words else ""
