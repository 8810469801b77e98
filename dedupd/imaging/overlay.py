"""Text or a watermark that was laid over one of two aligned pictures, told from things that changed in the scene.

What is laid over a picture moves it towards one colour, in thin strokes that form lines of writing, and leaves the rest
as it was; a changed scene goes both ways, in patches. Forms, screens and other graphics are left out: there, added
writing is another document. Decides nothing, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dedupd.imaging.common_frame import Mask, grey
from dedupd.imaging.explanation import Explained
from dedupd.imaging.prepared_side import BoxPx, Floats

WEAK = 0.45  # ratio to the tolerated difference, from which a place beside a bad one belongs to it
FAINT = 0.25  # ratio in the row of a line of writing, from which a place belongs to it
REACH_PX = 3  # around bad places that are taken along: strokes' soft edges
MAX_SHARE = 0.30  # of the overlap; more than that is another picture
MIN_OPACITY = 0.06  # below, what is left cannot be told from compression
MAX_UNEXPLAINED = 0.10  # of the difference's energy; JPEG's ringing around strokes leaves 0.03 … 0.07
MAX_AGAINST = 0.05  # of the energy that goes away from the colour, where there is no outline
MAX_STRAY = 0.06  # of the energy outside the lines of writing
SAME_COLOUR_LEVELS = 60.0  # of 255 in each channel
MAX_VANISHED = 0.15  # of the energy that goes the other way, from places that had the colour before
MIN_OUTLINED_LEVEL = 128.0  # dark writing has no dark outline
MANY_LINES = 4  # from which on writing is a mark repeated all over, whose pieces at the edges form no line
GROUND_SIGMA_PX = 8.0  # around writing, over which the ground under it is estimated
# Energy that stands out from the ground where something was added, over that before: 0.9 and more; where it went: 0.65
ADDED_OVER_BEFORE = 0.75
OUTLINE_PX = 4  # how far an outline or shadow reaches from the strokes
SPACINGS_PX = (7, 13, 25)  # gaps between letters that are closed to find lines of writing
MAX_LINE_SHARE = 0.3  # height of a line of writing, of the picture's
MIN_LINE_PX = 4
MIN_LINE_ASPECT = 3.5  # a changed number or a thing that moved is shorter
MIN_STROKES = 6.0  # rising edges in a row of writing: four letters or more
STROKES_IN_A_SQUARE = 0.5  # rising edges in a row of writing, for each height of the line along it
FILL = (0.08, 0.75)  # strokes' share of their line's box
MODE_SHARE = 0.45  # of all pixels within a level of the commonest: a page, a screen, a drawing; photos stay below

_BLACK, _WHITE = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Writing on one of two pictures, in pixels of the common frame."""

    covered: Mask  # [h, w], True within its lines: what lies between the letters cannot be judged
    boxes: tuple[BoxPx, ...]  # of its lines, the largest first
    is_on_y: bool
    share: float  # 0 … 1 of the overlap


@dataclass(frozen=True, slots=True)
class _Blend:
    """How far an added colour, with or without a dark outline, explains a difference."""

    opacity: Floats  # [n], 0 … 1
    outlined: bool


@dataclass(frozen=True, slots=True)
class _Change:
    """What one picture has more than the other, at the suspected places."""

    added: Floats  # [n, 3]
    under: Floats  # [n, 3], the other picture
    energy: Floats  # [n]


def find_overlay(found: Explained) -> Overlay | None:
    """The writing that explains where a pair disagrees; None when the disagreement is something else."""
    suspected = _suspected(found)
    share = float(np.count_nonzero(suspected)) / max(1, int(np.count_nonzero(found.valid)))
    if not 0 < share <= MAX_SHARE or _is_graphic(found):
        return None
    # On an even ground, writing in one and ground over that writing in the other explain a pair equally well.
    likelier_on_y = _edges(found.y, suspected) >= _edges(found.x, suspected)
    for is_on_y in (likelier_on_y, not likelier_on_y):
        carrier, base = (found.y, found.x) if is_on_y else (found.x, found.y)
        lines = _lines_on(carrier, base, suspected)
        if lines is None:
            continue
        covered = _covered(lines, found)
        return Overlay(covered, lines, is_on_y, float(np.count_nonzero(covered & found.valid) / found.valid.sum()))
    return None


def _covered(lines: tuple[BoxPx, ...], found: Explained) -> Mask:
    """The lines of writing, and what is faintly different in their rows: a mark repeated, or cut by the edge."""
    shape = found.valid.shape
    faint = _grown_from(found.disagreement.ratio > FAINT, found.valid)
    return _boxes(lines, shape) | (_rows(lines, shape) & faint)


def _boxes(lines: tuple[BoxPx, ...], shape: tuple[int, ...]) -> Mask:
    inside = np.zeros(shape, np.bool_)
    for left, top, right, bottom in lines:
        inside[top:bottom, left:right] = True
    return inside


