"""An aligned pair as pixels for people: both pictures in one place, what both show, where they differ and how much.

Works on pictures of any size. Lays no captions and writes no file (`sheet` does). Keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels
from dedupd.core.records import Box
from dedupd.imaging.figures import toned_to
from dedupd.imaging.prepared_side import Doubles, Floats

Mask = npt.NDArray[np.bool_]

MAX_ENLARGING = 4.0  # a thumbnail may be shown this much larger, so that it can be looked at
MAX_CANVAS = 4.0  # sides of A that the canvas may have; a frame that reaches farther out is cut off
SAME_FRAME = 0.012  # of the longer side; frames nearer than this are drawn as one
FLOOR_LEVELS = 3.0  # difference that 8-bit rounding and warping leave in equal pictures
FAINTEST_LEVELS = 24.0  # full colour means at least this much, so that compression does not look like a difference
STRONGEST_SHARE = 0.998  # of the pixels lie below what full colour means
FADED = 0.22  # how much of the picture shines through the heat map
EMPTY_GREY = 240  # where a picture shows nothing
_HEAT = np.array(  # white, yellow, orange, red, dark red: darker is more, also on paper and for the colour-blind
    [[255, 255, 255], [255, 221, 87], [247, 130, 40], [205, 30, 35], [90, 0, 25]], np.float32
)

Limit = Callable[[float], tuple[int, int]]
Quad = npt.NDArray[np.float64]  # [4, 2], corners in canvas pixels


@dataclass(frozen=True, slots=True)
class Panels:
    """Both pictures on one canvas, in A's orientation."""

    a: Pixels  # [h, w, 3]
    b: Pixels
    heat: Pixels  # the difference as colour over the faded picture
    full_levels: int  # the difference, of 255, that the darkest colour stands for
    frame_a: Quad | None  # A's frame, where it is not the canvas's and B's
    frame_b: Quad | None
    boxes: tuple[tuple[int, int, int, int], ...]  # left, top, right, bottom of what differs


def unit_map(b_to_a: Doubles, a_size: tuple[int, int], b_size: tuple[int, int]) -> Doubles:
    """The alignment in fractions of width and height, float64 [3, 3]: valid for the pictures at any size.

    Args:
        b_to_a: float64 [2, 3], maps pixel centres of B's small image onto A's.
        a_size: width and height of A's small image.
        b_size: the same of B's.
    """
    in_pixels = np.vstack([b_to_a, [0.0, 0.0, 1.0]])
    return np.asarray(np.linalg.inv(_pixels_of(a_size)) @ in_pixels @ _pixels_of(b_size), np.float64)


def panels_of(a: Pixels, b: Pixels, b_to_a: Doubles, boxes: tuple[Box, ...], limit: Limit) -> Panels:
    """Lay both pictures on one canvas and mark what differs.

    Args:
        a: uint8 [h, w, 3] RGB.
        b: the same of the other, any size.
        b_to_a: float64 [3, 3], maps fractions of B's frame to fractions of A's (`unit_map`).
        boxes: what differs, in fractions of A's frame.
        limit: says which width and height a canvas of a shape (width over height) may have.
    """
    left, top, right, bottom = _canvas_box(b_to_a)
    a_size, b_size = (a.shape[1], a.shape[0]), (b.shape[1], b.shape[0])
    max_size = limit((right - left) * a_size[0] / ((bottom - top) * a_size[1]))
    k = min(
        max_size[0] / ((right - left) * a_size[0]), max_size[1] / ((bottom - top) * a_size[1]), MAX_ENLARGING
    )  # canvas pixels per pixel of A
    size = (max(8, round((right - left) * a_size[0] * k)), max(8, round((bottom - top) * a_size[1] * k)))
    to_canvas = np.array(
        [
            [size[0] / (right - left), 0, -left * size[0] / (right - left) - 0.5],
            [0, size[1] / (bottom - top), -top * size[1] / (bottom - top) - 0.5],
            [0, 0, 1],
        ]
    )
    laid_a, mask_a, detail_a = _laid(a, to_canvas @ np.linalg.inv(_pixels_of(a_size)), size)
    laid_b, mask_b, detail_b = _laid(b, to_canvas @ b_to_a @ np.linalg.inv(_pixels_of(b_size)), size)
    heat, full_levels = _heat(laid_a, laid_b, mask_a & mask_b, max(detail_a, detail_b))
    frame_a, frame_b = _corners(to_canvas), _corners(to_canvas @ b_to_a)
    is_one_frame = float(abs(frame_a - _nearest(frame_b, frame_a)).max()) <= SAME_FRAME * max(size)
    return Panels(
        a=_on_empty(laid_a, mask_a),
        b=_on_empty(laid_b, mask_b),
        heat=heat,
        full_levels=full_levels,
        frame_a=None if is_one_frame else frame_a,
        frame_b=None if is_one_frame else frame_b,
        boxes=tuple(_box_on(box, to_canvas, size) for box in boxes),
    )


