"""How good a copy of its picture a content is, as one number with the parts that it is made of.

Only comparable between duplicates of one picture: a detailed photo stands above a plain one. Looks at records only; a
sum, so that the order of any number of copies has no circles and does not hang on the order of their arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dedupd.core.records import ContentRecord

# What a JPEG of each quality takes against one of quality 75, as a logarithm: how much it tells. Above 88 nobody sees
# a difference, and a copy saved at 92 holds no more than its original at 90.
_QUALITIES = (
    (10, -1.4),
    (30, -0.65),
    (40, -0.5),
    (50, -0.36),
    (60, -0.25),
    (70, -0.09),
    (75, 0.0),
    (80, 0.12),
    (88, 0.4),
)
LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "RAW"})
_CONVERSIONS = frozenset({"WEBP", "AVIF", "GIF"})  # what no camera writes
_FRAMED = 0.02  # share of the picture; below it is rather the photo's own edge
_NOISY = 2.0  # grey levels at the small image's scale; camera photos stay below
_GREY = 1.0  # grey levels between channels
_LEAST_FULL = 0.3  # of the logarithm; a difference beyond is the picture's own …
_FULL = -0.06  # … as it is above this, which nine of ten first saves have
_USUAL_FINE_COLOUR = 3.5  # logarithm, the median of photos; for pictures that were scaled while decoding
_SHARPNESS = 10.0  # variance of the Laplacian; what is less is smooth
_SOFT = -0.5  # crispness; nine of ten photos at their own resolution are above it
_SOFT_COSTS = 3.5  # an enlargement by two lowers the crispness by 0.4 below `_SOFT` and quadruples the pixels
_FULL_CHROMA_FROM = 85  # JPEG quality below which colour loses more to its coarse steps than to its resolution

# Sizes of screens, px: what has one and no camera's name is rather a screenshot.
_SCREENS = frozenset({
    (768, 1366), (1080, 1920), (1440, 2560), (2160, 3840), (900, 1440), (800, 1280), (1050, 1680), (1800, 2880),
    (864, 1536), (1200, 1920), (1600, 2560),
})  # fmt: skip
_PHONE_WIDTHS = frozenset({720, 750, 828, 1080, 1125, 1170, 1179, 1206, 1242, 1284, 1290, 1320, 1440})
_PHONE_ASPECT = 1.77


@dataclass(frozen=True, slots=True)
class Part:
    """One reason to prefer a content, what it counts, and its words towards another that has less of it."""

    points: Callable[[ContentRecord], float]  # higher is better
    words: Callable[[ContentRecord, ContentRecord], str]  # (the better, the worse)
    is_quality: bool = False  # about how well the pixels are kept, whatever their number, format and notes


def standing(content: ContentRecord) -> float:
    """The sum of all parts."""
    return sum(part.points(content) for part in PARTS)


def strongest_part(better: ContentRecord, worse: ContentRecord, parts: Sequence[Part] | None = None) -> Part:
    """The part that speaks most for one content against another, of all or of some."""
    return max(parts or PARTS, key=lambda part: part.points(better) - part.points(worse))


def quality_points(content: ContentRecord) -> float:
    """The sum of the parts that are about quality alone."""
    return sum(part.points(content) for part in QUALITY_PARTS)


def richness(content: ContentRecord) -> int:
    """How much the camera's notes tell: 0 … 7."""
    capture = content.capture
    known = (capture.taken_at_ms, capture.model, capture.exposure_s, capture.serial, capture.image_id)
    return sum(value is not None for value in known) + 2 * capture.has_gps


def _has_origin(content: ContentRecord) -> bool:
    """Whether anything is left of what a camera or a person wrote; saving again tends to lose all of it."""
    return content.capture.has_notes or richness(content) > 0


def true_resolution(content: ContentRecord) -> float:
    """Logarithm of the pixels that hold detail: not a border drawn around them, not what enlarging made up."""
    own = content.width_px * content.height_px * (1.0 - content.quality.frame_share)
    crispness = content.quality.crispness
    soft = 0.0 if crispness is None else min(0.0, crispness - _SOFT)
    return math.log(max(1.0, own)) + _SOFT_COSTS * soft


def _lowest_quality(content: ContentRecord) -> int:
    """Of all compressions that the pixels are known to have gone through."""
    quality = content.quality
    found = [q for q in (quality.jpeg_quality, quality.earlier_jpeg_quality) if q is not None]
    return min(found, default=_QUALITIES[-1][0])


def _kept_by_compression(content: ContentRecord) -> float:
    lowest = _lowest_quality(content)
    for (low, at_low), (high, at_high) in pairwise(_QUALITIES):
        if lowest <= high:
            return at_low + (at_high - at_low) * (lowest - low) / (high - low)
    return _QUALITIES[-1][1]


