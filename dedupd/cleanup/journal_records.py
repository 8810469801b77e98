"""What stands in the journal: what was meant to be done with which file, and what came of it. Values only.

Enough to settle, to undo and to explain without the plan and without the index.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dedupd.cleanup.places import Base, Place
from dedupd.core.cleanup_plan import Action, Outcome, RunEnd, RunKind
from dedupd.core.records import FileStat


class ActKind(StrEnum):
    """What is done with one file."""

    RENAME = "rename"  # from `source` to `target`, which must be free
    LINK = "link"  # `kept` is linked to `target`, then `target` and `source` change places
    SHARE = "share"  # the kernel lets `source` share the blocks of `kept`; no name changes
    EXCHANGE = "exchange"  # undoes LINK: `source` and `target` change places, then the link at `source` goes
    DELETE = "delete"  # `source` is removed for good


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the plan knows it."""

    place: Place
    stat: FileStat
    digest: bytes


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One file and what is to be done with it."""

    kind: ActKind
    file: Known  # `file.place` is where it is before the act
    target: Place  # where it is after it; for SHARE and DELETE the same
    kept: Known  # what makes it superfluous
    is_exact: bool  # both must be equal byte for byte
    takes: bool  # a duplicate that goes; False for a kept file that is sorted and a sidecar that is carried
    path: bytes  # absolute, where the file was when the plan was drawn up
    names: int = 1  # how many names of the file's inode are in the plan
    note: Place | None = None  # the .trashinfo that goes with it
    of: int = 0  # undo and expiry: the sequence of the outcome that set the file aside


NO_PLAN = msgspec.Raw(b"null")  # of a run that applied none, or whose plan was dropped


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """The first record of a run. `plan` holds its canonical bytes, for people and for a future dedupd."""

    run: int  # 1 …, over all runs
    kind: RunKind
    plan_id: str  # hex; "" for an expiry over all plans
    at_ns: int
    action: Action | None = None  # of the plan, for APPLY
    items: tuple[int, ...] = ()  # numbers of the plan's items, for APPLY
    bases: tuple[Base, ...] = ()
    plan: msgspec.Raw = NO_PLAN


class Intended(msgspec.Struct, frozen=True, kw_only=True, tag="intent"):
    """Written before anything is touched: the acts of a unit, done whole or not at all."""

    run: int
    unit: int  # 1 …, within the run; a second intent of the same unit stands in the first one's stead
    plan_id: str
    item: int
    acts: tuple[Act, ...]


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """What came of a unit: an outcome for each of its acts. Unit 0: nothing was meant to be done yet."""

    run: int
    unit: int
    outcomes: tuple[Outcome, ...]
    inos: tuple[int, ...] = ()  # of the files where they are now, for outcomes of a unit


class RunOver(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """The last record of a run that was not killed."""

    run: int
    end: RunEnd


Record = RunStarted | Intended | Settled | RunOver
