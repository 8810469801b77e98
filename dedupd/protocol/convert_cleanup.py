"""Core values to wire messages: plans, outcomes, the quarantine, pins. Pure; nothing comes back this way.

Imports core.records: for the daemon's side only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from dedupd.core.cleanup_plan import (
    LeftAlone,
    Outcome,
    Plan,
    PlanItem,
    PlannedFile,
    Quarantined,
    RunEnd,
    StoredPlan,
    Victim,
)
from dedupd.core.cleanup_ports import Expiry
from dedupd.core.keep_criteria import CRITERIA
from dedupd.core.records import FilePath, RootId
from dedupd.core.verdicts import Pin
from dedupd.protocol.cleanup import (
    ExpiryMessage,
    LeftAloneMessage,
    LimitsMessage,
    OutcomeMessage,
    PinMessage,
    PlanItemMessage,
    PlanMessage,
    PlannedFileMessage,
    PlanRowMessage,
    QuarantinedMessage,
    QuarantineMessage,
    RunEndMessage,
    UnpinnedMessage,
    VictimMessage,
)
from dedupd.protocol.convert import absolute_path
from dedupd.protocol.report import path_message
from dedupd.protocol.text import path_b64, path_text, utc_text

RootPaths = Mapping[RootId, bytes]


def plan_message(stored: StoredPlan, root_paths: RootPaths, *, quarantine_s: float) -> PlanMessage:
    """The wire form of a plan; `root_paths` name the roots of files that it leaves alone."""
    plan = stored.plan
    paths = {**root_paths, **{root.id: root.path for root in plan.roots}}  # a plan means the roots as they were
    return PlanMessage(
        id=stored.id,
        state=stored.state,
        policy=plan.policy,
        keep=plan.keep,
        keep_words=tuple(CRITERIA[name].keeps if name in CRITERIA else name for name in plan.keep),
        relations=plan.relations,
        action=plan.action,
        folder=path_message(plan.folder) if plan.folder else None,
        created_at=utc_text(plan.created_at_ns),
        created_at_ns=plan.created_at_ns,
        expires_at=utc_text(plan.expires_at_ns),
        expires_at_ns=plan.expires_at_ns,
        quarantine_s=quarantine_s,
        limits=LimitsMessage(**asdict(plan.limits)),
        files=plan.files,
        frees_bytes=plan.frees_bytes,
        items=tuple(_item(item, paths) for item in plan.items),
        left_alone=tuple(_left_alone(file, paths) for file in plan.left_alone),
        left_alone_counts=_counts(plan),
    )


def plan_row(stored: StoredPlan) -> PlanRowMessage:
    """The wire form of a plan in short."""
    plan = stored.plan
    return PlanRowMessage(
        id=stored.id,
        state=stored.state,
        policy=plan.policy,
        relations=plan.relations,
        action=plan.action,
        created_at=utc_text(plan.created_at_ns),
        created_at_ns=plan.created_at_ns,
        expires_at=utc_text(plan.expires_at_ns),
        files=plan.files,
        frees_bytes=plan.frees_bytes,
        left_alone=len(plan.left_alone),
    )


def outcome_message(outcome: Outcome) -> OutcomeMessage:
    """The wire form of what became of one file."""
    return OutcomeMessage(
        sequence=outcome.sequence,
        at=utc_text(outcome.at_ns),
        at_ns=outcome.at_ns,
        run=outcome.run,
        plan=outcome.plan,
        item=outcome.item,
        result=outcome.kind,
        path=path_text(outcome.path),
        path_b64=path_b64(outcome.path),
        now_at=path_message(outcome.now_at) if outcome.now_at else None,
        kept=path_message(outcome.kept),
        digest=outcome.digest.hex(),
        size_bytes=outcome.size_bytes,
        detail=outcome.detail,
    )


def run_end_message(end: RunEnd) -> RunEndMessage:
    """The wire form of how a run ended."""
    return RunEndMessage(
        run=end.run,
        plan=end.plan,
        done=end.done,
        conflicts=end.conflicts,
        failed=end.failed,
        skipped=end.skipped,
        size_bytes=end.bytes_,
        stopped=end.stopped,
    )


def quarantine_message(files: Iterable[Quarantined]) -> QuarantineMessage:
    """The wire form of what can still be put back."""
    messages = tuple(map(_quarantined, files))
    return QuarantineMessage(files=messages, size_bytes=sum(file.size_bytes for file in messages))


def expiry_message(expiry: Expiry) -> ExpiryMessage:
    """The wire form of what an expiry would delete."""
    due = tuple(map(_quarantined, expiry.due))
    return ExpiryMessage(due=due, size_bytes=sum(file.size_bytes for file in due), token=expiry.token)


def pin_message(pin: Pin, root_paths: RootPaths) -> PinMessage:
    """The wire form of a pin."""
    path = absolute_path(pin.path, root_paths)
    return PinMessage(
        path=path_text(path),
        path_b64=path_b64(path),
        digest=pin.digest.hex(),
        said_at=utc_text(pin.said_at_ns),
        said_at_ns=pin.said_at_ns,
    )


def unpinned_message(file: FilePath, root_paths: RootPaths) -> UnpinnedMessage:
    """The wire form of a file that is no longer pinned."""
    path = absolute_path(file, root_paths)
    return UnpinnedMessage(path=path_text(path), path_b64=path_b64(path))


def _counts(plan: Plan) -> dict[str, int]:
    """Reason → files, the most frequent first."""
    return {why.value: count for why, count in Counter(file.why for file in plan.left_alone).most_common()}


def _item(item: PlanItem, paths: RootPaths) -> PlanItemMessage:
    return PlanItemMessage(
        number=item.number,
        group=item.group,
        relation=item.relation,
        similarity=item.similarity,
        probability=item.probability,
        reason=item.reason,
        keep_reason=item.keep_reason,
        frees_bytes=item.frees_bytes,
        keeper=_planned_file(item.keeper, paths),
        victims=tuple(_victim(victim, paths) for victim in item.victims),
        companions=tuple(_planned_file(file, paths) for file in item.companions),
    )


def _planned_file(file: PlannedFile, paths: RootPaths) -> PlannedFileMessage:
    path = absolute_path(file.path, paths)
    return PlannedFileMessage(
        path=path_text(path), path_b64=path_b64(path), digest=file.digest.hex(), size_bytes=file.stat.size_bytes
    )


def _victim(victim: Victim, paths: RootPaths) -> VictimMessage:
    path = absolute_path(victim.file.path, paths)
    carried_to = victim.carried_to
    return VictimMessage(
        path=path_text(path),
        path_b64=path_b64(path),
        digest=victim.file.digest.hex(),
        size_bytes=victim.file.stat.size_bytes,
        role=victim.role,
        stays=path_message(absolute_path(victim.stays.path, paths)),
        is_exact=victim.is_exact,
        carried_to=None if carried_to is None else path_message(absolute_path(carried_to, paths)),
    )


def _left_alone(file: LeftAlone, paths: RootPaths) -> LeftAloneMessage:
    path = absolute_path(file.path, paths)
    return LeftAloneMessage(
        path=path_text(path),
        path_b64=path_b64(path),
        group=file.group,
        why=file.why,
        detail=file.detail,
        size_bytes=file.size_bytes,
    )


def _quarantined(file: Quarantined) -> QuarantinedMessage:
    return QuarantinedMessage(
        plan=file.plan,
        item=file.item,
        action=file.action,
        path=path_text(file.path),
        path_b64=path_b64(file.path),
        now_at=path_message(file.now_at),
        kept=path_message(file.kept),
        digest=file.digest.hex(),
        size_bytes=file.size_bytes,
        since=utc_text(file.since_ns),
        since_ns=file.since_ns,
        expires_at=None if file.expires_at_ns is None else utc_text(file.expires_at_ns),
        expires_at_ns=file.expires_at_ns,
        held=file.held,
    )
