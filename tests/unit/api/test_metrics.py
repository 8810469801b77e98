import re
from dataclasses import replace

import pytest
from fakes.progress import DEVICE, GENERATION, PROGRESS, root

from dedupd.api.metrics import metrics_text
from dedupd.core.manners import Hold, HoldReason
from dedupd.core.records import RootState

LINE = re.compile(r'^([a-z_:][a-z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+]+)$')


def samples(text: str) -> dict[str, float]:
    """By name and labels; every line must be one that Prometheus reads, and every metric must say what it is."""
    found: dict[str, float] = {}
    described: set[str] = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("#"):
            described.add(line.split()[2])
            continue
        match = LINE.match(line)
        assert match, line
        assert match[1] in described, line
        found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_every_count_is_told_exactly():
    found = samples(metrics_text(PROGRESS, "0.1.0"))
    assert found['dedupd_info{version="0.1.0"}'] == 1
    assert (found["dedupd_files"], found["dedupd_files_pending"], found["dedupd_verified_pairs"]) == (9, 1, 4)
    assert found["dedupd_files_read_total"] == 4_294_967_297
    assert (found["dedupd_start_time_seconds"], found["dedupd_pictures_per_second"]) == (1.5, 12.5)
    assert found['dedupd_root_online{root="/photos"}'] == 1
    assert (found['dedupd_memory_bytes{process="daemon"}'], found['dedupd_memory_bytes{process="workers"}']) == (
        100 << 20,
        100 << 20,
    )
    assert (found["dedupd_memory_ceiling_bytes"], found["dedupd_decode_workers_running"]) == (300 << 20, 2)
    assert not any(name.startswith("dedupd_model") for name in found), "without a model nothing is said of models"


@pytest.mark.parametrize("state", [RootState.SUSPECT, RootState.OFFLINE])
def test_a_root_that_is_not_believed_is_zero(state):
    found = samples(metrics_text(replace(PROGRESS, roots=(root(b"/photos", state),)), "1"))
    assert found['dedupd_root_online{root="/photos"}'] == 0


def test_a_path_cannot_break_a_line_or_a_label():
    hostile = b'/a"b\\c\nd\xff'
    found = samples(metrics_text(replace(PROGRESS, roots=(root(hostile),)), "1"))
    assert found['dedupd_root_files{root="/a\\"b\\\\c\\nd\N{REPLACEMENT CHARACTER}"}'] == 7


def test_devices_tell_their_rate_and_how_busy_they_are_where_that_is_known():
    mute = replace(DEVICE, name="cpu", utilisation=None, trouble="it died twice")
    progress = replace(PROGRESS, generations=(replace(GENERATION, devices=(DEVICE, mute)),))
    found = samples(metrics_text(progress, "1"))
    assert found['dedupd_model_pictures{model="someone/model",tag="vit-16-1"}'] == 3
    assert found['dedupd_device_pictures_per_second{model="someone/model",device="cuda:0"}'] == 812.5
    assert found['dedupd_device_utilisation_ratio{model="someone/model",device="cuda:0"}'] == 0.97
    assert 'dedupd_device_utilisation_ratio{model="someone/model",device="cpu"}' not in found
    assert found['dedupd_device_left_out{model="someone/model",device="cpu"}'] == 1


def test_why_the_backlog_waits_is_told():
    hold = Hold(reason=HoldReason.QUIET, words="quiet hours")
    found = samples(metrics_text(replace(PROGRESS, hold=hold), "1"))
    held = {name: value for name, value in found.items() if name.startswith("dedupd_backlog_held")}
    assert held == {
        f'dedupd_backlog_held{{reason="{reason}"}}': float(reason is HoldReason.QUIET) for reason in HoldReason
    }
