"""Pictures that say little are near to hundreds of their kind: they are compared with few, and with no photograph."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from skimage import data

from dedupd.core.arrays import Pixels
from dedupd.core.ports import EmbedItem, Neighbour
from dedupd.core.records import ContentId
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.imaging.quality import information
from dedupd.pipeline.candidates import PLAIN_INFORMATION, PLAIN_LIMIT, worth_a_look

COUNT = 40
LIMIT = 32
PHOTOS = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.retina()[::4, ::4]]
HEIGHT, WIDTH = 288, 384


def black_frame(rng: Generator) -> Pixels:
    """The cap on the lens: the sensor's noise, and a weak glow somewhere."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    away = np.hypot(rows - rng.uniform(0, HEIGHT), columns - rng.uniform(0, WIDTH)) / WIDTH
    light = 2 + rng.uniform(0, 3) * np.exp(-((away / 0.3) ** 2))
    return np.clip(light[..., None] + rng.normal(0, 1.2, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


def blank_scan(rng: Generator) -> Pixels:
    """A white sheet with the scanner's shading."""
    shade = (
        np.linspace(0, rng.uniform(-6, 6), HEIGHT)[:, None, None] + np.linspace(0, rng.uniform(-6, 6), WIDTH)[:, None]
    )
    return np.clip(246 + shade + rng.normal(0, 1, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


def sky(rng: Generator) -> Pixels:
    """From blue down to pale."""
    top, bottom = (
        np.array([50, 100, 190]) + rng.uniform(-30, 30, 3),
        np.array([170, 200, 235]) + rng.uniform(-20, 20, 3),
    )
    down = np.linspace(0, 1, HEIGHT)[:, None, None] ** rng.uniform(0.6, 1.6)
    return np.clip(top + down * (bottom - top) + rng.normal(0, 1, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", [black_frame, blank_scan, sky], ids=lambda kind: kind.__name__)
def test_a_picture_that_says_little_is_compared_with_ten_of_hundreds_and_no_photograph(kind: Callable[..., Pixels]):
    made = [kind(np.random.default_rng(seed)) for seed in range(COUNT)]
    embedder = LocalEmbedder()
    try:
        items = [EmbedItem(digest=bytes(32), path=None, small=np.ascontiguousarray(p)) for p in made + PHOTOS]
        found = embedder.embed(items).result(60)
    finally:
        embedder.close()
    for number in range(COUNT):
        near = [
            Neighbour(content=ContentId(i + 1), similarity=float((found[number].queries @ other.stored.T).max()))
            for i, other in enumerate(found)
            if i != number
        ]
        is_plain = information(cv2.cvtColor(made[number], cv2.COLOR_RGB2GRAY)) < PLAIN_INFORMATION
        assert is_plain
        chosen = worth_a_look(near, embedder.model, LIMIT, is_plain=is_plain)
        assert (
            len(chosen) <= PLAIN_LIMIT < len([n for n in near if n.similarity >= embedder.model.candidate_similarity])
        )
        assert all(n.content <= COUNT for n in chosen)


def test_a_photograph_is_no_plain_picture_and_none_of_those_is_nearly_equal_to_it():
    made = [kind(np.random.default_rng(seed)) for kind in (black_frame, blank_scan, sky) for seed in range(8)]
    embedder = LocalEmbedder()
    try:
        items = [EmbedItem(digest=bytes(32), path=None, small=np.ascontiguousarray(p)) for p in made + PHOTOS]
        found = embedder.embed(items).result(60)
    finally:
        embedder.close()
    for photo, descriptor in zip(PHOTOS, found[len(made) :], strict=True):
        assert information(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)) > PLAIN_INFORMATION
        similarities = [float((descriptor.queries @ plain.stored.T).max()) for plain in found[: len(made)]]
        assert max(similarities) < embedder.model.reach[-1].similarity
