"""Our preprocessing gives the numbers that transformers' own processors give, from the same configuration."""

import json

import numpy as np
import pytest
import torch
from fakes.small_models import SMALL
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    ConvNextImageProcessorPil,
    EfficientNetImageProcessorPil,
    Siglip2ImageProcessorPil,
    SiglipImageProcessorPil,
    ViTImageProcessorPil,
)
from transformers.models.siglip2.image_processing_pil_siglip2 import get_image_size_for_max_num_patches

from dedupd.core.errors import ConfigError
from dedupd.embedding.families import FAMILIES
from dedupd.embedding.preprocess import PatchBudget, prepare, size_within
from dedupd.embedding.processor_config import read_preprocessing

ROUNDING = 1e-6  # of numbers around 2: theirs divides in another order

PROCESSORS = {
    "siglip2": Siglip2ImageProcessorPil(),
    "siglip2 patches of 14": Siglip2ImageProcessorPil(patch_size=14, max_num_patches=100, resample=3),
    "siglip": SiglipImageProcessorPil(),
    "siglip so400m": SiglipImageProcessorPil(size={"height": 384, "width": 384}, resample=2),
    "clip": CLIPImageProcessorPil(),
    "clip with black borders": CLIPImageProcessorPil(size={"shortest_edge": 31}, crop_size={"height": 51, "width": 44}),
    "dinov2": BitImageProcessorPil(size={"shortest_edge": 256}),
    "vit": ViTImageProcessorPil(),
    "vit without means": ViTImageProcessorPil(do_normalize=False, do_rescale=False),
    "convnext": ConvNextImageProcessorPil(size={"shortest_edge": 224}),
    "convnext warped": ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "efficientnet": EfficientNetImageProcessorPil(size={"height": 224, "width": 224}, resample=0),
    "efficientnet around zero": EfficientNetImageProcessorPil(
        rescale_offset=True, rescale_factor=1 / 127.5, include_top=False, do_center_crop=True
    ),
}


def pictures():
    random = np.random.default_rng(1)
    shapes = [(256, 384), (384, 211), (384, 384), (5, 300), (100, 30), (1, 1), (37, 384)]
    return [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def as_numbers(batch, how):
    """What a device makes of the bytes."""
    scale, offset = np.float32(how.scale), np.float32(how.offset)
    if batch.mask is None:
        return (batch.pixels * scale + offset).transpose(0, 3, 1, 2)
    split = batch.pixels.reshape(*batch.pixels.shape[:2], -1, 3)
    return (split * scale + offset).reshape(batch.pixels.shape) * batch.mask[..., None]


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_numbers_are_those_of_transformers(name, tmp_path):
    processor = PROCESSORS[name]
    processor.save_pretrained(tmp_path)
    how = read_preprocessing(tmp_path, FAMILIES[name.partition(" ")[0]])
    theirs = processor(pictures(), return_tensors="np", input_data_format="channels_last")
    ours = prepare(pictures(), how)
    np.testing.assert_allclose(as_numbers(ours, how), theirs["pixel_values"], atol=ROUNDING, rtol=ROUNDING)
    if ours.mask is not None:
        np.testing.assert_array_equal(ours.mask, theirs["pixel_attention_mask"])
        np.testing.assert_array_equal(ours.shapes, theirs["spatial_shapes"])


@given(height=st.integers(1, 400), width=st.integers(1, 400), patch=st.sampled_from([14, 16]), most=st.integers(1, 300))
def test_a_patch_budget_is_filled_as_transformers_fills_it(height, width, patch, most):
    ours = size_within(height, width, PatchBudget(patches=most, patch_px=patch))
    assert ours == get_image_size_for_max_num_patches(height, width, patch, most)


def test_dinov3_is_resized_as_torch_does_it_within_half_a_grey_level(tmp_path):
    said = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 56, "width": 48}, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    how = read_preprocessing(tmp_path, FAMILIES["dinov3_vit"])
    (picture, *_) = pictures()
    numbers = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    resized = torch.nn.functional.interpolate(numbers, (56, 48), mode="bilinear", antialias=True)[0]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((resized - mean[:, None, None]) / std[:, None, None]).numpy()
    ours = as_numbers(prepare([picture], how), how)[0]
    assert np.abs(ours - expected).max() <= 1.0 / 255 / 0.224  # Pillow rounds after each of the two directions


@pytest.mark.parametrize(
    ("family", "old", "new"),
    [
        ("vit", {"feature_extractor_type": "ViTFeatureExtractor", "size": 48}, {"size": {"height": 48, "width": 48}}),
        (
            "clip",
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 32, "do_center_crop": True},
            {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
        ),
        (
            "convnext",
            {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 64},
            {"size": {"shortest_edge": 64}},
        ),
    ],
)
def test_older_spellings_mean_the_same(family, old, new, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    older = read_preprocessing(tmp_path, FAMILIES[family])
    (tmp_path / "preprocessor_config.json").unlink()
    nested = {"image_processor": {"image_processor_type": FAMILIES[family].processor, **new}}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    assert read_preprocessing(tmp_path, FAMILIES[family]) == older


def test_without_a_configuration_the_family_s_own_is_taken(tmp_path):
    for family in FAMILIES.values():
        read_preprocessing(tmp_path, family)
    assert read_preprocessing(tmp_path, FAMILIES["siglip2"]).target == PatchBudget(patches=256, patch_px=16)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"image_processor_type": "VideoMAEImageProcessor"}, "VideoMAEImageProcessor is not known"),
        ({"do_resize": False}, "not resized"),
        ({"size": {"longest_edge": 300}}, "a size of"),
        ({"size": {"shortest_edge": 300}}, "does not bring pictures to one size"),
        ({"resample": 9}, "no filter"),
        ({"image_mean": [0.5, 0.5]}, "2 colours"),
        ({"image_mean": "grey"}, "cannot read"),
    ],
)
def test_what_cannot_be_done_is_refused(said, words, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match=words):
        read_preprocessing(tmp_path, FAMILIES["vit"])


def test_every_small_model_s_input_is_about_what_it_says(tmp_path):
    for family, small in SMALL.items():
        if small.processor is None:
            continue
        small.processor.save_pretrained(tmp_path / family)
        how = read_preprocessing(tmp_path / family, FAMILIES[family])
        batch = prepare(pictures()[:1], how)
        side = batch.pixels.shape[1] if batch.mask is None else how.input_px
        assert 0.5 * how.input_px <= side <= how.input_px
