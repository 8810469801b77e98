"""Kill -9 in the middle of a first scan: after the restart the groups are those of an undisturbed run, and no picture
that had been committed is decoded again.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("system_conftest", Path(__file__).parents[1] / "system" / "conftest.py")
system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(system)
make_daemon = system.make_daemon
ROUNDS = max(1, int(os.environ.get("DEDUPD_KILLS", "0")) // 20)  # of four kills


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for seed in range(24):
        image = system.picture(seed, (400, 300))
        system.save_aged(image, folder / "a" / f"{seed}.jpg", quality=90)
        if seed % 2:
            system.save_aged(image.resize((300, 225)), folder / "b" / f"{seed}.jpg", quality=75)
    return folder


@pytest.mark.parametrize("seed", range(5, 5 + ROUNDS))
def test_kill_during_a_scan_finds_each_pair_once_and_decodes_nothing_twice(make_daemon, photos, seed):
    undisturbed = make_daemon(photos).start()
    undisturbed.idle(images=36)
    expected = undisturbed.groups()
    assert len(expected) == 12
    undisturbed.kill()

    rng = random.Random(seed)
    daemon = make_daemon(photos)
    for _ in range(4):
        daemon.start(wait=False)
        goal = rng.randrange(1, 30)
        previews = daemon.state / "previews"
        system.wait_for(
            lambda goal=goal, previews=previews: len(list(previews.rglob("*.jpg"))) >= goal,
            "some pictures to be described",
        )
        daemon.kill()
    check = subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", "check", "--json", "--state-dir", str(daemon.state)],
        stdout=subprocess.PIPE,
        check=True,
    )
    committed = json.loads(check.stdout)["rows"]["contents"]
    assert committed > 0
    daemon.start()
    status = daemon.idle(images=36)
    assert daemon.groups() == expected
    assert status["decoded_total"] == 36 - committed, "what was committed is not decoded again"
    told = [e["path"] for e in daemon.events("duplicate-found")]
    assert len(told) == len(set(told)) == 12, "each duplicate is told once"
