"""Status, roots and problems on the wire. Holds no logic; `convert` fills these."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.fields import ActivityName, ProblemName, RootStateName, WatchStateName


class WatchingMessage(Struct, frozen=True, kw_only=True):
    """How changes of a root become known."""

    state: WatchStateName
    watched_directories: int
    unwatched_directories: int
    overflows: int
    message: str  # "" when all is well; names the remedy otherwise


class RootMessage(Struct, frozen=True, kw_only=True):
    """A watched directory."""

    id: int
    path: str
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    state: RootStateName
    state_reason: str
    is_watched: bool  # false: no longer configured, its rows stay until it is forgotten
    is_scanning: bool
    files: int  # known and there
    others: dict[str, int]  # suffix → entries that were passed over
    last_full_scan_at: str | None
    watching: WatchingMessage | None


class CountsMessage(Struct, frozen=True, kw_only=True):
    """Totals of the library."""

    files: int
    files_pending: int
    files_set_aside: int
    files_missing: int
    contents: int
    contents_unlinked: int
    edges: int
    events: int
    pairs_suggested: int = 0  # by further models, and not looked at yet


class DeviceMessage(Struct, frozen=True, kw_only=True):
    """One device that runs a model."""

    name: str  # "cuda:0", "cpu"
    title: str  # as its maker calls it
    images_per_s: float  # over the last half minute
    utilisation: float | None  # 0 … 1; null: nobody tells
    batch_size: int
    dtype: str  # "" until the model was loaded
    trouble: str  # why it is left out; "" when it is not


class GenerationMessage(Struct, frozen=True, kw_only=True):
    """How far a model beside the built-in descriptor is."""

    name: str  # as configured
    model: str  # its exact tag
    done: int  # pictures with its vectors
    total: int
    set_aside: int  # that cannot have any now
    is_serving: bool  # it answers `similar`
    is_configured: bool  # false: it serves until what takes its place is complete
    images_per_s: float
    eta_s: float | None
    trouble: str  # why it rests; "" when it does not
    devices: tuple[DeviceMessage, ...]


class HoldMessage(Struct, frozen=True, kw_only=True):
    """Why the backlog waits."""

    reason: str  # "paused", "quiet-hours", "busy", "share"
    words: str
    until: str | None  # of a pause that ends by itself


class PauseMessage(Struct, frozen=True, kw_only=True):
    """What holds the backlog up now."""

    hold: HoldMessage | None


class MemoryMessage(Struct, frozen=True, kw_only=True):
    """What all processes hold that is theirs alone, bytes; pages of files, which the kernel can take back, are not."""

    used_bytes: int
    workers_bytes: int  # of it, the decode workers
    ceiling_bytes: int
    workers_running: int
    workers_allowed: int


class StatusMessage(Struct, frozen=True, kw_only=True):
    """How things stand."""

    version: str
    activity: ActivityName
    started_at: str
    started_at_ns: int
    sequence: int  # of the newest change; events after it are new
    counts: CountsMessage
    roots: tuple[RootMessage, ...]
    read_total: int  # since start
    decoded_total: int
    compared_total: int
    images_per_s: float
    eta_s: float | None
    degraded: tuple[str, ...]
    workers: int
    index_kind: str
    indexed: int
    model: str
    generations: tuple[GenerationMessage, ...] = ()
    memory: MemoryMessage | None = None  # null: not measured yet
    hold: HoldMessage | None = None  # the backlog waits; null: it does not


class RootsMessage(Struct, frozen=True, kw_only=True):
    """All roots."""

    roots: tuple[RootMessage, ...]


class RescanMessage(Struct, frozen=True, kw_only=True):
    """What will be scanned."""

    roots: tuple[int, ...]
    sequence: int  # events after it tell of this scan


class FindingMessage(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    subject: str
    verdict: str  # "ok", "warning", "problem"
    words: str
    remedy: str  # "" where there is nothing to do


class DoctorMessage(Struct, frozen=True, kw_only=True):
    """What stands in the daemon's way on this machine."""

    verdict: str  # the gravest
    findings: tuple[FindingMessage, ...]


class ForgottenMessage(Struct, frozen=True, kw_only=True):
    """A root is no longer known."""

    root: int
    files: int  # how many rows went with it


class ProblemMessage(Struct, frozen=True, kw_only=True):
    """A file that is not indexed, and why."""

    path: str
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    root: int
    code: ProblemName
    detail: str
    at: str
    attempts: int
    retry_at: str | None  # null: only when the file or the decoder changes


class ProblemsMessage(Struct, frozen=True, kw_only=True):
    """One page of files that were set aside."""

    problems: tuple[ProblemMessage, ...]
    total: int
    next: int | None  # `after` of the next page; null on the last


class HealthMessage(Struct, frozen=True, kw_only=True):
    """The daemon answers."""

    status: str  # "ok"
    version: str
