"""The backlog waits while it should, arrivals do not, and a pause outlives the process."""

import time

import pytest
from PIL import Image

from dedupd.core.events import PauseChanged
from dedupd.core.manners import HoldReason, MannersRules, Pressure, quiet_hours
from dedupd.core.records import FilePath, RootId
from dedupd.core.shares import ShareRules
from dedupd.daemon.build import build_engine
from dedupd.daemon.crash_box import CrashBox
from dedupd.daemon.no_changes import NoChanges
from dedupd.daemon.pressure import pressure_now
from dedupd.pipeline.manners import Manners
from dedupd.settings.schema import Decode, Settings, Watch
from dedupd.store import LmdbLibrary

NO_RULES = MannersRules()


class HandClock:
    def __init__(self):
        self.now_s = 0.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return round((1_700_000_000 + self.now_s) * 1e9)


@pytest.fixture
def library(tmp_path):
    library = LmdbLibrary(tmp_path / "state", map_bytes=64 * 1024 * 1024)
    yield library
    library.close()


@pytest.fixture
def clock():
    return HandClock()


def manners(library, clock, rules=NO_RULES, pressure=Pressure, **others):
    return Manners(library=library, clock=clock, rules=rules, pressure=pressure, **others)


def told(library):
    with library.view() as view:
        return [event.fact for event in view.events(0, 100)]


def test_a_pause_is_kept_by_the_store_and_over_when_its_time_is(library, clock):
    manners(library, clock).pause(60.0)
    again = manners(library, clock)
    assert again.hold().reason is HoldReason.PAUSED
    assert again.allow_arrivals()
    assert not again.allow_backlog()
    assert not again.allow_scans()
    clock.now_s = 61.0
    assert again.allow_backlog()
    assert manners(library, clock).allow_backlog()
    assert [fact.is_paused for fact in told(library)] == [True, False]


def test_a_pause_without_an_end_lasts_until_it_is_resumed_and_each_is_told_once(library, clock):
    paused = manners(library, clock)
    paused.pause(None)
    clock.now_s = 1e6
    assert not paused.allow_backlog()
    paused.resume()
    paused.resume()
    assert paused.allow_backlog()
    assert told(library) == [PauseChanged(is_paused=True), PauseChanged(is_paused=False)]


def test_who_waits_for_the_work_is_not_held_up_by_a_pause_which_stays(library, clock):
    manners(library, clock).pause(None)
    assert manners(library, clock, heeds_pause=False).allow_backlog()
    assert not manners(library, clock).allow_backlog()


def test_pressure_is_looked_at_once_a_second_and_only_where_a_limit_is_set(library, clock):
    looks = []

    def pressure():
        looks.append(clock.now_s)
        return Pressure(io=50.0)

    calm = manners(library, clock, pressure=pressure)
    busy = manners(library, clock, MannersRules(io_pressure=40), pressure)
    for step in range(20):
        clock.now_s = step / 10
        assert calm.allow_backlog()
        assert not busy.allow_backlog()
        assert busy.allow_scans()
    assert looks == [0.0, 1.0]


def test_new_rules_count_at_once(library, clock):
    asked = manners(library, clock, minute_of=lambda _ns: 0)
    assert asked.allow_backlog()
    asked.configure(MannersRules(quiet=(quiet_hours("23:00-01:00"),), quiet_arrivals=False), ShareRules())
    assert not asked.allow_backlog()
    assert not asked.allow_arrivals()


def test_the_kernel_s_pressure_is_read(tmp_path):
    (tmp_path / "io").write_text(
        "some avg10=1.53 avg60=0.40 avg300=0.10 total=12\nfull avg10=0.71 avg60=0.2 avg300=0.0 total=3\n"
    )
    found = pressure_now(tmp_path)
    assert (found.io, found.cpu, found.memory) == (1.53, None, None)
    assert found.load >= 0


def test_a_paused_engine_reads_what_arrives_and_leaves_the_backlog(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for shade, name in ((40, "new.jpg"), (200, "old.jpg")):
        Image.linear_gradient("L").point(lambda level, shade=shade: (level + shade) % 256).save(photos / name)
    crashes = CrashBox()
    settings = Settings(decode=Decode(workers=1), watch=Watch(settle_after_write_s=0, settle_after_close_s=0))
    engine = build_engine(settings, tmp_path / "state", lambda _ignore: NoChanges(), crashes.report)

    def counts():
        with engine.library.view() as view:
            return view.counts()

    try:
        engine.manners.pause(None)
        engine.start([photos])
        wait_for(lambda: counts().files_pending == 2 and engine.intake.is_idle, "the scan to end")
        engine.describe.arrive(FilePath(root=RootId(1), directory=b"", name=b"new.jpg"))
        wait_for(lambda: counts().contents == 1, "the arrival to be read")
        assert counts().files_pending == 1
        engine.manners.resume()
        wait_for(lambda: counts().contents == 2, "the backlog to be read")
    finally:
        crashes.ignore_from_now_on()
        engine.stop(5.0)


def wait_for(condition, what):
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
