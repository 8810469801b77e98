"""A small real engine that has done its work, for the ports that only a whole engine stands behind."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from dedupd.daemon.build import build_engine
from dedupd.daemon.no_changes import NoChanges
from dedupd.settings.schema import Decode, Settings

DEADLINE_S = 60.0


class Pictures:
    """Pictures of our own making, and a wait; test modules get them as a fixture."""

    @staticmethod
    def of(seed, size=(480, 360)):
        """A picture with structure at every scale, so that features and descriptors have something to hold on to."""
        rng = np.random.default_rng(seed)
        canvas = np.zeros((size[1], size[0], 3), np.float32)
        for cells in (3, 7, 16, 40, 100):
            noise = rng.normal(size=(cells, cells, 3)).astype(np.float32)
            layer = Image.fromarray(((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8))
            canvas += np.asarray(layer.resize(size, Image.Resampling.BICUBIC), np.float32) / cells**0.5
        image = Image.fromarray(((canvas - canvas.min()) / np.ptp(canvas) * 255).astype(np.uint8))
        for _ in range(12):  # hard edges: boxes of one colour
            x, y = rng.integers(0, size[0] - 60), rng.integers(0, size[1] - 60)
            box = tuple(int(v) for v in (x, y, x + rng.integers(20, 60), y + rng.integers(20, 60)))
            image.paste(tuple(int(v) for v in rng.integers(0, 255, 3)), box)
        return image.filter(ImageFilter.GaussianBlur(0.6))

    @staticmethod
    def save(image, path: Path, **options):
        """Save as if written long ago, so that nothing waits for it to settle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
        then_s = time.time() - 3600
        os.utime(path, (then_s, then_s))

    @staticmethod
    def wait_until(claim, what):
        deadline_s = time.monotonic() + DEADLINE_S
        while not claim():
            assert time.monotonic() < deadline_s, f"waited {DEADLINE_S} s in vain: {what}"
            time.sleep(0.01)


@contextmanager
def running_engine(state_dir, roots, *, before_start=lambda engine: None):
    """An engine that has scanned these directories to the end; its parts may be asked, and are stopped at the end."""
    crashes = []
    engine = build_engine(
        Settings(decode=Decode(workers=2)),
        state_dir,
        lambda _ignore: NoChanges(),
        lambda stage, error: crashes.append((stage, error)),
    )
    try:
        before_start(engine)
        engine.start(roots)
        files = sum(path.is_file() for root in roots for path in root.rglob("*"))
        Pictures.wait_until(lambda: crashes or is_done(engine, files), "the first scan to end")
        yield engine
    finally:
        engine.stop(timeout_s=5.0)
    assert crashes == []


def is_done(engine, files):
    with engine.library.view() as view:
        counts = view.counts()
        scanned = all(root.last_full_scan_ns for root in view.roots() if root.is_watched)
    is_idle = engine.intake.is_idle and engine.describe.is_idle
    return (
        scanned
        and is_idle
        and counts.files >= files
        and (counts.files_pending, counts.contents_unlinked) == (0, 0)
        and len(engine.opened.index) == counts.contents
    )


@pytest.fixture(scope="session")
def pictures():
    return Pictures


@pytest.fixture(scope="session")
def run_engine():
    return running_engine
