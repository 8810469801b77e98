"""Clean-up by the real daemon, the real actor process and dedupctl: plan, apply, undo, and what happens in between."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from pathlib import Path

import pytest

FREELY = "[cleanup]\nmin_age_h = 0\ndirectory_share = 1\n"
ALL = [word for name in ("same-bytes", "same-pixels", "re-encoded", "edited") for word in ("--relation", name)]


def files_of(folder: Path) -> dict[str, tuple]:
    """Every file outside the quarantine: bytes, inode, mode, owner and time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".dedupd-quarantine" not in path.parts:
            facts = path.stat()
            found[str(path.relative_to(folder))] = (
                hashlib.sha256(path.read_bytes()).hexdigest(), facts.st_ino, facts.st_mode, facts.st_uid,
                facts.st_mtime_ns,
            )  # fmt: skip
    return found


@pytest.fixture
def daemon(make_daemon, library):
    daemon = make_daemon(library, config=FREELY).start()
    daemon.idle(images=9)
    return daemon


def planned(daemon, *arguments) -> dict:
    return daemon.json("plan", *ALL, *arguments)


def victims(plan: dict) -> set[str]:
    return {victim["path"] for item in plan["items"] for victim in item["victims"]}


def test_plan_apply_and_undo_give_every_file_back_as_it_was(daemon, library, tools):
    before = files_of(library)
    plan = planned(daemon)
    assert len(victims(plan)) == 3
    assert files_of(library) == before, "a plan touches nothing"
    daemon.ctl("apply", plan["id"][:8])
    gone = {str(Path(path).relative_to(library)) for path in victims(plan)}
    assert files_of(library) == {name: facts for name, facts in before.items() if name not in gone}
    tools.wait_for(lambda: not daemon.groups(), "the report to be empty")
    assert daemon.json("status")["roots"][0]["state"] == "online", "a root is not suspected for what a plan took"
    listed = daemon.json("quarantine", "list")
    assert {entry["path"] for entry in listed["files"]} == victims(plan)
    daemon.ctl("undo", "--last")
    assert files_of(library) == before
    tools.wait_for(lambda: len(daemon.groups()) == 2, "the groups to be as before")
    daemon.idle(images=9)
    assert daemon.events("cleaned-returned") == [], "what dedupd put back itself is no news"
    assert [(e["run"], e["done"]) for e in daemon.events("cleanup-finished")] == [("apply", 3), ("undo", 3)]


def test_what_was_cleaned_up_and_comes_back_is_told(daemon, library, tools):
    copy = library / "backup" / "IMG_0000 (1).jpg"
    data = copy.read_bytes()
    plan = daemon.json("plan", "--relation", "same-bytes")
    assert victims(plan) == {str(copy)}
    daemon.ctl("apply", plan["id"])
    (library / "phone" / "again.jpg").write_bytes(data)
    [event] = tools.wait_for(lambda: daemon.events("cleaned-returned"), "the event")
    assert event["path"] == str(library / "phone" / "again.jpg")
    assert event["plan"] == plan["id"]


def test_a_plan_is_refused_once_its_group_has_changed_and_nothing_is_touched(daemon, library, tools):
    plan = planned(daemon)
    (library / "phone" / "one more.jpg").write_bytes((library / "camera" / "IMG_0000.jpg").read_bytes())
    tools.wait_for(lambda: any(len(g) == 4 for g in daemon.groups()), "the new copy to join")
    before = files_of(library)
    done = daemon.ctl("apply", plan["id"], check=False)
    assert (done.returncode, files_of(library)) == (64, before)
    assert "moved on" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("apply", "0" * 64), 66, "no plan"),
        (("apply", "zzz"), 66, "hex digits"),
        (("undo", "0" * 64), 66, "no plan"),
        (("plan", "--policy", "bset"), 66, "best"),
        (("plan", "--action", "hardlink", "--relation", "edited"), 64, "same-bytes"),
        (("plan", "--action", "move"), 64, "folder"),
        (("plan", "--root", "/nowhere"), 66, "no root"),
        (("plan", "--below", "/nowhere"), 64, "no watched folder"),
        (("quarantine", "expire", "--now", "--confirm", "wrong"), 64, "confirm"),
    ],
)
def test_bad_input_is_told_with_its_code_and_touches_nothing(daemon, library, arguments, code, words):
    before = files_of(library)
    done = daemon.ctl(*arguments, check=False)
    assert (done.returncode, files_of(library)) == (code, before), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_goes_from_a_protected_folder(make_daemon, library):
    daemon = make_daemon(library, config=f'{FREELY}protected = ["{library}/phone", "{library}/backup"]\n').start()
    daemon.idle(images=9)
    plan = planned(daemon)
    assert victims(plan) <= {str(library / "camera" / name) for name in ("IMG_0000.jpg", "IMG_0001.jpg")}
    assert {left["why"] for left in plan["left_alone"] if "/phone/" in left["path"]} == {"protected"}


def test_a_policy_with_an_unknown_criterion_keeps_the_daemon_from_starting(make_daemon, library):
    daemon = make_daemon(library, config='[[cleanup.policies]]\nname = "mine"\nkeep = ["resoluton"]\n').start(
        wait=False
    )
    assert daemon.process.wait(30) == 78
    log = daemon.log.read_text()
    assert "cleanup.policies[0].keep" in log
    assert "resolution" in log


