"""Every setting with its default, meaning and unit; `docs/configuration.md` says the same for people.

An unknown key is an error: a misspelt safety setting must not be ignored in silence.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
_ClockSpan = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")]
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
    rest_after_s: _Positive = 60.0  # workers without work end after it, but for a fresh one


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[match]: which neighbours get a second look."""

    candidates: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 32  # a picture, at most


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[models]: vision models beside the built-in descriptor, which is always there."""

    use: list[str] = []  # names on the hub, folders or TorchScript files; the first that is ready answers `similar`
    models_dir: str = ""  # where `dedupd models pull` puts them; empty: `models` in the state directory
    gpus: str | int | list[int] = "all"  # or how many, or which by number; 0: none
    gpu_memory_fraction: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9  # of each GPU's memory
    batch_size: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0  # pictures at once; 0: found by itself
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    candidates: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8  # a picture and model, at most
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}  # candidate similarity by model


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


class Manners(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[manners]: when work that nobody waits for rests. Limits of 0 hold up nothing."""

    quiet: list[_ClockSpan] = []  # "22:00-07:00", local time, every day
    quiet_arrivals: bool = True  # what arrives is read in quiet hours, too
    max_cpu_pressure: _Percent = 0.0  # of /proc/pressure/cpu, some avg10
    max_io_pressure: _Percent = 0.0
    max_memory_pressure: _Percent = 20.0
    max_load: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0  # load average of a minute, a core
    cpu_share: _Percent = 0.0  # of all cores, for the backlog
    read_mb_per_s: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0  # from disks, for the backlog
    nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 0  # added to the daemon's; decode workers add 10 more
    idle_io: bool = False  # use the disk only when nobody else does


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[limits]: what dedupd may take."""

    memory_mb: Annotated[int, msgspec.Meta(ge=0, le=16_777_216)] = 0  # all processes; 0: by the machine


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[keep]: how long things are remembered."""

    missing_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 7.0  # a missing file's row, while its root is online
    events: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 100_000  # outbox length


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[[cleanup.policies]]: one way of cleaning up, by its name."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    relations: tuple[str, ...] = ("same-bytes", "same-pixels", "re-encoded")
    roots: list[str] = []  # files go from these watched folders only; none: from all
    action: str = "quarantine"  # or hardlink, reflink, move, sort, trash
    folder: str = ""  # where move and sort put files
    keep: str | list[str] = "best"  # a preset, or criteria in order
    folders: list[str] = []  # globs, the preferred first; for the criterion `folders`
    formats: list[str] = []  # the preferred first; for the criterion `format`
    companions: str = "block"  # or carry: what happens to a sidecar that the kept picture lacks
    auto: bool = False  # plan and apply it every `auto_every_h`; same-bytes and same-pixels only


class Cleanup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[cleanup]: taking duplicates away, and how much at once. 0 is no limit where nothing else is said."""

    quarantine_days: Annotated[float, msgspec.Meta(ge=1, le=36_500)] = 30.0  # until what was set aside may be deleted
    plan_hours: Annotated[float, msgspec.Meta(gt=0, le=8760)] = 24.0  # until a plan is too old to be applied
    actor_socket: str = ""  # where the actor of its own unit listens; empty: the daemon starts one itself
    admins: list[str] = []  # names of users who may change photos, besides root and the daemon's own
    auto_every_h: Annotated[float, msgspec.Meta(gt=0, le=8760)] = 24.0
    protected: list[str] = []  # folders or globs from which nothing is taken
    files_per_run: _Count = 500
    gb_per_run: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0  # 1,000,000,000 bytes
    files_per_day: _Count = 2000
    gb_per_day: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0
    root_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05  # of a root's pictures in one run
    directory_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5  # of a folder's pictures; 1: all may go
    min_age_h: Annotated[float, msgspec.Meta(ge=0, le=876_000)] = 24.0  # nothing younger goes; 0: at once
    conflicts: _Count = 3  # items that were not as planned, then a run ends
    policies: list[Policy] = []


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    roots: list[str] = []  # directories to watch
    state_dir: str = ""  # default: the user's, or /var/lib/dedupd for the service
    socket: str = ""  # default: the user's runtime directory, or /run/dedupd/dedupd.sock
    model: str = "builtin"  # short for `models.use` with this one first
    watch: Watch = Watch()
    decode: Decode = Decode()
    match: Match = Match()
    models: Models = Models()
    alerts: Alerts = Alerts()
    manners: Manners = Manners()
    limits: Limits = Limits()
    keep: Keep = Keep()
    cleanup: Cleanup = Cleanup()
