"""The main job, by the real daemon over the real socket: know every image, tell at once, report, answer."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dedupd.client.client import Client


def test_it_finds_the_duplicates_of_a_library_and_keeps_the_best(make_daemon, library):
    daemon = make_daemon(library).start()
    status = daemon.idle(images=9)
    assert status["counts"]["files"] == 9
    assert status["counts"]["contents"] == 8, "the exact copy shares its content"
    assert status["decoded_total"] == 8, "an exact copy is not decoded"
    report = daemon.json("report", "--format", "json")
    assert report["duplicate_groups"] == 2
    assert report["total_duplicates"] == 3
    by_keep = {g["keep"]["path"]: {d["path"]: d["relation"] for d in g["duplicates"]} for g in report["groups"]}
    assert by_keep == {
        str(library / "camera/IMG_0000.jpg"): {
            str(library / "backup/IMG_0000 (1).jpg"): "same-bytes",
            str(library / "phone/IMG-20240101-WA0001.jpg"): "re-encoded",
        },
        str(library / "phone/turned.png"): {str(library / "camera/IMG_0001.jpg"): "edited"},
    } or by_keep[str(library / "camera/IMG_0001.jpg")] == {str(library / "phone/turned.png"): "edited"}


def test_a_preview_is_sent_without_what_dedupd_keeps_in_it(make_daemon, library):
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    [kept] = [path.read_bytes() for path in daemon.state.glob("previews/**/*") if path.name == "1.jpg"]
    shown = Client(daemon.socket).preview(1)
    assert shown.startswith(b"\xff\xd8")
    assert b"dedupd" not in shown
    assert b"dedupd" in kept
    assert shown[2:] in kept


def test_a_copy_that_arrives_is_told_once_with_what_it_duplicates(make_daemon, library, tools):
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    seen = str(daemon.events()[-1]["sequence"])  # a follower that is slow to start must not miss what comes meanwhile
    follow = ["events", "--follow", "--after", seen]
    follower = subprocess.Popen(
        [sys.executable, "-m", "dedupd.cli.main", "--socket", str(daemon.socket), "--json", *follow],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = []
    threading.Thread(target=lambda: told.extend(json.loads(line) for line in follower.stdout), daemon=True).start()
    try:
        tools.picture(3).resize((320, 240)).save(library / "phone" / "small3.jpg", quality=90)

        def arrivals():
            return [e for e in told if e["kind"] == "duplicate-found" and e["path"].endswith("small3.jpg")]

        [event] = tools.wait_for(arrivals, "the event")
    finally:
        follower.kill()
        follower.wait()
    assert event["origin"] == "arrival"
    assert [(m["path"], m["relation"]) for m in event["matches"]] == [
        (str(library / "camera/IMG_0003.jpg"), "re-encoded")
    ]
    daemon.idle(images=10)
    assert len([e for e in daemon.events("duplicate-found") if e["path"].endswith("small3.jpg")]) == 1


def test_questions_about_pictures_inside_and_outside_the_library(make_daemon, library, tools, tmp_path):
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    outside = tmp_path / "outside"
    tools.save_aged(tools.picture(2).resize((400, 300)), outside / "small2.jpg")
    tools.save_aged(tools.picture(77), outside / "unknown.jpg")
    found = daemon.ctl("find", outside / "small2.jpg", check=False)
    assert (found.returncode, "IMG_0002.jpg" in found.stdout) == (0, True)
    assert daemon.ctl("find", outside / "unknown.jpg", check=False).returncode == 1
    assert daemon.ctl("find", "--pixels", outside / "small2.jpg", check=False).returncode == 1
    assert daemon.ctl("find", library / "camera/IMG_0005.jpg", check=False).returncode == 0
    have = daemon.ctl("have", outside, check=False)
    assert have.returncode == 1
    assert "unknown.jpg" in have.stdout
    explained = daemon.json("explain", library / "camera/IMG_0000.jpg", library / "phone/IMG-20240101-WA0001.jpg")
    assert explained["relation"] == "re-encoded"
    apart = daemon.json("explain", library / "camera/IMG_0000.jpg", library / "camera/IMG_0002.jpg")
    assert apart["relation"] == "different"


def test_a_lossless_copy_has_the_same_pixels_and_only_such_pass_the_strict_question(
    make_daemon, library, tools, tmp_path
):
    tools.save_aged(tools.picture(40), library / "scan.png")
    tools.save_aged(tools.picture(40), library / "scan.tif", compression="tiff_lzw")
    daemon = make_daemon(library).start()
    daemon.idle(images=11)
    assert daemon.json("explain", library / "scan.png", library / "scan.tif")["relation"] == "same-pixels"
    outside = tmp_path / "outside"
    tools.save_aged(tools.picture(40), outside / "scan.bmp")
    changed = tools.picture(40)
    changed.putpixel((5, 5), (1, 2, 3))
    tools.save_aged(changed, outside / "changed.bmp")
    assert daemon.ctl("find", "--pixels", outside / "scan.bmp", check=False).returncode == 0
    assert daemon.ctl("find", "--pixels", outside / "changed.bmp", check=False).returncode == 1


def test_a_renamed_folder_is_not_decoded_again_and_nothing_is_told(make_daemon, library):
    daemon = make_daemon(library).start()
    before = daemon.idle(images=9)
    groups = {frozenset(Path(p).name for p in g) for g in daemon.groups()}
    (library / "camera").rename(library / "Kamera 2024")

    def moved():
        status = daemon.idle()
        files = [f for g in daemon.groups() for f in g]
        return status if any("Kamera 2024" in f for f in files) and not any("/camera/" in f for f in files) else None

    from_test = moved
    end = time.monotonic() + 40
    after = None
    while after is None and time.monotonic() < end:
        after = from_test()
    assert after is not None, daemon.log.read_text()
    assert after["decoded_total"] == before["decoded_total"]
    assert after["counts"]["files"] == before["counts"]["files"], "the old rows went with the move"
    assert {frozenset(Path(p).name for p in g) for g in daemon.groups()} == groups
    assert not [e for e in daemon.events("duplicate-found") if e["origin"] == "arrival"]


def test_a_restart_decodes_nothing_and_knows_all(make_daemon, library):
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    groups = daemon.groups()
    assert daemon.stop() == 0
    daemon.start()
    status = daemon.idle(images=9)
    assert status["read_total"] == status["decoded_total"] == 0
    assert daemon.groups() == groups


def test_a_file_that_cannot_be_read_is_a_problem_with_a_reason(make_daemon, library):
    (library / "camera" / "notes.jpg").write_text("this is no picture")
    good = (library / "camera" / "IMG_0002.jpg").read_bytes()
    (library / "camera" / "half.jpg").write_bytes(good[: len(good) // 2])
    (library / "camera" / "empty.png").write_bytes(b"")
    os.mkfifo(library / "camera" / "pipe.jpg")
    daemon = make_daemon(library, config="[watch]\nsettle_after_write_s = 0.3\n").start()

    def problems():
        listed = {Path(p["path"]).name: p["code"] for p in daemon.json("problems")["problems"]}
        return listed if len(listed) == 4 else None

    end = time.monotonic() + 40
    while (listed := problems()) is None:
        assert time.monotonic() < end, daemon.ctl("problems").stdout
    assert listed == {
        "notes.jpg": "not-an-image",
        "half.jpg": "truncated",
        "empty.png": "empty",
        "pipe.jpg": "not-a-regular-file",
    }


def test_an_emptied_root_drops_no_row_and_is_suspect_until_it_is_back(make_daemon, library, tools):
    daemon = make_daemon(library).start()
    before = daemon.idle(images=9)
    aside = library.with_name("unmounted")
    library.rename(aside)
    library.mkdir()

    def suspect():
        [root] = daemon.json("roots")["roots"]
        return root if root["state"] != "online" else None

    root = tools.wait_for(suspect, "the root to be doubted")
    assert root["state"] == "suspect"
    assert "is mounted" in root["state_reason"]
    counts = daemon.json("status")["counts"]
    assert (counts["files"], counts["files_missing"]) == (before["counts"]["files"], 0)
    assert daemon.events("root-suspect")
    library.rmdir()
    aside.rename(library)
    tools.wait_for(lambda: daemon.json("roots")["roots"][0]["state"] == "online", "the root to be believed again")
    status = daemon.idle()
    assert status["counts"]["files_missing"] == 0
    assert status["decoded_total"] == before["decoded_total"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_the_middle_of_a_scan(make_daemon, tmp_path, tools, number):
    photos = tmp_path / "many"
    for seed in range(40):
        tools.save_aged(tools.picture(seed, (320, 240)), photos / f"{seed}.jpg")
    daemon = make_daemon(photos).start()
    assert daemon.stop(number) == 0
    check = subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", "check", "--state-dir", str(daemon.state)], check=False
    )
    assert check.returncode == 0


def test_sighup_takes_a_new_root_in_and_refuses_a_wrong_configuration(make_daemon, library, tools, tmp_path):
    more = tmp_path / "more"
    tools.save_aged(tools.picture(4).resize((300, 225)), more / "small4.jpg")
    daemon = make_daemon(config=f'roots = ["{library}"]\n').start()
    daemon.idle(images=9)
    (daemon.home / "dedupd.toml").write_text("rots = []\n")
    daemon.process.send_signal(signal.SIGHUP)
    tools.wait_for(lambda: "unknown key `rots`" in daemon.log.read_text(), "the refusal")
    (daemon.home / "dedupd.toml").write_text(f'roots = ["{library}", "{more}"]\n')
    daemon.process.send_signal(signal.SIGHUP)
    tools.wait_for(lambda: len(daemon.json("roots")["roots"]) == 2, "the new root")
    daemon.idle(images=10)
    assert any(str(more / "small4.jpg") in g for g in daemon.groups())


def test_a_hook_gets_the_alert(make_daemon, library, tools, tmp_path):
    taken = tmp_path / "taken.json"
    hook = tmp_path / "hook.py"
    hook.write_text(f"import sys\nopen({str(taken)!r}, 'w').write(sys.stdin.read())\n")
    daemon = make_daemon(library, config=f'[alerts]\nhook = ["{sys.executable}", "{hook}"]\non_scan = false\n').start()
    daemon.idle(images=9)
    tools.picture(5).save(library / "phone" / "again5.png")
    tools.wait_for(lambda: taken.exists() and taken.read_text(), "the hook")
    assert "again5.png" in taken.read_text()
