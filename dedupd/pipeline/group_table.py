"""The order of groups as arrays: some 100 bytes a group, where groups with their pictures' records are gigabytes.

Values only: a table is never changed, another one takes its place. The group order owns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedupd.core.grouping import Share
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, Relation

RELATIONS: tuple[Relation, ...] = tuple(sorted(DUPLICATE_RELATIONS, key=lambda relation: relation.rank))
_COLUMNS = {relation: column for column, relation in enumerate(RELATIONS)}
_ROW = np.dtype(
    [
        ("frees_bytes", "<i8"),
        ("files", "<i4"),  # beside the kept one
        ("id", "<i8"),
        ("files_by", "<i4", len(RELATIONS)),
        ("bytes_by", "<i8", len(RELATIONS)),
    ]
)
_SEAT = np.dtype([("content", "<i8"), ("group", "<i8")])

_FEW = 100  # groups; the time of putting so many in their places is that of sorting 200,000

_Numbers = npt.NDArray[np.int64]


class Place(NamedTuple):
    """Where a group stands; smaller is earlier."""

    less_bytes: int  # what it frees, negative
    fewer_files: int  # negative
    id: int


class Rows:
    """Gathers groups for a table."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, list[int], list[int]]] = []
        self.seats: list[tuple[int, int]] = []

    def add(self, group: ContentId, contents: Iterable[ContentId], shares: Iterable[Share]) -> None:
        """One group: its id, what is in it, and what each relation adds."""
        files, freed = [0] * len(RELATIONS), [0] * len(RELATIONS)
        for share in shares:
            files[_COLUMNS[share.relation]] += share.files
            freed[_COLUMNS[share.relation]] += share.frees_bytes
        self.rows.append((sum(freed), sum(files), group, files, freed))
        self.seats += [(content, group) for content in contents]

    def table(self) -> GroupTable:
        """What was gathered, in order; the gathering is over."""
        rows, seats = np.array(self.rows, _ROW), np.array(self.seats, _SEAT)
        self.rows, self.seats = [], []
        return GroupTable(rows, seats)


class GroupTable:
    """Groups in their order, each with what it frees, and which contents are in them."""

    def __init__(
        self,
        rows: npt.NDArray[np.void] | None = None,
        seats: npt.NDArray[np.void] | None = None,
        *,
        is_in_order: bool = False,
    ) -> None:
        rows = np.empty(0, _ROW) if rows is None else rows
        seats = np.empty(0, _SEAT) if seats is None else seats
        if not is_in_order:
            rows = rows[np.lexsort((rows["id"], -rows["files"], -rows["frees_bytes"]))]
            seats = seats[np.argsort(seats["content"], kind="stable")]
        self.rows = rows
        self.seats = seats
        self.ids: _Numbers = np.ascontiguousarray(rows["id"])

    @classmethod
    def joined(cls, tables: Sequence[GroupTable]) -> GroupTable:
        """The groups of several that have none in common."""
        tables = [table for table in tables if len(table)]
        if len(tables) < 2:
            return tables[0] if tables else cls()
        return cls(np.concatenate([t.rows for t in tables]), np.concatenate([t.seats for t in tables]))

    def with_few(self, few: GroupTable) -> GroupTable:
        """These groups and some more that are not among them: cheap where they are few."""
        if len(few) > _FEW:
            return GroupTable.joined([self, few])
        at = [self.first_after(few.place_at(number)) for number in range(len(few))]
        seats_at = np.searchsorted(self.seats["content"], few.seats["content"])
        rows, seats = np.insert(self.rows, at, few.rows), np.insert(self.seats, seats_at, few.seats)
        return GroupTable(rows, seats, is_in_order=True)

    def __len__(self) -> int:
        return len(self.ids)

    def shares(self) -> tuple[Share, ...]:
        """What each relation that occurs adds to all groups, the closest first."""
        files, freed = self.rows["files_by"].sum(axis=0, dtype=np.int64), self.rows["bytes_by"].sum(axis=0)
        return tuple(
            Share(relation=relation, files=int(count), frees_bytes=int(size))
            for relation, count, size in zip(RELATIONS, files.tolist(), freed.tolist(), strict=True)
            if count
        )

    def contents(self) -> _Numbers:
        """What is in any group, int64 in the order of ids."""
        return np.ascontiguousarray(self.seats["content"])

    def sharing(self, contents: Iterable[ContentId]) -> set[ContentId]:
        """Contents that are in the groups that hold any of these, themselves included where they are in one."""
        groups = self._groups_of(contents)
        return set(map(ContentId, self.seats["content"][np.isin(self.seats["group"], groups)].tolist()))

    def without(self, contents: Iterable[ContentId]) -> GroupTable:
        """The groups that hold none of these."""
        groups = self._groups_of(contents)
        if not len(groups):
            return self
        rows = self.rows[~np.isin(self.rows["id"], groups)]
        return GroupTable(rows, self.seats[~np.isin(self.seats["group"], groups)], is_in_order=True)

    def place(self, group: ContentId) -> Place | None:
        """Where a group stands; None where there is none with that id."""
        at = np.flatnonzero(self.ids == group)
        if not len(at):
            return None
        return self.place_at(int(at[0]))

    def place_at(self, number: int) -> Place:
        """Where the group with this number in the order stands, 0 for the first."""
        row = self.rows[number]
        return Place(-int(row["frees_bytes"]), -int(row["files"]), int(row["id"]))

    def first_after(self, place: Place) -> int:
        """How many groups stand at a place or before it."""
        rows, begin, end = self.rows, 0, len(self)
        for name, wanted in (("frees_bytes", place.less_bytes), ("files", place.fewer_files)):
            column = -rows[name][begin:end]
            begin, end = (
                begin + int(np.searchsorted(column, wanted, "left")),
                begin + int(np.searchsorted(column, wanted, "right")),
            )
        return begin + int(np.searchsorted(self.ids[begin:end], place.id, "right"))

    def _groups_of(self, contents: Iterable[ContentId]) -> _Numbers:
        asked = np.fromiter(contents, np.int64)
        seats = self.seats["content"]
        at = np.searchsorted(seats, asked)
        known = at < len(seats)
        at, asked = at[known], asked[known]
        return np.unique(self.seats["group"][at[seats[at] == asked]])
