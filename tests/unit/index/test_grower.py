"""An index that a fast device fills becomes the next kind while it is being filled, not an hour later."""

import threading

import numpy as np

from dedupd.daemon.grower import Grower
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex

DIM = 16


def test_an_index_that_is_due_grows_beside_the_work_and_one_that_is_not_stays():
    vectors = {}
    index = FaissIndex(DIM, lambda contents: [vectors.get(c) for c in contents], exact_below=500)
    grower = Grower()
    for start in (1, 300):
        new = {c: np.random.default_rng(c).normal(size=(1, DIM)).astype(np.float32) for c in range(start, start + 299)}
        vectors.update(new)
        index.add(list(new), list(new.values()))
        grower.look_at(index)
        grower._thread.join(60)
        assert index.kind.startswith("exact" if start == 1 else "ivf")
    assert len(index) == 598


def test_one_index_grows_at_a_time_and_others_are_let_be():
    go_on = threading.Event()

    def load(contents):
        go_on.wait(60)
        return [np.ones((1, DIM), np.float32) for _ in contents]

    slow, other = (FaissIndex(DIM, load, exact_below=10) for _ in range(2))
    for index in (slow, other):
        index.add(list(range(1, 20)), [np.ones((1, DIM), np.float32)] * 19)
    grower = Grower()
    grower.look_at(slow)
    first = grower._thread
    grower.look_at(other)
    assert grower._thread is first
    go_on.set()
    first.join(60)
    grower.look_at(other)
    grower._thread.join(60)
    assert slow.kind.startswith("ivf")
    assert other.kind.startswith("ivf")


def test_an_index_that_cannot_grow_is_left_alone():
    Grower().look_at(ExactIndex(DIM))
