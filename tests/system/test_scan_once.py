"""`dedupd scan`: the whole job once, and the index is there next time."""

import csv
import json
import os
import signal
import subprocess
import sys
import time


def scan(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", "scan", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        **options,
    )


def groups_of(report):
    return {frozenset([g["keep"]["path"], *(d["path"] for d in g["duplicates"])]) for g in report["groups"]}


def test_a_scan_prints_a_summary_and_writes_each_kind_of_report(library, tmp_path):
    for suffix in ("json", "csv", "html"):
        done = scan(library, "--state-dir", tmp_path / "state", "--report", tmp_path / f"r.{suffix}")
        assert done.returncode == 0, done.stderr
    assert "3 duplicates in 2 groups" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["total_images"] == 9
    rows = list(csv.DictReader((tmp_path / "r.csv").open(newline="")))
    assert len(rows) == 5
    assert "IMG_0000 (1).jpg" in (tmp_path / "r.html").read_text()


def test_a_second_scan_decodes_nothing(library, tmp_path):
    first = scan(library, "--state-dir", tmp_path / "state")
    assert "8 of them decoded now" in first.stdout
    second = scan(library, "--state-dir", tmp_path / "state")
    assert "0 of them decoded now" in second.stdout


def test_json_on_standard_output_is_the_report_and_nothing_else(library, tmp_path):
    report = json.loads(scan(library, "--state-dir", tmp_path / "state", "--json").stdout)
    assert {"generated_at", "total_images", "duplicate_groups", "total_duplicates", "keep_policy", "groups"} <= set(
        report
    )
    assert {"keep", "duplicates"} <= set(report["groups"][0])


def test_a_scan_that_is_interrupted_goes_on_where_it_was(tmp_path, tools):
    photos = tmp_path / "photos"
    for seed in range(30):
        tools.save_aged(tools.picture(seed % 24, (400, 300)), photos / f"{seed}.jpg", quality=90 - seed)
    arguments = [
        sys.executable,
        "-m",
        "dedupd.daemon.main",
        "scan",
        str(photos),
        "--state-dir",
        str(tmp_path / "state"),
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time_limit = time.monotonic() + 60
    while not list((tmp_path / "state").glob("previews/**/*.jpg")):
        assert time.monotonic() < time_limit
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in {130, 0}
    resumed = scan(photos, "--state-dir", tmp_path / "state", "--report", tmp_path / "resumed.json")
    assert resumed.returncode == 0
    fresh = scan(photos, "--state-dir", tmp_path / "fresh", "--report", tmp_path / "fresh.json")
    assert fresh.returncode == 0
    assert groups_of(json.loads((tmp_path / "resumed.json").read_text())) == groups_of(
        json.loads((tmp_path / "fresh.json").read_text())
    )


def test_the_photos_are_never_written_to(library, tmp_path):
    def facts():
        return {
            (str(p), p.stat().st_size, p.stat().st_mtime_ns, p.stat().st_ctime_ns, p.stat().st_mode)
            for p in [library, *library.rglob("*")]
        }

    before = facts()
    assert scan(library, "--state-dir", tmp_path / "state").returncode == 0
    assert facts() == before


def test_hard_links_and_symlinks_are_not_duplicates_that_free_space(library, tmp_path):
    os.link(library / "camera/IMG_0003.jpg", library / "phone/linked3.jpg")
    (library / "phone/symlink4.jpg").symlink_to(library / "camera/IMG_0004.jpg")
    report = json.loads(scan(library, "--state-dir", tmp_path / "state", "--json").stdout)
    linked = [f for g in report["groups"] for f in (g["keep"], *g["duplicates"]) if "linked3" in f["path"]]
    assert all(f["frees_bytes"] == 0 for f in linked)
    assert not any("symlink4" in f["path"] for g in report["groups"] for f in (g["keep"], *g["duplicates"]))


def test_a_scan_plans_by_a_policy_and_touches_nothing_until_it_is_told_to(tmp_path, library):
    command = ["--state-dir", tmp_path / "state", "--min-age", "0", "--keep-policy"]
    before = sorted(path for path in library.rglob("*") if path.is_file())
    planned = scan(library, *command, "smallest")
    assert planned.returncode == 0, planned.stderr
    assert "keep phone/IMG-20240101-WA0001.jpg" in planned.stdout
    assert "--apply does it" in planned.stdout
    assert sorted(path for path in library.rglob("*") if path.is_file()) == before
    done = scan(library, *command, "best", "--apply")
    assert done.returncode == 0, done.stderr
    left = {path for path in library.rglob("*") if path.is_file() and ".dedupd-quarantine" not in path.parts}
    assert set(before) - left == {library / "phone" / "IMG-20240101-WA0001.jpg"}, "the only one of its folder stays"
    unknown = scan(library, *command, "bset")
    assert (unknown.returncode, "best" in unknown.stderr) == (66, True)


def test_options_that_mean_nothing_are_refused(tmp_path, library):
    for options, code in (
        (("--threshold", "0.5"), 78),
        (("--threshold", "2"), 64),
        (("--gpus", "x"), 64),
        (("--k", "0"), 64),
    ):
        refused = scan(library, "--state-dir", tmp_path / "state", *options)
        assert refused.returncode == code, refused.stderr
