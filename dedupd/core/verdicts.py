"""What people said of pictures, and what a clean-up took away: kept by digest, so that it outlives paths and rows."""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.core.records import FilePath


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDuplicate:
    """A person said that two contents are no duplicates of each other. Always a < b."""

    a: bytes  # digest
    b: bytes
    said_at_ns: int  # CLOCK_REALTIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A person said to keep a content: it is the keeper of its group, and no plan takes its last file."""

    digest: bytes
    path: FilePath  # the file that was named; of several copies this one stays
    said_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A content that a clean-up took away: should it come back, that is told."""

    digest: bytes
    cleaned_at_ns: int
    plan: str  # hex
    path: bytes  # absolute, where it was
    kept: bytes  # absolute path of the file that stayed


def digest_pair(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Two digests in the order in which a verdict holds them.

    Raises:
        ValueError: they are equal; nobody can say that equal bytes are no duplicates.
    """
    if one == other:
        raise ValueError("two files of equal bytes are duplicates, whatever anybody says")
    return min(one, other), max(one, other)
