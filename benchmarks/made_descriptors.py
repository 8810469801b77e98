"""Descriptors of pictures that do not exist, as many as one likes, on disk; and those of copies of them.

A library of topics (what people photograph again and again) and scenes (shots of one moment). The spread along the
axes, the views of a picture, the rows that it asks with and the similarity of copies are as measured on real pictures.
Owns nothing but the file that it writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from dedupd.core.arrays import Vectors
from dedupd.core.records import ContentId
from dedupd.embedding.describe import ASKED_WINDOWS
from dedupd.index.views import MAX_VIEWS

DIM = 128

# Measured with the built-in descriptor (dct-lda-128-v1) on 3,957 photos (docs/descriptor.md, "Data card") and the
# labelled set: python -m benchmarks.candidates shows the same of other pictures.
# The standard deviation along axis j goes with (j + 1) to this power: the first 8 / 32 / 64 axes hold .31 / .58 / .76
# of photos, but .12 / .37 / .59 of what an edit changes. The descriptor was fitted to make it so.
SPREAD_POWER = -0.30
EDIT_POWER = -0.12
VIEWS_SHARE = (0.006, 0.848, 0.053, 0.093)  # of pictures with 1 … 4 stored vectors; labelled set: 2.23 on average
TRIMMED_SIMILARITY = (0.23, 0.63, 0.84, 0.94, 0.99)  # a view without borders to the whole: percentiles 5 25 50 75 95
MIDDLE_SIMILARITY = (0.37, 0.16)  # the stored middle to the whole: mean, standard deviation
ORIENTED_SIMILARITY = (0.21, 0.21)  # the whole, turned, to itself
WINDOW_SIMILARITY = (0.60,) * 4 + (0.67,) + (0.34,) * 4 + (0.42,) * 4 + (0.21,) * 4  # means, as ASKED_WINDOWS
WINDOW_SPREAD = 0.14
# The best similarity of a copy's queries to its original's stored vectors, 450 copies of the labelled set.
COPY_SHARES = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 1)
COPY_SIMILARITY = (0.441, 0.563, 0.606, 0.745, 0.778, 0.842, 0.893, 0.923, 0.972, 0.988, 0.994, 0.997, 1.0, 1.0)

# How the library hangs together. With these, what photos see of each other is as of the real ones: see `nearness`.
PICTURES_A_TOPIC = 400
TOPIC_SHARE = (0.0, 0.6)  # of a picture's variance that is its topic's: uniform
PICTURES_A_SCENE = 4  # geometric
SCENE_SHARE = (0.2, 0.9)  # of the rest of the variance, for pictures in scenes of two and more

_ROW_BYTES = 2 * DIM
_BLOCK = 20_000  # pictures made at a time
_TOPIC_SEED, _PICTURE_SEED = 1, 2

Floats = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLibrary:
    """Stored vectors of contents 1 … count in a file of fp16 rows, read with pread so that no page of it is ours."""

    fd: int
    starts: Int64s  # [count + 1]: the first row of each content

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    def load(self, contents: Sequence[ContentId]) -> list[Vectors | None]:
        """What the store would answer."""
        asked = np.asarray(contents, dtype=np.int64)
        bounds = zip(self.starts[asked - 1].tolist(), self.starts[asked].tolist(), strict=True)
        parts = [os.pread(self.fd, (end - begin) * _ROW_BYTES, begin * _ROW_BYTES) for begin, end in bounds]
        rows = np.frombuffer(b"".join(parts), dtype=np.float16).reshape(-1, DIM).astype(np.float32)
        ends = list(accumulate(len(part) // _ROW_BYTES for part in parts))
        return [rows[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def blocks(self, first: int, last: int, size: int) -> Iterator[tuple[list[ContentId], list[Vectors]]]:
        """Contents first … last - 1 in portions of `size`."""
        for begin in range(first, last, size):
            end = min(begin + size, last)
            bounds = self.starts[begin - 1 : end]
            rows = self._rows(int(bounds[0]), int(bounds[-1]))
            yield list(map(ContentId, range(begin, end))), np.split(rows, (bounds[1:-1] - bounds[0]).tolist())

    def rows_of(self, begin: int, end: int) -> Vectors:
        """Float32 [end - begin, dim] of the file's rows."""
        return self._rows(begin, end)

    def _rows(self, begin: int, end: int) -> Vectors:
        raw = os.pread(self.fd, (end - begin) * _ROW_BYTES, begin * _ROW_BYTES)
        return np.frombuffer(raw, dtype=np.float16).reshape(-1, DIM).astype(np.float32)


def make_library(path: Path, count: int, seed: int) -> MadeLibrary:
    """Write the stored vectors of `count` pictures; the same seed and count give the same ones."""
    population = _Population(count, seed)
    numbers = [np.zeros(1, dtype=np.int64)]
    with path.open("wb") as file:
        for begin in range(0, count, _BLOCK):
            rng = np.random.default_rng([seed, _PICTURE_SEED, begin])
            rows, views = _stored(population.pictures(min(_BLOCK, count - begin), rng), population, rng)
            file.write(rows.astype(np.float16).tobytes())
            numbers.append(views)
    fd = os.open(path, os.O_RDONLY)
    return MadeLibrary(fd=fd, starts=np.cumsum(np.concatenate(numbers)))


