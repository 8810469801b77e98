"""Loads a TorchScript file, as copy-detection networks are published.

Such a file is code, so its checksum is compared with its record right before it is loaded. Only ever imported in a
worker process, and by `dedupd models add`. What runs it is `torch_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dedupd.core.errors import ConfigError
from dedupd.embedding.checksums import sha256
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.torch_model import Inputs, Recipe, TorchModel
from dedupd.embedding.torchscript_file import read_record


def load_model(spec: ModelSpec, device: str) -> TorchModel:
    """Load the file of a spec onto a device.

    Raises:
        DeviceMissingError: the device is not there.
        OutOfDeviceMemoryError: the network does not fit.
        ConfigError: the file is not what was recorded, or no TorchScript.
    """
    path = Path(spec.folder)
    record = read_record(path)
    if sha256(path) != record.sha256:
        raise ConfigError(f"{path} differs from what was recorded. `dedupd models add {path}` records it anew.")
    recipe = Recipe(
        load=lambda _attention: _load(path),
        forward=_forward,
        preprocessing=record.preprocessing,
        is_convolutional=True,
    )
    return TorchModel(spec, recipe, device)


def measure_dim(path: Path, input_px: int) -> int:
    """The length of what a file puts out for a square of this many pixels; runs its code.

    Raises:
        ConfigError: it is no TorchScript, does not take such a square, or puts out something else than vectors.
    """
    network = _load(path).eval()
    with torch.inference_mode():
        try:
            embeddings = network(torch.zeros(2, 3, input_px, input_px))
        except (RuntimeError, TypeError) as error:
            raise ConfigError(f"{path} does not take pictures of {input_px} px: {_first_line(error)}.") from error
    if not isinstance(embeddings, torch.Tensor) or embeddings.ndim != 2 or len(embeddings) != 2:
        raise ConfigError(f"{path} puts out no vector for each picture. Choose a network that does.")
    return int(embeddings.shape[1])


def _load(path: Path) -> Any:
    try:
        return torch.jit.load(str(path), map_location="cpu").float()
    except RuntimeError as error:
        raise ConfigError(f"{path} is no TorchScript file: {_first_line(error)}.") from error


def _forward(network: Any, inputs: Inputs) -> Any:
    return network(inputs.pixels)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
