"""How one picture may lie on another: hypotheses from whole frames and from keypoints, refined by optical flow.

Does not judge whether the aligned pictures agree (`residual` does). Keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.prepared_side import (
    BLOCK_SIDE_PX,
    BoxPx,
    Doubles,
    Floats,
    Keypoints,
    PreparedSide,
    is_tiny,
)

Mask = npt.NDArray[np.bool_]

_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, [0, 7, 6, 5, 4, 3, 2, 1]].ravel()  # see `mirrored_descriptors`

MIN_BLOCK_CORRELATION = 0.70  # whole frames less alike than this are not worth a refinement
MAX_FRAME_HYPOTHESES = 2
RATIO = 0.86  # nearest to second nearest SIFT distance (notes; Lowe's 0.8 loses a third of the small crops)
RANSAC_ERROR_PX = 3.0
RANSAC_ROUNDS = 600  # finds two good matches with 99.7 % if a tenth of all are good
MIN_INLIERS = 7  # of unrelated pairs 99 % stay below (measured)
# At a glance: places where coarse keypoints agree. Of 441 unrelated candidates of the labelled set 99 % have three or
# less, of its 106 copies that are found by their keypoints alone none has less than six.
GLANCE_PLACES = 4
GLANCE_ERROR_PX = 4.0
GLANCE_ROUNDS = 300
MIN_SCALE, MAX_SCALE = 0.08, 12.0  # of one small image in the other; beyond, nothing can be verified
MAX_SHAPE_DIFFERENCE = 0.03  # of the aspect ratio: rounding of small pictures
NORMALISE_WINDOW_PX = 21
NORMALISE_FLOOR_LEVELS = 5.0  # contrast below this is treated as noise
FINEST_SCALE = 1  # halvings at which optical flow ends: half the size
FLOW_SAMPLES = 3000  # of a flow field, for its affine part


@dataclass(frozen=True, slots=True)
class Alignment:
    """A mapping of B's small image onto A's."""

    b_to_a: Doubles  # [2, 3], pixel centres at integer coordinates
    inliers: int  # agreeing keypoints; 0 for whole-frame hypotheses
    method: str  # "dense" or "features"
    is_frame_on_frame: bool = False  # lays the whole frames exactly on each other, as a plain copy's lie

    @property
    def is_mirrored(self) -> bool:
        return float(np.linalg.det(self.b_to_a[:, :2])) < 0

    @property
    def scale(self) -> float:
        """A's pixels per pixel of B."""
        return float(np.sqrt(abs(np.linalg.det(self.b_to_a[:, :2]))))