def fitted(picture: Pixels, max_size: tuple[int, int]) -> Pixels:
    """A picture as it stands, brought to the largest size that fits; enlarged at most MAX_ENLARGING times."""
    height, width = picture.shape[:2]
    k = min(max_size[0] / width, max_size[1] / height, MAX_ENLARGING)
    size = (max(1, round(width * k)), max(1, round(height * k)))
    way = cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def _pixels_of(size: tuple[int, int]) -> Doubles:
    """Fractions to pixels, pixel centres at integer coordinates."""
    width, height = size
    return np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1.0]])


def _corners(fractions_to_canvas: Doubles) -> Quad:
    unit = np.array([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    return np.asarray((unit @ fractions_to_canvas.T)[:, :2])


def _nearest(quad: Quad, to: Quad) -> Quad:
    """The corners of a quad in the order in which they are nearest to another's: a turned frame is the same frame."""
    return np.asarray(quad[np.linalg.norm(quad[None] - to[:, None], axis=2).argmin(axis=1)], np.float64)


def _canvas_box(b_to_a: Doubles) -> tuple[float, float, float, float]:
    """What holds both frames, in fractions of A's."""
    corners = np.vstack([_corners(np.eye(3)), _corners(b_to_a)])
    half = (MAX_CANVAS - 1) / 2
    left, top = np.clip(corners.min(axis=0), -half, 0)
    right, bottom = np.clip(corners.max(axis=0), 1, 1 + half)
    return float(left), float(top), float(right), float(bottom)


def _laid(picture: Pixels, to_canvas: Doubles, size: tuple[int, int]) -> tuple[Floats, Mask, float]:
    """A picture on the canvas, float32 0 … 255; where it is; and the size of its pixels there."""
    scale = float(np.sqrt(abs(np.linalg.det(to_canvas[:2, :2]))))
    source, m = picture, to_canvas
    if scale < 0.8:  # warping alone would skip pixels
        height, width = picture.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        source = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        m = to_canvas @ _pixels_of((width, height)) @ np.linalg.inv(_pixels_of(small))
    way = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    laid = np.asarray(cv2.warpAffine(source, m[:2], size, **way), np.float32)  # type: ignore[call-overload]  # keywords
    mask = np.zeros((size[1], size[0]), np.uint8)
    corners = _corners(to_canvas @ _pixels_of((picture.shape[1], picture.shape[0])))
    cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 1, shift=4)
    return laid, mask.view(np.bool_), max(1.0, scale)


def _on_empty(laid: Floats, mask: Mask) -> Pixels:
    return np.where(mask[..., None], laid, EMPTY_GREY).astype(np.uint8)


def _heat(a: Floats, b: Floats, both: Mask, detail_px: float) -> tuple[Pixels, int]:
    """The difference in colour and the levels that full colour stands for."""
    if not both.any():
        return np.full(a.shape, EMPTY_GREY, np.uint8), round(FAINTEST_LEVELS)
    sigma = max(0.8, 0.5 * detail_px)  # the finer picture's detail beyond the coarser one's is no difference
    luma_a, luma_b = (np.asarray(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), np.float32) for x in (a, b))
    smooth_a, smooth_b = (np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.float32) for x in (luma_a, luma_b))
    apart = np.abs(smooth_a - toned_to(smooth_b, smooth_a, both))
    inner = cv2.erode(np.pad(both, 1).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)[1:-1, 1:-1] > 0
    apart = np.where(inner, np.maximum(apart - FLOOR_LEVELS, 0), 0)  # the rim of a warped picture is smeared
    full = max(FAINTEST_LEVELS, float(np.quantile(apart[both], STRONGEST_SHARE)))
    strength = np.clip(apart / full, 0, 1)
    place = strength * (len(_HEAT) - 1)
    low = np.minimum(place.astype(np.int32), len(_HEAT) - 2)
    part = (place - low)[..., None]
    heat = _HEAT[low] * (1 - part) + _HEAT[low + 1] * part
    faded = (255 - (255 - luma_a) * FADED)[..., None]
    cover = np.clip(3 * strength, 0, 1)[..., None]
    shown = np.where(both[..., None], faded * (1 - cover) + heat * cover, EMPTY_GREY)
    return shown.astype(np.uint8), round(full + FLOOR_LEVELS)


def _box_on(box: Box, to_canvas: Doubles, size: tuple[int, int]) -> tuple[int, int, int, int]:
    corners = np.array([[box.left, box.top, 1], [box.right, box.bottom, 1]]) @ to_canvas.T
    (left, top), (right, bottom) = corners[:, :2] + 0.5
    return (
        int(np.clip(left, 0, size[0] - 1)),
        int(np.clip(top, 0, size[1] - 1)),
        int(np.clip(np.ceil(right), 1, size[0])),
        int(np.clip(np.ceil(bottom), 1, size[1])),
    )
