"""A loaded vision tower says what the whole model of transformers says, one picture or many, here on the CPU."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from fakes.small_models import SMALL, as_transformers_embeds, save_small_model, save_torchscript
from safetensors.torch import load_file, save_file
from skimage import data

from dedupd.core.errors import ConfigError
from dedupd.embedding.families import FAMILIES
from dedupd.embedding.model_folder import inspect_model
from dedupd.embedding.model_spec import OutOfDeviceMemoryError, load
from dedupd.embedding.model_store import add_torchscript
from dedupd.embedding.preprocess import prepare
from dedupd.embedding.torch_device import DeviceMissingError, memory_errors_named
from dedupd.embedding.torch_model import AGREES_FROM
from dedupd.embedding.torchscript_file import record_of

EQUAL = 0.9999  # cosine


def pictures():
    photos = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    return [photo[::3, ::3] for photo in photos] + [photos[2][100:104, ::2], photos[0][:1, :1]]


def cosines(a, b):
    return (a * b).sum(axis=1)


@pytest.fixture
def load_from(tmp_path):
    def start(folder, dtype="float32", device="cpu"):
        return load(inspect_model(str(folder), tmp_path / "models", dtype), device)

    return start


@pytest.mark.parametrize("family", SMALL)
def test_a_tower_alone_says_what_the_whole_model_says(family, tmp_path, load_from):
    whole = save_small_model(family, tmp_path / family)
    running = load_from(tmp_path / family)
    vectors = running.embed(pictures())
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(pictures()), SMALL[family].dim))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    if SMALL[family].processor is not None:
        assert cosines(vectors, as_transformers_embeds(family, whole, pictures())).min() >= EQUAL
    assert (vectors @ vectors.T).min() < 0.99  # not everything is the same to it


@pytest.mark.parametrize("family", SMALL)
def test_a_picture_is_the_same_alone_and_among_others(family, tmp_path, load_from):
    save_small_model(family, tmp_path / family)
    running = load_from(tmp_path / family)
    alone = np.concatenate([running.embed([picture]) for picture in pictures()])
    assert cosines(running.embed(pictures()), alone).min() >= EQUAL
    assert running.embed([]).shape == (0, SMALL[family].dim)


def test_dinov3_says_what_transformers_says_of_the_same_numbers(tmp_path, load_from):
    whole = save_small_model("dinov3_vit", tmp_path / "m")
    running = load_from(tmp_path / "m")
    squares = [np.ascontiguousarray(photo[:32, :32]) for photo in pictures()[:4]]  # of its size: nothing is resized
    numbers = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        outputs = whole(pixel_values=(numbers - mean[:, None, None]) / std[:, None, None]).pooler_output
    assert cosines(running.embed(squares), torch.nn.functional.normalize(outputs, dim=1).numpy()).min() >= EQUAL


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_smaller_kind_of_number_is_taken_only_where_it_agrees(family, dtype, tmp_path, load_from):
    save_small_model(family, tmp_path / family)
    running = load_from(tmp_path / family, dtype)
    assert running.dtype in {dtype, "float32"}
    assert cosines(running.embed(pictures()), load_from(tmp_path / family).embed(pictures())).min() >= AGREES_FROM


def test_numbers_that_overflow_in_float16_are_computed_in_float32(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights["vit.layernorm.weight"] *= 1e5  # more than float16 holds, nothing to float32
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    running = load_from(tmp_path / "m", "float16")
    assert running.dtype == "float32"
    assert cosines(running.embed(pictures()), load_from(tmp_path / "m").embed(pictures())).min() >= 0.99999


@pytest.mark.parametrize("family", SMALL)
def test_attention_is_the_best_that_the_processor_has(family, tmp_path, load_from):
    save_small_model(family, tmp_path / family)
    assert load_from(tmp_path / family).attention == ("sdpa" if FAMILIES[family].attentions else "none")


def test_only_the_vision_tower_is_in_memory(tmp_path, load_from):
    whole = save_small_model("clip", tmp_path / "m")
    running = load_from(tmp_path / "m")
    names = [name for name, _ in running._network.named_parameters()]
    assert names
    assert len(names) < len(list(whole.parameters()))
    assert not [name for name in names if "text" in name]


@pytest.mark.parametrize(
    ("family", "tower", "variant"),
    [("clip", "CLIPVisionModel", "clip-tower"), ("siglip", "SiglipVisionModel", "siglip")],
)
def test_a_tower_that_was_saved_alone_is_a_model_too(family, tower, variant, tmp_path, load_from):
    save_small_model(family, tmp_path / "whole")
    alone = getattr(transformers, tower).from_pretrained(tmp_path / "whole").eval()
    alone.save_pretrained(tmp_path / "alone")
    shutil.copy(tmp_path / "whole" / "preprocessor_config.json", tmp_path / "alone")
    spec = inspect_model(str(tmp_path / "alone"), tmp_path / "models", "float32")
    assert spec.family == variant
    batch = SMALL[family].processor(pictures(), return_tensors="pt", input_data_format="channels_last")
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(alone(**batch).pooler_output, dim=1).numpy()
    assert cosines(load(spec, "cpu").embed(pictures()), expected).min() >= EQUAL


@pytest.mark.parametrize("family", ["siglip", "siglip2"])
def test_a_tower_without_a_head_gives_the_mean_of_its_tokens_without_padding(family, tmp_path, load_from):
    save_small_model(family, tmp_path / "m")
    said = json.loads((tmp_path / "m" / "config.json").read_text())
    said["vision_config"]["vision_use_head"] = False
    (tmp_path / "m" / "config.json").write_text(json.dumps(said))
    weights = load_file(tmp_path / "m" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("vision_model.head.")}
    save_file(kept, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    running = load_from(tmp_path / "m")
    assert running.tag.startswith(f"{family}-tokens-32-")
    tower = getattr(transformers, FAMILIES[family].tower).from_pretrained(tmp_path / "m").eval()
    rows = []
    for picture in pictures():
        batch = SMALL[family].processor([picture], return_tensors="pt", input_data_format="channels_last")
        with torch.inference_mode():
            tokens = tower(**batch).last_hidden_state[0]
        real = batch["pixel_attention_mask"][0].bool() if family == "siglip2" else slice(None)
        rows.append(torch.nn.functional.normalize(tokens[real].mean(dim=0), dim=0).numpy())
    assert cosines(running.embed(pictures()), np.stack(rows)).min() >= EQUAL


def test_weights_that_are_missing_are_not_made_up(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    gone = next(name for name in weights if "query" in name or "q_proj" in name)
    del weights[gone]
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match="weights of the vision tower are missing"):
        load_from(tmp_path / "m")


def test_a_configuration_of_other_sizes_is_refused(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    said = json.loads((tmp_path / "m" / "config.json").read_text())
    said["intermediate_size"] = 128
    (tmp_path / "m" / "config.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match="weights of the vision tower"):
        load_from(tmp_path / "m")


def test_weights_that_were_exchanged_for_pickled_ones_after_the_start_are_not_loaded(tmp_path):
    whole = save_small_model("vit", tmp_path / "m")
    spec = inspect_model(str(tmp_path / "m"), tmp_path / "models")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save(whole.state_dict(), tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        load(spec, "cpu")


def test_a_device_that_is_not_there_is_told(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    with pytest.raises(DeviceMissingError, match="cuda:99 is not there"):
        load_from(tmp_path / "m", device="cuda:99")


def test_numbers_that_are_none_are_refused(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights["vit.layernorm.bias"][0] = float("nan")
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="not a number"):
        load_from(tmp_path / "m").embed(pictures())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        MemoryError(),
    ],
)
def test_a_full_device_is_told_apart_from_other_faults(error):
    with pytest.raises(OutOfDeviceMemoryError), memory_errors_named(torch.device("cpu")):
        raise error


def test_other_faults_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), memory_errors_named(torch.device("cpu")):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_batch_that_really_does_not_fit_is_named_so(tmp_path, load_from):
    save_small_model("vit", tmp_path / "m")
    running = load_from(tmp_path / "m")
    batch = prepare(pictures(), running._recipe.preprocessing)
    huge = np.lib.stride_tricks.as_strided(  # 40 TB, of which only the first bytes are there
        batch.pixels, shape=(1 << 33, *batch.pixels.shape[1:]), strides=(0, *batch.pixels.strides[1:])
    )
    with pytest.raises(OutOfDeviceMemoryError):
        running.run(type(batch)(pixels=huge))


def test_a_torchscript_network_runs_like_any_other(tmp_path, load_from):
    path = tmp_path / "copies.pt"
    save_torchscript(path, dim=12)
    add_torchscript(path, 64)
    running = load_from(path)
    assert (running.dim, running.attention, running.dtype) == (12, "none", "float32")
    network = torch.jit.load(str(path))
    record = json.loads(record_of(path).read_text())
    squares = [np.ascontiguousarray(photo[:64, :64]) for photo in pictures()[:4]]
    numbers = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor(record["mean"])[:, None, None], torch.tensor(record["std"])[:, None, None]
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(network((numbers - mean) / std), dim=1).numpy()
    assert cosines(running.embed(squares), expected).min() >= EQUAL
    assert cosines(load_from(path, "bfloat16").embed(squares), expected).min() >= AGREES_FROM


def test_a_torchscript_file_that_was_swapped_after_the_start_is_not_loaded(tmp_path):
    path = tmp_path / "copies.pt"
    save_torchscript(path)
    add_torchscript(path, 64)
    spec = inspect_model(str(path), tmp_path / "models")
    save_torchscript(path, seed=1)
    with pytest.raises(ConfigError, match="differs from what was recorded"):
        load(spec, "cpu")
