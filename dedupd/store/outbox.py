"""Values of events and of the vector log: tagged msgpack arrays with explicit conversion. Pure; owns no state.

The tag comes first, the time second; fields are only ever appended, with a default. Numbering and trimming are the
transaction's.
"""

from __future__ import annotations

import struct
from typing import assert_never

import msgspec

from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Event,
    Fact,
    FileSetAside,
    Match,
    Origin,
    PauseChanged,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.ports import VectorChange
from dedupd.core.records import ContentId, FilePath, ProblemCode, Relation, RootId, Sequence
from dedupd.store import keys
from dedupd.store.codec import decoded, encode, stored_text
from dedupd.store.frame import DamagedRecordError

_VECTOR_CHANGE = struct.Struct("<QB")  # content, 1 for a removal

_PathRow = tuple[int, bytes, bytes]  # root, directory, name


class _MatchRow(msgspec.Struct, array_like=True, frozen=True):
    path: _PathRow
    content: int
    relation: Relation
    similarity: float
    probability: float = 0.0


class _DuplicateFoundRow(msgspec.Struct, array_like=True, frozen=True, tag="duplicate-found"):
    at_ns: int
    path: _PathRow
    content: int
    size_bytes: int
    origin: Origin
    matches: tuple[_MatchRow, ...]
    group: int


class _FileSetAsideRow(msgspec.Struct, array_like=True, frozen=True, tag="file-set-aside"):
    at_ns: int
    path: _PathRow
    code: ProblemCode
    detail: str


class _RootSuspectRow(msgspec.Struct, array_like=True, frozen=True, tag="root-suspect"):
    at_ns: int
    root: int
    root_path: bytes
    reason: str
    known_files: int


class _RootOnlineRow(msgspec.Struct, array_like=True, frozen=True, tag="root-online"):
    at_ns: int
    root: int
    root_path: bytes
    was_accepted: bool


class _ScanFinishedRow(msgspec.Struct, array_like=True, frozen=True, tag="scan-finished"):
    at_ns: int
    root: int
    root_path: bytes
    files: int
    added: int
    changed: int
    missing: int
    duration_s: float


class _DegradedRow(msgspec.Struct, array_like=True, frozen=True, tag="degraded"):
    at_ns: int
    what: str
    message: str


class _CleanupFinishedRow(msgspec.Struct, array_like=True, frozen=True, tag="cleanup-finished"):
    at_ns: int
    plan: str
    run: RunKind
    done: int
    conflicts: int
    failed: int
    skipped: int
    bytes_: int
    stopped: str
    is_automatic: bool


class _CleanedReturnedRow(msgspec.Struct, array_like=True, frozen=True, tag="cleaned-returned"):
    at_ns: int
    path: _PathRow
    content: int
    size_bytes: int
    origin: Origin
    cleaned_at_ns: int
    plan: str
    kept: bytes
    is_kept_there: bool


class _PauseChangedRow(msgspec.Struct, array_like=True, frozen=True, tag="pause-changed"):
    at_ns: int
    is_paused: bool
    until_ns: int | None


_EventRow = (
    _DuplicateFoundRow
    | _FileSetAsideRow
    | _RootSuspectRow
    | _RootOnlineRow
    | _ScanFinishedRow
    | _DegradedRow
    | _CleanupFinishedRow
    | _CleanedReturnedRow
    | _PauseChangedRow
)
_event_decoder: msgspec.msgpack.Decoder[_EventRow] = msgspec.msgpack.Decoder(_EventRow)


def event_body(fact: Fact, at_ns: int) -> bytes:
    """The body of an event's value; its sequence number is the key."""
    return encode(_row(fact, at_ns))


def event_from(key: bytes, body: bytes) -> Event:
    """The event of a body."""
    row = decoded(_event_decoder, "outbox", key, body)
    return Event(sequence=keys.sequence_of(key), at_ns=row.at_ns, fact=_fact(row))


