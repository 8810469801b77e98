"""A vision model beside the built-in descriptor, from its folder, in the real daemon: made small, without a network."""

import subprocess
import sys

import pytest

FAMILY = "dinov2"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from fakes.small_models import save_small_model

    folder = tmp_path_factory.mktemp("models") / "small"
    save_small_model(FAMILY, folder)
    return folder


def config(model):
    return f'[models]\nuse = ["{model}"]\ngpus = 0\n'


@pytest.mark.slow
def test_a_model_looks_at_every_picture_answers_similar_and_changes_no_group(make_daemon, library, model, tools):
    plain = make_daemon(library).start()
    plain.idle(images=9)
    expected = plain.groups()
    assert plain.json("status")["generations"] == []
    assert plain.json("similar", "content:1")["name"] == "builtin"
    plain.kill()

    daemon = make_daemon(library, config=config(model)).start()
    daemon.idle(images=9)

    def complete():
        status = daemon.json("status")
        [generation] = status["generations"]
        return generation if generation["is_serving"] and not status["counts"]["pairs_suggested"] else None

    generation = tools.wait_for(complete, "the model to have looked at everything")
    assert (generation["name"], generation["done"], generation["total"]) == (str(model), 8, 8)
    assert [device["name"] for device in generation["devices"]] == ["cpu"]
    assert daemon.groups() == expected, "a model alone makes no duplicate"

    elsewhere = daemon.home / "mine.jpg"
    tools.picture(2).resize((500, 375)).save(elsewhere, quality=80)
    answer = daemon.json("similar", elsewhere, "--limit", "3")
    assert (answer["name"], answer["content"], len(answer["near"])) == (str(model), 0, 3)
    assert answer["near"][0]["picture"]["files"][0]["path"] == str(library / "camera/IMG_0002.jpg")
    assert answer["near"][0]["similarity"] > 0.99
    assert daemon.json("similar", elsewhere, "--model", "builtin")["name"] == "builtin"
    assert daemon.stop() == 0


@pytest.mark.slow
def test_a_scan_waits_for_the_model(library, model, tmp_path):
    from dedupd.store import LmdbLibrary

    (tmp_path / "dedupd.toml").write_text(config(model))
    command = ["scan", str(library), "--state-dir", str(tmp_path / "state"), "--config", str(tmp_path / "dedupd.toml")]
    subprocess.run([sys.executable, "-m", "dedupd.daemon.main", *command], check=True, capture_output=True)
    store = LmdbLibrary(tmp_path / "state")
    with store.view() as view:
        [generation] = view.generations()
        assert (generation.contents, generation.was_complete) == (8, True)
        assert view.counts().pairs_suggested == 0
    store.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: folder.rename(folder.with_name("elsewhere")), "small"),
        (lambda folder: (folder / "model.safetensors").unlink(), "weights"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "safetensors"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "unheard-of"}'), "unheard-of"),
    ],
)
def test_a_model_that_cannot_be_used_ends_the_daemon_before_it_indexes(tmp_path, library, model, spoil, words):
    import shutil

    mine = tmp_path / "models" / "small"
    shutil.copytree(model, mine)
    spoil(mine)
    (tmp_path / "dedupd.toml").write_text(config(mine))
    arguments = ["run", str(library), "--state-dir", str(tmp_path / "state"), "--socket", str(tmp_path / "s.sock")]
    done = subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", *arguments, "--config", str(tmp_path / "dedupd.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert words in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state" / "previews").exists()
