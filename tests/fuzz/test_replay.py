"""What `make fuzz` does at length, shortly: seeds, found inputs and a fixed set of mutations, without atheris."""

import random

import pytest

from fuzz.targets import CORPUS, TARGETS, mutated

MUTATIONS = 400


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


def test_found_inputs_belong_to_a_target():
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
