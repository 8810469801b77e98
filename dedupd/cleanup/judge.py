"""Whether one file of a group may go because another stays: what they are to each other, and what would be lost.

Reads one view and decides; looks at no file, knows nothing of companions or limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.cleanup.companions import Folders
from dedupd.cleanup.inodes import Inode, Reason
from dedupd.core.cleanup_plan import EXACT_ONLY, WITH_FOLDER, Spared
from dedupd.core.cleanup_policy import CleanupPolicy
from dedupd.core.keep_criteria import FileCandidate
from dedupd.core.ports import LibraryView
from dedupd.core.records import Capture, ContentRecord, Relation

SAME_BYTES_REASON = "the same bytes"
NOT_DIRECT = "it was not verified directly against the file that would stay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What a file is to the one that stays."""

    relation: Relation
    similarity: float  # 0 … 1
    probability: float  # 0 … 1
    reason: str


class Judge:
    """Judges pairs for one plan. Owned by its drawing up."""

    def __init__(self, view: LibraryView, folders: Folders, policy: CleanupPolicy) -> None:
        self._view = view
        self._policy = policy
        self._folder_device = folders.device(policy.folder) if policy.action in WITH_FOLDER else None

    def pair(self, gone: Inode, kept: FileCandidate) -> Pair | Reason:
        """What they are to each other, where one may go in favour of the other; else why not."""
        known = self._known_pair(gone.content, kept.content)
        if not isinstance(known, Pair):
            return known
        if known.relation not in self._policy.relations:
            return Spared.RELATION, f"the policy does not act on `{known.relation}`"
        if known.relation is not Relation.SAME_BYTES:
            if any(name.pinned for name in gone.names):
                return Spared.PINNED, "a person said to keep this picture, and no other file holds its bytes"
            lost = _what_would_be_lost(gone.content, kept.content)
            if lost is not None:
                return lost
        return self._across_filesystems(gone, kept) or known

    def _known_pair(self, gone: ContentRecord, kept: ContentRecord) -> Pair | Reason:
        if gone.id == kept.id:
            return Pair(relation=Relation.SAME_BYTES, similarity=1.0, probability=1.0, reason=SAME_BYTES_REASON)
        if self._view.verdict(gone.digest, kept.digest) is not None:
            return Spared.NO_PAIR, "a person said that it is no duplicate of the file that would stay"
        if (gone.format == "RAW") != (kept.format == "RAW"):
            return Spared.COMPANION, "a RAW and a picture made of it are no duplicates of each other"
        edge = self._view.edge(min(gone.id, kept.id), max(gone.id, kept.id))
        if edge is not None and edge.relation.is_duplicate:
            return Pair(
                relation=edge.relation,
                similarity=edge.similarity,
                probability=edge.probability,
                reason=edge.reason,
            )
        if _is_same(gone.image_digest, kept.image_digest) or _is_same(gone.pixel_digest, kept.pixel_digest):
            return Pair(relation=Relation.SAME_PIXELS, similarity=1.0, probability=1.0, reason="the same pixels")
        return Spared.NO_PAIR, NOT_DIRECT

    def _across_filesystems(self, gone: Inode, kept: FileCandidate) -> Reason | None:
        device = gone.key[0]
        if self._policy.action in EXACT_ONLY and device != kept.file.stat.dev:
            return Spared.FILESYSTEM, "it lies on another file system than the file that would stay"
        if self._policy.action in WITH_FOLDER and device != self._folder_device:
            return Spared.FILESYSTEM, "it lies on another file system than the folder that files are moved to"
        return None


def _is_same(one: bytes | None, other: bytes | None) -> bool:
    return one is not None and one == other


def _what_would_be_lost(gone: ContentRecord, kept: ContentRecord) -> Reason | None:
    """What only the file that would go has."""
    lost = [word for word, has in _FACTS if has(gone.capture) and not has(kept.capture)]
    if lost:
        return Spared.ONLY_METADATA, f"the file that would stay has not its {', '.join(lost)}"
    if gone.trailing_bytes > kept.trailing_bytes:
        return Spared.ONLY_VIDEO, "a video or a second picture follows it in its file, which the other has not"
    return None


def _has_time(capture: Capture) -> bool:
    return capture.taken_at_ms is not None


def _has_place(capture: Capture) -> bool:
    return capture.has_gps


def _has_rating(capture: Capture) -> bool:
    return capture.rating is not None


def _has_profile(capture: Capture) -> bool:
    return capture.has_icc


_FACTS = (
    ("capture time", _has_time),
    ("place", _has_place),
    ("rating", _has_rating),
    ("colour profile", _has_profile),
)
