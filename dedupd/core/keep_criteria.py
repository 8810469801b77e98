"""What may decide which of several files is kept: each criterion by its name, worded as what it keeps.

Pure; looks at records only. Which of them count, and in which order, is the policy's (`core.keep_policy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dedupd.core.copy_name import is_copy_name
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keeper import FORMAT_ORDER, Candidate, order_key, preference_words
from dedupd.core.records import Capture, ContentRecord, FileRecord
from dedupd.core.standing import (
    QUALITY_PARTS,
    is_conversion,
    quality_points,
    richness,
    strongest_part,
    true_resolution,
    was_saved_before,
)
from dedupd.core.wording import bytes_text, path_words

_NEAR = 1e-4  # of logarithms and points; nearer is the rounding of figures, and other things decide
_WRITTEN_BY_NO_CAMERA = frozenset({"PNG", "BMP", "TIFF"})  # where a camera's JPEG of the picture is there as well


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCandidate:
    """A file that may be kept, with what is known of it."""

    file: FileRecord
    path: bytes  # absolute
    content: ContentRecord
    pinned: int = 0  # 0: no; 1: a person pinned another file of this content; 2: this very file
    is_protected: bool = False
    is_groups_choice: bool = False  # its content is what groups and report show as kept
    overlaid_share: float = 0.0  # as `keeper.Candidate.overlaid_share`
    companions: tuple[str, ...] = ()  # what belongs to it: "raw", "video", "sidecar"
    is_beside_camera_jpeg: bool = False  # a PNG without a camera's name was then made from that JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the criteria `folders` and `format` go by."""

    folders: FolderGlobs = FolderGlobs()  # noqa: RUF009 - immutable
    formats: tuple[str, ...] = FORMAT_ORDER


@dataclass(frozen=True, slots=True)
class Criterion:
    """One reason to keep a file before another."""

    keeps: str  # "keep …"
    key: Callable[[FileCandidate, Preferences], object]  # smaller is kept
    words: Callable[[FileCandidate, FileCandidate], str]  # (the kept one, the other)


def _as_content(candidate: FileCandidate) -> Candidate:
    return Candidate(
        content=candidate.content, paths=(candidate.file.path.relative(),), overlaid_share=candidate.overlaid_share
    )


def _original_key(candidate: FileCandidate) -> object:
    """As groups choose, but for what hangs on a content's paths: of equal bytes every file has the same key.

    What is equal goes by digest, not by the number that a content got when it came.
    """
    bare = Candidate(content=candidate.content, paths=(), overlaid_share=candidate.overlaid_share)
    return not candidate.is_groups_choice, order_key(bare)[:-1], candidate.content.digest


def _original_words(kept: FileCandidate, other: FileCandidate) -> str:
    better, worse = _as_content(kept), _as_content(other)
    if order_key(better) < order_key(worse):
        return preference_words(better, worse)
    return "the best of its group as a whole"


def _resolution_words(kept: FileCandidate, other: FileCandidate) -> str:
    sizes = [f"{c.width_px}×{c.height_px}" for c in (kept.content, other.content)]
    if _pixels(kept.content) > _pixels(other.content):
        return f"higher resolution, {sizes[0]} against {sizes[1]}"
    return f"more true detail at {sizes[0]}: the other, {sizes[1]}, looks enlarged, blurred or framed"


def _pixels(content: ContentRecord) -> int:
    return content.width_px * content.height_px


def _quality_words(kept: FileCandidate, other: FileCandidate) -> str:
    part = strongest_part(kept.content, other.content, QUALITY_PARTS)
    return f"better quality: {part.words(kept.content, other.content)}"


def _is_made_from_jpeg(candidate: FileCandidate) -> bool:
    content = candidate.content
    if content.format in {"JPEG", "RAW"}:
        return False
    is_export = candidate.is_beside_camera_jpeg and content.format in _WRITTEN_BY_NO_CAMERA
    return was_saved_before(content) or is_conversion(content) or (is_export and content.capture.model is None)


def _format_key(candidate: FileCandidate, preferences: Preferences) -> float:
    """Place of the format in the list; what was made from a JPEG comes behind a JPEG."""
    order = preferences.formats
    place = order.index(candidate.content.format) if candidate.content.format in order else len(order)
    if "JPEG" in order and _is_made_from_jpeg(candidate):
        return max(place, order.index("JPEG") + 0.5)
    return place


def _format_words(kept: FileCandidate, other: FileCandidate) -> str:
    words = f"better format, {kept.content.format} against {other.content.format}"
    return f"{words} that was made from a JPEG" if _is_made_from_jpeg(other) else words


def _metadata_points(capture: Capture, content: ContentRecord) -> int:
    return richness(content) + capture.has_notes + capture.has_icc + (capture.rating is not None)


def _taken(candidate: FileCandidate, sign: int) -> tuple[bool, int]:
    taken = candidate.content.capture.taken_at_ms
    return taken is None, sign * (taken or 0)


