"""Runs a network on one device: bytes over, multiplied there, embeddings of unit length back.

The kind of number is chosen once, by what agrees with float32 on a few made-up pictures. Does not read model files
(`vision` and `torchscript` say how) and knows no other device. Lives in a worker process; owns the network.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dedupd.core.arrays import Pixels, Vectors
from dedupd.embedding.families import FLASH
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.preprocess import Batch, PatchBudget, Preprocessing, prepare
from dedupd.embedding.torch_device import dtypes_for, empty_cache, memory_errors_named, name_of, open_device

_log = logging.getLogger(__name__)

AGREES_FROM = 0.999  # cosine to float32; bfloat16 gave 0.9999 and better (measured)
NO_ATTENTION = "none"
_PROBE_SIDES = ((96, 128), (128, 96), (64, 64), (40, 120))
_RESIZE_THREADS = 8  # a picture takes about a millisecond to resize, a fast GPU a third of that to embed


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """A batch on the device."""

    pixels: Any  # tensor [n, 3, height, width] or [n, patches, patch_px * patch_px * 3], as the model wants numbers
    mask: Any = None  # as in `preprocess.Batch`
    shapes: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What kinds of model file differ in."""

    load: Callable[[str], Any]  # a network in float32 on the CPU, with this attention ("none" where there is none)
    forward: Callable[[Any, Inputs], Any]  # embeddings, a tensor [n, dim]
    preprocessing: Preprocessing
    attentions: tuple[str, ...] = ()  # the best first
    is_convolutional: bool = False


