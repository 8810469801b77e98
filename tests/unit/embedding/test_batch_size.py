"""How many pictures go to a device at once: what is learnt from each batch."""

import pytest

from dedupd.embedding.batch_size import FIRST_PICTURES, MOST_PICTURES, Pace, Room


def does(pace, seconds_for, batches=40, limit=None):
    """A device that takes so long for so many pictures; returns the sizes that it was given."""
    sizes = []
    for _ in range(batches):
        sizes.append(pace.size)
        pace.did(pace.size, seconds_for(pace.size), limit)
    return sizes


def test_room_halves_what_did_not_fit_down_to_one_picture():
    room = Room()
    assert room.limit is None
    limits = []
    for size in (64, 32, 3, 1):
        room.failed(size)
        limits.append(room.limit)
    assert limits == [32, 16, 1, 1]


def test_room_grows_back_slowly_and_only_by_full_batches():
    room = Room()
    room.failed(64)
    for _ in range(100):
        room.fitted(31)
    assert room.limit == 32
    grown = []
    for _ in range(48):
        room.fitted(room.limit)
        grown.append(room.limit)
    assert grown[14:17] == [32, 36, 36]
    assert grown[-1] == 45


def test_a_device_that_gains_gets_twice_as_many_up_to_its_kinds_most():
    sizes = does(Pace("cuda"), lambda size: 0.001 + 0.0001 * size)
    assert sizes[:10:2] == [FIRST_PICTURES * 2**doubled for doubled in range(5)]
    assert sizes[-1] == 128  # twice that is 4 % faster
    assert does(Pace("cuda"), lambda _: 0.01)[-1] == MOST_PICTURES["cuda"]


def test_a_device_that_gains_nothing_keeps_the_smaller_size():
    sizes = does(Pace("cuda"), lambda size: 0.01 * size)
    assert set(sizes) == {FIRST_PICTURES, 2 * FIRST_PICTURES}
    assert sizes[-1] == FIRST_PICTURES


def test_a_fixed_size_stays():
    assert set(does(Pace("cuda", 24), lambda _: 0.01)) == {24}


def test_batches_that_are_not_full_teach_nothing():
    pace = Pace("cuda")
    for _ in range(50):
        pace.did(1, 0.01, None)
    assert pace.size == FIRST_PICTURES


@pytest.mark.parametrize("fixed", [0, 32])
def test_what_does_not_fit_is_not_asked_for_again_until_the_worker_says_so(fixed):
    pace = Pace("cuda", fixed)
    does(pace, lambda size: 0.01 + size * 1e-6, batches=9)
    before = pace.size
    assert before >= 32
    pace.did(before, 0.1, 16)
    assert pace.size == 16
    pace.did(16, 0.1, 18)
    assert pace.size == 18
    pace.did(18, 0.1, 5000)
    assert pace.size == before
