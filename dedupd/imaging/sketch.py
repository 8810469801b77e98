"""A few kB that show whether two pictures can have anything in common: grey blocks and coarse keypoints, packed.

Made while a picture is decoded, kept in its preview (`preview_segment`), compared without decoding anything. Most
candidates are chance neighbours; this tells nearly all of them. Says only whether a look pays, never that two pictures
are alike.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.alignment import MAX_SHAPE_DIFFERENCE, MIN_BLOCK_CORRELATION, agree_at_a_glance
from dedupd.imaging.prepared_side import BLOCK_SIDE_PX, Floats, Keypoints, PreparedSide, is_tiny
from dedupd.imaging.preview_segment import attached, body_in

# Of the labelled set's 2,029 candidate pairs these give up none of the 1,285 duplicates, 2 of the 91 look-alikes, and
# 577 of the 653 unrelated pairs (docs/decisions/0021).
MIN_DETAIL_CORRELATION = 0.30  # of what is finer than three cells of a block: pairs of alike light and shade: below
FEW_KEYPOINTS = 12  # with fewer, keypoints that do not agree say nothing

_MARK = b"dsk1"
_HEAD = struct.Struct("<4sHHBB")  # mark, width and height of the small image, boxes, keypoints
_POINT_STEPS = 128  # of a pixel
_MOST = 0.45  # of a RootSIFT value; larger ones are rare
_LEVELS = 15  # 4 bits a value
_CELLS = BLOCK_SIDE_PX**2
_DIMENSIONS = 128  # of a SIFT descriptor
_NO_KEYPOINTS = Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, _DIMENSIONS), np.float32))


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of one picture."""

    width_px: int  # of the small image
    height_px: int
    blocks: Floats  # [boxes, 24 * 24], mean removed, unit length, see PreparedSide.blocks
    glance: Keypoints

    @property
    def is_tiny(self) -> bool:
        """Too small to have coarse keypoints."""
        return is_tiny(self.width_px, self.height_px)


def sketch_of(side: PreparedSide) -> Sketch:
    """The sketch of a small image."""
    sketch = Sketch(side.small_width_px, side.small_height_px, side.blocks, _NO_KEYPOINTS)
    return sketch if sketch.is_tiny else replace(sketch, glance=side.glance)


def may_be_alike(a: Sketch, b: Sketch) -> bool:
    """Whether a look at the pixels could find the two alike. Symmetric but for RANSAC's choices."""
    if a.is_tiny or b.is_tiny:
        return True
    correlation, detail = _frames_at_a_glance(a.blocks, b.blocks)
    is_frame_alike = correlation >= MIN_BLOCK_CORRELATION
    if is_frame_alike and detail >= MIN_DETAIL_CORRELATION:
        return True
    if min(len(a.glance.points), len(b.glance.points)) < FEW_KEYPOINTS:
        return is_frame_alike or _have_one_shape(a, b)  # too plain for keypoints: pages, skies, black frames
    return agree_at_a_glance(a.glance, b.glance)


def _have_one_shape(a: Sketch, b: Sketch) -> bool:
    return abs(a.width_px * b.height_px / (a.height_px * b.width_px) - 1) <= MAX_SHAPE_DIFFERENCE


def _frames_at_a_glance(a: Floats, b: Floats) -> tuple[float, float]:
    """The best correlation of a box of A and one of B in any orientation; of their detail, where that is enough."""
    turned = _all_orientations(b.reshape(-1, BLOCK_SIDE_PX, BLOCK_SIDE_PX))
    correlations = a @ turned.reshape(-1, _CELLS).T
    best = float(correlations.max())
    if best < MIN_BLOCK_CORRELATION:
        return best, 0.0
    rows, columns = np.nonzero(correlations >= MIN_BLOCK_CORRELATION)
    detail_a = _detail(a.reshape(-1, BLOCK_SIDE_PX, BLOCK_SIDE_PX))
    detail_b = _all_orientations(_detail(b.reshape(-1, BLOCK_SIDE_PX, BLOCK_SIDE_PX)))
    products = (detail_a[rows] * detail_b[columns]).sum(axis=(1, 2))
    return best, float(products.max())


def _all_orientations(blocks: Floats) -> Floats:
    """float32 [8 * n, 24, 24]: each block turned by quarters, as it is and mirrored."""
    turned = [np.rot90(blocks, turns, axes=(1, 2)) for turns in range(4)]
    return np.ascontiguousarray(np.concatenate([*turned, *(t[:, :, ::-1] for t in turned)]))


def _detail(blocks: Floats) -> Floats:
    """What a 3 × 3 mean leaves of each block, mean removed, unit length; zero where it leaves nothing."""
    rest = np.stack([block - cv2.blur(block, (3, 3)) for block in blocks])
    rest -= rest.mean(axis=(1, 2), keepdims=True)
    lengths = np.linalg.norm(rest, axis=(1, 2), keepdims=True)
    return np.asarray(rest / np.where(lengths > 1e-3, lengths, np.inf), np.float32)


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
    if mark != _MARK or not boxes or len(packed) != _HEAD.size + boxes * (4 + _CELLS) + places * (4 + _DIMENSIONS // 2):
        return None
    body = np.frombuffer(packed, np.uint8, offset=_HEAD.size)
    scale, cells, points, halves = np.split(body, np.cumsum([4 * boxes, _CELLS * boxes, 4 * places]))
    blocks = cells.view(np.int8).reshape(boxes, _CELLS) * (scale.copy().view("<f4")[:, None] / 127)
    levels = _interleaved(halves.reshape(places, _DIMENSIONS // 2)).astype(np.float32)
    lengths = np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), 1e-6)
    return Sketch(
        width_px,
        height_px,
        blocks.astype(np.float32),
        Keypoints((points.copy().view("<u2").reshape(places, 2) / _POINT_STEPS).astype(np.float32), levels / lengths),
    )


def _interleaved(halves: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [n, 128] of [n, 64]: the low half of each byte, then the high one."""
    return np.stack([halves & 15, halves >> 4], axis=2).reshape(len(halves), 2 * halves.shape[1])
