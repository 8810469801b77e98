"""Where clean-up meets the rest: who draws plans up and keeps verdicts (`Cleanup`), who acts on files (`Actor`).

The daemon implements `Cleanup` and holds a `Actor`; the actor is a process of its own, the only one that may change a
photo's name. Every port has a contract suite in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dedupd.core.cleanup_plan import Action, Outcome, Plan, Quarantined, RunEnd, StoredPlan
from dedupd.core.records import ContentId, FilePath, Relation, RootId
from dedupd.core.verdicts import NotDuplicate, Pin

Tell = Callable[[Outcome], None]


class Actor(Protocol):
    """Acts on files by plan, journals every step, puts back. One run at a time. Thread-safe.

    A run isolates each item: what is not as planned is a CONFLICT and touches nothing. Every outcome is journalled
    before it is told. Killed at any point, `recover` (called at start) finishes or rolls back by looking at the disk.
    """

    def apply(self, plan_id: str, plan: Plan, tell: Tell) -> RunEnd:
        """Do a plan.

        Raises:
            RequestError: `plan_id` is not the hash of the plan, it has expired, or was applied before.
            RetryError: another run is under way, or a root is not what it was: nothing was touched.
        """

    def undo(self, plan_id: str | None, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back what a plan took, the last first; None: the plan applied last; `items` of it, None: all.

        Raises:
            NotFoundError: no such plan was applied, or it has no such item.
            RetryError: another run is under way.
        """

    def quarantined(self) -> list[Quarantined]:
        """What can still be put back, the oldest first."""

    def expire(self, before_ns: int, plan_id: str | None, tell: Tell) -> RunEnd:
        """Delete for good what was set aside before a moment, of one plan or of all.

        A file is deleted only if the file that stayed is still there with the bytes it had, and the quarantined one is
        still what was set aside; else it is held, and its outcome says why.

        Raises:
            RetryError: another run is under way.
        """

    def outcomes(self, after: int, limit: int) -> list[Outcome]:
        """The journal's outcomes with a sequence above `after`, in order."""

    def done_since(self, since_ns: int) -> tuple[int, int]:
        """Files and bytes that plans have taken since a moment and that were not put back: for the limits of a day."""

    def close(self) -> None:
        """End after the item under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWish:
    """What a person asks to be planned; what is None is as the policy has it."""

    policy: str = ""  # name of a configured policy or of a preset; "": the default
    relations: frozenset[Relation] | None = None
    roots: frozenset[RootId] | None = None
    folder_prefix: bytes = b""  # absolute; only files below it go
    groups: frozenset[ContentId] | None = None
    action: Action | None = None
    folder: bytes = b""  # absolute, for MOVE and SORT
    min_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireWish:
    """What to delete for good."""

    plan: str = ""  # hex or an unambiguous start of it; "": all
    is_now: bool = False  # also what has not been in the quarantine for long enough
    confirm: str = ""  # the token of `Expiry` that was shown; "": show only


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What an expiry would delete, and the word that confirms just that."""

    due: tuple[Quarantined, ...]
    token: str


class Cleanup(Protocol):
    """Plans, their application, and what people said. Thread-safe; a call may take long, never on the API loop.

    Plans are named by 64 hex digits; wherever one is named, an unambiguous start of eight digits or more will do.
    """

    def draft(self, wish: PlanWish) -> StoredPlan:
        """Draw a plan up and store it; touches nothing.

        Raises:
            NotFoundError: no such policy, root or group.
            RequestError: the wish contradicts itself (hard links of edited pictures, a folder outside …).
        """

    def plans(self) -> list[StoredPlan]:
        """The plans that are kept, the newest first."""

    def plan(self, plan: str) -> StoredPlan:
        """One plan; NotFoundError, or RequestError where the start fits several."""

    def apply(self, plan: str, tell: Tell) -> RunEnd:
        """Do a plan.

        Raises:
            NotFoundError: no such plan.
            RequestError: it has expired, was applied before, or its groups have changed since.
            RetryError: a root is suspect or offline, or another run is under way.
        """

    def undo(self, plan: str, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back; "": the plan that was applied last."""

    def quarantined(self) -> list[Quarantined]:
        """What can still be put back, the oldest first."""

    def expiry(self, wish: ExpireWish) -> Expiry:
        """What `expire` would delete; touches nothing."""

    def expire(self, wish: ExpireWish, tell: Tell) -> RunEnd:
        """Delete for good. RequestError where `confirm` is not the token of what would be deleted now."""

    def reject(self, contents: frozenset[ContentId]) -> list[NotDuplicate]:
        """Say that these are no duplicates, every one of every other; NotFoundError for an unknown one."""

    def withdraw(self, contents: frozenset[ContentId]) -> int:
        """Take back what was said about any two of these; returns how many pairs."""

    def rejected(self) -> list[NotDuplicate]:
        """All that was said, the newest first."""

    def pin(self, file: FilePath) -> Pin:
        """Keep a file, whatever a policy says; NotFoundError where it is not indexed."""

    def unpin(self, file: FilePath) -> bool:
        """No longer; False where it was not pinned."""

    def pins(self) -> list[Pin]:
        """All pins, the newest first."""
