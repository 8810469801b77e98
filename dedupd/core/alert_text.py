"""What an alert says to a person: one line for each duplicate, a title for one, many, a scan or a summary.

Pure: what is known of roots and contents comes in as an argument. Decides nothing about when to alert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import CleanedReturned, CleanupFinished, DuplicateFound, Match
from dedupd.core.records import ContentId, ContentRecord, FilePath, Relation, RootId
from dedupd.core.wording import bytes_text, count_text, date_text, path_words, percent_text

_RUN_WORDS = {RunKind.APPLY: "Clean-up", RunKind.UNDO: "Undo", RunKind.EXPIRE: "Expiry of the quarantine"}
_DONE_WORDS = {RunKind.APPLY: "set aside", RunKind.UNDO: "put back", RunKind.EXPIRE: "deleted for good"}
_PLAN_DIGITS = 12  # enough to name a plan to dedupctl


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

    def near(self, absolute: bytes, root: RootId) -> bytes:
        """An absolute path as one says it of a file in a root: below it, with another root's name, or as it is."""
        for other, path in self.root_paths.items():
            base = path.rstrip(b"/") + b"/"
            if absolute.startswith(base):
                below = absolute.removeprefix(base)
                return below if other == root else self.root_name(other) + b"/" + below
        return absolute


def duplicate_line(fact: DuplicateFound, known: Known) -> str:
    """IMG_2210.jpg in Phone is a smaller copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99 %)."""
    best = fact.matches[0]
    original = best.path.relative()
    if best.path.root != fact.path.root:
        original = known.root_name(best.path.root) + b"/" + original
    others = len(fact.matches) - 1
    more = f", and matches {count_text(others, 'more file', 'more files')}" if others else ""
    claim, detail = _claim(fact, best, known)
    return f"{_file_words(fact.path, known)} {claim} {path_words(original)}{detail}{more}"


def returned_line(fact: CleanedReturned, known: Known) -> str:
    """IMG_1.jpg in Phone is back: you cleaned it up on 3 May 2026, and 2019/Italy/IMG_1.jpg is still there."""
    kept = path_words(known.near(fact.kept, fact.path.root))
    there = f"and {kept} is still there" if fact.is_kept_there else f"but {kept}, which you kept, is not there any more"
    return f"{_file_words(fact.path, known)} is back: you cleaned it up on {date_text(fact.cleaned_at_ns)}, {there}"


def _file_words(path: FilePath, known: Known) -> str:
    """IMG_1.jpg in Phone."""
    place = path.directory or known.root_name(path.root)
    return path_words(path.name) + (f" in {path_words(place)}" if place else "")


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


def returned_title(count: int, first_name: bytes) -> str:
    """The title over files that came back."""
    return f"Back again: {path_words(first_name)}" if count == 1 else f"{count:,} photos that you cleaned up are back"


def cleanup_title(fact: CleanupFinished) -> str:
    """The title over how a run ended."""
    run, left = _RUN_WORDS[fact.run], fact.conflicts + fact.failed
    if fact.stopped:
        return f"{run} stopped early"
    if left:
        return f"{run}: {count_text(left, 'file was', 'files were')} left as they are"
    return f"{run}: {count_text(fact.done, 'file', 'files')} {_DONE_WORDS[fact.run]}"


def cleanup_body(fact: CleanupFinished) -> str:
    """Why it stopped, how many files of what became what, and how to go back."""
    lines = [fact.stopped] if fact.stopped else []
    done = f"{count_text(fact.done, 'file', 'files')} ({bytes_text(fact.bytes_)}) {_DONE_WORDS[fact.run]}"
    counts = ((fact.conflicts, "not as planned"), (fact.failed, "refused by the system"), (fact.skipped, "not tried"))
    left = "".join(f", {count:,} {words}" for count, words in counts if count)
    lines.append(f"{done}{left}." + (" Those are where they were." if left else ""))
    if fact.run is RunKind.APPLY and fact.done:
        lines.append(f"To put all back: dedupctl undo {fact.plan[:_PLAN_DIGITS]}")
    return "\n".join(lines)


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
