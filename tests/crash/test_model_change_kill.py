"""Kill -9 in the middle of a model change, five times: it ends in the vectors and the groups of an undisturbed one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dedupd.core.records import ContentId, ModelTag
from dedupd.store import LmdbLibrary, check

TESTS = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("system_conftest", TESTS / "system" / "conftest.py")
system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(system)


class GridDaemon(system.Daemon):
    """A daemon with one further model of the tests' own, which can be held still."""

    model = "grid-old"

    def start(self, *, wait=True):
        self.folder = self.home / "model"
        self.folder.mkdir(exist_ok=True)
        arguments = [self.state, self.socket, self.folder, self.model, *self.roots]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fakes.grid_daemon", *map(str, arguments)],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(TESTS)},
            )
        if wait:
            system.wait_for(self.answers, f"the daemon to answer\n{self.log.read_text()}")
        return self

    def generations(self):
        return {g["name"]: g for g in self.json("status")["generations"]}

    def complete(self):
        """Wait until the model has looked at everything and its suggestions were looked at."""

        def look():
            status = self.json("status")
            generations = status["generations"]
            is_alone = [g["name"] for g in generations] == [self.model] and generations[0]["is_serving"]
            return is_alone and not status["counts"]["pairs_suggested"]

        system.wait_for(look, "the model to be complete")

    def hold_from(self, batch):
        (self.folder / "hold_from").write_text(str(batch))

    def asked(self):
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for seed in range(30):
        image = system.picture(seed, (400, 300))
        system.save_aged(image, folder / "a" / f"{seed}.jpg", quality=90)
        if seed % 3 == 0:
            system.save_aged(image.resize((300, 225)), folder / "b" / f"{seed}.jpg", quality=75)
    return folder


@pytest.fixture
def make_grid_daemon(tmp_path):
    daemons = []

    def make(name, root):
        home = tmp_path / name
        home.mkdir()
        daemons.append(GridDaemon(home, root))
        return daemons[-1]

    yield make
    for daemon in daemons:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill()


def vectors_by_digest(state, tag):
    library = LmdbLibrary(state)
    with library.view() as view:
        found = {
            view.content(content).digest: vectors.tolist()
            for content, vectors in view.all_generation_vectors(ModelTag(tag), ContentId(0))
        }
        generations = [(g.tag, g.contents, g.was_complete) for g in view.generations()]
    library.close()
    return found, generations


def changed_model(daemon, kills):
    """Let the old model look at everything, then put the new one in its place, killed so often on the way."""
    daemon.start().idle(images=40)
    daemon.complete()
    assert daemon.stop() == 0
    daemon.model = "grid-new"
    for batch in kills:
        daemon.hold_from(batch)
        seen = len(daemon.asked())
        daemon.start()
        system.wait_for(lambda seen=seen, batch=batch: len(daemon.asked()) > seen + batch, "a batch that is held")
        answer = daemon.json("similar", "content:1")
        assert answer["name"] == "grid-old", "the old one serves until the new one is complete"
        daemon.kill()
    (daemon.folder / "hold_from").unlink(missing_ok=True)
    daemon.start().idle(images=40)
    daemon.complete()
    groups = daemon.groups()
    told = [event["path"] for event in daemon.events("duplicate-found")]
    assert daemon.stop() == 0
    assert check(daemon.state).is_clean
    return groups, sorted(told), *vectors_by_digest(daemon.state, "grid-new")


@pytest.mark.slow
def test_a_model_change_killed_five_times_ends_as_an_undisturbed_one(make_grid_daemon, photos):
    expected = changed_model(make_grid_daemon("undisturbed", photos), kills=[])
    daemon = make_grid_daemon("killed", photos)
    groups, told, vectors, generations = changed_model(daemon, kills=[0, 1, 0, 1, 1])
    assert (groups, told, generations) == (expected[0], expected[1], expected[3])
    assert len(groups) == len(told) == 10
    assert vectors == expected[2]
    assert generations == [("grid-new", 40, True)]
    batches = [line.split() for line in daemon.asked() if line.startswith("grid-new")]
    assert len(batches) > 5
