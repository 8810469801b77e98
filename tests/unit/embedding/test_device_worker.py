"""What a worker makes of a batch: prepared beforehand or not, fitting or not, and what it tells of each picture."""

from __future__ import annotations

import numpy as np
import pytest

from dedupd.embedding.device_worker import BrokenDeviceError, Embedding
from dedupd.embedding.model_spec import OutOfDeviceMemoryError

BAD = 66


class Network:
    """Embeds a picture as its first byte; has room for some, fails on BAD, and on everything once it is broken."""

    tag, dim, dtype, attention, device = "first-byte", 1, "float32", "none", "cpu"

    def __init__(self, room=100):
        self.room = room
        self.is_broken = False
        self.ran = []

    def embed(self, pictures):
        return self._compute([picture[0, 0, 0] for picture in pictures], "embed")

    def _compute(self, values, way):
        if len(values) > self.room:
            raise OutOfDeviceMemoryError
        if self.is_broken or BAD in values:
            raise RuntimeError("an odd picture")
        self.ran.append((way, len(values)))
        return np.float32(values).reshape(-1, 1)


class PreparedNetwork(Network):
    """The same in two steps."""

    def prepare(self, pictures):
        return [picture[0, 0, 0] for picture in pictures]

    def run(self, batch):
        return self._compute(batch, "run")


def pictures(*values):
    return [np.full((2, 2, 3), value, np.uint8) for value in values]


def answer(embedding, values, network=None):
    shown = pictures(*values)
    reply, vectors = embedding.answer(shown, network.prepare(shown) if network else None)
    return reply, [int(value) for value in vectors[:, 0]]


def test_a_prepared_batch_is_run_as_it_is():
    network = PreparedNetwork()
    reply, values = answer(Embedding(network), range(5), network)
    assert values == list(range(5))
    assert network.ran == [("run", 5)]
    assert (reply.limit, reply.failed, reply.no_room) == (None, {}, False)


def test_what_does_not_fit_is_embedded_in_halves_from_the_pixels():
    network = PreparedNetwork(room=4)
    embedding = Embedding(network)
    for _ in range(2):
        reply, values = answer(embedding, range(10), network)
        assert values == list(range(10))
        assert reply.limit == 2
    assert network.ran == [("embed", 2)] * 10


def test_a_picture_is_told_apart_from_the_others_of_its_batch():
    network = PreparedNetwork(room=3)
    reply, values = answer(Embedding(network), [1, 2, BAD, 4, 5], network)
    assert values == [1, 2, 0, 4, 5]
    assert reply.failed == {2: "RuntimeError: an odd picture"}


def test_no_room_for_one_picture_is_said():
    reply, _ = answer(Embedding(Network(room=0)), [1, 2])
    assert reply.no_room
    assert reply.limit == 1


def test_a_device_that_fails_on_a_plain_picture_is_broken():
    network = Network()
    network.is_broken = True
    with pytest.raises(BrokenDeviceError, match="an odd picture"):
        answer(Embedding(network), [1, 2])


def test_a_batch_that_fitted_for_long_may_grow_again():
    network = Network(room=4)
    embedding = Embedding(network)
    answer(embedding, range(8))
    network.room = 100
    for _ in range(40):
        reply, _ = answer(embedding, range(8))
    assert reply.limit > 4
