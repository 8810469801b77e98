"""The power is cut at random moments of a busy run: nothing that was acknowledged is lost, everything opens again.

A process that is killed proves order, not durability: the page cache survives it. Here it does not. This tier is not a
part of the suite (`make test-power` runs it), needs root and loop mounts, and fails where it cannot run.
"""

import sys

import pytest
from fakes.power import FILESYSTEMS, CutDisk, NoSuchDiskError
from fakes.sweeps import Cutting, disturb_actor, disturb_flow

from dedupd.core.cleanup_plan import Action

pytestmark = [pytest.mark.power, pytest.mark.timeout(0)]


@pytest.fixture(params=FILESYSTEMS)
def disk(request, tmp_path):
    try:
        made = CutDisk(request.param, tmp_path / "state")
    except NoSuchDiskError as reason:
        pytest.fail(f"NOT TESTED, power cuts on {request.param}: {reason}")
    yield made
    made.close()


@pytest.fixture
def show(capsys, request):
    def say(figures):
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {figures} ")

    return say


def test_a_power_cut_at_any_moment_of_a_busy_flow_loses_nothing(disk, tmp_path, cuts, seed, show):
    figures = disturb_flow(tmp_path, Cutting(disk), cuts, seed)
    show(figures)
    assert figures.disturbed == cuts
    assert figures.acknowledged > cuts


def test_a_power_cut_at_any_moment_of_a_clean_up_loses_nothing(disk, cuts, seed, show):
    figures = disturb_actor(disk.mount, Cutting(disk), cuts, seed, list(Action))
    show(figures)
    assert figures.disturbed >= cuts
    assert figures.acknowledged > cuts
