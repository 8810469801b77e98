"""JSON documents that dedupctl makes itself, beside those that it passes on from the API."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from dedupd.protocol.failures import Failure
from dedupd.protocol.fields import RelationName
from dedupd.protocol.pictures import FindMessage

VERDICTS = ("there", "looser", "missing", "unreadable")
VerdictName = Annotated[str, Meta(extra_json_schema={"enum": list(VERDICTS)})]


class VersionDocument(Struct, frozen=True, kw_only=True):
    """`dedupctl version --json`."""

    dedupctl: str
    daemon: str | None  # null: it does not answer


class FoundImage(Struct, frozen=True, kw_only=True):
    """One picture that `dedupctl find` asked about."""

    path: str
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    is_found: bool
    answer: FindMessage | None  # null when there was an error
    error: Failure | None


class FindDocument(Struct, frozen=True, kw_only=True):
    """`dedupctl find --json`."""

    images: tuple[FoundImage, ...]


class HadPhoto(Struct, frozen=True, kw_only=True):
    """One photo that `dedupctl have` asked about.

    verdict: "there", "looser" (only a looser relation than what counts), "missing", or "unreadable" (nothing can be
    said of it, so it counts as missing).
    """

    path: str
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    size_bytes: int
    verdict: VerdictName
    relation: RelationName | None  # of the closest copy
    probability: float | None  # 0 … 1, that the photo and its closest copy come from one shot
    copy: str | None  # the path of the closest copy
    detail: str  # why it is unreadable, else ""


class HaveDocument(Struct, frozen=True, kw_only=True):
    """`dedupctl have --json`."""

    is_complete: bool  # every photo is there
    relation: RelationName  # the loosest that counted
    photos: tuple[HadPhoto, ...]
    passed_over: dict[str, int]  # suffix, "symlink", "special" or "ignored" → entries that are no photos


class RescanDocument(Struct, frozen=True, kw_only=True):
    """`dedupctl rescan --json`."""

    roots: tuple[int, ...]
    finished: tuple[int, ...]  # with --wait: those whose scan has ended
