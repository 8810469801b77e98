"""`dedupd calibrate`: a real library, the built-in descriptor, and a small model through transformers."""

import json
import subprocess
import sys

import pytest
from fakes.small_models import save_small_model


def dedupd(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture
def state(tmp_path, tools):
    folder = tmp_path / "photos"
    for number in range(24):
        tools.save_aged(tools.picture(number, (240, 180)), folder / f"{number}.jpg", quality=85)
    scanned = dedupd("scan", folder, "--state-dir", tmp_path / "state", "--quiet")
    assert scanned.returncode == 0, scanned.stderr
    return tmp_path / "state"


def test_it_tells_recall_and_cost_of_every_model_and_changes_nothing(state, tmp_path):
    save_small_model("vit", tmp_path / "small")
    config = tmp_path / "dedupd.toml"
    config.write_text(
        f'[models]\nuse = ["{tmp_path}/small"]\ngpus = 0\n[models.thresholds]\n"{tmp_path}/small" = 0.97\n'
    )
    before = {path: path.stat().st_mtime_ns for path in (state / "previews").rglob("*") if path.is_file()}
    done = dedupd("calibrate", "--state-dir", state, "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    builtin, small = json.loads(done.stdout)
    assert (builtin["model"], builtin["measured"], builtin["pictures"]) == ("builtin", 24, 24)
    assert builtin["configured"]["recall_by_edit"]["rotated by 90°"] == 1.0
    assert builtin["configured"]["recall"] >= 0.9
    assert small["model"] == f"{tmp_path}/small"
    assert small["configured"]["similarity"] == 0.97
    assert set(small["configured"]["recall_by_edit"]) == set(builtin["configured"]["recall_by_edit"])
    assert 0 < small["configured"]["recall"] <= 1
    assert small["advised"]["chance_a_picture"] <= 10 or small["advised"]["similarity"] == 1.0
    assert {path: path.stat().st_mtime_ns for path in (state / "previews").rglob("*") if path.is_file()} == before


def test_too_few_pictures_are_refused(tmp_path, tools):
    tools.save_aged(tools.picture(1), tmp_path / "photos" / "1.jpg")
    dedupd("scan", tmp_path / "photos", "--state-dir", tmp_path / "state", "--quiet")
    refused = dedupd("calibrate", "--state-dir", tmp_path / "state")
    assert (refused.returncode, "20 or more" in refused.stderr) == (64, True)