def _rows(lines: tuple[BoxPx, ...], shape: tuple[int, ...]) -> Mask:
    """The lines, reaching from edge to edge in the direction of their writing."""
    inside = np.zeros(shape, np.bool_)
    for left, top, right, bottom in lines:
        if bottom - top < right - left:
            inside[top:bottom] = True
        else:
            inside[:, left:right] = True
    return inside


def _suspected(found: Explained) -> Mask:
    """Places that disagree and what hangs together with them, grown by the reach of a stroke's edge."""
    ratio = found.disagreement.ratio
    weak = np.asarray(ratio > WEAK, np.uint8)
    _, labels = cv2.connectedComponents(weak, connectivity=8)
    hit = np.unique(labels[(ratio > 1) & (weak > 0)])
    kept = np.isin(labels, hit[hit > 0]).astype(np.uint8)
    return _grown_from(kept, found.valid)


def _edges(picture: Floats, suspected: Mask) -> float:
    """Sum of the gradients' squares at the suspected places: writing adds edges to whatever it is laid over."""
    luma = grey(picture)
    gx, gy = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    return float((gx * gx + gy * gy)[suspected].sum())


def _grown_from(half: npt.NDArray[np.generic], valid: Mask) -> Mask:
    """Places of the halved picture and what a stroke's soft edge reaches around them, in the full one."""
    size = (valid.shape[1], valid.shape[0])
    full = np.asarray(cv2.resize(half.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.uint8)
    side = 2 * REACH_PX + 1
    return np.asarray(cv2.dilate(full, np.ones((side, side), np.uint8)).astype(np.bool_) & valid)


def _is_graphic(found: Explained) -> bool:
    """Whether one colour covers much of the picture, as paper or a program's window does."""
    for picture in (found.x, found.y):
        counts = np.bincount(grey(picture)[found.valid].astype(np.uint8), minlength=258).astype(np.float64)
        around = counts[:-2] + counts[1:-1] + counts[2:]
        if around.max() > MODE_SHARE * counts.sum():
            return True
    return False


def _lines_on(carrier: Floats, base: Floats, suspected: Mask) -> tuple[BoxPx, ...] | None:
    """Boxes of the lines of writing on `carrier`, when writing is all that it has more than `base`."""
    at = np.nonzero(suspected)
    added, under = (carrier - base)[at], base[at]
    change = _Change(added, under, (added * added).sum(axis=1))
    for colour in (_WHITE, _estimated_colour(change), _BLACK):
        blend = _blend(change, colour)
        if blend is None:
            continue
        strokes = np.zeros_like(suspected)
        strokes[at] = blend.opacity > 0.5 * _plateau(blend.opacity, change.energy)
        lines = _writing(strokes)
        if lines is None:
            continue
        inside = _rows(lines, suspected.shape) if len(lines) >= MANY_LINES else _boxes(lines, suspected.shape)
        if float(change.energy[~inside[at]].sum()) > MAX_STRAY * float(change.energy.sum()):
            continue
        if blend.outlined and (
            not _outline_follows(strokes, change, colour, at) or _was_replaced(carrier, base, suspected)
        ):
            continue
        return lines
    return None


def _estimated_colour(change: _Change) -> Colour:
    """The colour that the strongest changes go to: over them, carrier = (1 - opacity) · base + opacity · colour."""
    strong = change.energy >= np.percentile(change.energy, 75)
    below = change.under[strong]
    total = below + change.added[strong]
    mean_total, mean_below = total.mean(axis=0), below.mean(axis=0)
    spread = float(((below - mean_below) ** 2).sum())
    slope = float(((below - mean_below) * (total - mean_total)).sum()) / spread if spread > 0 else 0.0
    slope = float(np.clip(slope, 0.0, 0.9))
    colour = np.clip((mean_total - slope * mean_below) / (1 - slope), 0, 255)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def _blend(change: _Change, colour: Colour) -> _Blend | None:
    """The change as a blend with a colour; None when that leaves too much unexplained."""
    energy, total = change.energy, float(change.energy.sum())
    opacity, rest = _towards(change, colour)
    is_against = opacity < 0
    left = np.where(is_against, energy, rest)
    outlined = False
    if float(left.sum()) > MAX_UNEXPLAINED * total or float(energy[is_against].sum()) > MAX_AGAINST * total:
        if max(colour) < MIN_OUTLINED_LEVEL:
            return None
        darkness, dark_rest = _towards(change, _BLACK)
        left = np.where((darkness > 0) & (opacity <= 0), dark_rest, left)
        outlined = True
        if float(left.sum()) > MAX_UNEXPLAINED * total:
            return None
    return _Blend(np.clip(opacity, 0, 1), outlined)


def _towards(change: _Change, colour: Colour) -> tuple[Floats, Floats]:
    """How far each change goes towards a colour (1: all the way), and the energy that this leaves."""
    way = np.asarray(colour, np.float32) - change.under
    length = (way * way).sum(axis=1) + np.float32(25.0)  # 25: where the base has the colour already, nothing shows
    opacity = (change.added * way).sum(axis=1) / length
    rest = change.added - np.clip(opacity, 0, 1)[:, None] * way
    return opacity.astype(np.float32), (rest * rest).sum(axis=1).astype(np.float32)


def _plateau(opacity: Floats, energy: Floats) -> float:
    """The opacity of the strokes' middle."""
    strong = opacity[energy >= np.percentile(energy, 60)]
    return max(MIN_OPACITY, float(np.percentile(strong, 80)))


def _writing(strokes: Mask) -> tuple[BoxPx, ...] | None:
    """Boxes of lines of writing, the largest first; None when too little of the strokes forms lines."""
    picture = strokes.astype(np.uint8)
    total = int(picture.sum())
    if total < 12:
        return None
    for spacing in SPACINGS_PX:
        for upright in (False, True):
            drawn = picture.T if upright else picture
            closed = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((3, spacing), np.uint8))
            _, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(closed, np.uint8), connectivity=8)
            lines = [s for i, s in enumerate(stats) if i and _is_line(drawn, np.asarray(labels, np.int32), i, s)]
            if not lines:
                continue
            lines.sort(key=lambda s: -int(s[cv2.CC_STAT_AREA]))
            boxes = tuple(_grown(s, drawn.shape) for s in lines)
            covered = np.zeros_like(drawn)
            for left, top, right, bottom in boxes:
                covered[top:bottom, left:right] = 1
            if int((drawn & covered).sum()) >= 0.9 * total:
                return tuple((top, left, bottom, right) for left, top, right, bottom in boxes) if upright else boxes
    return None


