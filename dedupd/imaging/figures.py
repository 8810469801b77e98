"""The usual figures of an aligned pair: MSE, SSIM, matching keypoints, before and after tone mapping.

Decides nothing: the literature's figures are for people who know them, the decision looks at the evidence. Keeps no
state.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.core.illustration import Figures
from dedupd.imaging.common_frame import CommonFrame, Mask, grey
from dedupd.imaging.prepared_side import Doubles, Floats, PreparedSide

SSIM_WINDOW_PX, SSIM_SIGMA_PX = 11, 1.5  # Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, 2004
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the same
NEAREST_RATIO = 0.8  # Lowe 2004: nearest to second nearest distance
AGREEING_PX = 3.0  # of a small image; RANSAC's tolerance for SIFT keypoints
_TONE_SAMPLE = 6000  # pixels; more change the curve by less than a level
_WORTH_LEVELS = 0.5  # of the median difference; by a median, as something added in one place must not bend the curve
_TONE_STEPS, _LEAST_IN_STEP = 40, 12  # of the curve, and pixels in each: enough for a median


def figures_of(a: PreparedSide, b: PreparedSide, frame: CommonFrame, b_to_a: Doubles) -> Figures | None:
    """The figures of a pair.

    Args:
        a: one picture.
        b: the other.
        frame: both on each other; which of them is the reference does not matter.
        b_to_a: float64 [2, 3], maps B's small-image pixels onto A's.

    Returns:
        None where no window lies inside both pictures.
    """
    core = _whole_windows(frame.valid)
    if not core.any():
        return None
    reference, moved = grey(frame.reference), grey(frame.moved)
    toned = toned_to(moved, reference, frame.valid)
    matches, agreeing = _keypoint_matches(a, b, b_to_a)
    rows, columns = np.flatnonzero(frame.valid.any(axis=1)), np.flatnonzero(frame.valid.any(axis=0))
    return Figures(
        width_px=int(columns[-1] - columns[0] + 1),
        height_px=int(rows[-1] - rows[0] + 1),
        mse=_mse(reference, moved, frame.valid),
        ssim=float(ssim_map(reference, moved)[core].mean()),
        toned_mse=_mse(reference, toned, frame.valid),
        toned_ssim=float(ssim_map(reference, toned)[core].mean()),
        keypoints_a=len(a.keypoints.points),
        keypoints_b=len(b.keypoints.points),
        matches=matches,
        agreeing=agreeing,
    )


def toned_to(luma: Floats, target: Floats, valid: Mask) -> Floats:
    """`luma` after the one rising curve that brings it nearest to `target`; unchanged where none helps.

    The curve is the running median of the target over the luma, so that what differs locally stays different.

    Args:
        luma: float32 [h, w], 0 … 255.
        target: the same size, aligned.
        valid: bool [h, w], where both show something.
    """
    places = np.flatnonzero(valid)
    places = places[:: max(1, len(places) // _TONE_SAMPLE)]
    each = len(places) // _TONE_STEPS
    if each < _LEAST_IN_STEP:
        return luma
    source, wanted = (np.asarray(cv2.blur(x, (5, 5)), np.float32).ravel()[places] for x in (luma, target))
    order = np.argsort(source, kind="stable")[: each * _TONE_STEPS].reshape(_TONE_STEPS, each)
    knots = np.median(source[order], axis=1)
    values = np.maximum.accumulate(np.median(wanted[order], axis=1))
    inner = np.interp(luma, knots, values)
    # Beyond what the sample shows, the curve goes on at the slope of "no change".
    toned = inner + np.minimum(luma - knots[0], 0) + np.maximum(luma - knots[-1], 0)
    toned = np.clip(toned, 0, 255).astype(np.float32)
    before, after = (float(np.median(np.abs(x - target)[valid])) for x in (luma, toned))
    return toned if after < before - _WORTH_LEVELS else luma


def ssim_map(x: Floats, y: Floats) -> Floats:
    """Structural similarity at each pixel of two lumas 0 … 255, float32 [h, w], -1 … 1."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x * mean_x
    var_y = _windowed(y * y) - mean_y * mean_y
    covariance = _windowed(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + SSIM_C1) / (mean_x * mean_x + mean_y * mean_y + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (var_x + var_y + SSIM_C2)
    return np.asarray(brightness * structure, np.float32)


def _windowed(values: npt.NDArray[np.generic]) -> Doubles:
    # In doubles: a variance is the small difference of two large numbers.
    size = (SSIM_WINDOW_PX, SSIM_WINDOW_PX)
    return np.asarray(cv2.GaussianBlur(values.astype(np.float64), size, SSIM_SIGMA_PX, borderType=cv2.BORDER_REFLECT))


def _whole_windows(valid: Mask) -> Mask:
    """Where a whole window is valid, the picture's rim left out."""
    padded = np.pad(valid, 1).astype(np.uint8)
    eroded = cv2.erode(padded, np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX), np.uint8), borderValue=0)
    return np.asarray(eroded[1:-1, 1:-1], np.bool_)


def _mse(x: Floats, y: Floats, valid: Mask) -> float:
    return float(np.square((x - y).astype(np.float64))[valid].mean())


def _keypoint_matches(a: PreparedSide, b: PreparedSide, b_to_a: Doubles) -> tuple[int, int]:
    """How many keypoints are each other's nearest, and how many of those lie where the alignment says."""
    is_mirrored = float(np.linalg.det(b_to_a[:, :2])) < 0
    # SIFT describes a mirrored corner differently, so a mirrored picture is looked at in a mirror.
    seen = PreparedSide(b.small[:, ::-1], b.width_px, b.height_px) if is_mirrored else b
    of_a, of_b = a.keypoints, seen.keypoints
    if min(len(of_a.points), len(of_b.points)) < 2:
        return 0, 0
    nearness = of_a.descriptors @ of_b.descriptors.T  # cosine of unit vectors: distance² = 2 - 2 cosine
    pairs = np.argwhere(_is_clear(nearness) & _is_clear(nearness.T).T)
    points_b = of_b.points[pairs[:, 1]].astype(np.float64)
    if is_mirrored:
        points_b[:, 0] = b.small_width_px - 1 - points_b[:, 0]
    moved = points_b @ b_to_a[:, :2].T + b_to_a[:, 2]
    apart = np.linalg.norm(moved - of_a.points[pairs[:, 0]], axis=1)
    scale = max(1.0, float(np.sqrt(abs(np.linalg.det(b_to_a[:, :2])))))  # an enlarged B is as imprecise as it is large
    return len(pairs), int((apart <= AGREEING_PX * scale).sum())


def _is_clear(nearness: Floats) -> Mask:
    """True at each row's nearest column where it is clearly nearer than the second, bool [n, m]."""
    order = np.argpartition(-nearness, 1, axis=1)[:, :2]
    best = np.sort(np.take_along_axis(nearness, order, axis=1), axis=1)[:, ::-1]
    first, second = (np.sqrt(np.maximum(2 - 2 * best[:, i], 0)) for i in (0, 1))
    is_clear = np.zeros(nearness.shape, np.bool_)
    rows = np.flatnonzero(first <= NEAREST_RATIO * second)
    is_clear[rows, np.argmax(nearness[rows], axis=1)] = True
    return is_clear