def _row(fact: Fact, at_ns: int) -> _EventRow:  # noqa: PLR0911 - one for each kind
    match fact:
        case DuplicateFound():
            return _DuplicateFoundRow(
                at_ns=at_ns,
                path=_path_row(fact.path),
                content=fact.content,
                size_bytes=fact.size_bytes,
                origin=fact.origin,
                matches=tuple(_match_row(match) for match in fact.matches),
                group=fact.group,
            )
        case FileSetAside():
            return _FileSetAsideRow(at_ns, _path_row(fact.path), fact.code, stored_text(fact.detail))
        case RootSuspect():
            return _RootSuspectRow(at_ns, fact.root, fact.root_path, stored_text(fact.reason), fact.known_files)
        case RootOnline():
            return _RootOnlineRow(at_ns, fact.root, fact.root_path, fact.was_accepted)
        case ScanFinished():
            return _ScanFinishedRow(
                at_ns=at_ns,
                root=fact.root,
                root_path=fact.root_path,
                files=fact.files,
                added=fact.added,
                changed=fact.changed,
                missing=fact.missing,
                duration_s=fact.duration_s,
            )
        case Degraded():
            return _DegradedRow(at_ns, fact.what, stored_text(fact.message))
        case CleanupFinished():
            return _CleanupFinishedRow(
                at_ns=at_ns,
                plan=fact.plan,
                run=fact.run,
                done=fact.done,
                conflicts=fact.conflicts,
                failed=fact.failed,
                skipped=fact.skipped,
                bytes_=fact.bytes_,
                stopped=stored_text(fact.stopped),
                is_automatic=fact.is_automatic,
            )
        case CleanedReturned():
            return _CleanedReturnedRow(
                at_ns=at_ns,
                path=_path_row(fact.path),
                content=fact.content,
                size_bytes=fact.size_bytes,
                origin=fact.origin,
                cleaned_at_ns=fact.cleaned_at_ns,
                plan=fact.plan,
                kept=fact.kept,
                is_kept_there=fact.is_kept_there,
            )
        case PauseChanged():
            return _PauseChangedRow(at_ns, fact.is_paused, fact.until_ns)
        case _:
            assert_never(fact)


def _fact(row: _EventRow) -> Fact:  # noqa: PLR0911 - one for each kind
    match row:
        case _DuplicateFoundRow():
            return DuplicateFound(
                path=_path(row.path),
                content=ContentId(row.content),
                size_bytes=row.size_bytes,
                origin=row.origin,
                matches=tuple(_match(match) for match in row.matches),
                group=ContentId(row.group),
            )
        case _FileSetAsideRow():
            return FileSetAside(path=_path(row.path), code=row.code, detail=row.detail)
        case _RootSuspectRow():
            return RootSuspect(
                root=RootId(row.root), root_path=row.root_path, reason=row.reason, known_files=row.known_files
            )
        case _RootOnlineRow():
            return RootOnline(root=RootId(row.root), root_path=row.root_path, was_accepted=row.was_accepted)
        case _ScanFinishedRow():
            return ScanFinished(
                root=RootId(row.root),
                root_path=row.root_path,
                files=row.files,
                added=row.added,
                changed=row.changed,
                missing=row.missing,
                duration_s=row.duration_s,
            )
        case _DegradedRow():
            return Degraded(what=row.what, message=row.message)
        case _CleanupFinishedRow():
            return CleanupFinished(
                plan=row.plan,
                run=row.run,
                done=row.done,
                conflicts=row.conflicts,
                failed=row.failed,
                skipped=row.skipped,
                bytes_=row.bytes_,
                stopped=row.stopped,
                is_automatic=row.is_automatic,
            )
        case _CleanedReturnedRow():
            return CleanedReturned(
                path=_path(row.path),
                content=ContentId(row.content),
                size_bytes=row.size_bytes,
                origin=row.origin,
                cleaned_at_ns=row.cleaned_at_ns,
                plan=row.plan,
                kept=row.kept,
                is_kept_there=row.is_kept_there,
            )
        case _PauseChangedRow():
            return PauseChanged(is_paused=row.is_paused, until_ns=row.until_ns)
        case _:
            assert_never(row)


def _path_row(path: FilePath) -> _PathRow:
    return (path.root, path.directory, path.name)


def _path(row: _PathRow) -> FilePath:
    root, directory, name = row
    return FilePath(root=RootId(root), directory=directory, name=name)


def _match(row: _MatchRow) -> Match:
    return Match(
        path=_path(row.path),
        content=ContentId(row.content),
        relation=row.relation,
        similarity=row.similarity,
        probability=row.probability,
    )


def _match_row(match: Match) -> _MatchRow:
    return _MatchRow(_path_row(match.path), match.content, match.relation, match.similarity, match.probability)


def vector_change_body(content: ContentId, *, is_removal: bool) -> bytes:
    """The body of one step of the vector log; its sequence number is the key."""
    return _VECTOR_CHANGE.pack(content, is_removal)


def vector_change_from(key: bytes, body: bytes) -> VectorChange:
    """The step of a body."""
    if len(body) != _VECTOR_CHANGE.size:
        raise DamagedRecordError("vector_log", key, f"a step has {_VECTOR_CHANGE.size} bytes, this has {len(body)}")
    content, is_removal = _VECTOR_CHANGE.unpack(body)
    return VectorChange(
        sequence=Sequence(keys.sequence_of(key)), content=ContentId(content), is_removal=bool(is_removal)
    )
