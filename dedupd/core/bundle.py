"""Files that belong together and are never duplicates of each other: a RAW and the JPEG or HEIF shot with it."""

from __future__ import annotations

from collections.abc import Iterable


def is_raw_pair(format_a: str, paths_a: Iterable[bytes], format_b: str, paths_b: Iterable[bytes]) -> bool:
    """Whether one is RAW, the other is not, and they share a folder and a name but for the suffix.

    Args:
        format_a: as in ContentRecord.format.
        paths_a: where the content lies; any spelling, as long as both sides use the same.
        format_b: the other's format.
        paths_b: the other's paths.
    """
    if (format_a == "RAW") == (format_b == "RAW"):
        return False
    return not _stems(paths_a).isdisjoint(_stems(paths_b))


def _stems(paths: Iterable[bytes]) -> set[bytes]:
    stems = set()
    for path in paths:
        directory, slash, name = path.rpartition(b"/")
        stems.add(directory + slash + name.split(b".", 1)[0].lower())
    return stems
