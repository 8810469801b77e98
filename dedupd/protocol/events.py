"""Events on the wire: one JSON object each, told apart by `kind`. Holds no logic; `convert_events` fills these."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.fields import OriginName, ProblemName, RelationName, RunName


class EventMatch(Struct, frozen=True, kw_only=True):
    """One file that the subject duplicates."""

    path: str
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    root: int
    content: int
    relation: RelationName
    similarity: float  # 0 … 1
    probability: float  # 0 … 1, that both come from one shot; 0 where an older version found the pair


class DuplicateFoundEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="duplicate-found"):
    """A file turned out to duplicate others. Told once for each file."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    content: int
    size_bytes: int
    origin: OriginName
    group: int
    matches: tuple[EventMatch, ...]  # the closest first, at most 16


class FileSetAsideEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="file-set-aside"):
    """A file could not be indexed."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    code: ProblemName
    detail: str


class RootSuspectEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="root-suspect"):
    """A root no longer looks like itself: unmounted, emptied, exchanged, unreadable."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    reason: str
    known_files: int


class RootOnlineEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="root-online"):
    """A root is back, by itself or accepted by a person."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    was_accepted: bool


class ScanFinishedEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="scan-finished"):
    """A full scan of a root ended."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    files: int
    added: int
    changed: int
    missing: int
    duration_s: float


class DegradedEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="degraded"):
    """The daemon goes on, but less well than it should; the message names the remedy."""

    sequence: int
    at: str
    at_ns: int
    what: str
    message: str


class CleanupFinishedEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="cleanup-finished"):
    """A plan was applied or undone, or the quarantine expired; `run` says which."""

    sequence: int
    at: str
    at_ns: int
    plan: str  # "" for an expiry over all plans
    run: RunName
    done: int  # files
    conflicts: int
    failed: int
    skipped: int
    size_bytes: int  # of the files done
    stopped: str  # why it ended early; "" when it did not
    is_automatic: bool  # a policy started it, no person


class CleanedReturnedEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="cleaned-returned"):
    """A content that a clean-up took away has a file again. Told once each time that a path brings it."""

    sequence: int
    at: str
    at_ns: int
    path: str
    path_b64: str | UnsetType = UNSET
    root: int
    content: int
    size_bytes: int
    origin: OriginName
    cleaned_at: str
    plan: str
    kept: str  # the file that stayed then
    kept_b64: str | UnsetType = UNSET
    is_kept_there: bool  # whether that file is still there


class PauseChangedEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="pause-changed"):
    """A person paused the backlog, or the pause is over."""

    sequence: int
    at: str
    at_ns: int
    is_paused: bool
    until: str | None  # null while paused: until somebody resumes


class GapEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="gap"):
    """Events after `after` and before `oldest` are no longer kept: ask /v1/report for the whole truth.

    Made for the one who resumes, never stored, so it has no time. `sequence` is where to resume.
    """

    sequence: int
    after: int  # what the client had seen
    oldest: int  # the first that is kept


EventMessage = (
    DuplicateFoundEvent
    | FileSetAsideEvent
    | RootSuspectEvent
    | RootOnlineEvent
    | ScanFinishedEvent
    | DegradedEvent
    | CleanupFinishedEvent
    | CleanedReturnedEvent
    | PauseChangedEvent
    | GapEvent
)

EVENT_KINDS = (
    "duplicate-found",
    "file-set-aside",
    "root-suspect",
    "root-online",
    "scan-finished",
    "degraded",
    "cleanup-finished",
    "cleaned-returned",
    "pause-changed",
    "gap",
)
