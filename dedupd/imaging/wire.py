"""The messages between the pool and a worker, and how they lie on the socket.

A frame is a 4-byte little-endian length and a msgpack message; a file descriptor may ride on a frame's first byte.
Carries no path: a worker never learns where a file is, and its name only where it writes it on a sheet. Owns nothing.
"""

from __future__ import annotations

import socket
import struct
from typing import TypeVar

import msgspec

from dedupd.core.illustration import Illustrated, SheetWords
from dedupd.core.records import Capture, Evidence, FileStat, ProblemCode, Quality
from dedupd.imaging.limits import MIB, DecodeLimits

_LENGTH = struct.Struct("<I")
# The largest honest one is a sheet: three panels of at most 764 × 760 RGB pixels. A worker may be hostile.
_MAX_FRAME_BYTES = 8 * MIB
_RECEIVE_BYTES = 256 * 1024
_T = TypeVar("_T")


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """First frame to a worker."""

    limits: DecodeLimits


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read the file whose descriptor rides on this frame; answered by Digested, then Described or Failed."""


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """The pool's answer to Digested."""

    is_known: bool


class DigestPixels(msgspec.Struct, frozen=True, tag="digest-pixels"):
    """Decode the file whose descriptor rides on this frame in full; answered by PixelsDigested or Failed."""


class DecodePreview(msgspec.Struct, frozen=True, tag="decode-preview"):
    """Decode a preview; answered by Rendered or Failed."""

    preview: bytes


class Side(msgspec.Struct, frozen=True):
    """One picture of a comparison."""

    content: int | None
    preview: bytes
    width_px: int
    height_px: int


class Glance(msgspec.Struct, frozen=True, tag="glance"):
    """Compare pairs of some pictures' sketches; answered by Glanced or Failed."""

    sketches: tuple[bytes, ...]  # packed; empty where there is none
    pairs: tuple[tuple[int, int], ...]  # by their places among the sketches


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """Compare two previews; answered by Compared or Failed."""

    a: Side
    b: Side


class Render(msgspec.Struct, frozen=True, tag="render"):
    """Decode the file whose descriptor rides on this frame for a sheet; answered by Rendered or Failed."""

    digest: bytes  # what the file must hold still


class Rendered(msgspec.Struct, frozen=True, tag="rendered"):
    """Ends a Render or a DecodePreview: RGB in row order."""

    pixels: bytes
    width_px: int
    height_px: int


class Illustrate(msgspec.Struct, frozen=True, tag="illustrate"):
    """Compare two previews, measure the usual figures, draw the sheet; answered by Shown or Failed."""

    a: Side
    b: Side
    large_a: Rendered | None
    large_b: Rendered | None
    words: SheetWords | None  # None: no sheet


class CompareFully(msgspec.Struct, frozen=True, tag="compare-fully"):
    """Compare two pictures in full; a's descriptor rides on this frame. Answered by AwaitingSecond or Failed."""

    a: Side
    b: Side
    digest_a: bytes  # what the files must hold still
    digest_b: bytes
    evidence: Evidence  # of the previews


class Second(msgspec.Struct, frozen=True, tag="second"):
    """The answer to AwaitingSecond: b's descriptor rides on this frame. Answered by Compared or Failed."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """First frame from a worker: limits are set, libraries are loaded, it is confined."""

    unconfined: tuple[str, ...] = ()  # what the kernel does not have, a line each


class Digested(msgspec.Struct, frozen=True, tag="digested"):
    """The file was read to its end and did not change meanwhile."""

    digest: bytes
    stat: FileStat


class Described(msgspec.Struct, frozen=True, tag="described"):
    """A DecodedImage, its small image as plain bytes in row order."""

    format: str
    width_px: int
    height_px: int
    image_digest: bytes | None
    capture: Capture
    quality: Quality
    decoder: str
    small: bytes
    small_width_px: int
    small_height_px: int
    preview: bytes
    trailing_bytes: int


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """Ends a Read whose digest the pool knew."""


class AwaitingSecond(msgspec.Struct, frozen=True, tag="awaiting-second"):
    """The first picture of a CompareFully is decoded."""


class PixelsDigested(msgspec.Struct, frozen=True, tag="pixels-digested"):
    """Ends a DigestPixels."""

    digest: bytes


class Glanced(msgspec.Struct, frozen=True, tag="glanced"):
    """Ends a Glance: for each pair whether a look at it pays."""

    may_be_alike: tuple[bool, ...]


class Compared(msgspec.Struct, frozen=True, tag="compared"):
    """Ends a Compare or a CompareFully."""

    evidence: Evidence


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """Ends an Illustrate."""

    illustrated: Illustrated


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Ends any job: what is wrong with the file."""

    code: ProblemCode
    detail: str


Request = (
    Setup
    | Read
    | Verdict
    | DigestPixels
    | DecodePreview
    | Glance
    | Compare
    | CompareFully
    | Second
    | Render
    | Illustrate
)
Reply = (
    Ready
    | Digested
    | Described
    | Skipped
    | PixelsDigested
    | AwaitingSecond
    | Glanced
    | Compared
    | Rendered
    | Shown
    | Failed
)

request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def send(sock: socket.socket, message: Request | Reply, *, fd: int | None = None) -> None:
    """Send one message, with a descriptor if there is one. OSError when the other side is gone."""
    body = _encoder.encode(message)
    header = _LENGTH.pack(len(body))
    if fd is None:
        sock.sendall(header)
    else:
        sent = socket.send_fds(sock, [header], [fd])
        sock.sendall(header[sent:])
    sock.sendall(body)


def receive(sock: socket.socket, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    """Receive one message.

    Raises:
        EOFError: the other side closed the socket.
        OSError: the socket failed, or its timeout passed (TimeoutError).
        msgspec.DecodeError: not a message of this protocol.
    """
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    return _decoded(decoder, _exactly(sock, _checked(length)))


def receive_with_descriptor(sock: socket.socket, decoder: msgspec.msgpack.Decoder[_T]) -> tuple[_T, int | None]:
    """Like `receive`, with the descriptor that came along; the caller closes it."""
    start, descriptors, _, _ = socket.recv_fds(sock, _LENGTH.size, 1)
    if not start:
        raise EOFError
    (length,) = _LENGTH.unpack(start + _exactly(sock, _LENGTH.size - len(start)))
    return _decoded(decoder, _exactly(sock, _checked(length))), descriptors[0] if descriptors else None


def _decoded(decoder: msgspec.msgpack.Decoder[_T], body: bytearray) -> _T:
    """The message; msgspec lets two errors through that are none of its own, and a hostile worker can cause both."""
    try:
        return decoder.decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"not a message: {error}") from error


def _checked(length: int) -> int:
    if length > _MAX_FRAME_BYTES:
        raise msgspec.DecodeError(f"a frame of {length} bytes, over the limit of {_MAX_FRAME_BYTES}")
    return length


def _exactly(sock: socket.socket, count: int) -> bytearray:
    received = bytearray(count)
    view = memoryview(received)
    at = 0
    while at < count:
        step = sock.recv_into(view[at : at + _RECEIVE_BYTES])
        if not step:
            raise EOFError
        at += step
    return received
