"""Real device workers that fail in all the ways that devices fail: every picture is embedded exactly once, in order."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import CancelledError

import numpy as np
import pytest
from fakes import device_models as models

from dedupd.core.errors import DegradedError, RetryError
from dedupd.core.ports import EmbedItem
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.device_slot import WorkerLimits
from dedupd.embedding.devices import CPU, Device

DEADLINE_S = 60
ONE, TWO = (Device(kind="cuda", index=index, title=f"card {index}") for index in (0, 1))


@pytest.fixture
def folder(tmp_path, child_path):
    return tmp_path


@pytest.fixture
def make(folder):
    """Makes pools, and ends them."""
    made = []

    def one(*devices, **options):
        pool = DevicePool(models.spec_in(folder), devices or [CPU], **options)
        made.append(pool)
        return pool

    yield one
    for pool in made:
        pool.close()


def pictures(count, seed=1):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 60, (count, 2))
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def with_pixel(pixel, seed=7):
    [picture] = pictures(1, seed)
    picture[0, 0] = pixel
    return picture


def items(shown):
    return [EmbedItem(digest=bytes([n % 256]) * 32, path=None, small=picture) for n, picture in enumerate(shown)]


def vectors(pool, shown):
    found = pool.embed(items(shown)).result(DEADLINE_S)
    return np.concatenate([descriptor.stored for descriptor in found])


def expected(shown):
    return np.stack([models.vector_of(picture) for picture in shown])


def hold(folder):
    """From now on a picture that begins with HOLDS waits in the worker, until `wait_until_held` and beyond."""
    os.mkfifo(folder / "arrived")
    os.mkfifo(folder / "gate")


def wait_until_held(folder):
    """Returns when a worker is in the midst of its batch; none is held from then on."""
    with (folder / "arrived").open("rb") as arrived:
        (folder / "arrived").unlink()
        arrived.read()


def wait_until_gone(pid):
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([descriptor], [], [], DEADLINE_S)
    os.close(descriptor)
    assert ready, f"process {pid} still runs"


def test_nothing_is_started_before_there_is_work(make):
    pool = make(ONE, TWO)
    assert pool.embed([]).result(DEADLINE_S) == []
    assert pool.worker_pids() == {}


def test_a_picture_has_one_vector_alone_in_a_batch_and_on_two_workers(make):
    shown = pictures(40)
    one, two = make(ONE), make(ONE, TWO, batch_size=3)
    together = vectors(one, shown)
    np.testing.assert_array_equal(together, expected(shown))
    np.testing.assert_array_equal(vectors(two, shown), together)
    for picture, vector in zip(shown[:3], together, strict=False):
        np.testing.assert_array_equal(vectors(one, [picture])[0], vector)


def test_batches_that_do_not_fit_are_halved_and_give_the_same_vectors(make, folder):
    shown = pictures(60)
    pool = make(ONE, batch_size=16)
    before = vectors(pool, shown)
    models.conduct(folder, room={"0": 3})
    np.testing.assert_array_equal(vectors(pool, shown), before)
    [speed, _reserve] = pool.speed()
    assert speed.batch_size <= 3
    first_after = len(batches := models.batches_seen(folder)) - sum(count <= 3 for _, count in batches)
    assert sum(count for _, count in batches[first_after:]) == len(shown)
    assert pool.worker_pids().keys() == {"cuda:0"}


def test_a_worker_killed_in_mid_batch_costs_no_picture(make, folder):
    shown = [*pictures(10), with_pixel(models.HOLDS), *pictures(10, seed=2)]
    pool = make(ONE, batch_size=4)
    hold(folder)
    asked = pool.embed(items(shown))
    wait_until_held(folder)
    killed = pool.worker_pids()["cuda:0"]
    os.kill(killed, signal.SIGKILL)
    found = np.concatenate([descriptor.stored for descriptor in asked.result(DEADLINE_S)])
    np.testing.assert_array_equal(found, expected(shown))
    assert sum(count for _, count in models.batches_seen(folder)) == len(shown)
    assert pool.worker_pids()["cuda:0"] != killed
    assert not any(speed.is_left_out for speed in pool.speed())


@pytest.mark.parametrize("way", ["ends_at_start", "ends", "breaks", "refuses"])
def test_a_device_that_fails_again_is_left_out_told_once_and_its_batch_redone_elsewhere(make, folder, way):
    models.conduct(folder, **{way: ["1"]})
    told = []
    pool = make(ONE, TWO, batch_size=4, on_trouble=told.append)
    lost = []
    for seed in range(20):
        shown = pictures(30, seed)
        np.testing.assert_array_equal(vectors(pool, shown), expected(shown))
        lost = [speed.device for speed in pool.speed() if speed.is_left_out]
        if lost:
            break
    shown = pictures(30)
    np.testing.assert_array_equal(vectors(pool, shown), expected(shown))
    assert lost == ["cuda:1"]
    assert len(told) == 1
    assert told[0].startswith("cuda:1 (card 1) no longer runs the model grid: ")
    assert "cuda:0 goes on" in told[0]
    assert {device for device, _ in models.batches_seen(folder)} == {"0"}


def test_the_processor_serves_when_every_gpu_is_lost(make, folder):
    models.conduct(folder, ends=["0", "1"])
    told = []
    pool = make(ONE, TWO, on_trouble=told.append)
    shown = pictures(30)
    np.testing.assert_array_equal(vectors(pool, shown), expected(shown))
    assert {device for device, _ in models.batches_seen(folder)} == {"cpu"}
    assert sorted(text.partition(" ")[0] for text in told) == ["cuda:0", "cuda:1"]
    assert "cpu goes on" in told[-1]


def test_no_room_for_one_picture_is_the_devices_trouble_and_no_pictures(make, folder):
    shown = pictures(9)
    pool = make(ONE)
    vectors(pool, shown)
    models.conduct(folder, room={"0": 0})
    np.testing.assert_array_equal(vectors(pool, shown), expected(shown))
    assert [speed.is_left_out for speed in pool.speed()] == [True, False]
    assert "room" in pool.speed()[0].trouble


def test_without_any_device_batches_fail_until_one_is_tried_again_and_serves(make, folder):
    clock_s = 100.0
    models.conduct(folder, refuses=["0", "cpu"])
    pool = make(ONE, now=lambda: clock_s, limits=WorkerLimits(retry_s=600.0))
    for _ in range(2):
        with pytest.raises(DegradedError, match="grid: RuntimeError: no such architecture; it is tried again in 10"):
            vectors(pool, pictures(2))
    models.conduct(folder)
    with pytest.raises(DegradedError):
        vectors(pool, pictures(2))
    clock_s += 601.0
    np.testing.assert_array_equal(vectors(pool, pictures(20)), expected(pictures(20)))
    assert not all(speed.is_left_out for speed in pool.speed())


@pytest.mark.parametrize("devices", [(CPU,), (ONE,), (ONE, TWO)], ids=["cpu", "gpu", "gpus"])
def test_a_picture_that_ends_workers_fails_alone(make, folder, devices):
    pool = make(*devices, batch_size=4)
    others = pictures(10)
    good, bad, more = (pool.embed(items(s)) for s in (others, [with_pixel(models.ENDS_WORKERS)], pictures(30)))
    with pytest.raises(ValueError, match=r"content 0{16}: \d workers ended"):
        bad.result(DEADLINE_S)
    assert len(more.result(DEADLINE_S)) == 30
    found = np.concatenate([descriptor.stored for descriptor in good.result(DEADLINE_S)])
    np.testing.assert_array_equal(found, expected(others))
    np.testing.assert_array_equal(vectors(pool, others), expected(others))


@pytest.mark.parametrize(
    ("pixel", "reason"),
    [(models.FAILS, "ValueError: an odd picture"), (models.HAS_NO_VECTOR, "the model gave no finite vector")],
)
def test_a_picture_on_which_the_model_fails_fails_alone(make, pixel, reason):
    pool = make()
    others = pictures(5)
    bad, good = pool.embed(items([with_pixel(pixel)])), pool.embed(items(others))
    assert str(bad.exception(DEADLINE_S)) == f"the model failed on content 0000000000000000: {reason}"
    assert isinstance(bad.exception(), ValueError)
    assert len(good.result(DEADLINE_S)) == 5
    assert not pool.speed()[0].is_left_out


def test_a_worker_that_says_nothing_is_replaced(make):
    shown = [*pictures(3), with_pixel(models.HANGS), *pictures(3, seed=2)]
    pool = make(limits=WorkerLimits(batch_s=2.0))
    np.testing.assert_array_equal(vectors(pool, shown), expected(shown))


def test_close_in_mid_work_ends_workers_and_answers_every_future(make, folder):
    hold(folder)
    pool = make(ONE, TWO, batch_size=2)
    asked = [pool.embed(items([with_pixel(models.HOLDS), *pictures(3)])) for _ in range(20)]
    wait_until_held(folder)
    pids = list(pool.worker_pids().values())
    pool.close()
    assert pids
    for pid in pids:
        wait_until_gone(pid)
    outcomes = {answer(future) for future in asked}
    assert CancelledError in outcomes
    assert outcomes <= {CancelledError, RetryError, list}
    with pytest.raises(RuntimeError):
        pool.embed([])


def answer(future):
    assert future.done()
    if future.cancelled():
        return CancelledError
    return type(future.exception() or future.result())


def test_a_batch_that_is_cancelled_in_time_is_not_computed(make, folder):
    hold(folder)
    pool = make(batch_size=1)
    first = pool.embed(items([with_pixel(models.HOLDS)]))
    (folder / "gate").unlink()
    (folder / "gate").touch()
    rest = [pool.embed(items(pictures(1, seed))) for seed in range(6)]
    assert rest[-1].cancel()
    wait_until_held(folder)
    for future in [first, *rest[:-1]]:
        assert len(future.result(DEADLINE_S)) == 1
    assert sum(count for _, count in models.batches_seen(folder)) == 6


def test_no_worker_outlives_the_daemon(folder):
    hold(folder)
    program = """
