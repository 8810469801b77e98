"""Which neighbours get a second look: the nearer, the more of them, whoever asks and in whatever order they come."""

import itertools

import numpy as np
import pytest

from dedupd.core.ports import Descriptor, Model, Neighbour, Reach
from dedupd.core.records import ContentId, ModelTag
from dedupd.pipeline.candidates import PLAIN_LIMIT, neighbours_in, neighbours_within, worth_a_look

DIM = 8
MODEL = Model(
    tag=ModelTag("test"), dim=DIM, candidate_similarity=0.5, reach=(Reach(0.5, 1), Reach(0.7, 3), Reach(0.9, 100))
)
WIDE = Model(tag=ModelTag("test"), dim=DIM, candidate_similarity=0.5)


def neighbours(*similarities):
    return [Neighbour(content=ContentId(n + 1), similarity=s) for n, s in enumerate(similarities)]


def chosen(near, model=MODEL, limit=32, **options):
    return [n.content for n in worth_a_look(near, model, limit, **options)]


def test_a_weak_neighbour_counts_only_while_it_is_among_the_nearest():
    assert chosen(neighbours(0.55)) == [1]
    assert chosen(neighbours(0.55, 0.6)) == [2]
    assert chosen(neighbours(0.55, 0.75, 0.76, 0.77)) == [4, 3, 2]
    assert chosen(neighbours(0.75, 0.76, 0.77, 0.78)) == [4, 3, 2]


def test_what_is_nearly_equal_counts_up_to_the_limit():
    near = neighbours(*np.linspace(0.9, 1.0, 40).tolist())
    assert len(chosen(near)) == 32
    assert len(chosen(near, limit=5)) == 5
    assert chosen(near)[0] == 40


def test_below_the_threshold_nothing_counts():
    assert chosen(neighbours(0.49, 0.3)) == []
    assert chosen(neighbours(0.49), model=WIDE) == []


def test_a_model_without_reach_takes_all_above_its_threshold():
    assert chosen(neighbours(0.5, 0.6, 0.7, 0.8), model=WIDE) == [4, 3, 2, 1]
    assert chosen(neighbours(0.5, 0.6, 0.7, 0.8), model=WIDE, limit=2) == [4, 3]


@pytest.mark.parametrize("count", [50, 500])
def test_a_picture_that_says_little_is_not_compared_with_hundreds_that_are_as_empty(count):
    near = neighbours(*[0.999] * count)
    assert chosen(near, is_plain=True) == list(range(1, PLAIN_LIMIT + 1))


def test_the_choice_does_not_depend_on_the_order_of_the_neighbours():
    near = neighbours(0.75, 0.75, 0.75, 0.75, 0.55)
    assert {tuple(chosen(order)) for order in itertools.permutations(near)} == {(1, 2, 3)}


def unit(*values):
    vector = np.zeros((1, DIM), dtype=np.float32)
    vector[0, : len(values)] = values
    return vector / np.linalg.norm(vector)


def described(stored, queries=None):
    return Descriptor(stored=stored, queries=stored if queries is None else queries)


def test_within_a_batch_each_sees_the_others_and_never_itself():
    batch = [
        (ContentId(3), described(unit(1.0))),
        (ContentId(5), described(np.concatenate([unit(0.0, 1.0), unit(1.0, 0.1)]))),
        (ContentId(9), described(unit(0.0, 0.0, 1.0))),
    ]
    found = neighbours_within(batch, WIDE)
    assert [[n.content for n in near] for near in found] == [[5], [3], []]
    assert found[0][0].similarity == pytest.approx(1 / np.sqrt(1.01))
    assert neighbours_within([], WIDE) == []


def test_a_pair_that_only_one_of_two_sees_is_seen_whichever_comes_first():
    part, whole = (ContentId(1), described(unit(1.0))), (ContentId(2), described(unit(0.0, 1.0), unit(1.0)))
    for batch in ([part, whole], [whole, part]):
        found = dict(zip((c for c, _ in batch), neighbours_within(batch, WIDE), strict=True))
        assert [n.content for n in found[ContentId(2)]] == [1]
        assert found[ContentId(1)] == []


class HoldingItself:
    """An index that holds the asking content already, as after a kill between commit and catch-up."""

    def __init__(self, near):
        self.near = near

    def search(self, queries, *, limit, min_similarity):
        return [[n for n in self.near if n.similarity >= min_similarity][:limit] for _ in queries]


def test_a_content_that_the_index_holds_already_takes_no_place_from_others():
    index = HoldingItself([Neighbour(content=ContentId(7), similarity=1.0), *neighbours(0.9, 0.8)])
    [found] = neighbours_in(index, [(ContentId(7), described(unit(1.0)))], WIDE, 2)
    assert [n.content for n in found] == [1, 2]


class Counting:
    """An index that tells how long the lists were that it was asked for."""

    def __init__(self, near):
        self.near, self.limits = near, []

    def search(self, queries, *, limit, min_similarity):
        self.limits.append((len(queries), limit))
        return [[n for n in self.near if n.similarity >= min_similarity][:limit] for _ in queries]


@pytest.mark.parametrize("nearly_equal", [0, 2, 3, 4, 40])
def test_a_short_list_misses_nothing_that_a_long_one_would_have_within_reach(nearly_equal):
    near = neighbours(*[0.95] * nearly_equal, *[0.8] * 5, *[0.6] * 60)
    index = Counting(near)
    [found] = neighbours_in(index, [(ContentId(999), described(unit(1.0)))], MODEL, 32)
    assert chosen(found) == chosen(near)
    assert sum(limit > 4 for _, limit in index.limits if _) == (nearly_equal >= 3)
