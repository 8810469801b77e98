"""Which of several duplicates to keep: ordered criteria, the first difference decides.

Pure; looks at records only. The policy's name goes into every report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dedupd.core.copy_name import is_copy_name
from dedupd.core.records import ContentId, ContentRecord
from dedupd.core.standing import richness, standing, strongest_part

KEEP_POLICY = "best"

_OVERLAY_COSTS = 6.0  # points of `standing`: as much as losing five sixths of the pixels
_PART_COSTS = 12.0  # points for the share of the picture that it lacks, beside the pixels that are lost with it
_NEAR = 1e-4  # points of `standing`; nearer is the rounding of figures, and other things decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A content that may be kept, with where it lies."""

    content: ContentRecord
    paths: tuple[bytes, ...]  # present files, relative to their roots; may be empty
    overlaid_share: float = 0.0  # 0 … 1, of its verified pairs those that show text or a watermark added to it
    lacks_share: float = 0.0  # 0 … 1, of a verified pair's other picture what this one does not show, borders apart
    is_pinned: bool = False  # a person said to keep it


# RAW holds what the sensor saw. Whether a PNG or HEIF was made from the JPEG beside it cannot be told from its format,
# so the format only decides after the metadata, which a conversion tends to lose.
FORMAT_ORDER = ("RAW", "TIFF", "PNG", "HEIF", "AVIF", "JPEG", "WEBP", "BMP", "GIF")


def choose_keeper(candidates: Sequence[Candidate]) -> tuple[ContentId, str]:
    """The candidate to keep and why, in words for a person.

    Raises:
        ValueError: there is no candidate.
    """
    best = best_candidate(candidates)
    rest = [c for c in candidates if c is not best]
    return best.content.id, _reason(best, rest)


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The first by `order_key`; looks at a criterion only where those before it leave several.

    Raises:
        ValueError: there is no candidate.
    """
    if not candidates:
        raise ValueError("nothing to choose a keeper from")
    left = list(candidates)
    for criterion in _CRITERIA:
        if len(left) == 1:
            break
        weighed = [criterion.key(candidate) for candidate in left]
        best = min(weighed)
        left = [candidate for candidate, weight in zip(left, weighed, strict=True) if weight == best]
    return left[0]


def order_key(candidate: Candidate) -> tuple[object, ...]:
    """What contents are ordered by, the best to keep first; no two contents have the same."""
    return tuple(criterion.key(candidate) for criterion in _CRITERIA)


def _reason(best: Candidate, rest: Sequence[Candidate]) -> str:
    if not rest:
        return "the only one"
    return preference_words(best, best_candidate(rest))


def preference_words(better: Candidate, worse: Candidate) -> str:
    """Why one comes before another in the order: what the first difference says."""
    for criterion in _CRITERIA:
        if criterion.key(better) != criterion.key(worse):
            return criterion.words(better, worse)
    return "first seen"


@dataclass(frozen=True, slots=True)
class _Criterion:
    key: Callable[[Candidate], Any]  # smaller is better; of one type for all candidates
    words: Callable[[Candidate, Candidate], str]


def _format_rank(candidate: Candidate) -> int:
    name = candidate.content.format
    return FORMAT_ORDER.index(name) if name in FORMAT_ORDER else len(FORMAT_ORDER)


def _points(candidate: Candidate) -> float:
    return standing(candidate.content) - _overlay_costs(candidate) - _part_costs(candidate)


def _overlay_costs(candidate: Candidate) -> float:
    """In proportion: where a pair takes the bare picture for the one with text, its other pairs speak against that."""
    return _OVERLAY_COSTS * candidate.overlaid_share


def _part_costs(candidate: Candidate) -> float:
    return _PART_COSTS * candidate.lacks_share


def _strongest_words(better: Candidate, worse: Candidate) -> str:
    part = strongest_part(better.content, worse.content)
    gained = part.points(better.content) - part.points(worse.content)
    bare = _overlay_costs(worse) - _overlay_costs(better)
    whole = _part_costs(worse) - _part_costs(better)
    if max(bare, whole) <= gained:
        return part.words(better.content, worse.content)
    if bare > whole:
        return "without the text or watermark on the other"
    return "it shows more of the picture, the other is cropped"


def _has_plain_name(candidate: Candidate) -> bool:
    return any(not is_copy_name(path.rsplit(b"/", 1)[-1]) for path in candidate.paths)


def _shortest_path(candidate: Candidate) -> tuple[int, bytes]:
    return min(((len(path), path) for path in candidate.paths), default=(1 << 20, b""))


_CRITERIA = (
    _Criterion(lambda c: not c.paths, lambda _a, _b: "the others are not on disk"),
    _Criterion(lambda c: not c.is_pinned, lambda _a, _b: "you said to keep it"),
    _Criterion(
        lambda c: -round(_points(c) / _NEAR),
        _strongest_words,
    ),
    _Criterion(lambda c: -richness(c.content), lambda _a, _b: "more metadata (time, place, camera)"),
    _Criterion(_format_rank, lambda a, b: f"better format, {a.content.format} against {b.content.format}"),
    _Criterion(lambda c: not _has_plain_name(c), lambda _a, _b: "its name is not a copy's"),
    _Criterion(
        lambda c: -c.content.size_bytes,
        lambda a, b: f"larger file, {a.content.size_bytes} against {b.content.size_bytes} bytes",
    ),
    _Criterion(_shortest_path, lambda _a, _b: "shorter path"),
    _Criterion(lambda c: c.content.id, lambda _a, _b: "seen first"),
)
