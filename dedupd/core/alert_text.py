"""What an alert says to a person: one line for each duplicate, a title for one, many, a scan or a summary.

Pure: what is known of roots and contents comes in as an argument. Decides nothing about when to alert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dedupd.core.events import DuplicateFound, Match
from dedupd.core.records import ContentId, ContentRecord, FilePath, Relation, RootId
from dedupd.core.wording import bytes_text, count_text, path_words, percent_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the words need beside the event."""

    root_paths: Mapping[RootId, bytes]  # absolute
    content_of: Callable[[ContentId], ContentRecord | None]

    def absolute(self, path: FilePath) -> bytes:
        """The absolute path; below the root only, where the root has been forgotten."""
        root = self.root_paths.get(path.root)
        return path.relative() if root is None else root.rstrip(b"/") + b"/" + path.relative()

    def root_name(self, root: RootId) -> bytes:
        """The last part of the root's path."""
        path = self.root_paths.get(root, b"")
        return path.rstrip(b"/").rpartition(b"/")[2] or path


def duplicate_line(fact: DuplicateFound, known: Known) -> str:
    """IMG_2210.jpg in Phone is a smaller copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99 %)."""
    best = fact.matches[0]
    place = fact.path.directory or known.root_name(fact.path.root)
    where = f" in {path_words(place)}" if place else ""
    original = best.path.relative()
    if best.path.root != fact.path.root:
        original = known.root_name(best.path.root) + b"/" + original
    others = len(fact.matches) - 1
    more = f", and matches {count_text(others, 'more file', 'more files')}" if others else ""
    claim, detail = _claim(fact, best, known)
    return f"{path_words(fact.path.name)}{where} {claim} {path_words(original)}{detail}{more}"


def _claim(fact: DuplicateFound, best: Match, known: Known) -> tuple[str, str]:
    share = percent_text(best.similarity)
    match best.relation:
        case Relation.SAME_BYTES:
            return "is an exact copy of", ""
        case Relation.SAME_PIXELS:
            return "is the same picture as", " (equal pixels, other metadata or container)"
        case Relation.RE_ENCODED:
            return f"is a {_size_word(fact.content, best.content, known)}copy of", f" (re-encoded, {share})"
        case Relation.EDITED:
            return "is an edited copy of", f" ({share})"
        case Relation.SIMILAR | Relation.DIFFERENT:
            return "resembles", f" ({share})"


def _size_word(subject: ContentId, original: ContentId, known: Known) -> str:
    """Smaller or larger by pixels; nothing to say when equal or unknown."""
    new, old = known.content_of(subject), known.content_of(original)
    if new is None or old is None:
        return ""
    new_area, old_area = new.width_px * new.height_px, old.width_px * old.height_px
    return "" if new_area == old_area else "smaller " if new_area < old_area else "larger "


def arrivals_title(count: int, first_name: bytes) -> str:
    """The title over duplicates that arrived."""
    return f"Duplicate photo: {path_words(first_name)}" if count == 1 else f"{count:,} new photos are duplicates"


def scan_title(count: int, root_name: bytes) -> str:
    """The title over what a scan found."""
    return f"Scan of {path_words(root_name)}: {count_text(count, 'duplicate', 'duplicates')}"


def scan_opening(count: int, size_bytes: int) -> str:
    """The first line of what a scan found."""
    told = count_text(count, "file duplicates another", "files duplicate others")
    return f"{told} ({bytes_text(size_bytes)}). `dedupctl report` lists them."


def listed(lines: list[str], count: int) -> str:
    """Lines, and how many of `count` they leave out."""
    left_out = count - len(lines)
    return "\n".join([*lines, f"… and {left_out:,} more"] if left_out else lines)
