"""The messages between the pool and a device worker, and how they lie on the socket.

A frame is a 4-byte little-endian length, a msgpack message, and as many raw bytes as the message says: pixels one way,
vectors the other, never pickled. Owns nothing.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels, Vectors
from dedupd.embedding.model_spec import ModelSpec

_LENGTH = struct.Struct("<I")
_MAX_MESSAGE_BYTES = 16 << 20
_RECEIVE_BYTES = 1 << 20
_T = TypeVar("_T")
Bytes = npt.NDArray[np.uint8]  # [count]


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag="setup"):
    """First frame to a worker: what to load, and within which bounds."""

    spec: ModelSpec
    device: str  # as torch in the worker calls it
    memory_fraction: float  # of the device's memory; 1: all


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Pictures to embed; their uint8 pixels follow, one after the other in row order. Answered by Embedded."""

    shapes: list[tuple[int, int]]  # height and width, px

    @property
    def raw_bytes(self) -> int:
        """How many bytes follow."""
        return sum(height * width * 3 for height, width in self.shapes)


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The model is loaded."""

    model_tag: str
    dim: int
    dtype: str
    attention: str

    @property
    def raw_bytes(self) -> int:
        """Nothing follows."""
        return 0


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The model cannot be loaded, or the device computes nothing any more; the worker ends."""

    reason: str

    @property
    def raw_bytes(self) -> int:
        """Nothing follows."""
        return 0


class Embedded(msgspec.Struct, frozen=True, kw_only=True, tag="embedded"):
    """Ends a Batch. One float32 vector for each picture follows; those that failed are zero."""

    pictures: int
    dim: int
    seconds: float  # on the device, without the socket
    limit: int | None  # no batch that is larger fits, as far as is known
    peak_bytes: int  # memory of the device, or of the process where that is the processor
    failed: dict[int, str]  # place in the batch → why
    no_room: bool = False  # not even one picture fits: nothing of the batch was embedded

    @property
    def raw_bytes(self) -> int:
        """How many bytes follow."""
        return self.pictures * self.dim * 4


Request = Setup | Batch
Reply = Ready | Refused | Embedded

setup_decoder = msgspec.msgpack.Decoder(Setup)
batch_decoder = msgspec.msgpack.Decoder(Batch)
reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def send(sock: socket.socket, message: Request | Reply, arrays: Iterable[Pixels | Vectors] = ()) -> None:
    """Send one message and the arrays that belong to it. OSError when the other side is gone."""
    body = _encoder.encode(message)
    sock.sendall(_LENGTH.pack(len(body)) + body)
    for array in arrays:
        if array.size:
            sock.sendall(np.ascontiguousarray(array).data.cast("B"))


def receive(sock: socket.socket, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    """Receive one message without what follows it.

    Raises:
        EOFError: the other side closed the socket.
        OSError: the socket failed, or its timeout passed (TimeoutError).
        msgspec.DecodeError: not a message of this protocol.
    """
    (length,) = _LENGTH.unpack(receive_bytes(sock, _LENGTH.size).data)
    if length > _MAX_MESSAGE_BYTES:
        raise msgspec.DecodeError(f"a message of {length} bytes, over the limit of {_MAX_MESSAGE_BYTES}")
    try:
        return decoder.decode(receive_bytes(sock, length).data)
    except (UnicodeDecodeError, RecursionError) as error:  # msgspec lets these two through
        raise msgspec.DecodeError(f"not a message: {error}") from error


def receive_bytes(sock: socket.socket, count: int) -> Bytes:
    """Exactly so many bytes, uint8 [count]; raises as `receive`."""
    received = np.empty(count, np.uint8)  # not cleared first: a batch is up to 170 MB
    view = received.data
    at = 0
    while at < count:
        step = sock.recv_into(view[at : at + _RECEIVE_BYTES])
        if not step:
            raise EOFError
        at += step
    return received


def pictures_of(batch: Batch, raw: Bytes) -> list[Pixels]:
    """The pictures of a batch, as views of the bytes that followed it."""
    pictures, at = [], 0
    for height, width in batch.shapes:
        count = height * width * 3
        pictures.append(raw[at : at + count].reshape(height, width, 3))
        at += count
    return pictures


def vectors_of(embedded: Embedded, raw: Bytes) -> Vectors:
    """The vectors of a reply, float32 [pictures, dim]."""
    return raw.view(np.float32).reshape(embedded.pictures, embedded.dim)
