"""Which neighbours of a picture get a second look: the nearer they are, the more of them.

A library of any size has chance neighbours at any moderate similarity, so those count only while they are among the
very nearest; what is nearly equal counts up to the limit that is configured. Stateless; looks at no pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dedupd.core.ports import Descriptor, LibraryView, Model, Neighbour, VectorIndex
from dedupd.core.records import ContentId

Pair = tuple[ContentId, ContentId]  # a < b

# Bits (core.records.Quality): 99.5 % of photographs have more than 5, black frames, blank pages and skies 0 … 4. Those
# are nearly equal to hundreds of their kind, of which a second look cannot tell copies: so many of them are tried.
PLAIN_INFORMATION = 4.0
PLAIN_LIMIT = 10


def pair_of(one: ContentId, other: ContentId) -> Pair:
    """Two contents in the order of pairs."""
    return (one, other) if one < other else (other, one)


def candidate_pairs(
    view: LibraryView,
    index: VectorIndex,
    batch: Sequence[tuple[ContentId, Descriptor]],
    model: Model,
    limit: int,
) -> set[Pair]:
    """Pairs of a batch's contents that get a second look: with what the index holds, and with each other.

    Of two contents of one batch both ask, so that their order in it changes nothing.
    """
    in_index = neighbours_in(index, batch, model, limit)
    in_batch = neighbours_within(batch, model)
    pairs: set[Pair] = set()
    for (content, _), older, beside in zip(batch, in_index, in_batch, strict=True):
        record = view.content(content)
        if record is None:
            continue
        is_plain = record.quality.information < PLAIN_INFORMATION
        near = {n.content: n for n in (*older, *beside)}.values()
        chosen = worth_a_look(near, model, limit, is_plain=is_plain)
        pairs |= {pair_of(content, neighbour.content) for neighbour in chosen}
    return pairs


def worth_a_look(
    neighbours: Iterable[Neighbour], model: Model, limit: int, *, is_plain: bool = False
) -> list[Neighbour]:
    """The neighbours to compare a picture with, the nearest first; of two as near, the older content first.

    Args:
        neighbours: contents near the picture, each once, in any order.
        model: what the similarities are of, and how far it reaches.
        limit: the most to return.
        is_plain: whether the picture says too little to be told from many others.
    """
    ranked = sorted(neighbours, key=lambda n: (-n.similarity, n.content))
    most = min(limit, PLAIN_LIMIT) if is_plain else limit
    return [n for rank, n in enumerate(ranked[:most]) if _is_within_reach(n.similarity, rank, model)]


def neighbours_within(batch: Sequence[tuple[ContentId, Descriptor]], model: Model) -> list[list[Neighbour]]:
    """For each content of a batch, the others of the batch that are near it: what the index cannot know yet. Exact."""
    if not batch:
        return []
    stored = np.concatenate([descriptor.stored for _, descriptor in batch])
    starts = np.cumsum([0, *(len(descriptor.stored) for _, descriptor in batch[:-1])])
    found: list[list[Neighbour]] = []
    for asking, descriptor in batch:
        best = np.maximum.reduceat((descriptor.queries @ stored.T).max(axis=0), starts)
        near = np.flatnonzero(best >= model.candidate_similarity).tolist()
        found.append([Neighbour(content=batch[i][0], similarity=float(best[i])) for i in near if batch[i][0] != asking])
    return found


def neighbours_in(
    index: VectorIndex, batch: Sequence[tuple[ContentId, Descriptor]], model: Model, limit: int
) -> list[list[Neighbour]]:
    """For each content of a batch, those of its `limit` nearest in the index that may be within reach, itself left out.

    Most pictures have fewer near ones than the widest step of the reach allows, and a long list costs several times
    the search: it is asked for only where the short one is full of such.
    """
    short = min(limit, max((step.nearest for step in model.reach[:-1]), default=limit))
    found = _search(index, batch, short, model.candidate_similarity)
    if short < limit:
        widest = model.reach[-1].similarity
        full = [i for i, near in enumerate(found) if len(near) == short and near[-1].similarity >= widest]
        for i, near in zip(full, _search(index, [batch[i] for i in full], limit, widest), strict=True):
            found[i] = near
    return found


def _search(
    index: VectorIndex, batch: Sequence[tuple[ContentId, Descriptor]], limit: int, min_similarity: float
) -> list[list[Neighbour]]:
    # A content that was linked before a kill may be in the index already: one more, so that it takes nobody's place.
    found = index.search([d.queries for _, d in batch], limit=limit + 1, min_similarity=min_similarity)
    return [
        [n for n in neighbours if n.content != asking][:limit]
        for (asking, _), neighbours in zip(batch, found, strict=True)
    ]


def _is_within_reach(similarity: float, rank: int, model: Model) -> bool:
    if similarity < model.candidate_similarity:
        return False
    return not model.reach or any(similarity >= step.similarity and rank < step.nearest for step in model.reach)
