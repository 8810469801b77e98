"""The flow and the actor, killed or without power at random moments: a small sample of the tiers with all of them.

`make test-kill` and `make test-power` do hundreds.
"""

import os
import sys

import pytest
from fakes.power import FILESYSTEMS, CutDisk, NoSuchDiskError
from fakes.sweeps import RECOVERY_S, Cutting, Killing, disturb_actor, disturb_flow

from dedupd.core.cleanup_plan import Action

KILLS = int(os.environ.get("DEDUPD_KILLS", "10"))
CUTS = 3  # of each kind
SEED = 20261128

pytestmark = pytest.mark.timeout(120 + 4 * KILLS)


@pytest.fixture
def show(capsys, request):
    def say(figures):
        if "DEDUPD_KILLS" in os.environ:
            with capsys.disabled():
                sys.stdout.write(f"\n{request.node.name}: {figures} ")

    return say


@pytest.fixture(params=FILESYSTEMS)
def disk(request, tmp_path):
    try:
        made = CutDisk(request.param, tmp_path / "state")
    except NoSuchDiskError as reason:
        pytest.skip(f"NOT TESTED, power cuts on {request.param}: {reason}")
    yield made
    made.close()


def test_a_kill_at_any_moment_loses_nothing_and_finds_each_pair_once(fast_dir, show):
    figures = disturb_flow(fast_dir, Killing(), KILLS, SEED)
    show(figures)
    assert figures.disturbed == KILLS
    assert figures.acknowledged > KILLS
    assert figures.snapshots > 0
    assert figures.longest_start_s < RECOVERY_S


def test_a_killed_actor_settles_what_was_under_way(fast_dir, show):
    figures = disturb_actor(fast_dir, Killing(), KILLS, SEED, list(Action))
    show(figures)
    assert figures.disturbed >= KILLS
    assert figures.longest_start_s < RECOVERY_S


def test_some_power_cuts_of_a_busy_flow_lose_nothing(disk, tmp_path):
    assert disturb_flow(tmp_path, Cutting(disk), CUTS, SEED).disturbed == CUTS


def test_some_power_cuts_of_a_clean_up_lose_nothing(disk):
    assert disturb_actor(disk.mount, Cutting(disk), CUTS, SEED, list(Action)).disturbed >= CUTS
