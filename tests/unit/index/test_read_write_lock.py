"""The lock of the index: searches together, changes alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier, Event

import pytest

from dedupd.index.read_write_lock import ReadWriteLock

TIMEOUT_S = 30


def test_readers_hold_it_together():
    lock, together = ReadWriteLock(), Barrier(3)

    def read() -> None:
        with lock.reading():
            together.wait(TIMEOUT_S)  # breaks unless all three are inside

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(read) for _ in range(3)]:
            done.result()


def test_writers_are_alone():
    lock, inside, most = ReadWriteLock(), 0, 0

    def write() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock.writing():
                inside += 1
                most = max(most, inside)
                inside -= 1

    def read() -> None:
        for _ in range(200):
            with lock.reading():
                assert inside == 0

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work) for work in (write, write, read, read)]:
            done.result()
    assert most == 1


def test_waiting_writer_goes_before_new_readers():
    lock, order = ReadWriteLock(), []
    first_is_in, may_leave = Event(), Event()

    def first_reader() -> None:
        with lock.reading():
            first_is_in.set()
            assert may_leave.wait(TIMEOUT_S)

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def late_reader() -> None:
        with lock.reading():
            order.append("reader")

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(first_reader)
        assert first_is_in.wait(TIMEOUT_S)
        writer = threads.submit(write)
        while not lock._waiting_writers:
            wait([writer], timeout=0.001)
        reader = threads.submit(late_reader)
        wait([reader], timeout=0.05)  # it would be through by now if it could overtake
        may_leave.set()
        for done in (first, writer, reader):
            done.result(TIMEOUT_S)
    assert order == ["writer", "reader"]


def test_exception_inside_releases_it():
    lock = ReadWriteLock()
    for hold in (lock.reading, lock.writing):
        with pytest.raises(KeyError), hold():
            raise KeyError
    with lock.writing():
        pass
