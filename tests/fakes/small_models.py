"""Small vision models of every family, with made-up weights: saved by transformers itself, loaded without a network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.embedding.model_spec import OFFLINE

os.environ.update(OFFLINE)  # before transformers reads it

import torch
import transformers

_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT = _TOWER | {"vocab_size": 99, "max_position_embeddings": 8, "projection_size": 32}
_TEXT |= {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
_SIZE = {"height": 32, "width": 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """How to make one, and what transformers itself would do with it."""

    make: Callable[[], Any]
    processor: Any  # transformers' own, without torchvision; None: it has none
    embed: Callable[[Any, Any], Any]  # (whole model, its processor's batch) → embeddings
    dim: int = 32
    spread: float = 0.05  # of the weights, above what transformers starts with


def _siglip2() -> Any:
    vision = _TOWER | {"patch_size": 4, "num_patches": 64}
    return transformers.Siglip2Model(transformers.Siglip2Config(text_config=_TEXT, vision_config=vision))


def _siglip() -> Any:
    vision = _TOWER | {"patch_size": 8, "image_size": 32}
    return transformers.SiglipModel(transformers.SiglipConfig(text_config=_TEXT, vision_config=vision))


def _clip() -> Any:
    vision = _TOWER | {"patch_size": 8, "image_size": 32, "projection_dim": 24}
    text = {key: value for key, value in _TEXT.items() if key != "projection_size"}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))


def _dinov2() -> Any:
    sizes = {key: value for key, value in _TOWER.items() if key != "intermediate_size"}
    return transformers.Dinov2Model(transformers.Dinov2Config(**sizes, image_size=28, patch_size=7))


def _dinov3() -> Any:
    config = transformers.DINOv3ViTConfig(**_TOWER, image_size=32, patch_size=8, num_register_tokens=2)
    return transformers.DINOv3ViTModel(config)


def _vit() -> Any:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**_TOWER, image_size=32, patch_size=8))


def _convnext() -> Any:
    return transformers.ConvNextModel(
        transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_scale_init_value=0.5)
    )


def _efficientnet() -> Any:
    sizes = {"width_coefficient": 0.25, "depth_coefficient": 0.2, "hidden_dim": 320}
    model = transformers.EfficientNetModel(transformers.EfficientNetConfig(**sizes, batch_norm_momentum=1.0))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # transformers starts them near zero: nothing would come through
            torch.nn.init.ones_(module.weight)
    return model


def _image_features(model: Any, batch: Any) -> Any:
    return model.get_image_features(**batch).pooler_output


def _pooler(model: Any, batch: Any) -> Any:
    return model(**batch).pooler_output


def _class_token(model: Any, batch: Any) -> Any:
    return model.vit(**batch).last_hidden_state[:, 0]


SMALL = {
    "siglip2": Small(
        make=_siglip2,
        processor=transformers.Siglip2ImageProcessorPil(patch_size=4, max_num_patches=64),
        embed=_image_features,
    ),
    "siglip": Small(make=_siglip, processor=transformers.SiglipImageProcessorPil(size=_SIZE), embed=_image_features),
    "clip": Small(
        make=_clip,
        processor=transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_SIZE),
        embed=_image_features,
        dim=24,
    ),
    "dinov2": Small(
        make=_dinov2,
        processor=transformers.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}),
        embed=_pooler,
    ),
    "dinov3_vit": Small(make=_dinov3, processor=None, embed=_pooler),
    "vit": Small(make=_vit, processor=transformers.ViTImageProcessorPil(size=_SIZE), embed=_class_token),
    "convnext": Small(
        make=_convnext,
        processor=transformers.ConvNextImageProcessorPil(size={"shortest_edge": 48}),
        embed=_pooler,
    ),
    "efficientnet": Small(
        make=_efficientnet,
        processor=transformers.EfficientNetImageProcessorPil(size=_SIZE),
        embed=_pooler,
        dim=320,
        spread=0.2,
    ),
}

# As facebook's files say it; transformers' own processor for it needs torchvision.
DINOV3_PROCESSOR = {
    "image_processor_type": "DINOv3ViTImageProcessorFast",
    "size": _SIZE,
    "resample": 2,
    "do_center_crop": None,
    "crop_size": None,
}


def save_small_model(family: str, folder: Path, *, seed: int = 0) -> Any:
    """Save a model of a family with its processor configuration; returns the whole model.

    What transformers starts at zero or one is spread, and batch norms have seen something, so that no part of a model
    is without effect.
    """
    small = SMALL[family]
    with _seeded(seed):
        model = small.make()
        for tensor in model.parameters():
            tensor.data.add_(torch.randn_like(tensor) * small.spread)
        if family == "efficientnet":
            with torch.no_grad():
                model.train()(pixel_values=torch.randn(16, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3))
    model.eval()
    model.save_pretrained(folder)
    if small.processor is None:
        (folder / "preprocessor_config.json").write_text(json.dumps(DINOV3_PROCESSOR))
    else:
        small.processor.save_pretrained(folder)
    return model


def as_transformers_embeds(family: str, model: Any, pictures: list[Pixels]) -> np.ndarray:
    """Unit vectors by the whole model and transformers' own processor, of each picture alone."""
    small = SMALL[family]
    rows = []
    with torch.inference_mode():
        for picture in pictures:
            batch = small.processor([picture], return_tensors="pt", input_data_format="channels_last")
            rows.append(torch.nn.functional.normalize(small.embed(model, batch), dim=1)[0].numpy())
    return np.stack(rows)


def save_torchscript(path: Path, *, dim: int = 16, seed: int = 0) -> None:
    """Save a small TorchScript network that takes squares of any size."""
    with _seeded(seed):
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, dim, 5, stride=4), torch.nn.GELU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        ).eval()
    torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(str(path))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
