"""The full pictures on the way through the engine: they turn a duplicate into `similar`, never the other way."""

import logging
import os
import time

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from dedupd.core.records import DUPLICATE_RELATIONS, Relation
from dedupd.daemon.build import build_engine
from dedupd.daemon.no_changes import NoChanges
from dedupd.settings.schema import Decode, Settings

DEADLINE_S = 60


def edges(bench):
    with bench.library.view() as view:
        return list(view.edges())


def test_a_copy_is_looked_at_in_full_once_and_stays_one(bench):
    bench.write("a.jpg", "beach")
    bench.write("b.jpg", "beach", "again")
    bench.settle_all()
    [edge] = edges(bench)
    assert edge.relation is Relation.RE_ENCODED
    assert (edge.evidence.fine_px, edge.evidence.fine_noise_correlation) == (600, 0.9)
    bench.settle_all()
    assert len(bench.reader.compared_fully) == 1


def test_another_shot_that_only_shows_in_full_is_similar_in_no_group_and_told_to_nobody(bench):
    bench.write("a.jpg", "beach")
    bench.write("b.jpg", "beach", "reshot")
    bench.settle_all()
    [edge] = edges(bench)
    assert edge.relation is Relation.SIMILAR
    assert "noise" in edge.reason
    assert [*bench.groups.all(DUPLICATE_RELATIONS)] == []
    assert bench.told() == []


def test_files_that_cannot_be_read_in_full_leave_what_the_small_images_said_and_a_log_line(bench, caplog):
    bench.write("a.jpg", "beach")
    path = bench.write("b.jpg", "beach", "reshot")
    bench.reader.compare_hook = path.unlink
    with caplog.at_level(logging.WARNING):
        bench.settle_all()
    assert [edge.relation for edge in edges(bench)] == [Relation.RE_ENCODED]
    assert "full_look.failed" in caplog.text


def exposure(seed):
    """A photo of one scene with sensor noise of its own, spread as demosaicing does."""
    scene = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 468))
    scene = np.asarray(scene.resize((1120, 1024), Image.Resampling.BICUBIC), np.float32)
    noise = np.random.default_rng(seed).normal(0, 4, scene.shape[:2]).astype(np.float32)
    noisy = scene + cv2.GaussianBlur(noise, (0, 0), 0.5)[..., None]
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.fixture
def engine(tmp_path):
    crashes = []
    made = build_engine(
        Settings(decode=Decode(workers=1)),
        tmp_path / "state",
        lambda _ignore: NoChanges(),
        lambda stage, error: crashes.append((stage, error)),
    )
    yield made
    made.stop(5.0)
    assert crashes == []


def test_of_real_files_the_copy_is_a_duplicate_and_the_next_exposure_is_not(engine, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    pictures = {"shot": (exposure(1), 93), "copy": (exposure(1), 80), "next": (exposure(2), 93)}
    then_s = time.time() - 3600
    for name, (picture, quality) in pictures.items():
        picture.save(photos / f"{name}.jpg", quality=quality)
        os.utime(photos / f"{name}.jpg", (then_s, then_s))
    engine.start([photos])
    deadline_s = time.monotonic() + DEADLINE_S
    ids = {}
    while len(ids) < 3:
        assert time.monotonic() < deadline_s
        with engine.library.view() as view:
            if view.counts().contents == 3 and not view.counts().contents_unlinked:
                ids = {f.path.name.removesuffix(b".jpg").decode(): f.content for f in view.files()}
        time.sleep(0.02)

    def edge(one, other):
        a, b = sorted((ids[one], ids[other]))
        with engine.library.view() as view:
            return view.edge(a, b)

    assert edge("shot", "copy").relation is Relation.RE_ENCODED
    assert edge("shot", "copy").evidence.fine_px == 1024
    found = edge("shot", "next")
    assert found.evidence.similarity > 0.99
    assert found.relation is Relation.SIMILAR
    assert "noise" in found.reason
