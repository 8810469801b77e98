"""`dedupctl status` says of each model how far it is, whether it answers, and what its devices do."""

import msgspec

from dedupd.core.ports import DeviceProgress, GenerationProgress
from dedupd.core.records import ContentId, ModelTag
from dedupd.protocol.status import StatusMessage

GPU = DeviceProgress(
    name="cuda:0",
    title="Big GPU",
    images_per_s=1234.5,
    utilisation=0.87,
    batch_size=256,
    dtype="bfloat16",
    trouble="",
)
LOST = DeviceProgress(
    name="cuda:1",
    title="Old GPU",
    images_per_s=0.0,
    utilisation=None,
    batch_size=0,
    dtype="",
    trouble="its driver is gone",
)
NEW = GenerationProgress(
    name="new/model",
    model=ModelTag("new-1"),
    done=300,
    total=1000,
    set_aside=2,
    is_serving=False,
    is_configured=True,
    images_per_s=1200.0,
    eta_s=30.0,
    trouble="",
    devices=(GPU, LOST),
)
OLD = GenerationProgress(
    name="old/model",
    model=ModelTag("old-1"),
    done=990,
    total=1000,
    set_aside=0,
    is_serving=True,
    is_configured=False,
    images_per_s=0.0,
    eta_s=None,
    trouble="",
    devices=(),
)


def test_without_models_nothing_is_said_of_them(album, dedupctl):
    assert "model " not in dedupctl("status").out


def test_each_model_and_each_device_has_its_line(album, dedupctl):
    album.control.generations = (NEW, OLD)
    lines = [line.strip() for line in dedupctl("status").out.splitlines()]
    for line in (
        "model     new/model: 300 of 1,000, 2 set aside, not complete yet, 1200.0 pictures/s, about 30 s left",
        "cuda:0 Big GPU: 1234.5 pictures/s, bfloat16, 256 at once, 87% busy",
        "cuda:1 Old GPU: left out: its driver is gone",
        "model     old/model: 990 of 1,000, serving until what replaces it is complete",
    ):
        assert line in lines


def test_the_same_is_in_the_message(album, dedupctl):
    album.control.generations = (NEW,)
    with album.library.transaction() as txn:
        txn.suggest_pairs([(ContentId(1), ContentId(2))])
    status = msgspec.json.decode(dedupctl("status", "--json").out, type=StatusMessage)
    [generation] = status.generations
    assert (generation.name, generation.model, generation.done, generation.total) == ("new/model", "new-1", 300, 1000)
    assert [device.trouble for device in generation.devices] == ["", "its driver is gone"]
    assert status.counts.pairs_suggested == 1
    assert "models    suggest 1 pair more to look at" in dedupctl("status").out
