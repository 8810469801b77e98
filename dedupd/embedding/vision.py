"""Loads a vision tower of transformers from a folder: safetensors only, no remote code, no network.

Only ever imported in a worker process. Of a model with texts just the vision tower gets into memory (a quarter of
SigLIP 2). What runs it is `torch_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from dedupd.core.errors import ConfigError
from dedupd.embedding.families import FAMILIES, Family, Pooling
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.processor_config import read_preprocessing
from dedupd.embedding.torch_model import NO_ATTENTION, Inputs, Recipe, TorchModel


def load_model(spec: ModelSpec, device: str) -> TorchModel:
    """Load the model of a spec onto a device.

    Raises:
        DeviceMissingError: the device is not there.
        OutOfDeviceMemoryError: the model does not fit.
        ConfigError: the folder is not the model that the spec says.
    """
    family = FAMILIES[spec.family]
    recipe = Recipe(
        load=lambda attention: _load_tower(spec, family, attention),
        forward=lambda network, inputs: _pooled(_outputs(network, inputs), family, inputs),
        preprocessing=read_preprocessing(Path(spec.folder), family),
        attentions=family.attentions,
        is_convolutional=family.is_convolutional,
    )
    return TorchModel(spec, recipe, device)


def _load_tower(spec: ModelSpec, family: Family, attention: str) -> Any:
    tower = getattr(transformers, family.tower)
    config = tower.config_class.from_pretrained(spec.folder, local_files_only=True, trust_remote_code=False)
    if family.pooling is Pooling.PROJECTED:
        config.projection_dim = spec.dim  # older files say it one level higher only
    chosen = {} if attention == NO_ATTENTION else {"attn_implementation": attention}
    try:
        network, report = tower.from_pretrained(
            spec.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report
            **chosen,
            **family.options,
        )
    except OSError as error:
        raise ConfigError(f"{spec.folder}: {error}. Fetch the model again.") from error
    wrong = [*report["missing_keys"], *report["mismatched_keys"]]
    if wrong:  # transformers makes up what is missing
        raise ConfigError(f"{spec.folder}: {len(wrong)} weights of the vision tower are missing, such as {wrong[0]}.")
    return network


def _outputs(network: Any, inputs: Inputs) -> Any:
    if inputs.mask is None:
        return network(pixel_values=inputs.pixels)
    return network(pixel_values=inputs.pixels, pixel_attention_mask=inputs.mask, spatial_shapes=inputs.shapes)


def _pooled(outputs: Any, family: Family, inputs: Inputs) -> Any:
    match family.pooling:
        case Pooling.HEAD:
            return outputs.pooler_output
        case Pooling.PROJECTED:
            return outputs.image_embeds
        case Pooling.CLS:
            return outputs.last_hidden_state[:, 0]
        case Pooling.MEAN:
            tokens = outputs.last_hidden_state.float()
            if inputs.mask is None:
                return tokens.mean(dim=1)
            weights = inputs.mask.unsqueeze(-1).float()
            return (tokens * weights).sum(dim=1) / weights.sum(dim=1)
