"""The global change that best turns one of two aligned pictures into the other: tone, colour, sharpening.

What it leaves is local, and that is what tells a copy from another shot. Decides nothing, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dedupd.imaging.common_frame import CommonFrame, Mask, grey
from dedupd.imaging.detail import compare_bands
from dedupd.imaging.prepared_side import Floats
from dedupd.imaging.regions import Disagreement, Regions, disagreement, regions_of, tolerance
from dedupd.imaging.tone import Tone, curves_between, is_same_tone, mix_between

TONE_SAMPLES = 2000
CALM = 0.6  # left over, up to which an explanation needs no second look
FILTERED = 1.15  # detail of one over the other's, from which a filter is tried
FILTER_SIGMAS_PX = (
    0.5,
    0.6,
    0.7,
    0.85,
    1.0,
    1.2,
    1.4,
    1.7,
    2.0,
    2.4,
    2.8,
    3.4,
)  # of blurs and unsharp masks, scaled down
MIN_SHARPENING = 0.15  # strength of an unsharp mask
MAY_CLIP = 0.01  # tone change


@dataclass(frozen=True, slots=True)
class Explained:
    """An aligned pair after a global change was taken out, and where it still disagrees."""

    x: Floats  # [h, w, 3], 0 … 255
    y: Floats
    valid: Mask
    y_is_moved: bool  # y is made from the frame's `moved`, x is its `reference`; False: the other way round
    tone_change: float  # 0 … 1, mean change of all values
    may_be_clipped: bool  # the change may have clipped values, which leaves errors there
    filter_gains: tuple[float, ...] | None  # y's detail over x's by octave, before a filter was taken out
    disagreement: Disagreement
    regions: Regions

    @property
    def left_over(self) -> float:
        """What remains unexplained; only for choosing between explanations of one pair.

        The excess counts as if the median difference did not raise what is tolerated: a poor tone curve makes
        everything differ, and would hide what it should explain.
        """
        typical = self.regions.typical
        return self.regions.excess * tolerance(typical) / tolerance(0.0) + 0.2 * typical


def explain(frame: CommonFrame) -> Explained:
    """The best explanation of an aligned pair.

    A tone change is looked for in both directions: a picture turned grey or clipped can be made from the other, not
    the other way round.
    """
    first, second = _samples(frame)
    if is_same_tone(first, second):
        found = _untouched(frame)
        if found.left_over > CALM:
            found = _retoned(frame, first, second, found)
    else:
        found = _retoned(frame, first, second, None)
    return found


def _samples(frame: CommonFrame) -> tuple[Floats, Floats]:
    """Smoothed colours of the same places in both, float32 [n, 3]."""
    half = frame.valid[::2, ::2]
    picked = np.flatnonzero(half)
    if not len(picked):
        picked = np.arange(half.size)
    picked = picked[:: max(1, len(picked) // TONE_SAMPLES)]
    first, second = (
        np.asarray(cv2.pyrDown(p), np.float32).reshape(-1, 3)[picked] for p in (frame.reference, frame.moved)
    )
    return first, second


def _retoned(frame: CommonFrame, first: Floats, second: Floats, best: Explained | None) -> Explained:
    for between in (curves_between, mix_between):
        forward, backward = between(second, first), between(first, second)
        for tone, is_forward in sorted(((forward, True), (backward, False)), key=lambda pair: pair[0].error):
            found = _with_tone(frame, tone, onto_reference=is_forward)
            best = found if best is None else min(best, found, key=lambda e: e.left_over)
            if best.left_over <= CALM:
                return best
    assert best is not None
    return best


def _untouched(frame: CommonFrame) -> Explained:
    return _explained(frame.reference, frame.moved, frame.valid, y_is_moved=True, tone_change=0.0)


def _with_tone(frame: CommonFrame, tone: Tone, *, onto_reference: bool) -> Explained:
    x, before = (frame.reference, frame.moved) if onto_reference else (frame.moved, frame.reference)
    y = tone.apply(before)
    change = float(cv2.norm(y, before, cv2.NORM_L1)) / (255 * y.size)
    return _explained(x, y, frame.valid, y_is_moved=onto_reference, tone_change=change)


def _explained(
    x: Floats,
    y: Floats,
    valid: Mask,
    *,
    y_is_moved: bool,
    tone_change: float,
    filter_gains: tuple[float, ...] | None = None,
) -> Explained:
    # Outside the overlap both are made equal, so that windows at its rim see no difference there.
    inside = x.copy()
    cv2.copyTo(y, valid.view(np.uint8), inside)
    may_be_clipped = filter_gains is not None or tone_change > MAY_CLIP
    found = disagreement(x, inside, valid, may_be_clipped=may_be_clipped)
    return Explained(x, inside, valid, y_is_moved, tone_change, may_be_clipped, filter_gains, found, regions_of(found))


def filtered(found: Explained) -> Explained:
    """The pair with the blunter picture sharpened, or the sharper one blurred, where that explains it better."""
    if found.left_over <= CALM:
        return found
    x, y = grey(found.x), grey(found.y)
    ratio = _detail(y) / _detail(x)
    if 1 / FILTERED < ratio < FILTERED:
        return found
    blunt_is_x = ratio > 1
    blunt, sharp = (x, y) if blunt_is_x else (y, x)
    strength, sigma = _unsharp_mask(blunt, sharp)
    changed = []
    if strength >= MIN_SHARPENING:
        colour = found.x if blunt_is_x else found.y
        sharpened = cv2.addWeighted(colour, 1 + strength, cv2.GaussianBlur(colour, (0, 0), sigma), -strength, 0)
        changed.append((blunt_is_x, np.asarray(np.clip(sharpened, 0, 255), np.float32)))
    radius = min(FILTER_SIGMAS_PX, key=lambda s: cv2.norm(cv2.GaussianBlur(sharp, (0, 0), s), blunt, cv2.NORM_L1))
    blurred = cv2.GaussianBlur(found.y if blunt_is_x else found.x, (0, 0), radius)
    changed.append((not blunt_is_x, np.asarray(blurred, np.float32)))
    best, gains = found, compare_bands(x, y, found.valid, with_lows=False).gains
    for is_x, colour in changed:
        pair = (colour, found.y) if is_x else (found.x, colour)
        after = _explained(
            *pair, found.valid, y_is_moved=found.y_is_moved, tone_change=found.tone_change, filter_gains=gains
        )
        best = min(best, after, key=lambda e: e.left_over)
    return best


def _unsharp_mask(blunt: Floats, sharp: Floats) -> tuple[float, float]:
    """Strength and sigma of the unsharp mask that brings one luma nearest to the other."""
    wanted = sharp - blunt
    best = (float((wanted * wanted).sum()), 0.0, 1.0)
    for sigma in FILTER_SIGMAS_PX:
        mask = blunt - np.asarray(cv2.GaussianBlur(blunt, (0, 0), sigma), np.float32)
        power, shared = float((mask * mask).sum()), float((wanted * mask).sum())
        if power > 0:
            best = min(best, (float((wanted * wanted).sum()) - shared * shared / power, shared / power, sigma))
    return best[1], best[2]


def _detail(luma: Floats) -> float:
    """Root mean square of what is between 2 and 4 px."""
    half = np.asarray(cv2.pyrDown(luma), np.float32)
    band = half - np.asarray(cv2.GaussianBlur(half, (0, 0), 1.0), np.float32)
    return float(np.sqrt((band * band).mean())) + 0.5


def without(found: Explained, covered: Mask) -> Explained:
    """The pair without a place that is explained otherwise: it counts as outside the overlap.

    Args:
        found: the pair.
        covered: [h, w], True where the pictures are not compared.
    """
    y = found.y.copy()
    cv2.copyTo(found.x, covered.view(np.uint8), y)
    valid = found.valid & ~covered
    again = disagreement(found.x, y, valid, may_be_clipped=found.may_be_clipped)
    return replace(found, y=y, valid=valid, disagreement=again, regions=regions_of(again))
