"""The device pool with torch in its workers: small models of real architectures, saved and loaded from their folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from dedupd.core.ports import EmbedItem
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.devices import CPU
from dedupd.embedding.model_folder import inspect_model

small_models = pytest.importorskip("fakes.small_models", reason="torch and transformers are not installed")
DEADLINE_S = 110


def photos():
    return [picture[::3, ::3].copy() for picture in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())]


def embed(pool, shown):
    items = [EmbedItem(digest=bytes(32), path=None, small=picture) for picture in shown]
    return np.concatenate([descriptor.stored for descriptor in pool.embed(items).result(DEADLINE_S)])


@pytest.mark.parametrize("family", ["siglip2", "convnext"])
def test_a_worker_says_what_transformers_says_before_and_after_it_is_replaced(family, tmp_path: Path):
    whole = small_models.save_small_model(family, tmp_path / "model")
    spec = inspect_model(str(tmp_path / "model"), tmp_path / "models", dtype="float32")
    expected = small_models.as_transformers_embeds(family, whole, photos())
    pool = DevicePool(spec, [CPU], batch_size=3)
    try:
        together = embed(pool, photos())
        os.kill(pool.worker_pids()["cpu"], signal.SIGKILL)
        again = np.concatenate([embed(pool, [photo]) for photo in photos()])
        [speed] = pool.speed()
    finally:
        pool.close()
    assert (together * expected).sum(axis=1).min() >= 0.9999
    assert (together * again).sum(axis=1).min() >= 0.9999
    assert (speed.dtype, speed.is_left_out) == ("float32", False)