def test_a_suspect_root_stops_an_apply(daemon, library, tools):
    plan = planned(daemon)
    hidden = library.with_name("elsewhere")
    library.rename(hidden)
    library.mkdir()
    tools.wait_for(lambda: daemon.json("status")["roots"][0]["state"] != "online", "the root to be doubted")
    done = daemon.ctl("apply", plan["id"], check=False)
    assert done.returncode == 70, done.stderr
    assert list(library.iterdir()) == []
    assert len(files_of(hidden)) == 9


def test_a_daemon_that_is_killed_after_the_act_takes_it_in_at_its_next_start(daemon, library, tools):
    plan = planned(daemon)
    daemon.ctl("apply", plan["id"])
    daemon.kill()
    daemon.start()
    daemon.idle()
    assert daemon.json("plans")["plans"][0]["state"] == "applied"
    daemon.ctl("undo", plan["id"])
    assert len(files_of(library)) == 9


def test_an_actor_that_is_killed_is_started_again_and_settles_what_it_left(daemon, library):
    before = files_of(library)
    plan = planned(daemon)
    daemon.ctl("apply", plan["id"])
    pids = re.findall(r"actor\.started pid=(\d+)", daemon.log.read_text())
    os.kill(int(pids[-1]), signal.SIGKILL)
    assert {entry["path"] for entry in daemon.json("quarantine", "list")["files"]} == victims(plan)
    daemon.ctl("undo", "--last")
    assert files_of(library) == before


def test_expiry_shows_first_and_deletes_only_what_was_confirmed(daemon, library):
    plan = planned(daemon)
    daemon.ctl("apply", plan["id"])
    shown = daemon.json("quarantine", "expire", "--now")
    quarantine = library / ".dedupd-quarantine"
    assert len([path for path in quarantine.rglob("*.*") if path.is_file() and path.name != "README.txt"]) == 3
    daemon.ctl("quarantine", "expire", "--now", "--confirm", shown["token"])
    assert daemon.json("quarantine", "list")["files"] == []
    assert [path for path in quarantine.rglob("*.*") if path.is_file() and path.name != "README.txt"] == []
    assert len(files_of(library)) == 6


def test_a_pair_that_a_person_parts_stays_parted_over_a_restart(daemon, library, tools):
    first, second = (str(library / name) for name in ("camera/IMG_0001.jpg", "phone/turned.png"))
    daemon.ctl("not-duplicate", first, second)
    assert len(daemon.groups()) == 1
    daemon.stop()
    daemon.start()
    daemon.idle()
    assert len(daemon.groups()) == 1
    daemon.ctl("not-duplicate", "--withdraw", first, second)
    assert len(daemon.groups()) == 2


def test_a_kept_file_is_the_keeper_and_is_never_taken(daemon, library):
    kept = library / "phone" / "IMG-20240101-WA0001.jpg"
    daemon.ctl("keep", kept)
    plan = planned(daemon)
    assert str(kept) not in victims(plan)
    assert str(kept) in {item["keeper"]["path"] for item in plan["items"]}


def test_an_automatic_policy_cleans_up_by_itself(make_daemon, library, tools):
    config = FREELY.replace("[cleanup]\n", "[cleanup]\nauto_every_h = 0.001\n")
    config += '[[cleanup.policies]]\nname = "exact"\nrelations = ["same-bytes"]\nauto = true\n'
    daemon = make_daemon(library, config=config).start()
    copy = library / "backup" / "IMG_0000 (1).jpg"
    tools.wait_for(lambda: not copy.exists(), "the copy to be set aside")
    [event] = tools.wait_for(lambda: daemon.events("cleanup-finished"), "the event")
    assert (event["done"], event["is_automatic"]) == (1, True)
    assert len(files_of(library)) == 8


def test_a_name_that_became_a_hard_link_was_not_taken_away(daemon, library, tools):
    copy, kept = library / "backup" / "IMG_0000 (1).jpg", library / "camera" / "IMG_0000.jpg"
    plan = daemon.json("plan", "--action", "hardlink")
    daemon.ctl("apply", plan["id"])
    assert copy.stat().st_ino == kept.stat().st_ino
    (library / "phone" / "again.jpg").write_bytes(kept.read_bytes())
    tools.wait_for(
        lambda: [e for e in daemon.events("duplicate-found") if e["path"].endswith("again.jpg")], "the arrival"
    )
    assert daemon.events("cleaned-returned") == []
    daemon.ctl("undo", "--last")
    assert copy.stat().st_ino != kept.stat().st_ino
    assert copy.read_bytes() == kept.read_bytes()


def test_the_kept_file_of_a_sorted_pair_counts_as_moved_and_not_as_taken_away(daemon, library, tools):
    folder = library.with_name("sorted")
    folder.mkdir()
    kept, copy = library / "camera" / "IMG_0000.jpg", library / "backup" / "IMG_0000 (1).jpg"
    data = kept.read_bytes()
    plan = daemon.json("plan", "--action", "sort", "--folder", folder, "--relation", "same-bytes")
    daemon.ctl("apply", plan["id"])
    assert (folder / "best" / library.name / "camera" / kept.name).read_bytes() == data
    assert (folder / "duplicates" / library.name / "backup" / copy.name).read_bytes() == data
    daemon.ctl("undo", "--last")
    assert kept.read_bytes() == copy.read_bytes() == data
    daemon.idle(images=9)
    assert daemon.events("cleaned-returned") == []
