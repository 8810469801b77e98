"""What a clean-up means to do and what came of it, as immutable values: plans, items, outcomes. Pure.

A plan names every file that would leave its place, the file that stays in its stead, and what was known of both. It is
named by the hash of its content (`cleanup.plan_file`), so that what is applied is what was shown. Draws no plan up
(`cleanup.draft` does) and touches no file (`cleanup.actor`'s process does).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.records import ContentId, FilePath, FileStat, Relation, RootId, RootIdentity


class Action(StrEnum):
    """What is done with a file that goes. None of them deletes: that is only the expiry of the quarantine."""

    QUARANTINE = "quarantine"  # renamed into its root's quarantine
    HARDLINK = "hardlink"  # replaced by a hard link of the kept file; the file itself goes to the quarantine
    REFLINK = "reflink"  # the kernel compares both and lets them share their blocks; no name changes
    MOVE = "move"  # renamed into a folder, under its path below the root
    SORT = "sort"  # as MOVE into `duplicates/` of a folder, the kept files into `best/`
    TRASH = "trash"  # renamed into the freedesktop.org trash of its filesystem


EXACT_ONLY = frozenset({Action.HARDLINK, Action.REFLINK})  # they let two names share bytes, so only for equal bytes
WITH_FOLDER = frozenset({Action.MOVE, Action.SORT})


class Role(StrEnum):
    """What a file is within its bundle."""

    PICTURE = "picture"  # what the group is about
    RAW = "raw"  # the RAW of a JPEG or HEIF, or the other way round
    VIDEO = "video"  # the moving half of a Live Photo, of the same name
    SIDECAR = "sidecar"  # .xmp .aae .json .pp3: what a program wrote about the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRoot:
    """A root as it was when the plan was drawn up."""

    id: RootId
    path: bytes  # absolute
    identity: RootIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file as it was when the plan was drawn up; the actor touches nothing that differs from it."""

    path: FilePath
    stat: FileStat
    digest: bytes  # BLAKE3-256 of all its bytes, never empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A file that would leave its place.

    `stays` is the file that makes it superfluous: equal bytes for RELATION same-bytes and for companions, else the
    kept picture. A sidecar that only this file has may be carried to the kept picture instead: then `carried_to` is
    its new path, and `stays` the kept picture.
    """

    file: PlannedFile
    role: Role
    stays: PlannedFile
    is_exact: bool  # `stays` must hold the same bytes, compared byte by byte in the act
    carried_to: FilePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """One picture that goes, with all that belongs to it: done whole or not at all."""

    number: int  # 1 …, within the plan
    group: ContentId  # id of the group when the plan was drawn up
    relation: Relation  # of the picture to the kept one
    similarity: float  # 0 … 1
    probability: float  # 0 … 1
    reason: str  # why they are duplicates, one sentence
    keep_reason: str  # why the other one is kept: "higher resolution, 4032×3024 against 1600×1200"
    keeper: PlannedFile
    victims: tuple[Victim, ...]  # the picture first, then its companions
    frees_bytes: int  # once the quarantine has expired: hard links and shared blocks count as nothing
    companions: tuple[PlannedFile, ...] = ()  # what else belongs to the keeper: SORT takes it to `best/` with it


class Spared(StrEnum):
    """Why a duplicate is not in a plan. Stable: scripts match on these."""

    PROTECTED = "protected"  # it lies in a folder from which nothing is taken
    PINNED = "pinned"  # a person said to keep it
    NO_PAIR = "no-verified-pair"  # it was never verified directly against the file that would stay
    RELATION = "relation"  # the policy does not act on this relation
    OUTSIDE = "outside"  # not in a root or folder that was asked for
    YOUNG = "too-young"  # changed or first seen too short a time ago
    ONLY_METADATA = "only-metadata"  # capture time, place, rating or colour profile that the kept one lacks
    ONLY_VIDEO = "only-video"  # a video is appended to it that the kept one lacks
    COMPANION = "companion"  # something belongs to it that the kept one lacks
    HARD_LINK = "hard-link"  # it shares its inode with a file that stays: nothing would be freed
    IN_USE = "in-use"  # it is kept, or goes, with another picture of the plan
    ROOT = "root-not-online"  # what its root shows cannot be believed now
    UNSETTLED = "unsettled"  # pending, missing, changed since it was read, empty
    FILES_PER_RUN = "files-per-run"  # a limit; the next plan goes on
    BYTES_PER_RUN = "bytes-per-run"
    FILES_PER_DAY = "files-per-day"
    BYTES_PER_DAY = "bytes-per-day"
    ROOT_SHARE = "root-share"
    DIRECTORY_SHARE = "directory-share"
    FILESYSTEM = "filesystem"  # the action cannot be done between these two places


LIMITS_THAT_BITE = frozenset({
    Spared.FILES_PER_RUN, Spared.BYTES_PER_RUN, Spared.FILES_PER_DAY, Spared.BYTES_PER_DAY, Spared.ROOT_SHARE,
    Spared.DIRECTORY_SHARE,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """A duplicate that the plan does not touch, and why."""

    path: FilePath
    group: ContentId
    why: Spared
    detail: str  # one sentence for a person
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may happen at once. 0 means no limit but for `min_age_s`, where it means no waiting."""

    files_per_run: int = 500
    bytes_per_run: int = 0
    files_per_day: int = 2000
    bytes_per_day: int = 0
    root_share: float = 0.05  # 0 … 1, of a root's known files in one run; counts from `ROOT_SHARE_FROM` files on
    directory_share: float = 0.5  # 0 … 1, of the known files right in a directory; from `DIRECTORY_SHARE_FROM` on
    min_age_s: float = 86_400.0
    conflicts: int = 3  # a run ends after so many items that were not as planned


