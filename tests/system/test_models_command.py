"""`dedupd models`: a real process, a real huggingface_hub, and a hub on the loopback."""

import json
import os
import subprocess
import sys

import pytest
from fakes.hub import FakeHub, running
from fakes.small_models import save_small_model, save_torchscript

FIRST, SECOND, THIRD = "1" * 40, "2" * 40, "3" * 40
NAME = "someone/small-vit"


@pytest.fixture
def hub(tmp_path):
    made = FakeHub(name=NAME, commits={}, branches={"main": FIRST})
    for seed, commit in enumerate((FIRST, SECOND, THIRD)):
        save_small_model("vit", tmp_path / commit, seed=seed)
        made.files_of(tmp_path / commit, commit)
        made.commits[commit] |= {"README.md": b"# small", "pytorch_model.bin": b"pickled", "run.py": b"print()"}
    with running(made):
        yield made


@pytest.fixture
def models(hub, tmp_path):
    """Run `dedupd models …`; the models are in tmp_path/state/models."""

    def run(*arguments, code=0, endpoint=None):
        process = start(hub, tmp_path, *arguments, endpoint=endpoint)
        said, complained = process.communicate(timeout=110)
        assert process.returncode == code, (process.returncode, said, complained)
        return subprocess.CompletedProcess(process.args, code, said, complained)

    return run


def start(hub, tmp_path, *arguments, endpoint=None):
    named = {"HF_ENDPOINT": endpoint or hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "dedupd.daemon.main", "models", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | named | {"DEDUPD_STATE_DIR": str(tmp_path / "state")},
    )


def home(tmp_path):
    return tmp_path / "state" / "models" / NAME


def test_a_pulled_model_is_its_commit_with_checksums_and_nothing_that_is_not_needed(hub, models, tmp_path):
    said = models("pull", NAME).stdout
    assert f"main is commit {FIRST}" in said
    assert {path.name for path in (home(tmp_path) / FIRST).iterdir()} == {
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    }
    recorded = json.loads((home(tmp_path) / "current.json").read_bytes())
    assert recorded["revision"] == FIRST
    assert {file["name"] for file in recorded["files"]} == {path.name for path in (home(tmp_path) / FIRST).iterdir()}
    (listed,) = json.loads(models("list", "--json").stdout)
    assert (listed["name"], listed["revision"], listed["dim"], listed["family"]) == (NAME, FIRST, 32, "vit")
    assert listed["problem"] == ""
    assert "3 files as fetched" in models("check").stdout


def test_pulling_again_downloads_nothing_and_a_named_commit_replaces_it(hub, models, tmp_path):
    models("pull", NAME)
    hub.asked.clear()
    models("pull", NAME, "--revision", FIRST)
    assert not [line for line in hub.asked if "/resolve/" in line]
    for commit in (SECOND, THIRD):
        models("pull", NAME, "--revision", commit)
    assert json.loads((home(tmp_path) / "current.json").read_bytes())["revision"] == THIRD
    kept = {path.name for path in home(tmp_path).iterdir() if path.is_dir()}
    assert kept == {SECOND, THIRD}  # what a running daemon may still use, and nothing older


def test_a_byte_that_changed_is_found_and_fetched_again(models, tmp_path):
    models("pull", NAME)
    weights = home(tmp_path) / FIRST / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert f"{weights} is not what was fetched" in models("check", code=65).stdout
    assert "differs from what was recorded" in models("list", code=65).stderr
    models("pull", NAME)
    models("check")


def test_a_download_that_is_not_what_the_hub_says_is_refused(hub, models, tmp_path):
    hub.lied_about["model.safetensors"] = "0" * 64
    assert "arrived damaged" in models("pull", NAME, code=69).stderr
    assert not (home(tmp_path) / "current.json").exists()
    assert not (home(tmp_path) / FIRST).exists()
    hub.lied_about.clear()
    models("pull", NAME)


def test_a_pull_that_is_killed_leaves_no_model_and_another_waits_its_turn(hub, models, tmp_path):
    hub.breaks_off_in = "model.safetensors"
    process = start(hub, tmp_path, "pull", NAME)
    assert hub.broke_off.wait(110)
    assert "is being fetched by another process" in models("pull", NAME, code=75).stderr
    process.kill()
    process.communicate(timeout=110)
    assert "No models in" in models("list").stdout
    hub.breaks_off_in = ""
    models("pull", NAME)
    models("check")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config.json": b'{"model_type": "bert"}'}, "bert is not supported"),
        ({"model.safetensors": None}, "pickled weights"),
        ({"config.json": None}, "has no config.json"),
    ],
    ids=["architecture", "pickled", "no-config"],
)
def test_what_cannot_be_used_is_refused_before_its_weights_are_fetched(hub, models, tmp_path, changes, said):
    for name, data in changes.items():
        hub.commits[FIRST].pop(name)
        if data is not None:
            hub.commits[FIRST][name] = data
    assert said in models("pull", NAME, code=78).stderr
    assert not [line for line in hub.asked if line.endswith((".safetensors", ".bin"))]
    assert not (home(tmp_path) / "current.json").exists()


def test_loading_a_model_asks_the_hub_nothing(hub, models, tmp_path):
    models("pull", NAME)
    hub.asked.clear()
    script = (
        "import sys, pathlib, numpy as np\n"
        "from dedupd.embedding.model_folder import inspect_model\n"
        "from dedupd.embedding.model_spec import load\n"
        "spec = inspect_model(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
        "print(load(spec, 'cpu').embed([np.zeros((40, 60, 3), np.uint8)]).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, NAME, tmp_path / "state" / "models"],
        env=os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout.strip() == "(1, 32)", done.stderr
    assert hub.asked == []


def test_wrong_names_are_told_apart(hub, models):
    assert "the hub has no such model" in models("pull", "someone/else", code=78).stderr
    assert f"{NAME} has no revision nowhere" in models("pull", NAME, "--revision", "nowhere", code=78).stderr
    assert "is no name of a model on the hub" in models("pull", "../escape", code=78).stderr
    assert "was never fetched" in models("check", "someone/else", code=78).stderr


def test_a_hub_that_does_not_answer_is_no_fault_of_the_configuration(models):
    assert "could not be fetched" in models("pull", NAME, code=69, endpoint="http://127.0.0.1:9").stderr


def test_a_torchscript_file_is_recorded_beside_it(models, tmp_path):
    save_torchscript(tmp_path / "copies.pt", dim=12)
    said = models("add", tmp_path / "copies.pt", "--input-px", "64").stdout
    assert "12 numbers a picture of 64 px" in said
    assert json.loads((tmp_path / "copies.pt.json").read_bytes())["dim"] == 12
    (tmp_path / "note.pt").write_text("no network")
    assert "is no TorchScript file" in models("add", tmp_path / "note.pt", code=78).stderr
