"""Core events to wire events. Pure. Imports core.records (and so numpy): for the daemon's side only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from dedupd.core.events import (
    Degraded,
    DuplicateFound,
    Event,
    FileSetAside,
    Match,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.records import RootId
from dedupd.protocol.convert import absolute_path
from dedupd.protocol.events import (
    DegradedEvent,
    DuplicateFoundEvent,
    EventMatch,
    EventMessage,
    FileSetAsideEvent,
    RootOnlineEvent,
    RootSuspectEvent,
    ScanFinishedEvent,
)
from dedupd.protocol.text import path_b64, path_text, utc_text


def event_message(event: Event, root_paths: Mapping[RootId, bytes]) -> EventMessage:
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
