"""Which of several duplicates to keep: ordered criteria, the first difference decides.

Pure; looks at records only. The policy's name goes into every report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dedupd.core.records import ContentId, ContentRecord

KEEP_POLICY = "best"

_RESOLUTION_STEP = 0.03  # of the logarithm of the pixel count
_FRAMED = 0.02  # share of the picture; below it is rather the photo's own edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A content that may be kept, with where it lies."""

    content: ContentRecord
    paths: tuple[bytes, ...]  # present files, relative to their roots; may be empty


# RAW holds what the sensor saw. Whether a PNG or HEIF was made from the JPEG beside it cannot be told from its format,
# so the format only decides after the metadata, which a conversion tends to lose.
_FORMAT_ORDER = ("RAW", "TIFF", "PNG", "HEIF", "AVIF", "JPEG", "WEBP", "BMP", "GIF")

# "IMG_1234 (1).jpg", "IMG_1234 copy 2.jpg", "Kopie von …", "… - Kopie", "… copia", "… copie", "-edited", WhatsApp names
_COPY_NAME = re.compile(
    rb"""\(\d{1,3}\)(?=\.[^.]*$|$)
       | \b(?:copy|kopie|copia|copie|kopia|kopi)\b
       | -edited(?=\.|$) | -bearbeitet(?=\.|$) | -modifi | ^IMG-\d{8}-WA\d+ | ^screenshot
    """,
    re.IGNORECASE | re.VERBOSE,
)


def choose_keeper(candidates: Sequence[Candidate]) -> tuple[ContentId, str]:
    """The candidate to keep and why, in words for a person.

    Raises:
        ValueError: there is no candidate.
    """
    if not candidates:
        raise ValueError("nothing to choose a keeper from")
    best = min(candidates, key=_sort_key)
    rest = [c for c in candidates if c is not best]
    return best.content.id, _reason(best, rest)


def _sort_key(candidate: Candidate) -> tuple[object, ...]:
    return tuple(criterion.key(candidate) for criterion in _CRITERIA)


def _reason(best: Candidate, rest: Sequence[Candidate]) -> str:
    if not rest:
        return "the only one"
    runner_up = min(rest, key=_sort_key)
    for criterion in _CRITERIA:
        if criterion.key(best) != criterion.key(runner_up):
            return criterion.words(best, runner_up)
    return "first seen"


@dataclass(frozen=True, slots=True)
class _Criterion:
    key: Callable[[Candidate], object]  # smaller is better
    words: Callable[[Candidate, Candidate], str]


def _pixels(candidate: Candidate) -> int:
    """The picture's own pixels: a border drawn around it is no resolution.

    In steps of about 3 %, as the border's edge is only known to a pixel of the small image.
    """
    content = candidate.content
    own = content.width_px * content.height_px * (1.0 - content.quality.frame_share)
    return round(math.log(max(own, 1.0)) / _RESOLUTION_STEP)


def _is_framed(candidate: Candidate) -> bool:
    return candidate.content.quality.frame_share > _FRAMED


def _size_words(candidate: Candidate) -> str:
    return f"{candidate.content.width_px}×{candidate.content.height_px}"


def _format_rank(candidate: Candidate) -> int:
    name = candidate.content.format
    return _FORMAT_ORDER.index(name) if name in _FORMAT_ORDER else len(_FORMAT_ORDER)


def _richness(candidate: Candidate) -> int:
    capture = candidate.content.capture
    known = (capture.taken_at_ms, capture.model, capture.exposure_s, capture.serial, capture.image_id)
    return sum(value is not None for value in known) + 2 * capture.has_gps


def _has_plain_name(candidate: Candidate) -> bool:
    return any(not _COPY_NAME.search(path.rsplit(b"/", 1)[-1]) for path in candidate.paths)


def _shortest_path(candidate: Candidate) -> tuple[int, bytes]:
    return min(((len(path), path) for path in candidate.paths), default=(1 << 20, b""))


_CRITERIA = (
    _Criterion(lambda c: not c.paths, lambda _a, _b: "the others are not on disk"),
    _Criterion(lambda c: -_pixels(c), lambda a, b: f"higher resolution, {_size_words(a)} against {_size_words(b)}"),
    _Criterion(_is_framed, lambda _a, _b: "the whole picture without a border around it"),
    _Criterion(lambda c: -_richness(c), lambda _a, _b: "more metadata (time, place, camera)"),
    _Criterion(_format_rank, lambda a, b: f"better format, {a.content.format} against {b.content.format}"),
    _Criterion(
        lambda c: -(c.content.quality.jpeg_quality or 0),
        lambda a, b: f"better JPEG quality, {a.content.quality.jpeg_quality} against {b.content.quality.jpeg_quality}",
    ),
    _Criterion(lambda c: not _has_plain_name(c), lambda _a, _b: "its name is not a copy's"),
    _Criterion(
        lambda c: -c.content.size_bytes,
        lambda a, b: f"larger file, {a.content.size_bytes} against {b.content.size_bytes} bytes",
    ),
    _Criterion(_shortest_path, lambda _a, _b: "shorter path"),
    _Criterion(lambda c: c.content.id, lambda _a, _b: "seen first"),
)
