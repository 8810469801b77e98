"""What is known of a labelled folder: which pictures are copies, which are look-alikes; and how it is split in halves.

The table is truth.csv: path (below its folder), role ("original" for the one that others were made from), source_id
(equal: duplicates), transform and tier (how a copy was made, how hard it is meant to be), series_id and series_kind
(equal id, of another source: look-alikes). Only reads; scores nothing.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SPLIT_SEED = 2  # of the first dozen, one that halves the pictures of each origin evenly
RE_ENCODINGS = frozenset(
    "exact_copy metadata_only exif_orientation jpeg_resave resize whatsapp instagram".split()  # noqa: SIM905 - a line
)
RE_ENCODING_PREFIX = "to_"  # another format; every other transformation is an edit
TIERS = ("exact", "lossless", "easy", "medium", "hard")

Half = Literal["tune", "report"]
Pair = tuple[bytes, bytes]  # absolute paths, the smaller first


def half_of(name: str) -> Half:
    """Whether a source or series is for fitting limits and coefficients, or for the figures that are reported.

    Args:
        name: a series_id, or for a picture without one its source_id. What stands before a "#" decides, so that all
            that was made from one photograph lies in one half.
    """
    first_byte = hashlib.sha256(f"{SPLIT_SEED}:{name.partition('#')[0]}".encode()).digest()[0]
    return "tune" if first_byte & 1 else "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A row of the table."""

    path: bytes  # absolute
    source: str
    series: str
    series_kind: str
    transform: str
    tier: str
    is_original: bool

    @property
    def half(self) -> Half:
        return half_of(self.series or self.source)

    @property
    def is_edit(self) -> bool:
        """Whether more than bytes, size or format was changed."""
        return bool(self.transform) and not (
            self.transform in RE_ENCODINGS or self.transform.startswith(RE_ENCODING_PREFIX)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is known of the pictures."""

    pictures: dict[bytes, Picture]  # by path
    same: frozenset[Pair]
    look_alike: frozenset[Pair]
    to_original: tuple[tuple[Picture, Pair], ...]  # each copy with the pair of it and its original
    unjudged: frozenset[Pair]

    def is_kin(self, pair: Pair) -> bool:
        """Whether a pair is of one source or one series, or nobody is judged on it."""
        return pair in self.same or pair in self.look_alike or pair in self.unjudged

    def kind_of(self, pair: Pair) -> str:
        """The kind of series of a pair of look-alikes."""
        return self.pictures[pair[0]].series_kind


def read_truth(
    table: Path, *, ignore: Path | None = None, half: Half | None = None, series: Path | None = None
) -> Truth:
    """Read a table.

    Args:
        table: the path of truth.csv.
        ignore: a table of pairs (path_a, path_b) that nobody is judged on; series_ambiguous.csv beside the table,
            where there is one, is read too.
        half: only pictures of that half.
        series: a folder of folders, each a series of look-alikes, that are counted in.
    """
    base = os.fsencode(table.parent.resolve())

    def path_of(name: str) -> bytes:
        return os.path.join(base, os.fsencode(name))  # noqa: PTH118 - bytes

    pictures = [picture_of(row, path_of(row["path"])) for row in read_rows(table)]
    pictures += list(look_alikes_below(series)) if series else []
    pictures = [picture for picture in pictures if half is None or picture.half == half]
    beside = table.parent / "series_ambiguous.csv"
    unjudged = frozenset(
        pair_of(path_of(row["path_a"]), path_of(row["path_b"]))
        for path in {ignore, beside if beside.exists() else None} - {None}
        for row in read_rows(path)
    )
    same = frozenset(pairs_sharing(pictures, lambda p: p.source)) - unjudged
    originals = {p.source: p.path for p in pictures if p.is_original}
    return Truth(
        pictures={p.path: p for p in pictures},
        same=same,
        look_alike=frozenset(pairs_sharing(pictures, lambda p: p.series)) - same - unjudged,
        to_original=tuple(
            (p, pair_of(p.path, originals[p.source]))
            for p in pictures
            if p.transform and not p.is_original and p.source in originals
        ),
        unjudged=unjudged,
    )


def picture_of(row: dict[str, Any], path: bytes) -> Picture:
    return Picture(
        path=path,
        source=row.get("source_id") or "",
        series=row.get("series_id") or "",
        series_kind=row.get("series_kind") or "look_alike",
        transform=row.get("transform") or "",
        tier=row.get("tier") or "",
        is_original=row.get("role") == "original",
    )


def look_alikes_below(folder: Path) -> Iterator[Picture]:
    for path in sorted(p for p in folder.resolve().glob("*/*") if p.is_file()):
        row = {"series_id": f"{folder.name}/{path.parent.name}", "series_kind": folder.name}
        yield picture_of(row, os.fsencode(path))


def read_rows(table: Path) -> list[dict[str, Any]]:
    with table.open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def pairs_sharing(pictures: Iterable[Picture], key: Callable[[Picture], str]) -> Iterator[Pair]:
    members = defaultdict(set)
    for picture in pictures:
        if key(picture):
            members[key(picture)].add(picture.path)
    for paths in members.values():
        yield from itertools.combinations(sorted(paths), 2)


def pair_of(a: bytes, b: bytes) -> Pair:
    return (a, b) if a < b else (b, a)
