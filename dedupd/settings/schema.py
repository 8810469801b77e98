"""Every setting with its default, meaning and unit; `docs/configuration.md` says the same for people.

An unknown key is an error: a misspelt safety setting must not be ignored in silence.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[watch]: how changes become known."""

    settle_after_close_s: _Seconds = 0.5  # quiet time after a writer closed the file
    settle_after_write_s: _Seconds = 10.0  # quiet time after a write that no close was seen for
    rescan_every_s: _Positive = 3600.0  # full metadata scan, ±25 %
    poll_every_s: _Positive = 600.0  # network filesystems, and subtrees without watches
    poll_always: bool = False  # do not use events at all
    ignore: list[str] = []  # globs on a name, or on a path below the root when they hold a slash


class Decode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[decode]: reading pictures."""

    workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0  # processes; 0: one a CPU core
    max_file_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 512
    max_jpeg_megapixels: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 300
    max_other_megapixels: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    timeout_s: _Positive = 20.0  # one picture


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[match]: which neighbours get a second look."""

    candidates: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 32  # a picture, at most


class Alerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[alerts]: who is told."""

    hook: list[str] = []  # a program and its arguments; gets the alert as JSON on standard input
    hook_timeout_s: _Positive = 30.0
    urls: list[str] = []  # Apprise: ntfy://…, mailto://…, json://…
    urls_file: str = ""  # one URL a line; for secrets (systemd LoadCredential)
    quiet_s: _Seconds = 10.0  # further arrivals within this time go into one message
    gather_at_most_s: _Positive = 60.0
    at_most_per_hour: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 30
    on_scan: bool = True  # one summary after a scan that found duplicates


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[keep]: how long things are remembered."""

    missing_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 7.0  # a missing file's row, while its root is online
    events: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 100_000  # outbox length


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    roots: list[str] = []  # directories to watch
    state_dir: str = ""  # default: the user's, or /var/lib/dedupd for the service
    socket: str = ""  # default: the user's runtime directory, or /run/dedupd/dedupd.sock
    watch: Watch = Watch()
    decode: Decode = Decode()
    match: Match = Match()
    alerts: Alerts = Alerts()
    keep: Keep = Keep()
