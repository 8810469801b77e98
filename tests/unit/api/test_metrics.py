import re
from dataclasses import replace

import pytest

from dedupd.api.metrics import metrics_text
from dedupd.core.ports import Activity, Counts, DeviceProgress, GenerationProgress, Progress, RootProgress
from dedupd.core.records import ModelTag, RootId, RootRecord, RootState

LINE = re.compile(r'^([a-z_:][a-z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+]+)$')
DEVICE = DeviceProgress(
    name="cuda:0", title="A GPU", images_per_s=812.5, utilisation=0.97, batch_size=64, dtype="bfloat16", trouble=""
)
GENERATION = GenerationProgress(
    name="someone/model", model=ModelTag("vit-16-1"), done=3, total=5, set_aside=0, is_serving=False,
    is_configured=True, images_per_s=800.0, eta_s=None, trouble="", devices=(DEVICE,),
)  # fmt: skip


def root(path: bytes, state=RootState.ONLINE) -> RootProgress:
    record = RootRecord(
        id=RootId(1), path=path, identity=None, state=state, state_reason="", last_full_scan_ns=None, added_at_ns=1
    )
    return RootProgress(root=record, health=None, files=7, others={}, is_scanning=True)


PROGRESS = Progress(
    activity=Activity.IDLE, started_at_ns=1_500_000_000, roots=(root(b"/photos"),), read_total=4_294_967_297,
    counts=Counts(
        files=9, files_pending=1, files_set_aside=2, files_missing=3, contents=5, contents_unlinked=0, edges=4, events=6
    ),
    decoded_total=8, compared_total=4, images_per_s=12.5, eta_s=None, degraded=("x",), workers=2, index_kind="exact",
    indexed=5, model=ModelTag("t"),
)  # fmt: skip


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
