"""What `make fuzz` does at length, shortly: seeds, found inputs and a fixed set of mutations, without atheris."""

import random

import pytest

from fuzz.pictures import Reading, mutated_picture, seeds
from fuzz.targets import CORPUS, TARGETS, mutated

MUTATIONS = 400
PICTURE_MUTATIONS = 12  # each goes to another process


@pytest.mark.parametrize("name", TARGETS)
def test_only_its_own_errors_come_out_of_a_parser(name):
    target = TARGETS[name]
    rng = random.Random(name)
    inputs = [b"", *target.seeds, *target.found(name)]
    for data in [*inputs, *(mutated(rng.choice(inputs), rng) for _ in range(MUTATIONS))]:
        try:
            target.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            pytest.fail(f"{name}: {data!r}: {type(error).__name__}: {error}")


@pytest.fixture(scope="module")
def reading():
    reading = Reading()
    yield reading
    reading.close()


@pytest.mark.parametrize("name", seeds())
def test_a_decode_worker_answers_whatever_a_picture_has_become(reading, name):
    rng = random.Random(name)
    pictures = seeds()
    for _ in range(PICTURE_MUTATIONS):
        reading.check(mutated_picture(pictures[name], rng.choice(list(pictures.values())), rng))
    reading.check_whole()


def test_the_seeds_are_pictures_and_their_mutations_often_are_not(reading):
    pictures = seeds()
    before = reading.codes["read"]
    for picture in pictures.values():
        reading.check(picture)
    assert reading.codes["read"] == before + len(pictures)
    assert reading.codes.total() > reading.codes["read"]


def test_found_pictures_are_answered(reading):
    for path in sorted((CORPUS / "pictures").glob("*")):
        reading.check(path.read_bytes())


def test_found_inputs_belong_to_a_target():
    assert {path.name for path in CORPUS.iterdir()} <= {*TARGETS, "pictures"}