def _grown(stats: npt.NDArray[np.int32], shape: tuple[int, ...]) -> BoxPx:
    """A line's box with room for accents, descenders and outlines."""
    left, top, width, height = (int(stats[i]) for i in range(4))
    room = max(REACH_PX + OUTLINE_PX, height // 3)
    return (
        max(0, left - room),
        max(0, top - room),
        min(shape[1], left + width + room),
        min(shape[0], top + height + room),
    )


def _is_line(strokes: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32], label: int, stats: object) -> bool:
    left, top, width, height = (int(stats[i]) for i in range(4))  # type: ignore[index]
    if height < MIN_LINE_PX or height > MAX_LINE_SHARE * strokes.shape[0] or width < MIN_LINE_ASPECT * height:
        return False
    box = (slice(top, top + height), slice(left, left + width))
    own = strokes[box] & (labels[box] == label)
    if not FILL[0] <= float(own.mean()) <= FILL[1]:
        return False
    middle = own[height // 5 : height - height // 5].astype(np.int8)
    rising = float((np.diff(middle, axis=1, prepend=0) > 0).sum(axis=1).mean())
    return rising >= max(MIN_STROKES, STROKES_IN_A_SQUARE * width / height)


def _outline_follows(strokes: Mask, change: _Change, colour: Colour, at: tuple[npt.NDArray[np.intp], ...]) -> bool:
    """Whether all that went the other way hugs the strokes, as an outline or a shadow does, and was no stroke before.

    Where a number was replaced by another, strokes of the old one went away: there the base had the colour.
    """
    side = 2 * OUTLINE_PX + 1
    near = np.asarray(cv2.dilate(strokes.astype(np.uint8), np.ones((side, side), np.uint8)), np.bool_)
    darker = change.added.sum(axis=1) < 0
    away = darker & ~near[at]
    had_colour = np.abs(change.under - np.asarray(colour, np.float32)).max(axis=1) < SAME_COLOUR_LEVELS
    energy = change.energy
    if float(energy[away].sum()) > MAX_AGAINST * float(energy.sum()):
        return False
    return float(energy[darker & had_colour].sum()) <= MAX_VANISHED * float(energy[darker].sum())


def _was_replaced(carrier: Floats, base: Floats, suspected: Mask) -> bool:
    """Whether places became lighter or darker because something went away from there, as where a text is another now.

    Letters and their outline stand out from the ground; where old letters vanished, the ground is what came.
    """
    free = (~suspected).astype(np.float32)
    weight = cv2.GaussianBlur(free, (0, 0), GROUND_SIGMA_PX) + np.float32(1e-6)
    known = cv2.GaussianBlur(base * free[..., None], (0, 0), GROUND_SIGMA_PX)
    ground = (known / np.asarray(weight)[..., None])[suspected]
    after, before = carrier[suspected], base[suspected]
    is_lighter = (after - before).sum(axis=1) > 0
    came, went = (((side - ground) ** 2).sum(axis=1) for side in (after, before))
    return any(
        float(came[part].sum()) < ADDED_OVER_BEFORE * float(went[part].sum()) for part in (is_lighter, ~is_lighter)
    )
