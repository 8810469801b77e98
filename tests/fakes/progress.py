"""How a daemon stands that does not run: for what shows progress."""

from dedupd.core.memory_rules import MemoryStanding, MemoryUse
from dedupd.core.ports import Activity, Counts, DeviceProgress, GenerationProgress, Progress, RootProgress
from dedupd.core.records import ModelTag, RootId, RootRecord, RootState

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
    memory=MemoryStanding(
        use=MemoryUse(own_bytes=100 << 20, workers={7: 40 << 20, 8: 60 << 20}),
        ceiling_bytes=300 << 20, workers_allowed=2,
    ),
)  # fmt: skip