import sys
from pathlib import Path
from fakes import device_models as models
sys.path.insert(0, str(Path(models.__file__).parents[1]))
from dedupd.core.ports import EmbedItem
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.devices import CPU
import numpy as np
picture = np.full((9, 9, 3), 5, np.uint8)
picture[0, 0] = models.HOLDS
pool = DevicePool(models.spec_in(Path(sys.argv[1])), [CPU])
asked = pool.embed([EmbedItem(digest=bytes(32), path=None, small=picture)])
sys.stdin.readline()
print(pool.worker_pids()["cpu"], flush=True)
asked.result()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as daemon:
        wait_until_held(folder)
        daemon.stdin.write("\n")
        daemon.stdin.flush()
        worker = int(daemon.stdout.readline())
        assert os.path.exists(f"/proc/{worker}")  # noqa: PTH110 - a process, no file
        daemon.kill()
    wait_until_gone(worker)


def test_a_worker_without_work_ends_and_comes_back(make):
    pool = make(limits=WorkerLimits(idle_s=0.0))
    for seed in (1, 2):
        np.testing.assert_array_equal(vectors(pool, pictures(3, seed)), expected(pictures(3, seed)))
        for pid in pool.worker_pids().values():
            wait_until_gone(pid)


def test_a_worker_sees_its_gpu_alone_and_no_secret(make, folder, monkeypatch):
    monkeypatch.setenv("ALERT_PASSWORD", "swordfish")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    hold(folder)
    pool = make(TWO)
    asked = pool.embed(items([with_pixel(models.HOLDS)]))
    wait_until_held(folder)
    pid = pool.worker_pids()["cuda:1"]
    with open(f"/proc/{pid}/environ", "rb") as listing:  # noqa: PTH123 - of a process
        environment = dict(entry.partition(b"=")[::2] for entry in listing.read().split(b"\0"))
    assert environment[b"CUDA_VISIBLE_DEVICES"] == b"6"
    assert b"ALERT_PASSWORD" not in environment
    assert environment[b"HF_HUB_OFFLINE"] == b"1"
    assert environment[b"OMP_WAIT_POLICY"] == b"PASSIVE"
    os.kill(pid, signal.SIGKILL)
    assert len(asked.result(DEADLINE_S)) == 1


def test_the_daemon_has_no_torch_in_it():
    program = "import sys, dedupd.embedding.device_pool; print({'torch', 'transformers'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"


def test_the_status_says_how_each_device_does(make):
    clock_s = 50.0
    pool = make(ONE, batch_size=5, now=lambda: clock_s)
    vectors(pool, pictures(40))
    [speed, reserve] = pool.speed()
    assert (speed.device, speed.title, speed.batch_size, speed.dtype) == ("cuda:0", "card 0", 5, "float32")
    assert speed.pictures_per_s > 40 / DEADLINE_S
    assert speed.is_running
    assert speed.peak_memory_bytes > 1 << 20
    assert speed.utilisation is None
    assert (reserve.device, reserve.is_running, reserve.pictures_per_s) == ("cpu", False, 0.0)
    clock_s += 31.0
    assert pool.speed()[0].pictures_per_s == 0.0
