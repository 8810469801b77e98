"""A GPU and the processor say the same of a picture, within what the GPU computes in; and a full GPU halves batches."""

from __future__ import annotations

import numpy as np
import pytest

from dedupd.core.errors import ConfigError
from dedupd.core.ports import EmbedItem
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.device_slot import WorkerLimits
from dedupd.embedding.devices import CPU, find_gpus
from dedupd.embedding.model_folder import inspect_model

small_models = pytest.importorskip("fakes.small_models", reason="torch and transformers are not installed")

pytestmark = pytest.mark.gpu
DEADLINE_S = 110
NEAREST = {"float32": 0.9999, "bfloat16": 0.999, "float16": 0.999}  # cosine to float32 on the processor
FAMILIES = ("siglip2", "siglip", "clip", "dinov2", "vit", "convnext", "efficientnet")


@pytest.fixture(scope="module")
def gpus():
    try:
        found = find_gpus()
    except ConfigError as error:
        pytest.skip(str(error))
    return found or pytest.skip("this machine has no GPU")


def pictures(count):
    rng = np.random.default_rng(1)
    sizes = rng.integers(30, 90, (count, 2))
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def embed(pool, shown):
    items = [EmbedItem(digest=bytes(32), path=None, small=picture) for picture in shown]
    return np.concatenate([descriptor.stored for descriptor in pool.embed(items).result(DEADLINE_S)])


@pytest.mark.parametrize("dtype", ["float32", "auto"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gpus_agree_with_the_processor(gpus, family, dtype, tmp_path):
    small_models.save_small_model(family, tmp_path / "model")
    found = {}
    for name, devices, numbers in (("processor", [CPU], "float32"), ("gpus", gpus, dtype)):
        pool = DevicePool(inspect_model(str(tmp_path / "model"), tmp_path / "models", dtype=numbers), devices)
        try:
            found[name] = embed(pool, pictures(40))
            speed = pool.speed()[0]
        finally:
            pool.close()
    assert (found["processor"] * found["gpus"]).sum(axis=1).min() >= NEAREST[speed.dtype]
    assert speed.device == gpus[0].name
    assert not speed.is_left_out


def test_a_bounded_gpu_halves_batches_and_says_the_same(gpus, tmp_path):
    small_models.save_small_model("siglip2", tmp_path / "model")
    spec = inspect_model(str(tmp_path / "model"), tmp_path / "models", dtype="float32")
    found = []
    share = 96e6 / gpus[0].memory_bytes  # cuBLAS takes a third of it; 4,096 pictures at once need some 200 MB
    for fraction in (1.0, share):
        pool = DevicePool(spec, gpus[:1], batch_size=4096, limits=WorkerLimits(memory_fraction=fraction))
        try:
            found.append(embed(pool, pictures(4096)))
            speed = pool.speed()[0]
        finally:
            pool.close()
    assert speed.batch_size < 4096
    assert not speed.is_left_out
    assert (found[0] * found[1]).sum(axis=1).min() >= 0.9999
