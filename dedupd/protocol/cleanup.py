"""Plans, what came of them, the quarantine, what people said, on the wire. Holds no logic; `convert_cleanup` fills it.

A run (apply, undo, expire) is told as JSON objects, one a line, told apart by `kind`.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.failures import Failure
from dedupd.protocol.fields import ActionName, OutcomeName, PlanStateName, RelationName, RoleName, RunName, SparedName
from dedupd.protocol.report import PathMessage


class LimitsMessage(Struct, frozen=True, kw_only=True):
    """How much may happen at once; 0 means no limit but for `min_age_s`."""

    files_per_run: int
    bytes_per_run: int
    files_per_day: int
    bytes_per_day: int
    root_share: float  # 0 … 1
    directory_share: float  # 0 … 1
    min_age_s: float
    conflicts: int


class PlannedFileMessage(Struct, frozen=True, kw_only=True):
    """A file as it was when the plan was drawn up."""

    path: str  # absolute
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    digest: str  # BLAKE3-256 in hex
    size_bytes: int


class VictimMessage(Struct, frozen=True, kw_only=True):
    """A file that would leave its place."""

    path: str  # absolute
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    digest: str
    size_bytes: int
    role: RoleName
    stays: PathMessage  # the file that makes it superfluous
    is_exact: bool  # that file must hold the same bytes
    carried_to: PathMessage | None  # not null: it is carried there, beside the kept picture


class PlanItemMessage(Struct, frozen=True, kw_only=True):
    """One picture that goes, with all that belongs to it."""

    number: int
    group: int
    relation: RelationName
    similarity: float  # 0 … 1
    probability: float  # 0 … 1
    reason: str
    keep_reason: str
    frees_bytes: int
    keeper: PlannedFileMessage
    victims: tuple[VictimMessage, ...]  # the picture first
    companions: tuple[PlannedFileMessage, ...]  # what else belongs to the keeper: sort takes it along


class LeftAloneMessage(Struct, frozen=True, kw_only=True):
    """A duplicate that the plan does not touch, and why."""

    path: str  # absolute
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    group: int
    why: SparedName
    detail: str
    size_bytes: int


class PlanMessage(Struct, frozen=True, kw_only=True):
    """A plan: all that a clean-up would do. It never changes."""

    id: str  # 64 hex digits
    state: PlanStateName
    policy: str
    keep: tuple[str, ...]  # the criteria in force, in order
    keep_words: tuple[str, ...]  # the same for a person: "keep …"
    relations: tuple[RelationName, ...]
    action: ActionName
    folder: PathMessage | None  # for move and sort
    created_at: str
    created_at_ns: int
    expires_at: str
    expires_at_ns: int
    quarantine_s: float  # how long what goes stays in the quarantine
    limits: LimitsMessage
    files: int  # that would leave their place
    frees_bytes: int  # once the quarantine has expired
    items: tuple[PlanItemMessage, ...]
    left_alone: tuple[LeftAloneMessage, ...]
    left_alone_counts: dict[str, int]  # reason → files


class PlanRowMessage(Struct, frozen=True, kw_only=True):
    """A plan in short."""

    id: str
    state: PlanStateName
    policy: str
    relations: tuple[RelationName, ...]
    action: ActionName
    created_at: str
    created_at_ns: int
    expires_at: str
    files: int
    frees_bytes: int
    left_alone: int  # files


class PlansMessage(Struct, frozen=True, kw_only=True):
    """The plans that are kept, the newest first."""

    plans: tuple[PlanRowMessage, ...]


class OutcomeMessage(Struct, frozen=True, kw_only=True, tag_field="kind", tag="outcome"):
    """What became of one file of a run."""

    sequence: int
    at: str
    at_ns: int
    run: RunName
    plan: str
    item: int
    result: OutcomeName
    path: str  # where the file was when the plan was drawn up
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    now_at: PathMessage | None  # null: it is deleted for good
    kept: PathMessage  # the file that stays
    digest: str
    size_bytes: int
    detail: str  # "" when all went as planned


class RunEndMessage(Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """How a run ended; the last line."""

    run: RunName
    plan: str  # "" for an expiry over all plans
    done: int  # files
    conflicts: int
    failed: int
    skipped: int
    size_bytes: int  # of the files done
    stopped: str  # why it ended early; "" when it did not

    @property
    def is_whole(self) -> bool:
        """Whether all was done that was to be done."""
        return not (self.conflicts or self.failed or self.skipped or self.stopped)


class RunFailureMessage(Struct, frozen=True, kw_only=True, tag_field="kind", tag="failure"):
    """Why a run broke off; the last line instead of "end". What was told before it was done."""

    error: Failure


RunMessage = OutcomeMessage | RunEndMessage | RunFailureMessage
RUN_MESSAGE_KINDS = ("outcome", "end", "failure")


class QuarantinedMessage(Struct, frozen=True, kw_only=True):
    """A file that a plan took away and that can still be put back."""

    plan: str
    item: int
    action: ActionName
    path: str  # where it was
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    now_at: PathMessage
    kept: PathMessage
    digest: str
    size_bytes: int
    since: str
    since_ns: int
    expires_at: str | None  # null: dedupd never deletes it (trash, moved)
    expires_at_ns: int | None
    held: str  # why it will not be deleted although its time is over; "" else


class QuarantineMessage(Struct, frozen=True, kw_only=True):
    """What can still be put back, the oldest first."""

    files: tuple[QuarantinedMessage, ...]
    size_bytes: int


class ExpiryMessage(Struct, frozen=True, kw_only=True):
    """What an expiry would delete for good, and the word that confirms just that."""

    due: tuple[QuarantinedMessage, ...]
    size_bytes: int
    token: str


class NamedPictureMessage(Struct, frozen=True, kw_only=True):
    """A picture that somebody said something of, with the files that hold it now."""

    digest: str
    content: int | None  # null: the library no longer knows it
    files: tuple[PathMessage, ...]


class VerdictMessage(Struct, frozen=True, kw_only=True):
    """Two pictures that a person said are no duplicates."""

    a: NamedPictureMessage
    b: NamedPictureMessage
    said_at: str
    said_at_ns: int


class VerdictsMessage(Struct, frozen=True, kw_only=True):
    """What people said of pairs, the newest first."""

    verdicts: tuple[VerdictMessage, ...]


class WithdrawnMessage(Struct, frozen=True, kw_only=True):
    """How many verdicts were taken back."""

    verdicts: int


class PinMessage(Struct, frozen=True, kw_only=True):
    """A file that a person said to keep."""

    path: str  # absolute; relative to the root where the root is no longer known
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    digest: str
    said_at: str
    said_at_ns: int


class PinsMessage(Struct, frozen=True, kw_only=True):
    """What people said to keep, the newest first."""

    pins: tuple[PinMessage, ...]


class UnpinnedMessage(Struct, frozen=True, kw_only=True):
    """A file that is kept no longer than a policy says."""

    path: str
    path_b64: str | UnsetType = UNSET
