"""What a configured model is, and what is wrong with it, is said without loading it."""

import json
import pickle
import shutil
import struct

import pytest
from fakes.small_models import SMALL, save_small_model, save_torchscript

from dedupd.core.errors import ConfigError
from dedupd.embedding.checksums import CACHE_FILE
from dedupd.embedding.families import FAMILIES, MODEL_TYPES
from dedupd.embedding.model_folder import inspect_model
from dedupd.embedding.model_store import add_torchscript
from dedupd.embedding.torchscript_file import COPY_CANDIDATE_SIMILARITY


@pytest.fixture
def inspect(tmp_path):
    return lambda name, dtype="auto": inspect_model(str(name), tmp_path / "models", dtype)


@pytest.fixture
def vit(tmp_path):
    save_small_model("vit", tmp_path / "vit")
    return tmp_path / "vit"


def edit(path, **changes):
    said = json.loads(path.read_text())
    said.update(changes)
    path.write_text(json.dumps(said))


@pytest.mark.parametrize("family", SMALL)
def test_each_family_is_known_by_its_files(family, tmp_path, inspect):
    save_small_model(family, tmp_path / family)
    spec = inspect(tmp_path / family)
    assert (spec.family, spec.dim) == (family, SMALL[family].dim)
    assert spec.tag.startswith(f"{family}-{spec.dim}-")
    assert spec.model.candidate_similarity == FAMILIES[family].candidate_similarity


def test_the_tag_is_that_of_the_content_not_of_the_place(vit, tmp_path, inspect):
    shutil.copytree(vit, tmp_path / "moved")
    edit(tmp_path / "moved" / "config.json", transformers_version="9.9", architectures=["Other"])
    assert inspect(vit).tag == inspect(tmp_path / "moved").tag


def test_whatever_changes_vectors_changes_the_tag(vit, tmp_path, inspect):
    tags = {inspect(vit).tag, inspect(vit, "float32").tag}
    save_small_model("vit", tmp_path / "other weights", seed=1)
    tags.add(inspect(tmp_path / "other weights").tag)
    edit(vit / "preprocessor_config.json", resample=3)
    tags.add(inspect(vit).tag)
    edit(vit / "preprocessor_config.json", image_std=[0.4, 0.5, 0.5])
    tags.add(inspect(vit).tag)
    edit(vit / "config.json", layer_norm_eps=1e-3)
    tags.add(inspect(vit).tag)
    assert len(tags) == 6


def test_weights_in_parts_are_the_same_model(vit, tmp_path, inspect):
    model = save_small_model("vit", tmp_path / "parts")
    (tmp_path / "parts" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    spec = inspect(tmp_path / "parts")
    assert (spec.family, spec.dim) == ("vit", 32)
    next((tmp_path / "parts").glob("model-*.safetensors")).unlink()
    with pytest.raises(ConfigError, match=r"is missing, which model\.safetensors\.index\.json names"):
        inspect(tmp_path / "parts")


def test_an_index_that_leads_out_of_the_folder_is_refused(vit, inspect):
    (vit / "model.safetensors").unlink()
    (vit / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../x.safetensors"}}))
    with pytest.raises(ConfigError, match="is no file of the model"):
        inspect(vit)


def test_checksums_are_computed_once_and_again_when_the_file_changes(vit, tmp_path, inspect):
    tag = inspect(vit).tag
    known = tmp_path / "models" / CACHE_FILE
    weights = str((vit / "model.safetensors").resolve())
    remembered = json.loads(known.read_text())
    remembered[weights]["sha256"] = "0" * 64  # shows whether it is asked
    known.write_text(json.dumps(remembered))
    assert inspect(vit).tag != tag
    data = (vit / "model.safetensors").read_bytes()
    (vit / "model.safetensors").write_bytes(data)
    assert inspect(vit).tag == tag


def test_a_models_directory_that_cannot_be_made_only_costs_time(vit, tmp_path):
    (tmp_path / "file").write_text("")
    spec = inspect_model(str(vit), tmp_path / "file" / "models")
    assert spec.dim == 32


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("google/siglip2-base-patch16-naflex", "never fetched.*`dedupd models pull google/siglip2-base-patch16-naflex"),
        ("https://huggingface.co/google/vit", "is not local"),
        ("/nowhere/at/all", "no such folder or file"),
        ("nowhere.pt", "no such folder or file"),
    ],
)
def test_a_model_that_is_not_here_is_told_with_what_to_do(inspect, name, words):
    with pytest.raises(ConfigError, match=words):
        inspect(name)


def test_a_dtype_that_is_none_is_refused(vit, inspect):
    with pytest.raises(ConfigError, match="'int4' is no dtype"):
        inspect(vit, "int4")


def test_a_folder_without_a_model_is_refused(tmp_path, inspect):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        inspect(tmp_path)


def test_a_file_that_is_no_model_is_refused(vit, inspect):
    with pytest.raises(ConfigError, match="Name the folder"):
        inspect(vit / "model.safetensors")


def test_a_folder_without_weights_is_refused(vit, inspect):
    (vit / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="no weights"):
        inspect(vit)


def test_pickled_weights_are_refused(vit, inspect):
    (vit / "model.safetensors").unlink()
    (vit / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ConfigError, match=r"only pickled weights \(pytorch_model.bin\)"):
        inspect(vit)


def test_an_architecture_that_is_not_supported_is_refused_with_those_that_are(vit, inspect):
    edit(vit / "config.json", model_type="bert")
    with pytest.raises(ConfigError) as caught:
        inspect(vit)
    assert "bert is not supported" in str(caught.value)
    assert all(kind in str(caught.value) for kind in MODEL_TYPES)


def test_weights_of_something_else_are_refused(vit, tmp_path, inspect):
    save_small_model("efficientnet", tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", vit)
    with pytest.raises(ConfigError, match="hold no vision tower of vit"):
        inspect(vit)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:100],
        lambda _: b"",
        lambda _: struct.pack("<Q", 1 << 60) + b"{}",
        lambda data: b"{}" + data,
    ],
    ids=["half", "start", "empty", "endless header", "shifted"],
)
def test_damaged_weights_are_refused(vit, inspect, damage):
    weights = vit / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ConfigError, match="cut short"):
        inspect(vit)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_damaged_configurations_are_refused(vit, inspect, name):
    (vit / name).write_text('{"model_type": ')
    with pytest.raises(ConfigError, match=name):
        inspect(vit)


def test_a_torchscript_file_needs_a_record_and_must_be_what_was_recorded(tmp_path, inspect):
    path = tmp_path / "copies.pt"
    save_torchscript(path, dim=12)
    with pytest.raises(ConfigError, match="`dedupd models add"):
        inspect(path)
    add_torchscript(path, 64)
    spec = inspect(path)
    assert (spec.family, spec.dim, spec.input_px) == ("torchscript", 12, 64)
    assert spec.candidate_similarity == COPY_CANDIDATE_SIMILARITY
    edit(tmp_path / "copies.pt.json", candidate_similarity=0.6)
    assert inspect(path).candidate_similarity == 0.6
    assert inspect(path).tag == spec.tag
    save_torchscript(path, dim=12, seed=1)
    with pytest.raises(ConfigError, match="differs from what was recorded"):
        inspect(path)
    edit(tmp_path / "copies.pt.json", mean=[1])
    with pytest.raises(ConfigError, match=r"copies\.pt\.json"):
        inspect(path)
