"""Makes the further models that the settings name: what each is on disk, and the devices that run it.

Reads names and files only, so that a wrong setting ends the daemon before anything is indexed; workers with torch are
started by the pools when there is work. Without further models nothing of it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.core.errors import ConfigError
from dedupd.core.ports import DeviceProgress, Embedder
from dedupd.core.records import ModelTag
from dedupd.daemon.log import fields
from dedupd.pipeline.generation_book import FurtherModel
from dedupd.settings.further_models import further_models, models_directory
from dedupd.settings.schema import Settings

if TYPE_CHECKING:
    from dedupd.embedding.device_pool import DevicePool

_log = logging.getLogger(__name__)

MakeEmbedder = Callable[[str], Embedder]  # by the name of a configured model; raises ConfigError


def make_further(settings: Settings, make_embedder: MakeEmbedder) -> list[FurtherModel]:
    """Every model that the settings name beside the built-in one.

    Raises:
        ConfigError: one is not there or cannot be used, or two are the same.
    """
    made: list[FurtherModel] = []
    seen: dict[ModelTag, str] = {}
    try:
        for name in further_models(settings):
            embedder = make_embedder(name)
            tag = embedder.model.tag
            made.append(FurtherModel(name=name, embedder=embedder, devices=_devices_of(embedder)))
            _refuse_twice(name, seen.setdefault(tag, name))
            _log.info("model.configured %s", fields(name=name, model=tag))
    except BaseException:
        for model in made:
            model.embedder.close()
        raise
    return made


def _refuse_twice(name: str, first: str) -> None:
    if name != first:
        raise ConfigError(f"`models.use` names one model twice: {first} and {name} are the same. Take one out.")


def device_embedders(settings: Settings, state_dir: Path, on_trouble: Callable[[str], None]) -> MakeEmbedder:
    """What makes embedders for real: models from disk, on the devices that the settings choose.

    Args:
        settings: which devices, and how much of them.
        state_dir: where models are, if the settings name no other place.
        on_trouble: told once in a person's words when a device is left out; from a thread of a pool.
    """
    wanted = settings.models
    names = further_models(settings)
    directory = models_directory(settings, state_dir)

    def make(name: str) -> DevicePool:
        # Here, as most libraries have no further model: 0.05 s of each start.
        from dedupd.embedding.device_pool import DevicePool  # noqa: PLC0415
        from dedupd.embedding.device_slot import WorkerLimits  # noqa: PLC0415
        from dedupd.embedding.devices import choose_devices, find_gpus  # noqa: PLC0415
        from dedupd.embedding.model_folder import inspect_model  # noqa: PLC0415

        # Several models share a device's memory.
        limits = WorkerLimits(memory_fraction=wanted.gpu_memory_fraction / max(1, len(names)))
        spec = inspect_model(name, directory, wanted.dtype)
        spec = replace(spec, candidate_similarity=wanted.thresholds.get(name, spec.candidate_similarity))
        devices = choose_devices(find_gpus(), wanted.gpus)
        return DevicePool(spec, devices, batch_size=wanted.batch_size, limits=limits, on_trouble=on_trouble)

    return make


def _devices_of(embedder: Embedder) -> Callable[[], tuple[DeviceProgress, ...]]:
    from dedupd.embedding.device_pool import DevicePool  # noqa: PLC0415 - see `device_embedders`

    if not isinstance(embedder, DevicePool):
        return tuple
    return lambda: tuple(
        DeviceProgress(
            name=speed.device,
            title=speed.title,
            images_per_s=speed.pictures_per_s,
            utilisation=speed.utilisation,
            batch_size=speed.batch_size,
            dtype=speed.dtype,
            trouble=speed.trouble,
        )
        for speed in embedder.speed()
    )
