"""Where the picture proper is inside a picture: border boxes, plain and tolerant of text on the border.

Does not cut or resize pixels, and decides nothing about duplicates; a wrong box costs recall only. Stateless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dedupd.core.arrays import Pixels

Lines = npt.NDArray[np.uint8]  # [3, samples, lines]: RGB planes, the lines along the last axis
Mask = npt.NDArray[np.bool_]
# Lines and a tolerance → first and last-plus-one line kept; None where no outermost line is border, be it stricter.
KeptLines = Callable[[Lines, int], tuple[int, int] | None]

SEARCH_SIDE_PX = 192  # long side at which boxes are looked for; half a percent of the picture is fine enough

# Two passes, as a pillar box can hide a letter box. The second stands on the photo's own edge more often than not, so
# it takes only what is as flat as drawn borders are: a clear sky spreads by 10 and more.
FLAT_RANGES = (25, 8)  # of 255: the most a border line spreads in a channel, by pass; JPEG ringing stays below 25
SAME_COLOUR = 10  # of 255: how far the mean of a border line may be from that of the outermost line (measured)
MAX_TRIM_SHARE = 0.42  # of a side, at either end: what is left is at least a sixth of the picture

BACKGROUND_DISTANCES = (8, 4)  # of 255, by pass: a pixel this near the outermost line's colour is background
BACKGROUND_EDGE_SHARE = 0.9  # of the outermost line: below, it has no one colour and nothing is cut
BACKGROUND_SHARE = 0.5  # of a line: from here it is background with text on it, below it belongs to the picture
GAP_SHARE = 0.98  # of a line: empty background; a photo's own line may be half of that colour (a sky, a white wall)
MIN_KEPT_SHARE = 0.12  # of a side: the photo in a phone's screenshot is rarely less


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelBox:
    """A rectangle of whole pixels: rows top … bottom - 1, columns left … right - 1. Never empty."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """The parts of a picture that may be the picture proper; equal ones are equal boxes."""

    whole: PixelBox
    trimmed: PixelBox  # without uniform borders
    body: PixelBox  # without everything around the largest body of lines that is not background


def find_boxes(pixels: Pixels) -> Boxes:
    """The whole picture, what is left without borders, and what is left without captions, bars and buttons too.

    Args:
        pixels: uint8 [height, width, 3], neither side 0.
    """
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // SEARCH_SIDE_PX)
    offset = step // 2 if min(height, width) > step else 0
    planes = np.ascontiguousarray(pixels[offset::step, offset::step].transpose(2, 0, 1))
    start = PixelBox(top=0, bottom=planes.shape[1], left=0, right=planes.shape[2])

    def full_size(box: PixelBox) -> PixelBox:
        return PixelBox(
            top=box.top * step,
            bottom=height if box.bottom == start.bottom else box.bottom * step,
            left=box.left * step,
            right=width if box.right == start.right else box.right * step,
        )

    return Boxes(
        whole=full_size(start),
        trimmed=full_size(_shrink(planes, start, _flat_ends, FLAT_RANGES)),
        body=full_size(_shrink(planes, start, _longest_body, BACKGROUND_DISTANCES)),
    )


def differs(a: PixelBox, b: PixelBox, share: float) -> bool:
    """Whether an edge of the two boxes is further apart than a share of box a's side."""
    rows = max(abs(a.top - b.top), abs(a.bottom - b.bottom))
    columns = max(abs(a.left - b.left), abs(a.right - b.right))
    return rows > share * a.height or columns > share * a.width


def _shrink(planes: Lines, box: PixelBox, kept: KeptLines, tolerances: tuple[int, ...]) -> PixelBox:
    """Apply a rule to rows, then to columns, once for each tolerance, the strictest last."""
    for tolerance in tolerances:
        part = planes[:, box.top : box.bottom, box.left : box.right]
        rows = kept(part.transpose(0, 2, 1), tolerance)
        if rows is not None:
            box = PixelBox(top=box.top + rows[0], bottom=box.top + rows[1], left=box.left, right=box.right)
        columns = kept(planes[:, box.top : box.bottom, box.left : box.right], tolerance)
        if columns is not None:
            box = PixelBox(top=box.top, bottom=box.bottom, left=box.left + columns[0], right=box.left + columns[1])
        if rows is None and columns is None:
            break  # as for most photographs
    return box


