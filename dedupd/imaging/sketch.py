"""A few kB that show whether two pictures can have anything in common: grey blocks and coarse keypoints, packed.

Made while a picture is decoded, kept in its preview (`preview_segment`), compared without decoding anything (`glance`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from dedupd.imaging.prepared_side import BLOCK_SIDE_PX, Floats, Keypoints, PreparedSide, is_tiny
from dedupd.imaging.preview_segment import attached, body_in

_MARK = b"dsk2"
_OLD_MARK = b"dsk1"  # the same, but for tiny pictures, which had no keypoints
_HEAD = struct.Struct("<4sHHBB")  # mark, width and height of the small image, boxes, keypoints
_POINT_STEPS = 128  # of a pixel
_MOST = 0.45  # of a RootSIFT value; larger ones are rare
_LEVELS = 15  # 4 bits a value
_CELLS = BLOCK_SIDE_PX**2
_DIMENSIONS = 128  # of a SIFT descriptor
# Both values of each byte, as one number: taken in one piece they are there in a sixth of the time.
_OF_HALVES = np.array([complex(byte & 15, byte >> 4) for byte in range(256)], np.complex64)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of one picture."""

    width_px: int  # of the small image
    height_px: int
    blocks: Floats  # [boxes, 24 * 24], mean removed, unit length, see PreparedSide.blocks
    glance: Keypoints

    @property
    def side_px(self) -> int:
        """The longer side of the small image."""
        return max(self.width_px, self.height_px)

    @property
    def is_tiny(self) -> bool:
        """Enlarged before its keypoints were looked for."""
        return is_tiny(self.width_px, self.height_px)


def sketch_of(side: PreparedSide) -> Sketch:
    """The sketch of a small image."""
    return Sketch(side.small_width_px, side.small_height_px, side.blocks, side.glance)


# ------------------------------------------------------------------------------------------------------------- packed


def with_sketch(preview: bytes, sketch: Sketch) -> bytes:
    """A preview that carries a sketch."""
    return attached(preview, pack(sketch))


def sketch_in(preview: bytes) -> Sketch | None:
    """The sketch in a preview; None where there is none, or none that this version reads."""
    packed = body_in(preview)
    return None if packed is None else unpack(packed)


def pack(sketch: Sketch) -> bytes:
    """A sketch as bytes, at most 10.3 kB: blocks in 8 bits, places in 1/128 px, descriptors in 4 bits a value."""
    largest = np.abs(sketch.blocks).max(axis=1, initial=0)
    scale = np.where(largest > 0, largest, 1).astype("<f4")
    cells = np.round(sketch.blocks / scale[:, None] * 127).astype(np.int8)
    points = np.round(np.clip(sketch.glance.points, 0, None) * _POINT_STEPS).astype("<u2")
    levels = np.round(np.clip(sketch.glance.descriptors / _MOST, 0, 1) * _LEVELS).astype(np.uint8)
    halves = levels[:, 0::2] | levels[:, 1::2] << 4
    head = _HEAD.pack(_MARK, sketch.width_px, sketch.height_px, len(cells), len(points))
    return b"".join((head, scale.tobytes(), cells.tobytes(), points.tobytes(), halves.tobytes()))


def unpack(packed: bytes) -> Sketch | None:
    """What `pack` made; None for anything else."""
    if len(packed) < _HEAD.size:
        return None
    mark, width_px, height_px, boxes, places = _HEAD.unpack_from(packed)
    is_known = mark == _MARK or (mark == _OLD_MARK and not is_tiny(width_px, height_px))
    if not is_known or not boxes or len(packed) != _HEAD.size + boxes * (4 + _CELLS) + places * (4 + _DIMENSIONS // 2):
        return None
    at = _HEAD.size
    scale = np.frombuffer(packed, "<f4", boxes, at)
    cells = np.frombuffer(packed, np.int8, boxes * _CELLS, at := at + scale.nbytes)
    points = np.frombuffer(packed, "<u2", 2 * places, at := at + cells.nbytes)
    halves = np.frombuffer(packed, np.uint8, places * _DIMENSIONS // 2, at + points.nbytes)
    descriptors = _OF_HALVES.take(halves).view(np.float32).reshape(places, _DIMENSIONS)
    lengths = np.sqrt(np.einsum("ij,ij->i", descriptors, descriptors))
    descriptors /= np.maximum(lengths, 1e-6)[:, None]
    blocks = cells.reshape(boxes, _CELLS) * np.asarray(scale / np.float32(127), np.float32)[:, None]
    in_px = points.reshape(places, 2).astype(np.float32) / np.float32(_POINT_STEPS)
    return Sketch(width_px, height_px, blocks, Keypoints(in_px, descriptors))
