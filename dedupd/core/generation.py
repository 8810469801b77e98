"""A generation: one further model's vectors of the library. Which of them serve, and which may go.

The built-in descriptor is none of these: it is always there. Pure; the store holds the vectors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dedupd.core.records import ModelTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One model's vectors, as the store knows them."""

    tag: ModelTag
    name: str  # of the model, as the configuration said it when the generation began
    dim: int
    candidate_similarity: float  # cosine; as core.ports.Model
    was_complete: bool = False  # every content had its vector once; from then on it serves
    contents: int = 0  # how many have a vector; the store counts


def obsolete(stored: Iterable[Generation], configured: Collection[ModelTag]) -> list[Generation]:
    """Generations of models that are no longer configured."""
    return [generation for generation in stored if generation.tag not in configured]


def droppable(stored: Collection[Generation], configured: Collection[ModelTag]) -> list[Generation]:
    """Obsolete generations that nothing needs any more: what takes their place was complete.

    One that never was complete serves nobody, so it may go at once.
    """
    complete = {generation.tag for generation in stored if generation.was_complete}
    is_replaced = complete >= set(configured)
    return [g for g in obsolete(stored, configured) if is_replaced or not g.was_complete]


def serving(stored: Iterable[Generation], configured: Iterable[ModelTag]) -> list[Generation]:
    """Generations that may be asked, the best first: configured ones in their order, then those being replaced."""
    complete = {generation.tag: generation for generation in stored if generation.was_complete}
    first = [complete.pop(tag) for tag in configured if tag in complete]
    return [*first, *complete.values()]