def make_copies(library: MadeLibrary, originals: Sequence[int], seed: int) -> tuple[list[Vectors], list[Vectors]]:
    """The query and the stored vectors of a copy of each of these contents."""
    rng = np.random.default_rng([seed, len(originals)])
    population = _Population(library.count, seed)
    similarity = np.interp(rng.random(len(originals)), COPY_SHARES, COPY_SIMILARITY).astype(np.float32)
    queries, stored = [], []
    for original, near in zip(originals, similarity, strict=True):
        [views] = library.load([ContentId(original)])
        assert views is not None
        match = _at(views[rng.integers(len(views))][None], np.array([near]), _noise(1, rng, EDIT_POWER))
        whole = population.pictures(1, rng) if near < 0.9 else match  # an edit that hurts is seen by one row only
        queries.append(np.concatenate([match, _asked(whole, population, rng)[1:]]))
        stored.append(_stored(match, population, rng)[0])
    return queries, stored


def nearness(library: MadeLibrary, asking: int, among: int) -> Floats:
    """For `asking` contents spread over the library: the similarity of the nearest whole of `among` others' wholes."""
    places = np.linspace(0, library.count - 1, asking + among).astype(np.int64)
    rows = np.concatenate([library.rows_of(b, b + 1) for b in library.starts[places].tolist()])
    order = np.random.default_rng(0).permutation(len(rows))
    nearest: Floats = (rows[order[:asking]] @ rows[order[asking:]].T).max(axis=1)
    return nearest


class _Population:
    """What pictures are drawn from."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng([seed, _TOPIC_SEED])
        self._topics = _unit(_noise(max(1, count // PICTURES_A_TOPIC), rng))

    def pictures(self, count: int, rng: Generator) -> Floats:
        """Wholes of pictures, scene after scene: unit float32 [count, DIM]."""
        scene = np.cumsum(rng.random(count) < 1 / PICTURES_A_SCENE)
        topics = self._topics[rng.integers(len(self._topics), size=scene[-1] + 1)]
        topic_share = rng.uniform(*TOPIC_SHARE, scene[-1] + 1).astype(np.float32)[scene, None]
        scene_share = rng.uniform(*SCENE_SHARE, count).astype(np.float32)[:, None]
        moments = _unit(_noise(scene[-1] + 1, rng))[scene]
        own = _unit(_noise(count, rng))
        rest = np.sqrt(scene_share) * moments + np.sqrt(1 - scene_share) * own
        return _unit(np.sqrt(topic_share) * topics[scene] + np.sqrt(1 - topic_share) * rest)


def _stored(wholes: Floats, population: _Population, rng: Generator) -> tuple[Floats, Int64s]:
    """The stored vectors of pictures, and how many each has: whole, trimmed ones, middle."""
    count = len(wholes)
    views = rng.choice(np.arange(1, MAX_VIEWS + 1), size=count, p=VIEWS_SHARE)
    trimmed = np.interp(rng.random(2 * count), (0.05, 0.25, 0.5, 0.75, 0.95), TRIMMED_SIMILARITY)
    middle = rng.normal(*MIDDLE_SIMILARITY, count)
    made = np.stack(
        [
            wholes,
            _towards(wholes, middle, population, rng),
            _towards(wholes, trimmed[:count], population, rng),
            _towards(wholes, trimmed[count:], population, rng),
        ],
        axis=1,
    )
    return made[np.arange(MAX_VIEWS) < views[:, None]], views


def _asked(whole: Floats, population: _Population, rng: Generator) -> Floats:
    """The rows that one picture asks with: itself, seven turns of it and its windows: [25, DIM]."""
    turned = rng.normal(*ORIENTED_SIMILARITY, 7)
    windows = rng.normal(WINDOW_SIMILARITY[: len(ASKED_WINDOWS)], WINDOW_SPREAD)
    near = np.concatenate([turned, windows])
    return np.concatenate([whole, _towards(np.repeat(whole, len(near), axis=0), near, population, rng)])


def _towards(of: Floats, similarity: npt.NDArray[np.float64], population: _Population, rng: Generator) -> Floats:
    """The same, otherwise like other pictures."""
    return _at(of, similarity, population.pictures(len(of), rng))


def _at(of: Floats, similarity: npt.NDArray[np.float64], other: Floats) -> Floats:
    """Unit vectors at these similarities to `of`, towards `other`."""
    near = np.clip(similarity, -0.2, 1).astype(np.float32)[:, None]
    away = _unit(other - (other * of).sum(axis=1, keepdims=True) * of)
    return _unit(near * of + np.sqrt(1 - near**2) * away)


def _noise(count: int, rng: Generator, power: float = SPREAD_POWER) -> Floats:
    axes = ((np.arange(DIM) + 1.0) ** power).astype(np.float32)
    noise: Floats = rng.standard_normal((count, DIM), dtype=np.float32) * axes
    return noise


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
