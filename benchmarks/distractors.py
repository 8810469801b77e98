"""Stored vectors of pictures that do not exist, made from those of real ones, to fill an index for a benchmark.

Each starts from a real picture and is moved within what its nearest neighbours span, so that dense neighbourhoods stay
dense and lone pictures alone; the views of one picture move together. `match_table` shows how well the likeness is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Descriptor

NEIGHBOURS = 8  # whose spread a picture is moved within
SPREAD = 0.7  # share of that spread; the picture is drawn towards their mean, so that their variance stays as it is
QUANTILES = (5, 25, 50, 75, 95, 99)
RANKS = (1, 10)
BATCH = 10_000  # pictures held at a time
ASKING = 16  # pictures asked with in one product


def distractors(real: Sequence[Vectors], count: int, rng: Generator) -> Iterator[list[Vectors]]:
    """Batches of stored vectors, `count` pictures in all, each real picture being the start of as many as any other."""
    first = np.stack([views[0] for views in real])
    last = np.stack([views[-1] for views in real])
    similarity = first @ first.T
    np.fill_diagonal(similarity, -2.0)
    nearest = np.argpartition(-similarity, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    del similarity
    starts = np.concatenate([rng.permutation(len(real)) for _ in range(-(-count // len(real)))])[:count]
    for begin in range(0, count, BATCH):
        yield [
            _moved(real[i], first[nearest[i]], last[nearest[i]], rng) for i in starts[begin : begin + BATCH].tolist()
        ]


def _moved(views: Vectors, near_first: Vectors, near_last: Vectors, rng: Generator) -> Vectors:
    """A picture somewhere among its neighbours; the last view, its middle, moves with theirs."""
    weights = rng.normal(0, SPREAD / np.sqrt(len(near_first)), len(near_first)).astype(np.float32)
    drawn = np.float32(1 - np.sqrt(1 - SPREAD**2))
    moved = views + _shift(views[0], near_first, weights, drawn)
    moved[-1] = views[-1] + _shift(views[-1], near_last, weights, drawn)
    unit: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit


def _shift(view: Vectors, near: Vectors, weights: Vectors, drawn: np.float32) -> Vectors:
    mean = near.mean(axis=0)
    shift: Vectors = drawn * (mean - view) + weights @ (near - mean)
    return shift


def best_similarities(asked: Sequence[Descriptor], stored: Sequence[Vectors]) -> Vectors:
    """float32 [asked, stored]: the best cosine of any query and any stored view, in products that fit the memory."""
    views = np.concatenate(stored).T
    starts = np.cumsum([0, *(len(v) for v in stored[:-1])])
    found = np.empty((len(asked), len(stored)), dtype=np.float32)
    for begin in range(0, len(asked), ASKING):
        some = asked[begin : begin + ASKING]
        firsts = np.cumsum([0, *(len(d.queries) for d in some[:-1])])
        of_views = np.maximum.reduceat(np.concatenate([d.queries for d in some]) @ views, firsts, axis=0)
        found[begin : begin + len(some)] = np.maximum.reduceat(of_views, starts, axis=1)
    return found


def match_table(real: Sequence[Descriptor], rng: Generator, floor: float) -> list[str]:
    """A table's lines: what held-out real pictures see of real ones, and of distractors made of all or some of them."""
    order = rng.permutation(len(real)).tolist()
    held, others = [real[i] for i in order[: len(real) // 6]], [real[i].stored for i in order[len(real) // 6 :]]
    seen = {f"{len(others)} real": others}
    for start in (len(others), len(others) // 4):
        seen[f"{len(others)} made of {start}"] = [v for b in distractors(others[:start], len(others), rng) for v in b]
    quantiles = "/".join(f"{q}" for q in QUANTILES)
    lines = [f"seen by {len(held)} held-out real pictures (percentiles {quantiles})"]
    for name, stored in seen.items():
        near = -np.sort(-best_similarities(held, stored), axis=1)
        parts = [f"rank {rank}: {_percentiles(near[:, rank - 1])}" for rank in RANKS]
        count = (near >= floor).sum(axis=1)
        parts.append(f"over {floor}: mean {count.mean():.2f}, {_percentiles(count, '.0f')}")
        lines.append(f"{name:>18}  " + "  ".join(parts))
    return lines


def _percentiles(values: np.ndarray, form: str = ".2f") -> str:
    return "/".join(f"{v:{form}}" for v in np.percentile(values, QUANTILES))