def was_saved_before(content: ContentRecord) -> bool:
    """Whether the pixels show that they went through a coarser JPEG than the file is, if it is one at all."""
    return content.quality.earlier_jpeg_quality is not None


def _is_by_a_camera(content: ContentRecord) -> bool:
    return content.capture.model is not None


def is_conversion(content: ContentRecord) -> bool:
    """Whether it has a format that no camera writes, or that none wrote here."""
    return content.format in _CONVERSIONS or (content.format in {"HEIF", "AVIF"} and not _is_by_a_camera(content))


def _looks_like_a_screen(content: ContentRecord) -> bool:
    short, long = sorted((content.width_px, content.height_px))
    is_screen = (short, long) in _SCREENS or (short in _PHONE_WIDTHS and long >= _PHONE_ASPECT * short)
    return is_screen and not _is_by_a_camera(content)


def _drawn(content: ContentRecord) -> float:
    return max(0.0, content.quality.drawn_share - content.quality.frame_share)


def _fullness(content: ContentRecord) -> float:
    return max(-_LEAST_FULL, min(_FULL, math.log(max(content.quality.fullness, 1e-3))))


def _fine_colour(content: ContentRecord) -> float:
    energy = content.quality.fine_colour
    return math.log(energy + 0.01) if energy else _USUAL_FINE_COLOUR


def _has_fine_colour(content: ContentRecord) -> bool:
    return content.quality.has_full_chroma and (content.quality.jpeg_quality or 0) >= _FULL_CHROMA_FROM


def _noise(content: ContentRecord) -> float:
    return max(0.0, math.log(max(content.quality.noise, _NOISY) / _NOISY))


def _size(content: ContentRecord) -> str:
    return f"{content.width_px}×{content.height_px}"


# The points were fitted to pairs of an original and a copy (benchmarks/keepers.py, the half for tuning and a set of own
# making), with a pull towards small ones, and rounded. One point: the odds are 2.7 to 1.
PARTS = (
    Part(
        lambda c: 3.3 * true_resolution(c),
        lambda a, b: f"higher true resolution, {_size(a)} against {_size(b)}",
    ),
    Part(lambda c: 0.3 * math.log(max(1000, c.quality.detail_bytes)), lambda _a, _b: "more true detail"),
    Part(
        lambda c: 1.9 * _kept_by_compression(c),
        lambda a, b: f"better JPEG quality, {_lowest_quality(a)} against {_lowest_quality(b)}",
        is_quality=True,
    ),
    Part(
        lambda c: -4.0 * was_saved_before(c),
        lambda _a, b: f"the other shows traces of an earlier JPEG of quality {b.quality.earlier_jpeg_quality}",
        is_quality=True,
    ),
    Part(
        lambda c: 27.0 * _fullness(c),
        lambda _a, _b: "the other takes fewer bytes than a first save at its quality",
        is_quality=True,
    ),
    Part(lambda c: 1.4 * _fine_colour(c), lambda _a, _b: "finer detail in colour", is_quality=True),
    Part(lambda c: 2.5 * _has_fine_colour(c), lambda _a, _b: "colour at full resolution", is_quality=True),
    Part(lambda c: -5.0 * _noise(c), lambda _a, _b: "less noise", is_quality=True),
    Part(
        lambda c: -0.6 * math.log(c.quality.sharpness + _SHARPNESS),
        lambda _a, _b: "nothing added to it, nor sharpened",
        is_quality=True,
    ),
    Part(
        lambda c: -12.0 * c.quality.clipped_share, lambda _a, _b: "less of it is pure black or white", is_quality=True
    ),
    Part(lambda c: -8.0 * _drawn(c), lambda _a, _b: "less drawn around the photo"),
    Part(lambda c: -7.0 * _looks_like_a_screen(c), lambda _a, _b: "the other has the size of a screen"),
    Part(lambda c: -3.0 * (c.quality.colour < _GREY), lambda _a, _b: "in colour"),
    Part(lambda c: -5.0 * is_conversion(c), lambda _a, b: f"the other is a conversion to {b.format}"),
    Part(lambda c: 1.0 * (c.format in LOSSLESS and not was_saved_before(c)), lambda a, _b: f"lossless, {a.format}"),
    Part(lambda c: 6.0 * (c.format == "RAW"), lambda _a, _b: "RAW, what the sensor saw"),
    Part(lambda c: 2.5 * min(richness(c), 3), lambda _a, _b: "more metadata (time, place, camera)"),
    Part(lambda c: 2.0 * _has_origin(c), lambda _a, _b: "the other has lost what a camera or a person wrote into it"),
    Part(
        lambda c: -3.0 * (c.quality.frame_share > _FRAMED),
        lambda _a, _b: "the whole picture without a border around it",
    ),
)
QUALITY_PARTS = tuple(part for part in PARTS if part.is_quality)
