"""Which of some pictures one can have anything in common with, told from their sketches: all in one go.

Says only whether a look pays, never that two pictures are alike. Nearly all candidates are chance neighbours, and a
library has more of them the larger it is: what stands here decides how the cost of a picture grows. Keeps no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.alignment import (
    GLANCE_ERROR_PX,
    GLANCE_PLACES,
    GLANCE_ROUNDS,
    MAX_SHAPE_DIFFERENCE,
    MIN_BLOCK_CORRELATION,
    RATIO,
    mirrored_descriptors,
    places,
    similarity_map,
)
from dedupd.imaging.prepared_side import BLOCK_SIDE_PX, Floats
from dedupd.imaging.sketch import Sketch

# Of the labelled set's candidate pairs these give up none of the duplicates (docs/decisions/0021, 0031).
MIN_DETAIL_CORRELATION = 0.30  # of what is finer than three cells of a block: pairs of alike light and shade: below
FEW_KEYPOINTS = 12  # with fewer, keypoints that do not agree say nothing
# Where less than five places agree, their keypoints must look alike too. By chance 4 agree at a mean similarity of
# 0.93 at most; of the labelled set's duplicates found by keypoints none has less than 0.96, of its look-alikes 0.95.
SURE_PLACES = 5
MIN_ALIKE = 0.94
# Of pictures under 144 px a look finds more than a glance would: three places are enough, and frames that are alike
# without their detail. Still smaller ones show too little for a glance.
TINY_PLACES = 3
SMALLEST_SIDE_PX = 64

_CELLS = BLOCK_SIDE_PX**2
_SQUARE = np.arange(_CELLS).reshape(BLOCK_SIDE_PX, BLOCK_SIDE_PX)
_TURNED = [np.rot90(_SQUARE, turns) for turns in range(4)]
_ORIENTATIONS = np.stack([*_TURNED, *(square[:, ::-1] for square in _TURNED)]).reshape(8, _CELLS)  # cells of a block
_MANY_MATCHES = 24  # of one pair; more are hardly chance, and trying all couples of them would take longer than RANSAC
_FLIPS = np.array([[1, 1], [-1, 1]], np.float32)  # of places: upright, mirrored
_COUPLES = [np.triu_indices(count, 1) for count in range(_MANY_MATCHES + 1)]
_ROUNDING_PX = 0.01
_Rows = npt.NDArray[np.intp]


def pairs_worth_a_look(sketches: Sequence[Sketch | None], pairs: Sequence[tuple[int, int]]) -> list[bool]:
    """For each pair, by places among the sketches, whether a look at the pixels could find the two alike.

    Where one has no sketch, it could. Symmetric but for RANSAC's choices. Cheapest where many pairs have one second.

    Raises:
        IndexError: a place is none.
    """
    asked: dict[int, list[tuple[int, Sketch]]] = {}  # by the second of a pair: number of the pair, sketch of the first
    answers = [True] * len(pairs)
    for number, (first, second) in enumerate(pairs):
        sketch = sketches[first]
        if sketch is not None and sketches[second] is not None:
            asked.setdefault(second, []).append((number, sketch))
    matches: list[_Match] = []
    for second, others in asked.items():
        one = sketches[second]
        assert one is not None
        frames = _frames(one.blocks, [other.blocks for _, other in others])
        unsure: list[tuple[int, Sketch]] = []
        for (number, other), seen in zip(others, frames, strict=True):
            answer = _by_frames(one, other, seen)
            if answer is None:
                unsure.append((number, other))
            answers[number] = bool(answer)
        matches += _matched(one, unsure)
    for number in _agreeing(matches):
        answers[number] = True
    return answers


def may_be_alike(a: Sketch, b: Sketch) -> bool:
    """The same of one pair."""
    return pairs_worth_a_look([a, b], [(0, 1)])[0]


def _by_frames(one: Sketch, other: Sketch, frames: tuple[float, float]) -> bool | None:
    """What whole frames say; None where it is for keypoints to say."""
    if min(one.side_px, other.side_px) < SMALLEST_SIDE_PX:
        return True
    correlation, detail = frames
    is_frame_alike = correlation >= MIN_BLOCK_CORRELATION
    if is_frame_alike and (detail >= MIN_DETAIL_CORRELATION or one.is_tiny or other.is_tiny):
        return True
    if min(len(one.glance.points), len(other.glance.points)) < FEW_KEYPOINTS:
        return is_frame_alike or _have_one_shape(one, other)  # too plain for keypoints: pages, skies, black frames
    return None


def _have_one_shape(a: Sketch, b: Sketch) -> bool:
    return abs(a.width_px * b.height_px / (a.height_px * b.width_px) - 1) <= MAX_SHAPE_DIFFERENCE


# ------------------------------------------------------------------------------------------------------------- frames


def _frames(one: Floats, others: Sequence[Floats]) -> list[tuple[float, float]]:
    """For each other: the best correlation of two boxes in any orientation; of their detail, where that is enough."""
    correlations = np.concatenate(others) @ _all_orientations(one).T
    found: list[tuple[float, float]] = []
    turned_detail: Floats | None = None
    at = 0
    for other in others:
        part, at = correlations[at : at + len(other)], at + len(other)
        best, detail = float(part.max()), 0.0
        if best >= MIN_BLOCK_CORRELATION:
            if turned_detail is None:
                turned_detail = _all_orientations(_detail(one))
            rows, columns = np.nonzero(part >= MIN_BLOCK_CORRELATION)
            detail = float((_detail(other)[rows] * turned_detail[columns]).sum(axis=1).max())
        found.append((best, detail))
    return found


def _all_orientations(blocks: Floats) -> Floats:
    """float32 [8 * n, 24 * 24] of [n, 24 * 24]: each block turned by quarters, as it is and mirrored."""
    return blocks.take(_ORIENTATIONS, axis=1).reshape(-1, _CELLS)


def _detail(blocks: Floats) -> Floats:
    """What a 3 × 3 mean leaves of each block, float32 [n, 24 * 24], mean removed, unit length; zero if nothing."""
    squares = blocks.reshape(-1, BLOCK_SIDE_PX, BLOCK_SIDE_PX)
    rest = np.stack([square - cv2.blur(square, (3, 3)) for square in squares]).reshape(-1, _CELLS)
    rest -= rest.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    return np.asarray(rest / np.where(lengths > 1e-3, lengths, np.inf), np.float32)


# ---------------------------------------------------------------------------------------------------------- keypoints


@dataclass(frozen=True, slots=True)
class _Match:
    """Keypoints of one pair that are each other's nearest, in one orientation; at least `least`."""

    pair: int
    least: int  # how many places have to agree, if they look alike
    source: Floats  # [n, 2] px in the second of the pair, mirrored where that is the orientation
    target: Floats  # [n, 2] px in the first
    alike: Floats  # [n], similarities


