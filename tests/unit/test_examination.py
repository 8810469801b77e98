"""What the doctor says of facts, and what it finds on a machine."""

import os

import pytest

from dedupd.core.examination import (
    Finding,
    Verdict,
    examine_clock,
    examine_disk,
    examine_index,
    examine_jpeg_decoder,
    examine_open_files,
    examine_watches,
    worst,
)
from dedupd.daemon.doctor import examine
from dedupd.settings.schema import Cleanup, Settings

GIB = 1 << 30


def ok(finding):
    assert (finding.verdict is Verdict.OK) == (not finding.remedy), finding
    return finding.verdict is Verdict.OK


def test_directories_without_a_watch_are_a_problem_that_names_the_sysctl():
    finding = examine_watches(limit=20, watched=20, unwatched=300)
    assert finding.verdict is Verdict.PROBLEM
    assert "fs.inotify.max_user_watches=524288" in finding.remedy
    assert "300 of 320" in finding.words


@pytest.mark.parametrize(
    ("limit", "watched", "is_ok"),
    [(8192, 0, False), (8192, 100, True), (8192, 7000, False), (524_288, 0, True), (None, 0, True)],
)
def test_few_watches_are_a_warning(limit, watched, is_ok):
    assert ok(examine_watches(limit=limit, watched=watched, unwatched=0)) is is_ok


@pytest.mark.parametrize(("limit", "used", "is_ok"), [(1024, 40, True), (256, 40, False), (4096, 3000, False)])
def test_few_descriptors_are_a_warning(limit, used, is_ok):
    assert ok(examine_open_files(limit=limit, used=used)) is is_ok


@pytest.mark.parametrize(
    ("free", "total", "verdict"),
    [
        (100 * GIB, 200 * GIB, Verdict.OK),
        (1 * GIB, 10 * GIB, Verdict.OK),
        (1 * GIB, 1000 * GIB, Verdict.WARNING),
        (GIB // 8, 1 * GIB, Verdict.PROBLEM),
    ],
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(free, total, verdict):
    finding = examine_disk(directory="/state", free_bytes=free, total_bytes=total)
    ok(finding)
    assert finding.verdict is verdict


def test_a_clock_that_is_not_synchronised_or_was_set_is_a_warning():
    assert ok(examine_clock(is_synchronised=True, jumped_s=0.5))
    assert ok(examine_clock(is_synchronised=None, jumped_s=0))
    assert not ok(examine_clock(is_synchronised=False, jumped_s=0))
    assert "-3600 s" in examine_clock(is_synchronised=True, jumped_s=-3600).words


def test_an_index_that_lacks_pictures_is_a_warning():
    assert ok(examine_index(indexed=5, linked=5))
    assert not ok(examine_index(indexed=4, linked=5))


def test_the_gravest_verdict_counts():
    def findings(*verdicts):
        return tuple(Finding(subject="x", verdict=verdict, words="x") for verdict in verdicts)

    assert worst(()) is Verdict.OK
    assert worst(findings(Verdict.OK, Verdict.WARNING)) is Verdict.WARNING
    assert worst(findings(Verdict.PROBLEM, Verdict.OK, Verdict.WARNING)) is Verdict.PROBLEM


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_a_root_that_is_away_an_open_state_and_a_silent_actor_are_named_with_the_remedy(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    settings = Settings(cleanup=Cleanup(actor_socket=str(tmp_path / "actor.sock")))
    found = by_subject(examine(settings, state_dir=state, roots=[bytes(tmp_path / "away")]))
    assert found["root"].verdict is Verdict.PROBLEM
    assert "mount" in found["root"].remedy
    assert (found["state-directory"].verdict, found["state-directory"].remedy) == (
        Verdict.WARNING,
        f"chmod 0700 {state}",
    )
    assert found["actor"].verdict is Verdict.PROBLEM
    assert "dedupd-actor.socket" in found["actor"].remedy


def test_a_socket_that_everybody_may_use_is_a_problem(tmp_path):
    path = tmp_path / "s.sock"
    path.touch()
    for mode, verdict in ((0o660, Verdict.OK), (0o666, Verdict.PROBLEM)):
        path.chmod(mode)
        found = by_subject(examine(Settings(), state_dir=tmp_path, roots=[], socket_path=path))
        assert found["socket"].verdict is verdict


def test_everything_that_is_well_is_said_too(tmp_path):
    tmp_path.chmod(0o700)
    found = by_subject(examine(Settings(), state_dir=tmp_path, roots=[os.fsencode(tmp_path)]))
    assert {"root", "watches", "open-files", "state-directory", "disk-space", "actor", "clock"} <= set(found)
    assert found["root"].verdict is Verdict.OK


def test_the_slow_jpeg_decoder_is_no_fault():
    fast, slow = examine_jpeg_decoder(is_compiled=True), examine_jpeg_decoder(is_compiled=False)
    assert ok(fast)
    assert ok(slow)
    assert "python3-dev" in slow.words