def _flat_ends(lines: Lines, flat_range: int) -> tuple[int, int] | None:
    """First and last-plus-one line that is left without flat lines of one colour at either end."""
    count = lines.shape[2]
    ends = lines[:, :, [0, -1]]
    if np.ptp(ends, axis=1).max(axis=0).min() > flat_range:
        return None
    is_flat = np.ptp(lines, axis=1).max(axis=0) <= flat_range
    mean = lines.mean(axis=1, dtype=np.float32)
    limit = int(MAX_TRIM_SHARE * count)
    return _run(is_flat, mean, limit), count - _run(is_flat[::-1], mean[:, ::-1], limit)


def _run(is_flat: Mask, mean: npt.NDArray[np.float32], limit: int) -> int:
    """How many lines from the first on are flat and of the first one's colour, up to a limit."""
    is_border = is_flat[:limit] & (np.abs(mean[:, :limit] - mean[:, :1]) <= SAME_COLOUR).all(axis=0)
    return limit if is_border.all() else int(np.argmin(is_border))


def _longest_body(lines: Lines, distance: int) -> tuple[int, int] | None:
    """First and last-plus-one of the longest run of lines that are not background."""
    count = lines.shape[2]
    shares = [found for edge in (0, -1) if (found := _background_shares(lines, edge, distance)) is not None]
    if not shares:
        return None
    share = np.max(shares, axis=0)
    is_background = _without_gaps(share >= BACKGROUND_SHARE, share >= GAP_SHARE)
    starts, ends = _runs(~is_background)
    if not is_background.any() or not starts.size:
        return 0, count
    longest = int(np.argmax(ends - starts))
    start, end = int(starts[longest]), int(ends[longest])
    return (start, end) if end - start >= MIN_KEPT_SHARE * count else (0, count)


def _without_gaps(is_background: Mask, is_empty: Mask) -> Mask:
    """Background but for the runs inside a picture: what lies around a picture has an empty line, or the outermost."""
    kept = is_background.copy()
    for start, end in zip(*_runs(is_background), strict=True):
        if start > 0 and end < len(kept) and not is_empty[start:end].any():
            kept[start:end] = False
    return kept


def _runs(mask: Mask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """First and last-plus-one of each run of True."""
    turns = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return turns[::2], turns[1::2]


def _background_shares(lines: Lines, edge: int, distance: int) -> npt.NDArray[np.float64] | None:
    """Share of each line that has the colour of the first (0) or last (-1) one; None if that has no one colour."""
    edge_line = lines[:, :, edge]
    colour = _medians(edge_line)[:, None]
    low = np.clip(colour - distance, 0, 255).astype(np.uint8)
    high = np.clip(colour + distance, 0, 255).astype(np.uint8)
    if ((edge_line >= low) & (edge_line <= high)).all(axis=0).mean() < BACKGROUND_EDGE_SHARE:
        return None
    low, high = low[:, :, None], high[:, :, None]
    share: npt.NDArray[np.float64] = ((lines >= low) & (lines <= high)).all(axis=0).mean(axis=0)
    return share


def _medians(rows: Lines) -> npt.NDArray[np.float64]:
    """Median of each row, as `np.median` gives it at five times the cost."""
    ordered = np.sort(rows, axis=1)
    middle = ordered.shape[1] // 2
    low = ordered[:, middle - 1 if ordered.shape[1] % 2 == 0 else middle]
    both: npt.NDArray[np.float64] = (low.astype(np.float64) + ordered[:, middle]) / 2
    return both
