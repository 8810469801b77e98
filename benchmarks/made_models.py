"""Vision models of published shapes with made-up weights: as fast as the real ones, without a download.

What they say of a picture means nothing; how long they take and what memory they need is theirs. Only where torch and
transformers are installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

# Sizes as the models' own config.json say them; what is not named is the default of transformers, which is the same.


def _siglip2_base(transformers: Any) -> tuple[Any, Any]:
    tower = transformers.Siglip2VisionModel(transformers.Siglip2VisionConfig())
    return tower, transformers.Siglip2ImageProcessorPil(patch_size=16, max_num_patches=256)


def _siglip_base(transformers: Any) -> tuple[Any, Any]:
    tower = transformers.SiglipVisionModel(transformers.SiglipVisionConfig())
    return tower, transformers.SiglipImageProcessorPil(size={"height": 224, "width": 224})


def _siglip2_so400m(transformers: Any) -> tuple[Any, Any]:
    config = transformers.SiglipVisionConfig(
        hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16,
        patch_size=14, image_size=384,
    )  # fmt: skip
    return transformers.SiglipVisionModel(config), transformers.SiglipImageProcessorPil(
        size={"height": 384, "width": 384}
    )


def _clip_b32(transformers: Any) -> tuple[Any, Any]:
    tower = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig())
    return tower, transformers.CLIPImageProcessorPil()


def _dinov2_small(transformers: Any) -> tuple[Any, Any]:
    config = transformers.Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)
    processor = transformers.BitImageProcessorPil(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    return transformers.Dinov2Model(config), processor


def _convnext_tiny(transformers: Any) -> tuple[Any, Any]:
    tower = transformers.ConvNextModel(transformers.ConvNextConfig())
    return tower, transformers.ConvNextImageProcessorPil(size={"shortest_edge": 224})


def _efficientnet_b0(transformers: Any) -> tuple[Any, Any]:
    config = transformers.EfficientNetConfig(
        width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, image_size=224
    )
    size = {"height": 224, "width": 224}
    return transformers.EfficientNetModel(config), transformers.EfficientNetImageProcessorPil(size=size)


MAKERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "siglip2-base": _siglip2_base,  # google/siglip2-base-patch16-naflex, 256 patches
    "siglip2-base-224": _siglip_base,  # google/siglip2-base-patch16-224
    "siglip2-so400m-384": _siglip2_so400m,  # google/siglip2-so400m-patch14-384
    "clip-b32": _clip_b32,  # openai/clip-vit-base-patch32
    "dinov2-small": _dinov2_small,  # facebook/dinov2-small
    "convnext-tiny": _convnext_tiny,  # facebook/convnext-tiny-224
    "efficientnet-b0": _efficientnet_b0,  # google/efficientnet-b0
}


def make_model(name: str, folder: Path) -> Any:
    """Save a model of a name into a folder, with its processor's configuration; returns the network."""
    import torch  # noqa: PLC0415 - optional, and slow to import
    import transformers  # noqa: PLC0415

    torch.manual_seed(1)
    tower, processor = MAKERS[name](transformers)
    norms = [module for module in tower.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:  # transformers starts them near zero: nothing would come through
        torch.nn.init.ones_(norm.weight)
    if norms:
        with torch.no_grad():
            tower.train()(pixel_values=torch.randn(8, 3, 16, 16).repeat_interleave(14, 2).repeat_interleave(14, 3))
    tower.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return tower
