"""What a vision model is to the daemon, and what a worker process offers once it has loaded one.

Values and a protocol only: no torch, no file is opened. A `ModelSpec` is read from a folder by `model_folder`, travels
to a worker process, and is loaded there by the function that it names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from dedupd.core.arrays import Pixels, Vectors
from dedupd.core.ports import Model
from dedupd.core.records import ModelTag

VISION_LOADER = "dedupd.embedding.vision:load_model"
TORCHSCRIPT_LOADER = "dedupd.embedding.torchscript:load_model"

# For the worker process, before transformers reads it: nothing there may reach the network.
OFFLINE = {
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # else a thread asks the hub to convert a model
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}

DTYPES = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model as it lies on disk, with all that a worker needs to load it. Picklable."""

    name: str  # as the configuration says it
    folder: str  # absolute; for a TorchScript file, the file
    tag: ModelTag  # other weights, preprocessing, pooling or code: another tag
    dim: int
    family: str  # a key of `families.FAMILIES`, or "torchscript"
    input_px: int  # the longest side that the model looks at, about: what a decoder need not go above
    candidate_similarity: float  # cosine below which a neighbour is no candidate
    dtype: str = "auto"  # one of DTYPES; auto: the fastest that the device has and that agrees with float32
    loader: str = VISION_LOADER  # "module:function", called with this spec and a device in the worker

    @property
    def model(self) -> Model:
        """The same for those who only compare vectors."""
        return Model(tag=self.tag, dim=self.dim, candidate_similarity=self.candidate_similarity)


class RunningModel(Protocol):
    """A model on one device. Used by one thread at a time."""

    tag: str
    dim: int
    dtype: str  # what it computes in: "bfloat16", "float16" or "float32"
    attention: str  # "flash_attention_2", "sdpa", "eager", or "none" for a network without attention
    device: str

    def embed(self, pictures: Sequence[Pixels]) -> Vectors:
        """One row of unit length for each picture, in order: float32 [n, dim].

        Raises:
            OutOfDeviceMemoryError: the batch does not fit into the device's memory; half of it may.
        """


class OutOfDeviceMemoryError(Exception):
    """A batch did not fit. Apart from others because the answer is half the batch, not another device."""


def load(spec: ModelSpec, device: str) -> RunningModel:
    """Load a model by the loader that its spec names; only ever in a worker process, as it may import torch.

    Switches the hub off for the whole process.

    Args:
        spec: what to load.
        device: "cuda:0", "xpu:1", "mps", "cpu".
    """
    os.environ.update(OFFLINE)
    module, _, function = spec.loader.partition(":")
    loader = cast("Callable[[ModelSpec, str], RunningModel]", getattr(import_module(module), function))
    return loader(spec, device)