def compose(outer: Doubles, inner: Doubles) -> Doubles:
    """The affine map that applies `inner`, then `outer`."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def invert(m: Doubles) -> Doubles:
    """The inverse of an affine map."""
    linear = np.linalg.inv(m[:, :2])
    return np.hstack([linear, -linear @ m[:, 2:]])


def frame_hypotheses(a: PreparedSide, b: PreparedSide) -> list[Alignment]:
    """Alignments of whole or trimmed frames in eight orientations, the likeliest first.

    The orientations are those of the grey block: rotations by 90° and mirror images.
    """
    found: list[tuple[float, Alignment]] = []
    for index_b, box_b in enumerate(b.boxes):
        block = b.blocks[index_b].reshape(BLOCK_SIDE_PX, BLOCK_SIDE_PX)
        for turns in range(4):
            for mirror in (False, True):
                turned = np.rot90(block, turns)
                turned = turned[:, ::-1] if mirror else turned
                similarities = a.blocks @ np.ascontiguousarray(turned).ravel()
                index_a = int(np.argmax(similarities))
                best = float(similarities[index_a])
                if best >= MIN_BLOCK_CORRELATION:
                    b_to_a = _box_map(box_b, a.boxes[index_a], turns, mirror=mirror)
                    found.append((best, Alignment(b_to_a, 0, "dense", is_frame_on_frame=index_a == index_b == 0)))
    found.sort(key=lambda pair: -pair[0])
    return [alignment for _, alignment in found[:MAX_FRAME_HYPOTHESES]]


def whole_frame_hypothesis(a: PreparedSide, b: PreparedSide) -> Alignment | None:
    """Frame on frame, for pictures too plain to show how they lie; None when their shapes differ."""
    shape_a, shape_b = a.small_width_px / a.small_height_px, b.small_width_px / b.small_height_px
    if abs(shape_a / shape_b - 1) > MAX_SHAPE_DIFFERENCE:
        return None
    return Alignment(_box_map(b.boxes[0], a.boxes[0], 0, mirror=False), 0, "dense", is_frame_on_frame=True)


def _box_map(source: BoxPx, target: BoxPx, turns: int, *, mirror: bool) -> Doubles:
    """Map a box onto a box: np.rot90 `turns` times, then mirror left-right if asked."""
    # Unit square coordinates, y down. np.rot90 turns counter-clockwise: (u, v) goes to (v, 1 - u).
    unit = np.array([[1.0, 0, 0], [0, 1, 0]])
    for _ in range(turns):
        unit = compose(np.array([[0.0, 1, 0], [-1, 0, 1]]), unit)
    if mirror:
        unit = compose(np.array([[-1.0, 0, 1], [0, 1, 0]]), unit)
    return compose(_from_unit(target), compose(unit, invert(_from_unit(source))))


def _from_unit(box: BoxPx) -> Doubles:
    left, top, right, bottom = box
    return np.array([[right - left, 0, left - 0.5], [0, bottom - top, top - 0.5]], np.float64)


def keypoint_hypotheses(a: PreparedSide, b: PreparedSide) -> list[Alignment]:
    """Alignments that enough SIFT matches agree on, upright and mirrored, the best supported first.

    Most candidates are chance neighbours; a glance at coarse keypoints, a third as dear, tells nearly all of them.
    """
    is_one_tiny = any(is_tiny(side.small_width_px, side.small_height_px) for side in (a, b))
    if not (is_one_tiny or agree_at_a_glance(a.glance, b.glance)):
        return []
    found = []
    for mirror in (False, True):
        alignment = _match(a.keypoints, b.keypoints, mirror=mirror)
        if alignment is not None:
            found.append(alignment)
    found.sort(key=lambda x: -x.inliers)
    if len(found) == 2 and found[1].inliers < 0.5 * found[0].inliers:
        found.pop()
    return found


def agree_at_a_glance(a: Keypoints, b: Keypoints) -> bool:
    """Whether coarse keypoints (`PreparedSide.glance`) leave any hope."""
    for mirror in (False, True):
        source, target = _matched(a, b, GLANCE_PLACES, mirror=mirror)
        if len(source):
            _, inside = similarity_map(source, target, GLANCE_ERROR_PX, GLANCE_ROUNDS)
            if places(target[inside]) >= GLANCE_PLACES:
                return True
    return False


def _match(a: Keypoints, b: Keypoints, *, mirror: bool) -> Alignment | None:
    source, target = _matched(a, b, MIN_INLIERS, mirror=mirror)
    if not len(source):
        return None
    m, inside = similarity_map(source, target, RANSAC_ERROR_PX, RANSAC_ROUNDS)
    if m is None:
        return None
    scale = float(np.sqrt(abs(np.linalg.det(m[:, :2]))))
    if places(target[inside]) < MIN_INLIERS or not MIN_SCALE <= scale <= MAX_SCALE:
        return None
    m[:, :2] *= _flip(mirror=mirror)
    return Alignment(m, int(inside.sum()), "features")


def _matched(a: Keypoints, b: Keypoints, least: int, *, mirror: bool) -> tuple[Floats, Floats]:
    """Places in B, mirrored if asked, and those in A that they match, both [n, 2]; empty where there are too few."""
    nothing = np.zeros((0, 2), np.float32)
    if min(len(a.points), len(b.points)) < least:
        return nothing, nothing
    descriptors = mirrored_descriptors(b.descriptors) if mirror else b.descriptors
    pairs = _mutual(a.descriptors @ descriptors.T)
    if len(pairs) < least:
        return nothing, nothing
    return b.points[pairs[:, 1]] * _flip(mirror=mirror), a.points[pairs[:, 0]]


def _flip(*, mirror: bool) -> Floats:
    return np.array([-1.0 if mirror else 1.0, 1.0], np.float32)


def similarity_map(source: Floats, target: Floats, error_px: float, rounds: int) -> tuple[Doubles | None, Mask]:
    """The similarity map that most matches agree on, and which; None when too few do."""
    found, mask = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=error_px, maxIters=rounds, confidence=0.995
    )
    inside = np.asarray(mask).ravel().astype(bool)
    if not inside.any() or np.ndim(found) != 2:  # OpenCV gives no map when too few agree
        return None, np.zeros(len(source), bool)
    return np.array(found, np.float64), inside


def places(points: Floats) -> int:
    """How many places matches are at: many of one spot (a repeated logo, one corner) support nothing."""
    return len(np.unique((points / RANSAC_ERROR_PX).round(), axis=0))


def mirrored_descriptors(descriptors: Floats) -> Floats:
    """The descriptors that the mirrored picture would have.

    SIFT's 4 × 4 × 8 bins are relative to the keypoint's direction; mirroring reverses the rows across it and the sense
    of the gradient angles.
    """
    return descriptors.take(_MIRRORED, axis=1)


def _mutual(similarity: Floats) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Pairs of rows and columns that are each other's nearest, clearly nearer than the second."""
    rows = np.arange(similarity.shape[0])
    nearest = similarity.argmax(axis=1)
    first = similarity[rows, nearest]
    second = np.partition(similarity, -2, axis=1)[:, -2]
    # For unit vectors distance² = 2 - 2 · similarity.
    is_clear = (1 - first) <= RATIO**2 * (1 - second)
    is_mutual = similarity.argmax(axis=0)[nearest] == rows
    kept = np.flatnonzero(is_clear & is_mutual)
    return np.stack([kept, nearest[kept]], axis=1).astype(np.int64)


