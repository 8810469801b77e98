"""What a model on disk is, without loading it: its kind, its embedding's length, its tag, and whether to trust it.

Imports no torch and loads no weight, so that a wrong setting is told before the daemon starts indexing. Owns nothing;
`checksums` remembers what was computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.records import ModelTag
from dedupd.core.undecodable import UNDECODABLE
from dedupd.embedding import torchscript_file
from dedupd.embedding.checksums import Checksums
from dedupd.embedding.families import CODE_VERSION, MODEL_TYPES, Family, families_of
from dedupd.embedding.model_manifest import Manifest, folder_of, is_hub_name, read_manifest
from dedupd.embedding.model_spec import DTYPES, VISION_LOADER, ModelSpec
from dedupd.embedding.preprocess import Preprocessing
from dedupd.embedding.processor_config import read_preprocessing
from dedupd.embedding.weights import Shapes, tensor_shapes, weight_files

CONFIG = "config.json"
# What config.json says of how the file was made, not of what the network is.
_NOT_THE_NETWORK = frozenset({"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"})


def inspect_model(name: str, models_dir: Path, dtype: str = "auto") -> ModelSpec:
    """Say what a configured model is.

    Args:
        name: a hub name that was fetched, a folder, or a TorchScript file.
        models_dir: where fetched models lie, and what is remembered of checksums.
        dtype: one of `model_spec.DTYPES`.

    Raises:
        ConfigError: it is not there, cannot be used, or is not what was recorded.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"the model {name}: {dtype!r} is no dtype. Choose one of {', '.join(DTYPES)}.")
    checksums = Checksums(models_dir)
    path = _locate(name, models_dir)
    if isinstance(path, Manifest):
        folder = folder_of(path, models_dir)
        _refuse_changed(path, folder, checksums)
        return _inspect_folder(name, folder, checksums, dtype)
    if path.is_dir():
        return _inspect_folder(name, path, checksums, dtype)
    return torchscript_file.inspect(name, path, checksums, dtype)


def family_in(config: bytes, shapes: Shapes | None, what: str) -> Family:
    """The kind of model that a config.json and the tensors' names tell; without tensors the likeliest.

    Raises:
        ConfigError: dedupd does not know the architecture, or the vision tower's weights are not there.
    """
    model_type = _decode(config, what).get("model_type")
    families = families_of(model_type) if isinstance(model_type, str) else ()
    if not families:
        raise ConfigError(
            f"{what}: the architecture {model_type or '(none named)'} is not supported. "
            f"Supported are {', '.join(MODEL_TYPES)}, and TorchScript files."
        )
    if shapes is None:
        return families[0]
    for family in families:
        if _tensor_of(family, shapes) is not None:
            return family
    raise ConfigError(f"{what}: the weights hold no vision tower of {model_type}. Choose another model.")


def _locate(name: str, models_dir: Path) -> Manifest | Path:
    if "://" in name:
        raise ConfigError(
            f"the model {name} is not local. Fetch it by its name (`dedupd models pull OWNER/NAME`), or name a folder."
        )
    if is_hub_name(name) and (manifest := read_manifest(name, models_dir)) is not None:
        return manifest
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and torchscript_file.is_name_of_one(path)):
        return path.resolve()
    if path.is_file():
        raise ConfigError(f"the model {name} is a file of no kind that is known. Name the folder that it lies in.")
    if is_hub_name(name) and not torchscript_file.is_name_of_one(path):
        raise ConfigError(
            f"the model {name} was never fetched. Run `dedupd models pull {name} --revision …`, or name a folder."
        )
    raise ConfigError(f"the model {name}: there is no such folder or file. Check the spelling.")


def _inspect_folder(name: str, folder: Path, checksums: Checksums, dtype: str) -> ModelSpec:
    path = folder / CONFIG
    try:
        config = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no {CONFIG}; this is no model's folder. Name another.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    family_in(config, None, str(path))  # the architecture first: it matters more than what else is wrong
    files = weight_files(folder)
    shapes = tensor_shapes(files)
    family = family_in(config, shapes, str(path))
    tensor = _tensor_of(family, shapes)
    assert tensor is not None
    dim = shapes[tensor][0]
    preprocessing = read_preprocessing(folder, family)
    parts = (_network_in(config, str(path)), *(checksums.sha256_of(file) for file in files))
    return ModelSpec(
        name=name,
        folder=str(folder),
        tag=make_tag(family.name, dim, parts, preprocessing, (family.pooling.value, dtype)),
        dim=dim,
        family=family.name,
        input_px=preprocessing.input_px,
        candidate_similarity=family.candidate_similarity,
        dtype=dtype,
        loader=VISION_LOADER,
    )


def make_tag(kind: str, dim: int, files: Sequence[str], preprocessing: Preprocessing, rest: Sequence[str]) -> ModelTag:
    """The name of what a model puts out: another if anything changes that changes its vectors.

    Args:
        kind: the family, for people.
        dim: the embedding's length.
        files: checksums of the weights, and what else says what the network is.
        preprocessing: what happens to a picture before it.
        rest: pooling, and the kind of numbers that were asked for: those that a device chooses by itself agree.
    """
    said = (type(preprocessing.target).__name__, astuple(preprocessing), tuple(files), tuple(rest), CODE_VERSION)
    digest = hashlib.blake2b(repr(said).encode(), digest_size=4).hexdigest()
    return ModelTag(f"{kind}-{dim}-{digest}")


def _refuse_changed(manifest: Manifest, folder: Path, checksums: Checksums) -> None:
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or checksums.sha256_of(path) != file.sha256:
            state = "differs from what was recorded when it was fetched" if path.exists() else "is gone"
            raise ConfigError(
                f"the model {manifest.name}: {path} {state}. `dedupd models pull {manifest.name} --revision "
                f"{manifest.revision}` fetches it again."
            )


def _tensor_of(family: Family, shapes: Shapes) -> str | None:
    names = (prefix + family.told_by for prefix in family.prefixes)
    return next((name for name in names if name in shapes), None)


def _network_in(config: bytes, what: str) -> str:
    """What a config.json says of the vision tower, in one spelling."""
    whole = _decode(config, what)
    tower = whole.get("vision_config", whole)
    if not isinstance(tower, dict):
        raise ConfigError(f"{what}: `vision_config` is no table. Fetch the model again.")
    kept = {key: value for key, value in tower.items() if key not in _NOT_THE_NETWORK}
    return msgspec.json.encode(kept, order="sorted").decode()


def _decode(config: bytes, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(config, type=dict[str, Any])
    except UNDECODABLE as error:
        raise ConfigError(f"{what} cannot be read: {error}. Fetch the model again.") from error
