"""The ways in which a root vanishes: no row is dropped, nothing is acted on, people hear of it, and it heals.

One daemon watches a root for each way. All vanish at once, an apply is asked for on each, and then all come back; the
tests look at what was seen. (Identity is the filesystem and a sample of known files: docs/decisions/0001. So a "marker
that is gone" is another disk with files of the same names, and a "marker of another root" two disks exchanged.)
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.vanishing import SCENES, CannotBeMadeError

_spec = importlib.util.spec_from_file_location("system_conftest", Path(__file__).with_name("conftest.py"))
system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(system)

pytestmark = pytest.mark.timeout(240)  # one set-up for all
FREELY = "[cleanup]\nmin_age_h = 0\ndirectory_share = 1\nroot_share = 1\n"


def fill(folder, number):
    """Three pictures, and a copy of the first; other numbers, other pictures, dates and sizes."""
    for n in range(3):
        image = system.picture(1000 + 10 * number + n, (320, 240 + number))
        system.save_aged(image, folder / "camera" / f"{n}.jpg", quality=90)
        system.age(folder / "camera" / f"{n}.jpg", 7200 + 100 * number + n)
    (folder / "copies").mkdir()
    shutil.copy2(folder / "camera" / "0.jpg", folder / "copies" / "0.jpg")


def without_override():
    """Runs the daemon as root that permissions hold for; for others they do anyway."""
    if os.geteuid() != 0:
        return ()
    return "setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"


def files_in(scene):
    """What can be seen in a scene's roots; nothing where they cannot be read."""
    return sorted(f"{place}/{name}" for root in scene.roots for place, _, names in os.walk(root) for name in names)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What was seen of every scene, before, while it was vanished, and after; one that cannot be made says why."""
    top = tmp_path_factory.mktemp("vanished")
    scenes, not_made = {}, {}
    daemon = None
    try:
        for number, make in enumerate(SCENES):
            scene = scenes[make.__name__] = make(top / f"scene{number}", number)
            try:
                scene.prepare(fill)
            except CannotBeMadeError as error:
                not_made[make.__name__] = str(error)
                scenes.pop(make.__name__).close()
        (top / "home").mkdir()
        roots = [root for scene in scenes.values() for root in scene.roots]
        daemon = system.Daemon(top / "home", *roots, config=FREELY, prefix=without_override()).start()
        yield observe(daemon, scenes, not_made)
    finally:
        if daemon is not None:
            daemon.kill()
        for scene in scenes.values():
            scene.close()


def observe(daemon, scenes, not_made):
    status_before = daemon.idle(images=sum(scene.pictures * len(scene.roots) for scene in scenes.values()))
    before = roots_of(daemon)
    groups = daemon.groups()
    plans = {
        str(root): daemon.json("plan", "--relation", "same-bytes", "--root", root)
        for scene in scenes.values()
        for root in scene.roots
    }
    assert all(plan["items"] for plan in plans.values())
    for name, scene in list(scenes.items()):
        try:
            scene.vanish()
        except CannotBeMadeError as error:
            not_made[name] = str(error)
    doubted = {str(root) for n, s in scenes.items() if s.is_doubted and n not in not_made for root in s.roots}
    wait(lambda: all(r["state"] != "online" for p, r in roots_of(daemon).items() if p in doubted), doubted, daemon)
    there = {name: files_in(scene) for name, scene in scenes.items()}
    made = {str(root) for name, scene in scenes.items() if name not in not_made for root in scene.roots}
    applied = {root: daemon.ctl("apply", plan["id"], check=False) for root, plan in plans.items() if root in made}
    vanished = roots_of(daemon)
    status_vanished = daemon.json("status")
    groups_vanished = daemon.groups()
    untouched = {name: files_in(scene) == there[name] for name, scene in scenes.items()}
    for name, scene in scenes.items():
        if name not in not_made:
            scene.mend()
    wait(lambda: all(r["state"] == "online" for r in roots_of(daemon).values()), "all back", daemon)
    status_after = daemon.idle()
    return SimpleNamespace(
        scenes=scenes, not_made=not_made, plans=plans, before=before, vanished=vanished, after=roots_of(daemon),
        applied=applied, untouched=untouched, log=daemon.log.read_text(), events=daemon.events(),
        statuses=(status_before, status_vanished, status_after), groups=(groups, groups_vanished, daemon.groups()),
    )  # fmt: skip


def roots_of(daemon):
    return {root["path"]: root for root in daemon.json("roots")["roots"]}


def wait(condition, what, daemon):
    system.wait_for(condition, f"{what}\n{[(p, r['state'], r['state_reason']) for p, r in roots_of(daemon).items()]}")


@pytest.fixture(params=[scene.__name__ for scene in SCENES])
def scene(request, seen):
    if request.param in seen.not_made:
        pytest.skip(f"NOT TESTED: {request.param}: {seen.not_made[request.param]}")
    return seen.scenes[request.param]


def test_a_vanished_root_drops_no_row_is_told_and_heals(scene, seen):
    for path in map(str, scene.roots):
        before, vanished, after = (roots[path] for roots in (seen.before, seen.vanished, seen.after))
        assert (vanished["state"] == "online") is not scene.is_doubted, vanished
        assert before["files"] == vanished["files"] == after["files"] == scene.pictures
        assert after["state"] == "online"
        told = [event["kind"] for event in seen.events if event.get("root_path", event.get("root")) == path]
        alerts = [line for line in seen.log.splitlines() if "alert kind=root" in line and path in line]
        if scene.is_doubted:
            assert "alert kind=root-suspect" in alerts[0], (told, seen.log)
            assert "alert kind=root-online" in alerts[-1]


def test_an_apply_in_that_moment_does_nothing(scene, seen):
    for path in map(str, scene.roots):
        done = seen.applied[path]
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
    assert seen.untouched[type(scene).__name__]


def test_all_counts_and_groups_stay_and_nothing_is_decoded_again(seen):
    before, vanished, after = seen.statuses
    for status in (vanished, after):
        assert status["counts"]["files"] == before["counts"]["files"]
        assert status["counts"]["files_missing"] == 0
    assert after["decoded_total"] == before["decoded_total"]
    assert seen.groups[0] == seen.groups[1] == seen.groups[2]


@pytest.mark.parametrize("name", ["ReadOnly", "FailingBehindTheCache"])
def test_an_apply_that_the_disk_of_a_believed_root_refused_is_told(seen, name):
    if name in seen.not_made:
        pytest.skip(f"NOT TESTED: {name}: {seen.not_made[name]}")
    plan = seen.plans[str(seen.scenes[name].root)]["id"]
    [event] = [event for event in seen.events if event["kind"] == "cleanup-finished" and event["plan"] == plan]
    assert (event["done"], event["failed"]) == (0, 1)
    assert any("alert kind=clean-up" in line for line in seen.log.splitlines())