class TorchModel:
    """The `RunningModel` of torch. `prepare` may run in another thread while `run` computes."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, device: str) -> None:
        """Load the network onto a device.

        Raises:
            DeviceMissingError: the device is not there.
            OutOfDeviceMemoryError: the network does not fit.
            ConfigError: the file is not the model that it says.
        """
        self.tag: str = spec.tag
        self.dim = spec.dim
        self.device = device
        self._recipe = recipe
        self._device = open_device(device)
        self._channels = _Channels(recipe.preprocessing, self._device)
        is_cpu = self._device.type == "cpu"
        self._threads = None if is_cpu else ThreadPoolExecutor(min(_RESIZE_THREADS, os.cpu_count() or 1), "resize")
        with memory_errors_named(self._device):
            self._start(spec.dtype)

    def embed(self, pictures: Sequence[Pixels]) -> Vectors:
        """See `RunningModel`; none for no pictures."""
        if not pictures:
            return np.empty((0, self.dim), dtype=np.float32)
        return self.run(self.prepare(pictures))

    def prepare(self, pictures: Sequence[Pixels]) -> Batch:
        """The CPU's part: pictures of one shape, as bytes."""
        return prepare(pictures, self._recipe.preprocessing, self._threads)

    def run(self, batch: Batch) -> Vectors:
        """The device's part.

        Raises:
            OutOfDeviceMemoryError: the batch does not fit.
            ValueError: the network gave numbers that are no vector.
        """
        with memory_errors_named(self._device):
            vectors = self._compute(batch)
        if not np.isfinite(vectors).all():
            raise ValueError(f"{self.tag} on {self.device}: not a number came out. The model is damaged, or overflows")
        return vectors

    def _start(self, wanted: str) -> None:
        """Load in float32, then step through what is faster until it agrees."""
        self._load()
        self.dtype = name_of(self._dtype)
        choices = dtypes_for(self._device, wanted)
        if choices == [torch.float32]:
            return
        probe = self.prepare(_probe_pictures())
        reference = self._compute(probe)
        for dtype in choices:
            if self._agrees(dtype, probe, reference):
                self.dtype = name_of(dtype)
                return
            _log.warning("model.dtype_refused tag=%s device=%s dtype=%s", self.tag, self.device, name_of(dtype))
            self._load()  # what was rounded away is not there any more

    def _load(self) -> None:
        self._network: Any = None
        empty_cache(self._device)
        self.attention, network = _first_that_loads(self._recipe)
        network.eval()
        if self._recipe.is_convolutional:
            network.to(memory_format=torch.channels_last)
        self._network = network.to(self._device)
        self._dtype = torch.float32

    def _agrees(self, dtype: torch.dtype, probe: Batch, reference: Vectors) -> bool:
        """Switch to a kind of number; whether the network still says the same."""
        if dtype == torch.float32:
            return True
        self._network.to(dtype)
        self._dtype = dtype
        slower = self.attention
        if FLASH in self._recipe.attentions and self._device.type == "cuda" and self._switch_attention(FLASH):
            try:
                if self._is_near(probe, reference):
                    return True
            except (ImportError, RuntimeError, ValueError) as error:
                _log.info("model.attention_refused attention=%s reason=%s", FLASH, error)
            self._switch_attention(slower)
        try:
            return self._is_near(probe, reference)
        except RuntimeError as error:  # an operation that the device lacks for this kind of number
            _log.info("model.dtype_lacking dtype=%s reason=%s", name_of(dtype), error)
            return False

    def _is_near(self, probe: Batch, reference: Vectors) -> bool:
        vectors = self._compute(probe)
        return bool(np.isfinite(vectors).all() and (vectors * reference).sum(axis=1).min() >= AGREES_FROM)

    def _switch_attention(self, attention: str) -> bool:
        try:
            self._network.set_attn_implementation(attention)
        except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
            _log.info("model.attention_refused attention=%s reason=%s", attention, error)
            return False
        self.attention = attention
        return True

    def _compute(self, batch: Batch) -> Vectors:
        with torch.inference_mode():
            embeddings = self._recipe.forward(self._network, self._inputs(batch)).float()
            if tuple(embeddings.shape) != (len(batch), self.dim):
                raise ValueError(f"{self.tag}: gave {list(embeddings.shape)}, not [{len(batch)}, {self.dim}]")
            vectors: Vectors = torch.nn.functional.normalize(embeddings, dim=1).cpu().numpy()
        return vectors

    def _inputs(self, batch: Batch) -> Inputs:
        pixels = self._channels.as_numbers(self._over(batch.pixels))
        if batch.mask is None or batch.shapes is None:  # [n, height, width, 3]: seen so, channels are last in memory
            return Inputs(pixels=pixels.permute(0, 3, 1, 2).to(self._dtype))
        mask = self._over(batch.mask)
        return Inputs(pixels=(pixels * mask.unsqueeze(-1)).to(self._dtype), mask=mask, shapes=self._over(batch.shapes))

    def _over(self, array: Any) -> Any:
        """An array on the device; from pinned memory the copy runs beside what the device is doing."""
        tensor = torch.from_numpy(array)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)


class _Channels:
    """Turns bytes into the numbers that a model wants, on its device."""

    def __init__(self, how: Preprocessing, device: torch.device) -> None:
        repeats = how.target.patch_px**2 if isinstance(how.target, PatchBudget) else 1  # a patch: rgb rgb rgb …
        self._scale = torch.tensor(how.scale, dtype=torch.float32, device=device).repeat(repeats)
        self._offset = torch.tensor(how.offset, dtype=torch.float32, device=device).repeat(repeats)

    def as_numbers(self, pixels: Any) -> Any:
        """Bytes [..., 3 or patch] → float32."""
        return pixels.to(torch.float32) * self._scale + self._offset


def _first_that_loads(recipe: Recipe) -> tuple[str, Any]:
    """A network with the best attention that works in float32: flash attention is for smaller numbers only."""
    choices = [attention for attention in recipe.attentions if attention != FLASH] or [NO_ATTENTION]
    for attention in choices[:-1]:
        try:
            return attention, recipe.load(attention)
        except (ImportError, ValueError) as error:
            _log.info("model.attention_refused attention=%s reason=%s", attention, error)
    return choices[-1], recipe.load(choices[-1])


def _probe_pictures() -> list[Pixels]:
    """A few pictures with structure, always the same."""
    random = np.random.default_rng(0)
    pictures = []
    for height, width in _PROBE_SIDES:
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        pictures.append(coarse.repeat(8, axis=0).repeat(8, axis=1))
    return pictures
