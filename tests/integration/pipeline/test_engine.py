"""The whole engine and the service around it: it stops at once in every state, and costs nothing when idle."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from dedupd.core.errors import ConfigError
from dedupd.core.ports import Activity, Model
from dedupd.core.records import DUPLICATE_RELATIONS, FileStage, ModelTag, RootState
from dedupd.daemon.build import build_engine
from dedupd.daemon.control import DaemonControl
from dedupd.daemon.crash_box import CrashBox
from dedupd.daemon.no_changes import NoChanges
from dedupd.settings.schema import Decode, Models, Settings
from dedupd.store import LmdbLibrary
from dedupd.store.reader import LmdbView

DEADLINE_S = 40


def save_pictures(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    then = time.time() - 3600
    for number in range(count):
        rng = np.random.default_rng(number)
        image = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).resize(
            (320, 240), Image.Resampling.BICUBIC
        )
        path = folder / f"{number:03}.jpg"
        image.save(path, quality=90)
        os.utime(path, (then, then))


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {DEADLINE_S} s in vain for {what}")
        time.sleep(0.02)


@pytest.fixture
def make_engine(tmp_path):
    made = []

    def make(**options):
        crashes = CrashBox()
        settings = Settings(decode=Decode(workers=1))
        engine = build_engine(settings, tmp_path / "state", lambda _ignore: NoChanges(), crashes.report, **options)
        made.append((engine, crashes))
        return engine

    yield make
    for engine, crashes in made:
        engine.stop(2.0)
        crashes.raise_first()


def stop_in_time(engine):
    engine.stop(2.0)
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("dedupd-", "decode-"))]


class Waited(NoChanges):
    """Says how long was waited for changes."""

    def __init__(self):
        super().__init__()
        self.waits_s = []

    def take(self, timeout_s):
        self.waits_s.append(timeout_s)
        return super().take(timeout_s)


def test_the_first_scan_begins_without_a_wait_for_changes(tmp_path, monkeypatch):
    save_pictures(tmp_path / "photos", 1)
    crashes, changes = CrashBox(), Waited()
    engine = build_engine(
        Settings(decode=Decode(workers=1)), tmp_path / "state", lambda _ignore: changes, crashes.report
    )
    begin = engine.intake.start

    def begin_and_lose_the_turn():
        begin()
        wait_for(lambda: changes.waits_s, "the first look for changes")

    monkeypatch.setattr(engine.intake, "start", begin_and_lose_the_turn)
    try:
        engine.start([tmp_path / "photos"])
        assert changes.waits_s[0] == 0
    finally:
        engine.stop(2.0)
    crashes.raise_first()


@pytest.mark.parametrize("is_awaited", [True, False])
def test_only_a_scan_that_somebody_waits_for_decodes_with_the_niceness_of_its_caller(tmp_path, is_awaited):
    save_pictures(tmp_path / "photos", 1)
    engine = build_engine(
        Settings(decode=Decode(workers=1)),
        tmp_path / "state",
        lambda _ignore: NoChanges(),
        CrashBox().report,
        is_awaited=is_awaited,
    )
    try:
        engine.start([tmp_path / "photos"])
        wait_for(lambda: engine.rates.read_total == 1, "the picture to be read")
        own = os.getpriority(os.PRIO_PROCESS, 0)
        nices = {os.getpriority(os.PRIO_PROCESS, pid) - own for pid in engine.reader.worker_pids()}
        assert nices == {0} if is_awaited else max(nices) > 0  # beside them the one for arrivals
    finally:
        engine.stop(2.0)


def test_a_scan_that_finds_nothing_new_starts_no_worker(make_engine, tmp_path):
    """Half of what such a scan spends would be workers that load their libraries."""
    save_pictures(tmp_path / "photos", 2)
    first = make_engine(is_awaited=True)
    first.start([tmp_path / "photos"])
    wait_for(lambda: first.rates.read_total == 2 and not pending(first), "the pictures to be read")
    first.stop(2.0)
    second = make_engine(is_awaited=True)
    second.start([tmp_path / "photos"])
    wait_for(lambda: second.roots.watched() and second.intake.is_idle and second.describe.is_idle, "its end")
    assert second.reader.worker_pids() == []


def pending(engine):
    with engine.library.view() as view:
        return view.counts().files_pending


@pytest.mark.parametrize("state", ["never started", "starting", "reading", "idle"])
def test_it_stops_in_every_state_and_leaves_no_thread(make_engine, tmp_path, state):
    save_pictures(tmp_path / "photos", 30 if state != "idle" else 3)
    engine = make_engine()
    if state != "never started":
        engine.start([tmp_path / "photos"])
    if state == "reading":
        wait_for(lambda: engine.rates.read_total > 0, "the first file")
    if state == "idle":
        wait_for(lambda: DaemonControl(engine).progress().activity.value == "idle" and not pending(engine), "rest")
    stop_in_time(engine)


def test_waiting_for_a_root_that_is_away_looks_up_little(make_engine, tmp_path, monkeypatch):
    away, here = tmp_path / "away", tmp_path / "here"
    save_pictures(here, 2)
    away.mkdir()
    engine = make_engine()
    engine.roots.configure([os.fsencode(away), os.fsencode(here)])
    from dataclasses import replace

    engine.start([away, here])
    wait_for(lambda: engine.rates.read_total == 2 and engine.intake.is_idle, "what is here")
    with engine.library.transaction() as txn:
        [file] = [f for f in txn.files() if f.path.name == b"000.jpg"]
        for number in range(2000):
            path = replace(file.path, root=1, name=b"%d.jpg" % number)
            txn.put_file(replace(file, path=path, stage=FileStage.PENDING, content=None))
    away.rmdir()
    engine.intake.scan(None)
    wait_for(lambda: engine.roots.watched()[0].state is RootState.OFFLINE and engine.intake.is_idle, "offline")
    looked_up = []
    really = LmdbView.pending_files
    monkeypatch.setattr(LmdbView, "pending_files", lambda *a: looked_up.append(a) or really(*a))
    engine.describe.notice()
    began_s = time.monotonic()
    wait_for(lambda: time.monotonic() > began_s + 1.5, "a second and a half to go by")
    looks = time.monotonic() - began_s + 2  # one a second, one for the notice
    assert 1 <= len(looked_up) <= 3 * looks  # each tries 256, 1,024 and 4,096 files, as none of the 2,000 may be read
    assert pending(engine) == 2000


def test_an_index_that_is_made_anew_answers_from_what_it_has_and_says_so(make_engine, tmp_path):
    photos = tmp_path / "photos"
    save_pictures(photos, 4)
    first = make_engine()
    first.start([photos])
    wait_for(lambda: len(first.opened.index) == 4, "all of them in the index")
    stop_in_time(first)

    engine = make_engine(fill_later_from=1)
    control = DaemonControl(engine)
    before = control.progress()
    assert before.activity is Activity.STARTING
    assert before.indexed == 0
    [complaint] = before.degraded
    assert "0 of 4 pictures" in complaint
    assert [finding.subject for finding in control.examine() if finding.verdict == "warning"].count("index") == 0
    with engine.library.view() as view:
        copy = next(view.contents())
    assert engine.groups.holding(copy.id) is None, "groups are answered meanwhile"

    again = photos / "again.jpg"
    with Image.open(photos / "000.jpg") as image:
        image.save(again, quality=70)
    os.utime(again, (time.time() - 3600,) * 2)
    engine.start([photos])
    wait_for(lambda: control.progress().counts.edges == 1, "the copy that came meanwhile")
    after = control.progress()
    assert (after.indexed, after.degraded) == (5, ())
    wait_for(lambda: control.progress().activity is Activity.IDLE, "rest")


def test_an_index_that_was_made_anew_is_kept_though_nothing_changed_since(make_engine, tmp_path):
    photos = tmp_path / "photos"
    save_pictures(photos, 2)
    first = make_engine()
    first.start([photos])
    wait_for(lambda: len(first.opened.index) == 2, "all of them in the index")
    stop_in_time(first)
    engine = make_engine()
    assert engine.opened.origin.startswith("rebuilt")
    engine.save_snapshot()
    engine.link.start()
    wait_for(lambda: engine.opened.origin == "snapshot", "the snapshot")
    stop_in_time(engine)
    assert make_engine().opened.origin == "snapshot"


class NoModel:
    """A further model that is never asked."""

    model = Model(tag=ModelTag("same"), dim=4, candidate_similarity=0.5)
    closed = 0

    def embed(self, batch):
        raise NotImplementedError

    def close(self):
        self.closed += 1


def test_models_that_cannot_be_used_leave_no_engine_and_an_unlocked_store(tmp_path):
    made = []

    def make_embedder(name):
        if name == "missing":
            raise ConfigError("the model missing is not there")
        made.append(NoModel())
        return made[-1]

    for use, words in [
        (["here", "missing"], "missing is not there"),
        (["here", "again"], "here and again are the same"),
    ]:
        with pytest.raises(ConfigError, match=words):
            build_engine(
                Settings(models=Models(use=use)),
                tmp_path / "state",
                lambda _ignore: NoChanges(),
                CrashBox().report,
                make_embedder,
            )
        assert [model.closed for model in made] == [1] * len(made)
        assert not [t.name for t in threading.enumerate() if t.name.startswith(("dedupd-", "decode-"))]
        made.clear()
    LmdbLibrary(tmp_path / "state").close()


def test_without_models_their_thread_sleeps(make_engine, tmp_path):
    save_pictures(tmp_path / "photos", 1)
    engine = make_engine()
    engine.start([tmp_path / "photos"])
    wait_for(lambda: engine.generations.is_idle and engine.rates.read_total == 1, "rest")
    assert engine.generations.progress() == ()
    stop_in_time(engine)


def test_groups_found_by_the_engine_are_there_after_a_restart(make_engine, tmp_path):
    photos = tmp_path / "photos"
    save_pictures(photos, 2)
    (photos / "copy.jpg").write_bytes((photos / "000.jpg").read_bytes())
    os.utime(photos / "copy.jpg", (1_000_000_000, 1_000_000_000))
    engine = make_engine()
    engine.start([photos])
    wait_for(lambda: engine.rates.read_total == 3 and engine.link.waiting == 0 and engine.intake.is_idle, "the work")
    groups = [*engine.groups.all(DUPLICATE_RELATIONS)]
    assert len(groups) == 1
    stop_in_time(engine)
    again = make_engine()
    assert [*again.groups.all(DUPLICATE_RELATIONS)] == groups


def test_a_reload_with_alerts_that_cannot_be_used_keeps_the_daemon_and_its_old_alerts(tmp_path):
    photos, config, log = tmp_path / "photos", tmp_path / "dedupd.toml", tmp_path / "log"
    photos.mkdir()
    config.write_text("[alerts]\nquiet_s = 5.0\n")
    command = [sys.executable, "-m", "dedupd.daemon.main", "run", str(photos), "--config", str(config)]
    command += ["--state-dir", str(tmp_path / "state"), "--socket", str(tmp_path / "s.sock")]
    with log.open("wb") as sink:
        daemon = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True)
    try:
        wait_for(lambda: "dedupd.ready" in log.read_text() or daemon.poll() is not None, "the start")
        config.write_text(f'[alerts]\nurls_file = "{tmp_path}/not-there"\n')
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: "config.refused" in log.read_text() or daemon.poll() is not None, "the refusal")
        assert daemon.poll() is None, log.read_text()
        daemon.send_signal(signal.SIGTERM)
        daemon.send_signal(signal.SIGTERM)  # an impatient person
        assert daemon.wait(10) == 0
    finally:
        if daemon.poll() is None:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