def _taken_words(word: str) -> Callable[[FileCandidate, FileCandidate], str]:
    def words(kept: FileCandidate, other: FileCandidate) -> str:
        own, others = kept.content.capture.taken_at_ms, other.content.capture.taken_at_ms
        if own is None or others is None:
            return "it says when it was taken"
        return f"taken {word}, {_moment(own * 1_000_000)} against {_moment(others * 1_000_000)}"

    return words


def _changed_words(word: str) -> Callable[[FileCandidate, FileCandidate], str]:
    def words(kept: FileCandidate, other: FileCandidate) -> str:
        own, others = kept.file.stat.mtime_ns, other.file.stat.mtime_ns
        return f"{word} file, {_moment(own)} against {_moment(others)}"

    return words


def _moment(at_ns: int) -> str:
    """UTC, to the nanosecond where there is a fraction: equal seconds are told apart."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a file system may say year 30,000
        return f"{seconds} s"
    return f"{text}.{fraction:09d}" if fraction else text


def _size_words(word: str) -> Callable[[FileCandidate, FileCandidate], str]:
    def words(kept: FileCandidate, other: FileCandidate) -> str:
        own, others = kept.file.stat.size_bytes, other.file.stat.size_bytes
        told = bytes_text(own), bytes_text(others)
        return f"{word} file, {' against '.join(told if told[0] != told[1] else (f'{own} bytes', f'{others} bytes'))}"

    return words


def _bundle_words(kept: FileCandidate, other: FileCandidate) -> str:
    more = [
        role for role in dict.fromkeys(kept.companions) if kept.companions.count(role) > other.companions.count(role)
    ]
    return f"more belongs to it: {', '.join(more)}" if more else "more belongs to it"


def _folder_words(kept: FileCandidate, other: FileCandidate) -> str:
    folders = [c.path.rpartition(b"/")[0] for c in (kept, other)]
    return f"preferred folder, {path_words(folders[0])} against {path_words(folders[1])}"


# The order is that of the documentation: docs/keepers.md.
CRITERIA: Mapping[str, Criterion] = {
    "protected": Criterion(
        "keep what lies in a protected folder",
        lambda c, _p: not c.is_protected,
        lambda _a, _b: "it lies in a protected folder",
    ),
    "folders": Criterion(
        "keep what lies in the folder listed first", lambda c, p: p.folders.rank(c.path), _folder_words
    ),
    "bundle": Criterion(
        "keep the file that more belongs to (RAW, video, sidecars)", lambda c, _p: -len(c.companions), _bundle_words
    ),
    "original": Criterion(
        "keep the picture that groups and report show as kept", lambda c, _p: _original_key(c), _original_words
    ),
    "resolution": Criterion(
        "keep the higher true resolution",
        lambda c, _p: -round(true_resolution(c.content) / _NEAR),
        _resolution_words,
    ),
    "quality": Criterion(
        "keep the better quality, whatever the resolution",
        lambda c, _p: -round(quality_points(c.content) / _NEAR),
        _quality_words,
    ),
    "format": Criterion("keep the format listed first", _format_key, _format_words),
    "metadata": Criterion(
        "keep the richer metadata",
        lambda c, _p: -_metadata_points(c.content.capture, c.content),
        lambda _a, _b: "more metadata (time, place, camera, rating, notes)",
    ),
    "oldest-capture": Criterion("keep what was taken first", lambda c, _p: _taken(c, 1), _taken_words("earlier")),
    "newest-capture": Criterion("keep what was taken last", lambda c, _p: _taken(c, -1), _taken_words("later")),
    "oldest-mtime": Criterion("keep the oldest file", lambda c, _p: c.file.stat.mtime_ns, _changed_words("older")),
    "newest-mtime": Criterion("keep the newest file", lambda c, _p: -c.file.stat.mtime_ns, _changed_words("newer")),
    "largest": Criterion("keep the largest file", lambda c, _p: -c.file.stat.size_bytes, _size_words("larger")),
    "smallest": Criterion("keep the smallest file", lambda c, _p: c.file.stat.size_bytes, _size_words("smaller")),
    "name": Criterion(
        "keep the file whose name is not a copy's",
        lambda c, _p: is_copy_name(c.file.path.name),
        lambda _a, b: f"its name is not a copy's, as {path_words(b.file.path.name)} is",
    ),
    "own-inode": Criterion(
        "keep a file that is no hard link of one known before",
        lambda c, _p: c.file.link_of_same_inode,
        lambda _a, _b: "the other is a hard link",
    ),
    "shorter-path": Criterion("keep the shorter path", lambda c, _p: len(c.path), lambda _a, _b: "shorter path"),
    "path": Criterion("keep the first path in order", lambda c, _p: c.path, lambda _a, _b: "its path comes first"),
}

PINNED = Criterion(
    "keep what a person pinned",
    lambda c, _p: -c.pinned,
    lambda _a, _b: "a person said to keep it",
)


def beside_each_other(candidates: Iterable[FileCandidate]) -> list[FileCandidate]:
    """The candidates of one group, each told whether a JPEG that a camera wrote is among them."""
    listed = list(candidates)
    is_there = any(c.content.format == "JPEG" and c.content.capture.model is not None for c in listed)
    return [replace(c, is_beside_camera_jpeg=is_there) for c in listed]
