"""Values of what people said of pictures and of what was cleaned up: msgpack arrays, keyed by digests. Pure.

Fields are only ever appended, with a default. Owns no state.
"""

from __future__ import annotations

import msgspec

from dedupd.core.records import DIGEST_BYTES, FilePath, RootId
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store.codec import decoded, encode
from dedupd.store.frame import DamagedRecordError

VERDICT_KEY_BYTES = 2 * DIGEST_BYTES


class _VerdictRow(msgspec.Struct, array_like=True, frozen=True):
    said_at_ns: int


class _PinRow(msgspec.Struct, array_like=True, frozen=True):
    path: tuple[int, bytes, bytes]  # root, directory, name
    said_at_ns: int


class _TombstoneRow(msgspec.Struct, array_like=True, frozen=True):
    cleaned_at_ns: int
    plan: str
    path: bytes
    kept: bytes


_verdict_decoder = msgspec.msgpack.Decoder(_VerdictRow)
_pin_decoder = msgspec.msgpack.Decoder(_PinRow)
_tombstone_decoder = msgspec.msgpack.Decoder(_TombstoneRow)


def verdict_key(one: bytes, other: bytes) -> bytes:
    """Key of what was said of two digests, named in any order."""
    return min(one, other) + max(one, other)


def verdict_body(verdict: NotDuplicate) -> bytes:
    """The body of a verdict's value; its digests are the key."""
    return encode(_VerdictRow(verdict.said_at_ns))


def verdict_from(key: bytes, body: bytes) -> NotDuplicate:
    """The verdict of a body."""
    row = decoded(_verdict_decoder, "verdicts", key, body)
    a, b = key[:DIGEST_BYTES], key[DIGEST_BYTES:]
    if len(key) != VERDICT_KEY_BYTES or a >= b:
        raise DamagedRecordError("verdicts", key, "its key is not two digests, the smaller first")
    return NotDuplicate(a=a, b=b, said_at_ns=row.said_at_ns)


def pin_body(pin: Pin) -> bytes:
    """The body of a pin's value; its digest is the key."""
    return encode(_PinRow((pin.path.root, pin.path.directory, pin.path.name), pin.said_at_ns))


def pin_from(key: bytes, body: bytes) -> Pin:
    """The pin of a body."""
    row = decoded(_pin_decoder, "pins", key, body)
    root, directory, name = row.path
    path = FilePath(root=RootId(root), directory=directory, name=name)
    return Pin(digest=_digest("pins", key), path=path, said_at_ns=row.said_at_ns)


def tombstone_body(tombstone: Tombstone) -> bytes:
    """The body of a tombstone's value; its digest is the key."""
    return encode(_TombstoneRow(tombstone.cleaned_at_ns, tombstone.plan, tombstone.path, tombstone.kept))


def tombstone_from(key: bytes, body: bytes) -> Tombstone:
    """The tombstone of a body."""
    row = decoded(_tombstone_decoder, "tombstones", key, body)
    return Tombstone(
        digest=_digest("tombstones", key),
        cleaned_at_ns=row.cleaned_at_ns,
        plan=row.plan,
        path=row.path,
        kept=row.kept,
    )


def _digest(table: str, key: bytes) -> bytes:
    if len(key) != DIGEST_BYTES:
        raise DamagedRecordError(table, key, "its key is no digest")
    return key