def locally_normalised(luma: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 [h, w]: luma with its local mean and contrast taken out, so that tone edits do not look like motion."""
    size = (NORMALISE_WINDOW_PX, NORMALISE_WINDOW_PX)
    rest = luma - cv2.blur(luma, size)
    spread = np.sqrt(cv2.blur(rest * rest, size) + NORMALISE_FLOOR_LEVELS**2)
    return np.asarray(np.clip(rest / spread * 48 + 128, 0, 255), np.uint8)


def flow_between(reference: Floats, moved: Floats) -> Floats:
    """Dense optical flow, float32 [h, w, 2] px: reference(x) looks like moved(x + flow). DIS (Kroeger et al., 2016)."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # The preset stops at a quarter of the size. Where the picture has fewer scales than are asked for, OpenCV 5.0 takes
    # others by the width alone, and reads beyond a wide, low picture (a crash, seen on neighbours of a panorama).
    dis.setFinestScale(min(FINEST_SCALE, _coarsest_scale(reference.shape, dis.getPatchSize())))
    first, second = locally_normalised(reference), locally_normalised(moved)
    return np.asarray(dis.calc(first, second, np.zeros((*first.shape, 2), np.float32)), np.float32)


def _coarsest_scale(shape: tuple[int, ...], patch_px: int) -> int:
    """The coarsest halving that DIS chooses (`DISOpticalFlowImpl::calc`)."""
    by_length = int(np.log2(max(shape) / (4 * patch_px)) + 0.5)
    return max(0, min(by_length, int(np.log2(min(shape) / patch_px))))


def affine_of_flow(flow: Floats, weight: Floats) -> Doubles | None:
    """The affine map x → x + flow(x) that most of the weighted flow agrees on; None when there is too little of it.

    Iteratively reweighted least squares with Cauchy weights.
    """
    step = max(2, round((flow.shape[0] * flow.shape[1] / FLOW_SAMPLES) ** 0.5))
    ys, xs = np.mgrid[0 : flow.shape[0] : step, 0 : flow.shape[1] : step]
    base = weight[ys, xs].ravel().astype(np.float64)
    if np.count_nonzero(base) < 12:
        return None
    x, y = xs.ravel().astype(np.float64), ys.ravel().astype(np.float64)
    moved = flow[ys, xs].reshape(-1, 2).astype(np.float64)
    design = np.stack([x, y, np.ones_like(x)], axis=1)
    size = float(max(flow.shape))
    design[:, :2] /= size
    robust = base
    solution = np.zeros((3, 2))
    for _ in range(4):
        weighted = design * robust[:, None]
        normal = weighted.T @ design + np.diag([1e-3, 1e-3, 1e-6]) * robust.sum()
        solution = np.linalg.solve(normal, weighted.T @ moved)
        error = np.linalg.norm(moved - design @ solution, axis=1)
        scale = max(0.25, 1.5 * float(np.median(error[base > 0])))
        robust = base / (1 + (error / scale) ** 2)
    m = solution.T.copy()
    m[:, :2] /= size
    m[:, :2] += np.eye(2)
    return m
