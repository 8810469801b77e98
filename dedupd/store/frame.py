"""The checksum before every value, and the small fixed values. Pure; owns no state.

LMDB has no checksum of its own pages, so without these a flipped bit would be read as truth. The sum covers the key
too: a record that ended up under another key is damage as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from dedupd.core.arrays import Vectors
from dedupd.core.errors import StoreDamagedError
from dedupd.core.records import ModelTag

CHECKSUM_BYTES = 4

_CHECKSUM = struct.Struct("<I")
_NUMBER = struct.Struct("<Q")
_VECTORS_HEAD = struct.Struct("<BBHH")  # element type, rows, dim, number of the model
_FLOAT16 = 1


def framed(key: bytes, body: bytes) -> bytes:
    """The body with the checksum of key and body before it."""
    return _CHECKSUM.pack(crc32(body, crc32(key))) + body


def unframed(table: str, key: bytes, value: bytes) -> bytes:
    """The body of a value.

    Raises:
        StoreDamagedError: the checksum does not match; names the table and the key.
    """
    body = value[CHECKSUM_BYTES:]
    if len(value) < CHECKSUM_BYTES or crc32(body, crc32(key)) != _CHECKSUM.unpack_from(value)[0]:
        raise DamagedRecordError(table, key, "its checksum does not match")
    return body


class DamagedRecordError(StoreDamagedError):
    """One record that cannot be believed; apart from its base so that the check can go on and list them all."""

    def __init__(self, table: str, key: bytes, cause: str) -> None:
        super().__init__(
            f"store: record {key.hex()} of table {table} is damaged: {cause}. Your photos are not touched. Run `dedupd "
            "check` for the extent, check the disk and the memory, then restore the state directory from a backup or "
            "move it away so that the next start indexes anew"
        )
        self.table = table
        self.key = key
        self.cause = cause


def number_body(number: int) -> bytes:
    """A counter, a sequence number or an id as a value's body."""
    return _NUMBER.pack(number)


def number_from(table: str, key: bytes, body: bytes) -> int:
    """The number in a value's body."""
    if len(body) != _NUMBER.size:
        raise DamagedRecordError(table, key, f"a number has 8 bytes, this has {len(body)}")
    return int(_NUMBER.unpack(body)[0])


def vectors_body(vectors: Vectors, model: int) -> bytes:
    """Vectors [n, dim] as a value's body: half precision, for components within ±1 about 2e-4 of their cosine at most.

    Source: benchmarks of the index; half precision is exact in practice and halves the store.
    """
    rows, dim = vectors.shape
    return _VECTORS_HEAD.pack(_FLOAT16, rows, dim, model) + vectors.astype("<f2").tobytes()


def vectors_from(table: str, key: bytes, body: bytes) -> Vectors:
    """Vectors float32 [n, dim] of a value's body."""
    rows, dim = _vectors_shape(table, key, body)
    halves = np.frombuffer(body, dtype="<f2", offset=_VECTORS_HEAD.size)
    return halves.reshape(rows, dim).astype(np.float32)


def vectors_from_each(table: str, rows: Sequence[tuple[bytes, bytes]]) -> Iterator[Vectors]:
    """What `vectors_from` says of the body under each key, brought to single precision together."""
    shapes = [_vectors_shape(table, key, body) for key, body in rows]
    halves = b"".join([body[_VECTORS_HEAD.size :] for _, body in rows])
    values = np.frombuffer(halves, dtype="<f2").astype(np.float32)
    end = 0
    for count, dim in shapes:
        begin, end = end, end + count * dim
        yield values[begin:end].reshape(count, dim)


def vectors_model(table: str, key: bytes, body: bytes) -> int:
    """The number of the model that made the vectors."""
    return _vectors_head(table, key, body)[3]


def _vectors_shape(table: str, key: bytes, body: bytes) -> tuple[int, int]:
    """How many vectors a body holds, and their length; that it is as long as they are has been seen."""
    kind, rows, dim, _ = _vectors_head(table, key, body)
    if kind != _FLOAT16 or len(body) != _VECTORS_HEAD.size + 2 * rows * dim:
        raise DamagedRecordError(table, key, f"{len(body)} bytes are no {rows} vectors of {dim} half floats")
    return rows, dim


def _vectors_head(table: str, key: bytes, body: bytes) -> tuple[int, int, int, int]:
    if len(body) < _VECTORS_HEAD.size:
        raise DamagedRecordError(table, key, "it is too short for vectors")
    kind, rows, dim, model = _VECTORS_HEAD.unpack_from(body)
    return kind, rows, dim, model


def model_key(number: int) -> bytes:
    """Key of a model tag."""
    return number.to_bytes(2, "big")


def model_from(body: bytes) -> ModelTag:
    """The tag in a value's body."""
    return ModelTag(body.decode())
