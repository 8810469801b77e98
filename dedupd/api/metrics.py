"""How things stand as Prometheus reads it: the text exposition format, version 0.0.4. Pure.

Names end in their unit; what only grows ends in `_total` and starts again with the daemon.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dedupd.core.manners import HoldReason
from dedupd.core.memory_rules import MemoryStanding
from dedupd.core.ports import GenerationProgress, Progress, RootProgress
from dedupd.core.records import RootState

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[Mapping[str, str], float]
_NO_LABELS: Mapping[str, str] = {}


def metrics_text(progress: Progress, version: str) -> str:
    """Every metric of the daemon."""
    return "".join(line + "\n" for family in _families(progress, version) for line in family)


def _families(progress: Progress, version: str) -> Iterator[list[str]]:
    counts = progress.counts
    yield _family("dedupd_info", "gauge", "Always 1; the labels say what runs.", [({"version": version}, 1)])
    yield _one("dedupd_start_time_seconds", "gauge", "When the daemon started.", progress.started_at_ns / 1e9)
    for name, help_text, value in (
        ("dedupd_files", "Files that are known, missing ones too.", counts.files),
        ("dedupd_files_pending", "Files that wait to be read.", counts.files_pending),
        ("dedupd_files_set_aside", "Files that could not be read; dedupctl problems says why.", counts.files_set_aside),
        ("dedupd_files_missing", "Files that the last look did not find.", counts.files_missing),
        ("dedupd_pictures", "Distinct contents.", counts.contents),
        ("dedupd_pictures_unlinked", "Contents that wait to be compared.", counts.contents_unlinked),
        ("dedupd_verified_pairs", "Pairs that were looked at and kept.", counts.edges),
        ("dedupd_decode_workers", "Processes that decode.", progress.workers),
        ("dedupd_degraded", "What is not as it should be; dedupctl status names it.", len(progress.degraded)),
    ):
        yield _one(name, "gauge", help_text, value)
    for name, help_text, value in (
        ("dedupd_files_read_total", "Files read since the start.", progress.read_total),
        ("dedupd_pictures_decoded_total", "Pictures decoded since the start.", progress.decoded_total),
        ("dedupd_pairs_compared_total", "Pairs compared since the start.", progress.compared_total),
    ):
        yield _one(name, "counter", help_text, value)
    yield _one("dedupd_pictures_per_second", "gauge", "Over the last half minute.", progress.images_per_s)
    held = [
        ({"reason": reason}, float(progress.hold is not None and progress.hold.reason is reason))
        for reason in HoldReason
    ]
    yield _family("dedupd_backlog_held", "gauge", "1: the backlog waits for this reason.", held)
    if progress.memory is not None:
        yield from _memory(progress.memory)
    yield from _roots(progress.roots)
    yield from _generations(progress.generations)


def _memory(standing: MemoryStanding) -> Iterator[list[str]]:
    use = standing.use
    by_process = [
        ({"process": "daemon"}, float(use.own_bytes)),
        ({"process": "workers"}, float(sum(use.workers.values()))),
    ]
    yield _family("dedupd_memory_bytes", "gauge", "Memory that is the processes' own.", by_process)
    yield _one("dedupd_memory_ceiling_bytes", "gauge", "What all of them may hold.", standing.ceiling_bytes)
    yield _one("dedupd_decode_workers_running", "gauge", "Decode workers that run now.", len(use.workers))
    yield _one("dedupd_decode_workers_allowed", "gauge", "Decode workers that may run.", standing.workers_allowed)


def _roots(roots: Iterable[RootProgress]) -> Iterator[list[str]]:
    labelled = [({"root": root.root.path.decode("utf-8", "replace")}, root) for root in roots]
    online = [(labels, float(root.root.state is RootState.ONLINE)) for labels, root in labelled]
    yield _family("dedupd_root_online", "gauge", "1: what the root shows is believed.", online)
    files = [(labels, float(root.files)) for labels, root in labelled]
    yield _family("dedupd_root_files", "gauge", "Files that are known and there.", files)
    scanning = [(labels, float(root.is_scanning)) for labels, root in labelled]
    yield _family("dedupd_root_scanning", "gauge", "1: a full scan is under way.", scanning)


def _generations(generations: Iterable[GenerationProgress]) -> Iterator[list[str]]:
    found = [({"model": generation.name, "tag": generation.model}, generation) for generation in generations]
    if not found:
        return
    done = [(labels, float(generation.done)) for labels, generation in found]
    yield _family("dedupd_model_pictures", "gauge", "Pictures that have the model's vectors.", done)
    rates = [(labels, generation.images_per_s) for labels, generation in found]
    yield _family("dedupd_model_pictures_per_second", "gauge", "Over the last half minute.", rates)
    devices = [
        ({"model": generation.name, "device": device.name}, device)
        for _, generation in found
        for device in generation.devices
    ]
    rates = [(labels, device.images_per_s) for labels, device in devices]
    yield _family("dedupd_device_pictures_per_second", "gauge", "Over the last half minute.", rates)
    used = [(labels, device.utilisation) for labels, device in devices if device.utilisation is not None]
    yield _family("dedupd_device_utilisation_ratio", "gauge", "Share of the time that it computes, 0 to 1.", used)
    left_out = [(labels, float(bool(device.trouble))) for labels, device in devices]
    yield _family("dedupd_device_left_out", "gauge", "1: it failed and is not used.", left_out)


def _one(name: str, kind: str, help_text: str, value: float) -> list[str]:
    return _family(name, kind, help_text, [(_NO_LABELS, value)])


def _family(name: str, kind: str, help_text: str, samples: Iterable[_Sample]) -> list[str]:
    lines = [f"{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *lines] if lines else []


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