ROOT_SHARE_FROM = 50  # files that may always go from a root, so that a small library can be cleaned up at all
DIRECTORY_SHARE_FROM = 10  # files that may always go from a directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a clean-up would do. Immutable; stored under the hash of its content."""

    created_at_ns: int  # CLOCK_REALTIME
    expires_at_ns: int
    policy: str
    keep: tuple[str, ...]  # the criteria in force, in order
    relations: tuple[Relation, ...]
    action: Action
    folder: bytes  # absolute, for MOVE and SORT; b"" else
    limits: Limits
    roots: tuple[PlannedRoot, ...]
    items: tuple[PlanItem, ...]
    left_alone: tuple[LeftAlone, ...]
    groups_mark: bytes  # digest over the groups as they were: a plan whose groups have changed is not applied

    @property
    def frees_bytes(self) -> int:
        """What would be free once the quarantine has expired."""
        return sum(item.frees_bytes for item in self.items)

    @property
    def files(self) -> int:
        """How many files would leave their place."""
        return sum(len(item.victims) for item in self.items)


class RunKind(StrEnum):
    """What a run of the actor does."""

    APPLY = "apply"
    UNDO = "undo"
    EXPIRE = "expire"


class OutcomeKind(StrEnum):
    """What became of an item."""

    DONE = "done"
    CONFLICT = "conflict"  # something was not as planned; everything is where it was
    FAILED = "failed"  # the system refused; everything is where it was
    SKIPPED = "skipped"  # a limit bit or the run ended before it; nothing was tried
    RESTORED_BESIDE = "restored-beside"  # undone, under another name because its own was taken
    STRANDED = "stranded"  # could not be put back where it was; `detail` says where the file lies


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file of a run. Also what the journal tells later."""

    sequence: int  # 1 …, over all runs of an actor: a reader resumes with the last one it saw
    at_ns: int
    run: RunKind
    plan: str  # hex
    item: int
    kind: OutcomeKind
    path: bytes  # absolute, where the file was when the plan was drawn up
    now_at: bytes  # absolute, where it is now; b"" when it is deleted for good
    digest: bytes
    kept: bytes  # absolute path of the file that stays
    size_bytes: int
    detail: str  # one sentence for a person; "" when all went as planned


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended."""

    run: RunKind
    plan: str  # hex; "" for an expiry over all plans
    done: int  # files
    conflicts: int
    failed: int
    skipped: int
    bytes_: int  # of the files done: set aside, restored or deleted
    stopped: str  # why it ended early, one sentence; "" when it did not


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A file that a plan took away and that can still be put back."""

    plan: str  # hex
    item: int
    action: Action
    path: bytes  # absolute, where it was
    now_at: bytes  # absolute
    kept: bytes  # absolute path of the file that stayed
    digest: bytes
    size_bytes: int
    since_ns: int
    expires_at_ns: int | None  # None: never deleted by dedupd (trash, moved)
    held: str  # why it will not be deleted although its time is over; "" else


class PlanState(StrEnum):
    """Where a plan stands."""

    READY = "ready"
    EXPIRED = "expired"  # too old to be applied
    APPLIED = "applied"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan under its name, and where it stands."""

    id: str  # hex, 64 digits
    plan: Plan
    state: PlanState
