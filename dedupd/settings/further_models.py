"""Which vision models the settings name beside the built-in descriptor, and what is wrong in how they do.

Opens nothing: whether a model is there is looked at where it is loaded.
"""

from __future__ import annotations

from pathlib import Path

from dedupd.core.errors import ConfigError
from dedupd.settings.schema import Settings

BUILT_IN = "builtin"  # the descriptor that needs no download; always in use


def further_models(settings: Settings) -> tuple[str, ...]:
    """The models beside the built-in one, each once: `model` first, then those of `models.use` in their order."""
    named = dict.fromkeys([settings.model, *settings.models.use])
    return tuple(name for name in named if name != BUILT_IN)


def models_directory(settings: Settings, state_dir: Path) -> Path:
    """Where downloaded models are."""
    named = settings.models.models_dir
    return Path(named).expanduser() if named else state_dir / "models"


def check_models(settings: Settings, file: str) -> None:
    """What types cannot say.

    Raises:
        ConfigError: names the file and the key.
    """
    models = settings.models
    if not settings.model:
        raise ConfigError(f'{file}: `model` is empty. Write "builtin", or name a model.')
    if "" in models.use:
        raise ConfigError(f"{file}: `models.use` holds an empty name. Name a model, or leave it out.")
    gpus = models.gpus
    if isinstance(gpus, str) and gpus != "all":
        raise ConfigError(f'{file}: `models.gpus`: "{gpus}" is none of "all", a number, or a list of numbers.')
    if min([gpus] if isinstance(gpus, int) else [0, *(n for n in gpus if isinstance(n, int))]) < 0:
        raise ConfigError(
            f"{file}: `models.gpus`: a number below 0. GPUs are counted from 0, as nvidia-smi shows them."
        )
    unknown = sorted(set(models.thresholds) - {*further_models(settings)})
    if unknown:
        raise ConfigError(
            f"{file}: `models.thresholds` names {unknown[0]}, which is not in use. Add it to `models.use`, or take it "
            "out; the built-in descriptor's threshold is no setting."
        )