def _matched(one: Sketch, others: Sequence[tuple[int, Sketch]]) -> list[_Match]:
    """What matches in each other, which comes with its pair's number, and each orientation: one product for all."""
    if not others:
        return []
    points, descriptors = one.glance.points, one.glance.descriptors
    both = np.concatenate([descriptors, mirrored_descriptors(descriptors)])
    products = np.concatenate([other.glance.descriptors for _, other in others]) @ both.T
    sizes = [len(other.glance.points) for _, other in others]
    starts = np.cumsum([0, *sizes[:-1]])
    back = np.maximum.reduceat(products, starts).reshape(len(others), 2, len(points))  # how near the nearest is
    similarity = products.reshape(-1, 2, len(points))  # of all keypoints of the others, upright and mirrored
    nearest, first, second = _two_nearest(similarity)
    # For unit vectors distance² = 2 - 2 · similarity.
    is_clear = (1 - first) <= RATIO**2 * (1 - second)
    rows, orientations = np.nonzero(is_clear)
    owner = np.repeat(np.arange(len(others)), sizes)[rows]
    to, alike = nearest[rows, orientations], first[rows, orientations]
    is_mutual = back[owner, orientations, to] == alike
    own, to, alike = (rows - starts[owner])[is_mutual], to[is_mutual], alike[is_mutual]
    which = (2 * owner + orientations)[is_mutual]
    found: list[_Match] = []
    for number in np.unique(which).tolist():
        chosen = which == number
        pair, other = others[number // 2]
        least = TINY_PLACES if one.is_tiny or other.is_tiny else GLANCE_PLACES
        if np.count_nonzero(chosen) >= least:
            source = points[to[chosen]] * _FLIPS[number % 2]
            found.append(_Match(pair, least, source, other.glance.points[own[chosen]], alike[chosen]))
    return found


def _two_nearest(similarity: Floats) -> tuple[_Rows, Floats, Floats]:
    """Along the last axis: where the largest is, it, and the second largest; overwrites `similarity`."""
    lines = similarity.reshape(-1, similarity.shape[-1])
    nearest, each = lines.argmax(axis=1), np.arange(len(lines))
    first = lines[each, nearest]
    lines[each, nearest] = -np.inf
    second = lines.max(axis=1)
    shape = similarity.shape[:-1]
    return nearest.reshape(shape), first.reshape(shape), second.reshape(shape)


def _agreeing(matches: Sequence[_Match]) -> set[int]:
    """The pairs of which enough keypoints agree on one similarity map, upright or mirrored."""
    needed = [_needed(found) for found in matches]
    hopeful = [pair for pair in zip(matches, needed, strict=True) if len(pair[0].alike) >= pair[1]]
    pairs: set[int] = set()
    for (found, least), most in zip(hopeful, _most_agreeing([found for found, _ in hopeful]), strict=True):
        if most >= least and found.pair not in pairs and _agrees(found):
            pairs.add(found.pair)
    return pairs


def _needed(found: _Match) -> int:
    """How many of these matches have to agree: `least` only where so many could look alike enough."""
    likest = np.sort(found.alike)[-found.least :]
    return found.least if likest.sum() >= found.least * MIN_ALIKE else SURE_PLACES


def _agrees(found: _Match) -> bool:
    _, inside = similarity_map(found.source, found.target, GLANCE_ERROR_PX, GLANCE_ROUNDS)
    agreeing = places(found.target[inside])
    if agreeing >= SURE_PLACES:
        return True
    return agreeing >= found.least and float(found.alike[inside].mean()) >= MIN_ALIKE


def _most_agreeing(matches: Sequence[_Match]) -> list[int]:
    """How many matches lie within any similarity map that two of them fix: no map that RANSAC finds has more.

    Those that have more matches than chance brings are left to it.
    """
    most = [len(found.alike) for found in matches]
    few = [number for number, count in enumerate(most) if count <= _MANY_MATCHES]
    if not few:
        return most
    width = max(most[number] for number in few)
    source = np.full((len(few), width), np.nan, np.complex64)  # the plane's maps are z → m · z + t
    target = np.full((len(few), width), np.nan, np.complex64)
    for row, number in enumerate(few):
        found = matches[number]
        source[row, : most[number]] = found.source.view(np.complex64)[:, 0]
        target[row, : most[number]] = found.target.view(np.complex64)[:, 0]
    first, second = _COUPLES[width]
    with np.errstate(divide="ignore", invalid="ignore"):  # of what is not there, and of two keypoints at one place
        m = (target[:, second] - target[:, first]) / (source[:, second] - source[:, first])
        off = m[:, :, None] * (source[:, None] - source[:, first, None]) - (target[:, None] - target[:, first, None])
    inside = off.real**2 + off.imag**2 <= (GLANCE_ERROR_PX + _ROUNDING_PX) ** 2
    for number, count in zip(few, np.count_nonzero(inside, axis=2).max(axis=1).tolist(), strict=True):
        most[number] = count
    return most
