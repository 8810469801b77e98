"""What goes wrong is said in one clear line, each with its own exit code, and nothing is lost."""

import os
import subprocess
import sys

import pytest


def dedupd(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "dedupd.daemon.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("rots = []\n", "unknown key `rots`. Did you mean `roots`?"),
        ("[decode]\nworkers = 'two'\n", "`decode.workers`: expected `int`, got `str`"),
        ("roots = [\n", "not valid TOML"),
        ('roots = ["/nowhere/at/all"]\n', "/nowhere/at/all cannot be watched: it is not there"),
        ("", "no folder to watch"),
        ('[alerts]\nurls = ["nonsense"]\n', "alerts"),
    ],
)
def test_a_wrong_configuration_exits_78_and_names_the_key(tmp_path, config, words):
    path = tmp_path / "dedupd.toml"
    path.write_text(config)
    folders = [tmp_path] if "urls" in config else []
    done = dedupd("run", "--config", path, "--state-dir", tmp_path / "state", "--socket", tmp_path / "s", *folders)
    assert done.returncode == 78, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nested_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    done = dedupd("scan", tmp_path / "a", tmp_path / "a" / "b", "--state-dir", tmp_path / "state")
    assert (done.returncode, "lies within" in done.stderr) == (78, True)
    done = dedupd("scan", tmp_path / "nowhere", "--state-dir", tmp_path / "state")
    assert (done.returncode, "No such file" in done.stderr) == (78, True)
    (tmp_path / "f.jpg").write_text("")
    done = dedupd("scan", tmp_path / "f.jpg", "--state-dir", tmp_path / "state")
    assert (done.returncode, "not a folder" in done.stderr) == (78, True)


def test_a_second_daemon_on_the_same_state_or_socket_is_refused_and_the_first_goes_on(make_daemon, library, tmp_path):
    daemon = make_daemon(library).start()
    on_state = dedupd("run", library, "--state-dir", daemon.state, "--socket", tmp_path / "other.sock")
    assert on_state.returncode == 75, on_state.stderr
    assert str(daemon.process.pid) in on_state.stderr, "the message names the first"
    on_socket = dedupd("run", library, "--state-dir", tmp_path / "other", "--socket", daemon.socket)
    assert on_socket.returncode == 75, on_socket.stderr
    scan = dedupd("scan", library, "--state-dir", daemon.state)
    assert scan.returncode == 75
    assert daemon.answers()


def test_the_client_says_how_to_start_a_daemon_that_does_not_run(make_daemon, library):
    done = make_daemon(library).ctl("status", check=False)
    assert done.returncode == 69
    assert "dedupd run" in done.stderr


def test_find_refuses_what_is_no_picture(make_daemon, library, tmp_path):
    daemon = make_daemon(library).start()
    (tmp_path / "text.jpg").write_text("no picture")
    done = daemon.ctl("find", tmp_path / "text.jpg", check=False)
    assert done.returncode > 1
    assert "Traceback" not in done.stderr
    assert daemon.ctl("find", tmp_path / "nowhere.jpg", check=False).returncode > 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_directory_without_permission_is_named(tmp_path, library):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    done = dedupd("scan", library, "--state-dir", closed / "state")
    assert done.returncode == 77
    assert "closed" in done.stderr


def test_a_full_disk_stops_it_with_its_own_code_and_loses_nothing(tmp_path, tools):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted here (needs root): the full-disk test did NOT run")
    try:
        photos = tmp_path / "photos"
        for seed in range(60):
            tools.save_aged(tools.picture(seed, (320, 240)), photos / f"{seed}.jpg")
        before = {p.name: p.read_bytes() for p in photos.iterdir()}
        done = dedupd("scan", photos, "--state-dir", small / "state")
        assert done.returncode == 74, done.stderr
        assert "Traceback" not in done.stderr.splitlines()[-1]
        assert str(small) in done.stderr
        assert {p.name: p.read_bytes() for p in photos.iterdir()} == before
        assert dedupd("check", "--state-dir", small / "state").returncode == 0
    finally:
        subprocess.run(["umount", small], check=False)


def test_a_report_with_an_unknown_suffix_is_refused_before_the_work(tmp_path, library):
    done = dedupd("scan", library, "--state-dir", tmp_path / "state", "--report", tmp_path / "r.xls")
    assert done.returncode != 0
    assert ".html, .json or .csv" in done.stderr
