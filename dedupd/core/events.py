"""What dedupd tells the world: numbered events, written in the same transaction as the fact they report.

The store's outbox owns them; clients resume with the last sequence number they saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.cleanup_plan import RunKind
from dedupd.core.records import ContentId, FilePath, ProblemCode, Relation, RootId, Sequence


class Origin(StrEnum):
    """Why a file was looked at; alerts group what a scan brings."""

    ARRIVAL = "arrival"  # it appeared while dedupd was watching
    SCAN = "scan"  # found by a scan of what was already there


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One file that the subject duplicates."""

    path: FilePath
    content: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    probability: float = 0.0  # 0 … 1, as `records.Edge.probability`


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateFound:
    """A file turned out to duplicate others. Told once for each file."""

    path: FilePath
    content: ContentId
    size_bytes: int
    origin: Origin
    matches: tuple[Match, ...]  # the closest first, never empty, at most 16
    group: ContentId  # id of the group that it is in now


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSetAside:
    """A file could not be indexed."""

    path: FilePath
    code: ProblemCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSuspect:
    """A root no longer looks like itself: unmounted, emptied, exchanged, unreadable."""

    root: RootId
    root_path: bytes
    reason: str
    known_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RootOnline:
    """A root is back, by itself or accepted by a person."""

    root: RootId
    root_path: bytes
    was_accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinished:
    """A full scan of a root ended."""

    root: RootId
    root_path: bytes
    files: int
    added: int
    changed: int
    missing: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """dedupd goes on, but less well than it should; the message names the remedy."""

    what: str  # stable word: "watching", "index", "disk-space", "decoder"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupFinished:
    """A run of the actor ended: a plan was applied or undone, or the quarantine expired."""

    plan: str  # hex; "" for an expiry over all plans
    run: RunKind
    done: int  # files
    conflicts: int
    failed: int
    skipped: int
    bytes_: int  # of the files done: set aside, restored or deleted
    stopped: str  # why it ended early, one sentence; "" when it did not
    is_automatic: bool = False  # a policy started it, no person


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedReturned:
    """A content that a clean-up took away has a file again. Told once each time that a path brings it."""

    path: FilePath
    content: ContentId
    size_bytes: int
    origin: Origin
    cleaned_at_ns: int  # CLOCK_REALTIME
    plan: str  # hex
    kept: bytes  # absolute path of the file that stayed then
    is_kept_there: bool  # whether that file is still there


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseChanged:
    """A person paused the backlog, or the pause is over."""

    is_paused: bool
    until_ns: int | None = None  # CLOCK_REALTIME; None while paused: until somebody resumes


Fact = (
    DuplicateFound
    | FileSetAside
    | RootSuspect
    | RootOnline
    | ScanFinished
    | Degraded
    | CleanupFinished
    | CleanedReturned
    | PauseChanged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact with its place in the outbox."""

    sequence: Sequence
    at_ns: int  # CLOCK_REALTIME
    fact: Fact
