"""Values of files and roots: msgpack arrays with explicit conversion, and what all such values share. Pure.

Fields are only ever appended, with a default, so that records of an older dedupd stay readable; msgspec ignores
surplus ones. A file's body starts with a flags byte and the packed stat at a fixed place, so that reconciling reads
them without decoding. Contents and edges are in `content_codec`, events in `outbox`. Owns no state.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

from dedupd.core import stat_key
from dedupd.core.records import (
    ContentId,
    FilePath,
    FileRecord,
    FileStage,
    Problem,
    ProblemCode,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
)
from dedupd.store import keys
from dedupd.store.frame import CHECKSUM_BYTES, DamagedRecordError

IS_MISSING = 1  # bits of the flags byte
HAS_LONG_NAME = 2
FLAGS_AT = CHECKSUM_BYTES  # offsets in a framed value
STAT_AT = FLAGS_AT + 1
STAT_END = STAT_AT + stat_key.PACKED_BYTES
_ROW_AT = 1 + stat_key.PACKED_BYTES  # offset in the body

_Row = TypeVar("_Row")


def _plain_number(value: Any) -> Any:
    """A numpy scalar, which estimates easily are, as Python's own number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"the store cannot hold a {type(value).__name__}")


encode = msgspec.msgpack.Encoder(enc_hook=_plain_number).encode


class _ProblemRow(msgspec.Struct, array_like=True, frozen=True):
    code: ProblemCode
    detail: str
    at_ns: int
    retry_at_ns: int | None


class _FileRow(msgspec.Struct, array_like=True, frozen=True):
    stage: FileStage
    content: int | None
    first_seen_ns: int
    missing_since_ns: int | None = None
    attempts: int = 0
    problem: _ProblemRow | None = None
    link_of_same_inode: bool = False
    long_name: bytes | None = None


class _RootRow(msgspec.Struct, array_like=True, frozen=True):
    path: bytes
    identity: tuple[int, int, int, str] | None
    state: RootState
    state_reason: str
    last_full_scan_ns: int | None
    added_at_ns: int
    is_watched: bool = True


_file_decoder = msgspec.msgpack.Decoder(_FileRow)
_root_decoder = msgspec.msgpack.Decoder(_RootRow)


def stored_text(text: str) -> str:
    r"""Text as msgpack can hold it: a byte that was no UTF-8 (a lone surrogate, from a camera or a path) as \udcXX."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def decoded(decoder: msgspec.msgpack.Decoder[_Row], table: str, key: bytes, body: bytes) -> _Row:
    """One row of a body whose checksum holds.

    Raises:
        StoreDamagedError: it is not what this table holds.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # bad msgpack, a wrong type, bad UTF-8
        raise DamagedRecordError(table, key, str(error)) from error


def file_body(file: FileRecord) -> bytes:
    """The body of a file's value."""
    flags = flags_of(file)
    row = _FileRow(
        stage=file.stage,
        content=file.content,
        first_seen_ns=file.first_seen_ns,
        missing_since_ns=file.missing_since_ns,
        attempts=file.attempts,
        problem=None if file.problem is None else _problem_row(file.problem),
        link_of_same_inode=file.link_of_same_inode,
        long_name=file.path.name if flags & HAS_LONG_NAME else None,
    )
    return bytes((flags,)) + stat_key.pack(file.stat) + encode(row)


def flags_of(file: FileRecord) -> int:
    """The flags byte of a file."""
    flags = IS_MISSING if file.missing_since_ns is not None else 0
    return flags | HAS_LONG_NAME if keys.is_long_name(file.path.name) else flags


def file_from(key: bytes, body: bytes, directory: bytes) -> FileRecord:
    """The file of a body; `directory` is the path that its key's directory part stands for."""
    row = decoded(_file_decoder, "files", key, body[_ROW_AT:])
    name = key[keys.DIRECTORY_KEY_BYTES :] if row.long_name is None else row.long_name
    return FileRecord(
        path=FilePath(root=keys.root_of(key), directory=directory, name=name),
        stat=stat_key.unpack(body[1:_ROW_AT]),
        stage=row.stage,
        content=None if row.content is None else ContentId(row.content),
        first_seen_ns=row.first_seen_ns,
        missing_since_ns=row.missing_since_ns,
        attempts=row.attempts,
        problem=None if row.problem is None else _problem(row.problem),
        link_of_same_inode=row.link_of_same_inode,
    )


def long_name(key: bytes, body: bytes) -> bytes:
    """The name of a file whose flags say HAS_LONG_NAME."""
    return decoded(_file_decoder, "files", key, body[_ROW_AT:]).long_name or b""


def _problem_row(problem: Problem) -> _ProblemRow:
    return _ProblemRow(
        code=problem.code,
        detail=stored_text(problem.detail),
        at_ns=problem.at_ns,
        retry_at_ns=problem.retry_at_ns,
    )


def _problem(row: _ProblemRow) -> Problem:
    return Problem(code=row.code, detail=row.detail, at_ns=row.at_ns, retry_at_ns=row.retry_at_ns)


def root_body(root: RootRecord) -> bytes:
    """The body of a root's value."""
    identity = root.identity
    return encode(
        _RootRow(
            path=root.path,
            identity=None
            if identity is None
            else (identity.dev, identity.fsid, identity.ino, stored_text(identity.filesystem)),
            state=root.state,
            state_reason=stored_text(root.state_reason),
            last_full_scan_ns=root.last_full_scan_ns,
            added_at_ns=root.added_at_ns,
            is_watched=root.is_watched,
        )
    )


def root_from(key: bytes, body: bytes) -> RootRecord:
    """The root of a body."""
    row = decoded(_root_decoder, "roots", key, body)
    identity = None
    if row.identity is not None:
        dev, fsid, ino, filesystem = row.identity
        identity = RootIdentity(dev=dev, fsid=fsid, ino=ino, filesystem=filesystem)
    return RootRecord(
        id=RootId(keys.root_of(key)),
        path=row.path,
        identity=identity,
        state=row.state,
        state_reason=row.state_reason,
        last_full_scan_ns=row.last_full_scan_ns,
        added_at_ns=row.added_at_ns,
        is_watched=row.is_watched,
    )
