"""The pairs that nobody has touched for long, as arrays: some 110 bytes a pair, where dictionaries take 1,600.

What changes is taken out first, with all that it is connected to, and lives as dictionaries in the group book. Nothing
is ever put back in: the group book makes a new one from the store. Not thread-safe; the group book owns one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from dedupd.core.grouping import Bond, Tie
from dedupd.core.records import ContentId, Relation

_RELATIONS = list(Relation)
_CODES = {relation: code for code, relation in enumerate(_RELATIONS)}
_TIE = np.dtype(
    [
        ("other", "<i8"),
        ("similarity", "<f8"),
        ("probability", "<f8"),
        ("covers", "<f8"),
        ("relation", "u1"),
        ("is_overlaid", "?"),
    ]
)

_BOND = np.dtype(  # the fields of `Bond`, in its order
    [
        ("a", "<i8"),
        ("b", "<i8"),
        ("relation", "u1"),
        ("similarity", "<f8"),
        ("probability", "<f8"),
        ("has_overlay", "?"),
        ("overlay_is_on_b", "?"),
        ("overlap_of_a", "<f8"),
        ("overlap_of_b", "<f8"),
    ]
)

_Numbers = npt.NDArray[np.int32]


class SettledGroups:
    """Ties and components of contents, made once from their pairs; each pair is named once."""

    def __init__(self, bonds: Iterable[Bond] = ()) -> None:
        rows = ((*bond[:2], _CODES[bond.relation], *bond[3:]) for bond in bonds)
        pairs = np.fromiter(rows, _BOND)
        a, b = np.ascontiguousarray(pairs["a"]), np.ascontiguousarray(pairs["b"])
        both, other = np.concatenate([a, b]), np.concatenate([b, a])
        order = np.lexsort((other, both))
        of_a, of_b = np.empty(len(pairs), _TIE), np.empty(len(pairs), _TIE)
        for own, far, covered, is_overlaid in (
            (of_a, b, "overlap_of_b", ~pairs["overlay_is_on_b"]),
            (of_b, a, "overlap_of_a", pairs["overlay_is_on_b"]),
        ):
            own["other"], own["covers"] = far, pairs[covered]
            own["is_overlaid"] = pairs["has_overlay"] & is_overlaid
            for name in ("relation", "similarity", "probability"):
                own[name] = pairs[name]
        ties = np.concatenate([of_a, of_b])[order]
        self._contents, first = np.unique(both[order], return_index=True)  # int64, ascending
        self._first = np.append(first, len(both)).astype(np.int32)  # of each content's ties
        self._ties = ties
        component_of = _components(np.searchsorted(self._contents, a), np.searchsorted(self._contents, b), len(first))
        self._component_of = component_of
        self._members = np.argsort(component_of, kind="stable").astype(np.int32)  # places of contents by component
        sizes = np.bincount(component_of) if len(component_of) else np.empty(0, np.int64)
        self._starts = np.append(0, np.cumsum(sizes)).astype(np.int32)  # of each component in `_members`
        self._is_here = np.ones(len(sizes), np.bool_)  # by component; False: it was taken out
        self._left = len(first)
        self.pairs = len(a)  # that it was made from

    def __len__(self) -> int:
        """How many contents are in it still."""
        return self._left

    def __contains__(self, content: object) -> bool:
        return isinstance(content, int) and self._place(content) is not None

    def ties(self, content: ContentId) -> dict[ContentId, Tie]:
        """The verified duplicates of a content that is in it."""
        place = self._place(content)
        return {} if place is None else self._ties_at(place)

    def component(self, content: ContentId) -> list[ContentId]:
        """All contents connected to one that is in it, itself included, in the order of ids."""
        place = self._place(content)
        return [] if place is None else self._contents_of(int(self._component_of[place]))

    def components(self) -> Iterator[list[ContentId]]:
        """Every component that is in it now, whatever is taken out while they are gone through."""
        here = np.flatnonzero(self._is_here)
        return (self._contents_of(component) for component in here.tolist())

    def take_out(self, content: ContentId) -> list[tuple[ContentId, dict[ContentId, Tie]]]:
        """Remove a content's whole component; its contents with their ties, nothing where it is not in here."""
        place = self._place(content)
        if place is None:
            return []
        component = int(self._component_of[place])
        places = self._members[self._starts[component] : self._starts[component + 1]].tolist()
        self._is_here[component] = False
        self._left -= len(places)
        return [(ContentId(int(self._contents[each])), self._ties_at(each)) for each in places]

    def _place(self, content: int) -> int | None:
        place = int(np.searchsorted(self._contents, content))
        if place == len(self._contents) or self._contents[place] != content:
            return None
        return place if self._is_here[self._component_of[place]] else None

    def _ties_at(self, place: int) -> dict[ContentId, Tie]:
        rows = self._ties[self._first[place] : self._first[place + 1]].tolist()
        return {
            ContentId(other): Tie(_RELATIONS[code], similarity, probability, is_overlaid, covers)
            for other, similarity, probability, covers, code, is_overlaid in rows
        }

    def _contents_of(self, component: int) -> list[ContentId]:
        places = self._members[self._starts[component] : self._starts[component + 1]]
        return list(map(ContentId, self._contents[places].tolist()))


def _components(a: npt.NDArray[np.intp], b: npt.NDArray[np.intp], count: int) -> _Numbers:
    """The number of the component, 0, 1, …, of each of `count` nodes with edges a–b: int32 [count].

    Each round hooks trees onto their smallest neighbour and flattens them (Shiloach & Vishkin 1982), so that rounds
    grow with the logarithm of the longest chain.
    """
    root = np.arange(count, dtype=np.intp)
    while True:
        of_a, of_b = root[a], root[b]
        apart = of_a != of_b
        if not apart.any():
            break
        low, high = np.minimum(of_a, of_b)[apart], np.maximum(of_a, of_b)[apart]
        np.minimum.at(root, high, low)
        while not np.array_equal(above := root[root], root):
            root = above
    return np.unique(root, return_inverse=True)[1].astype(np.int32)
