"""What a candidate similarity finds and what it costs, from similarities that were measured. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STEPS = tuple(round(0.30 + 0.02 * step, 2) for step in range(36))  # 0.30 … 1.00
CHANCE_ALLOWED = 10.0  # unrelated neighbours a picture that may be compared in vain


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFigures:
    """What a candidate similarity means for a library."""

    similarity: float
    recall: float  # 0 … 1, of all made copies
    recall_by_edit: dict[str, float]
    chance: float  # 0 … 1, of random pairs that are as near
    chance_a_picture: float  # unrelated pictures of the library that are as near to one, on average


def figures_at(
    similarity: float, copies: Mapping[str, Sequence[float]], chance: Sequence[float], pictures: int
) -> ThresholdFigures:
    """The figures of one candidate similarity.

    Args:
        similarity: cosine from which a neighbour counts.
        copies: by what was done to them, similarities of made copies to their originals.
        chance: similarities of pairs drawn at random, in ascending order.
        pictures: how many the library holds.
    """
    found = {edit: _share(values, similarity) for edit, values in copies.items()}
    count = sum(map(len, copies.values()))
    near = len(chance) - bisect_left(chance, similarity)
    share = near / max(1, len(chance))
    return ThresholdFigures(
        similarity=similarity,
        recall=sum(found[edit] * len(values) for edit, values in copies.items()) / max(1, count),
        recall_by_edit=found,
        chance=share,
        chance_a_picture=share * max(0, pictures - 1),
    )


def advised(
    copies: Mapping[str, Sequence[float]], chance: Sequence[float], pictures: int, allowed: float = CHANCE_ALLOWED
) -> ThresholdFigures:
    """The lowest step at which not more than `allowed` unrelated pictures are as near to one; else the highest step."""
    for step in STEPS:
        figures = figures_at(step, copies, chance, pictures)
        if figures.chance_a_picture <= allowed:
            return figures
    return figures_at(STEPS[-1], copies, chance, pictures)


def _share(values: Sequence[float], similarity: float) -> float:
    return sum(value >= similarity for value in values) / max(1, len(values))
