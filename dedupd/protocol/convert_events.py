"""Core events to wire events. Pure. Imports core.records (and so numpy): for the daemon's side only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Event,
    FileSetAside,
    Match,
    PauseChanged,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.records import RootId
from dedupd.protocol.convert import absolute_path
from dedupd.protocol.events import (
    CleanedReturnedEvent,
    CleanupFinishedEvent,
    DegradedEvent,
    DuplicateFoundEvent,
    EventMatch,
    EventMessage,
    FileSetAsideEvent,
    PauseChangedEvent,
    RootOnlineEvent,
    RootSuspectEvent,
    ScanFinishedEvent,
)
from dedupd.protocol.text import path_b64, path_text, utc_text


def event_message(  # noqa: PLR0911 - one for each kind
    event: Event, root_paths: Mapping[RootId, bytes]
) -> EventMessage:
    """The wire form of an event; a path whose root is not in `root_paths` stays relative."""
    sequence, at_ns, at = event.sequence, event.at_ns, utc_text(event.at_ns)
    match event.fact:
        case DuplicateFound() as fact:
            return _duplicate_found(event, fact, root_paths)
        case FileSetAside() as fact:
            path = absolute_path(fact.path, root_paths)
            return FileSetAsideEvent(
                sequence=sequence,
                at=at,
                at_ns=at_ns,
                path=path_text(path),
                path_b64=path_b64(path),
                root=fact.path.root,
                code=fact.code,
                detail=fact.detail,
            )
        case RootSuspect() as fact:
            return RootSuspectEvent(
                sequence=sequence,
                at=at,
                at_ns=at_ns,
                path=path_text(fact.root_path),
                path_b64=path_b64(fact.root_path),
                root=fact.root,
                reason=fact.reason,
                known_files=fact.known_files,
            )
        case RootOnline() as fact:
            return RootOnlineEvent(
                sequence=sequence,
                at=at,
                at_ns=at_ns,
                path=path_text(fact.root_path),
                path_b64=path_b64(fact.root_path),
                root=fact.root,
                was_accepted=fact.was_accepted,
            )
        case ScanFinished() as fact:
            return ScanFinishedEvent(
                sequence=sequence,
                at=at,
                at_ns=at_ns,
                path=path_text(fact.root_path),
                path_b64=path_b64(fact.root_path),
                root=fact.root,
                files=fact.files,
                added=fact.added,
                changed=fact.changed,
                missing=fact.missing,
                duration_s=fact.duration_s,
            )
        case Degraded() as fact:
            return DegradedEvent(sequence=sequence, at=at, at_ns=at_ns, what=fact.what, message=fact.message)
        case CleanupFinished() as fact:
            return _cleanup_finished(event, fact)
        case CleanedReturned() as fact:
            return _cleaned_returned(event, fact, root_paths)
        case PauseChanged() as fact:
            until = None if fact.until_ns is None else utc_text(fact.until_ns)
            return PauseChangedEvent(sequence=sequence, at=at, at_ns=at_ns, is_paused=fact.is_paused, until=until)
        case _:
            assert_never(event.fact)


def _duplicate_found(event: Event, fact: DuplicateFound, root_paths: Mapping[RootId, bytes]) -> DuplicateFoundEvent:
    path = absolute_path(fact.path, root_paths)
    return DuplicateFoundEvent(
        sequence=event.sequence,
        at=utc_text(event.at_ns),
        at_ns=event.at_ns,
        path=path_text(path),
        path_b64=path_b64(path),
        root=fact.path.root,
        content=fact.content,
        size_bytes=fact.size_bytes,
        origin=fact.origin,
        group=fact.group,
        matches=tuple(_event_match(match, root_paths) for match in fact.matches),
    )


def _cleanup_finished(event: Event, fact: CleanupFinished) -> CleanupFinishedEvent:
    return CleanupFinishedEvent(
        sequence=event.sequence,
        at=utc_text(event.at_ns),
        at_ns=event.at_ns,
        plan=fact.plan,
        run=fact.run,
        done=fact.done,
        conflicts=fact.conflicts,
        failed=fact.failed,
        skipped=fact.skipped,
        size_bytes=fact.bytes_,
        stopped=fact.stopped,
        is_automatic=fact.is_automatic,
    )


def _cleaned_returned(event: Event, fact: CleanedReturned, root_paths: Mapping[RootId, bytes]) -> CleanedReturnedEvent:
    path = absolute_path(fact.path, root_paths)
    return CleanedReturnedEvent(
        sequence=event.sequence,
        at=utc_text(event.at_ns),
        at_ns=event.at_ns,
        path=path_text(path),
        path_b64=path_b64(path),
        root=fact.path.root,
        content=fact.content,
        size_bytes=fact.size_bytes,
        origin=fact.origin,
        cleaned_at=utc_text(fact.cleaned_at_ns),
        plan=fact.plan,
        kept=path_text(fact.kept),
        kept_b64=path_b64(fact.kept),
        is_kept_there=fact.is_kept_there,
    )


def _event_match(match: Match, root_paths: Mapping[RootId, bytes]) -> EventMatch:
    path = absolute_path(match.path, root_paths)
    return EventMatch(
        path=path_text(path),
        path_b64=path_b64(path),
        root=match.path.root,
        content=match.content,
        relation=match.relation,
        similarity=match.similarity,
        probability=match.probability,
    )
