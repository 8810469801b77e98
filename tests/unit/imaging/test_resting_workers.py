"""Decode workers end when there is nothing to do, come back for work, and are no more than may be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dedupd.core.ports import Priority, ReadFile
from dedupd.core.records import Problem
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.spawn import spawn

LIMIT_S = 60.0
SOON_S = 0.05


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(3 * 64 * 64, dtype=np.uint8).reshape(64, 64, 3)).save(path)
    return os.fsencode(path)


@pytest.fixture
def make_pool() -> Iterator[Callable[..., DecodePool]]:
    made: list[DecodePool] = []

    def make(workers: int, **options: object) -> DecodePool:
        made.append(DecodePool(workers, **{"starts_warm": False, **options}))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(pool: DecodePool, picture: bytes, is_known: Callable[[bytes], bool] = lambda _: False) -> Future[object]:
    return pool.read(picture, is_known=is_known, priority=Priority.QUESTION)


def is_read(answer: ReadFile | Problem) -> bool:
    return isinstance(answer, ReadFile) and not isinstance(answer.image, Problem)


def held(pool: DecodePool, picture: bytes, jobs: int) -> tuple[list[Future[object]], threading.Event]:
    """Jobs that are under way, each with a worker, and what lets them go."""
    go = threading.Event()
    under_way = threading.Semaphore(0)

    def wait(_: bytes) -> bool:
        under_way.release()
        return go.wait(LIMIT_S)

    futures = [ask(pool, picture, wait) for _ in range(jobs)]
    for _ in futures:
        assert under_way.acquire(timeout=LIMIT_S)
    return futures, go


def test_workers_without_work_end_but_for_a_fresh_one(make_pool: Callable[..., DecodePool], picture: bytes) -> None:
    pool = make_pool(2, rest_after_s=SOON_S)
    assert pool.worker_pids() == [], "none is started before there is work"
    futures, go = held(pool, picture, 2)
    worked = set(pool.worker_pids())
    assert len(worked) == 2
    go.set()
    for future in futures:
        future.result(LIMIT_S)
    until(lambda: len(pids := pool.worker_pids()) == 1 and not worked & set(pids))
    [fresh] = pool.worker_pids()
    time.sleep(3 * SOON_S)
    assert pool.worker_pids() == [fresh], "there is nothing to renew"
    assert is_read(ask(pool, picture).result(LIMIT_S))
    until(lambda: pool.worker_pids() not in ([], [fresh]))
    assert pool.died_total == 0, "a worker that rests has not died on anything"


def test_who_expects_work_has_one_worker_ready_and_no_more(
    make_pool: Callable[..., DecodePool], picture: bytes
) -> None:
    pool = make_pool(3)
    for _ in range(5):
        pool.expect()
    until(lambda: bool(pool.worker_pids()))
    pool.expect()
    before = pool.worker_pids()
    for _ in range(5):
        assert is_read(ask(pool, picture).result(LIMIT_S))
    assert pool.worker_pids() == before
    assert len(before) == 1


def test_one_job_after_the_other_needs_one_worker_and_many_at_once_need_all(
    make_pool: Callable[..., DecodePool], picture: bytes
) -> None:
    pool = make_pool(3)
    for _ in range(6):
        assert is_read(ask(pool, picture).result(LIMIT_S))
    assert len(pool.worker_pids()) == 1
    futures, go = held(pool, picture, 3)
    assert len(pool.worker_pids()) == 3
    go.set()
    for future in futures:
        future.result(LIMIT_S)


def test_fewer_may_work_without_losing_a_job(make_pool: Callable[..., DecodePool], picture: bytes) -> None:
    pool = make_pool(3)
    under_way, go = held(pool, picture, 3)
    waiting = [ask(pool, picture) for _ in range(4)]
    pool.allow(1)
    assert pool.allowed == 1
    assert len(pool.worker_pids()) == 3, "nobody is stopped at work"
    go.set()
    for future in under_way:
        future.result(LIMIT_S)
    until(lambda: len(pool.worker_pids()) <= 1)
    assert all(is_read(future.result(LIMIT_S)) for future in waiting)
    pool.allow(99)
    assert pool.allowed == 3
    futures, go = held(pool, picture, 3)
    go.set()
    for future in futures:
        future.result(LIMIT_S)


def test_at_least_one_may_work(make_pool: Callable[..., DecodePool], picture: bytes) -> None:
    pool = make_pool(2)
    pool.allow(0)
    assert is_read(ask(pool, picture).result(LIMIT_S))


def test_a_worker_is_renewed_after_the_job_in_hand(make_pool: Callable[..., DecodePool], picture: bytes) -> None:
    pool = make_pool(1)
    [future], go = held(pool, picture, 1)
    [pid] = pool.worker_pids()
    pool.renew([pid])
    assert pool.worker_pids() == [pid]
    go.set()
    future.result(LIMIT_S)
    until(lambda: not pool.worker_pids())
    assert is_read(ask(pool, picture).result(LIMIT_S))
    assert pool.worker_pids() != [pid]
    assert pool.died_total == 0


def test_whatever_is_allowed_and_renewed_meanwhile_every_job_is_answered(
    make_pool: Callable[..., DecodePool], picture: bytes
) -> None:
    pool = make_pool(3, rest_after_s=SOON_S)
    futures: list[Future[object]] = []
    for turn in range(12):
        futures += [ask(pool, picture) for _ in range(4)]
        pool.allow(turn % 4)
        pool.renew(pool.worker_pids()[: turn % 3])
        pool.expect()
        if turn % 4 == 3:
            futures[-1].result(LIMIT_S)
    pool.allow(1)
    assert all(is_read(future.result(LIMIT_S)) for future in futures)
    assert pool.died_total == 0


def test_a_pool_that_closes_does_not_wait_for_workers_that_start(make_pool: Callable[..., DecodePool]) -> None:
    pool = make_pool(2, starts_warm=True)
    pool.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode-")]


def test_workers_that_are_on_their_way_are_taken_and_no_others(
    make_pool: Callable[..., DecodePool], picture: bytes
) -> None:
    on_their_way = [spawn(), spawn()]
    pool = make_pool(3, started=on_their_way)
    pids = {spawned.process.pid for spawned in on_their_way}
    until(lambda: set(pool.worker_pids()) == pids)
    assert is_read(ask(pool, picture).result(LIMIT_S))
    assert set(pool.worker_pids()) == pids
    pool.close()
    assert all(spawned.process.poll() is not None for spawned in on_their_way)


def test_a_worker_that_nobody_takes_ends_by_itself() -> None:
    spawned = spawn()
    spawned.sock.close()
    assert spawned.process.wait(LIMIT_S) == 0
