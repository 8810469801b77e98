"""Which devices the settings mean, asked of the torch that is installed and of made-up machines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dedupd.core.errors import ConfigError
from dedupd.embedding.devices import (
    CPU,
    Device,
    child_environment,
    choose_devices,
    find_gpus,
    gpu_utilisation,
    name_in_child,
)

CARDS = [Device(kind="cuda", index=index, title=f"card {index}", memory_bytes=8 << 30) for index in range(3)]


@pytest.mark.parametrize(
    ("wanted", "indexes"), [("all", [0, 1, 2]), (2, [0, 1]), (3, [0, 1, 2]), ([2, 0], [2, 0]), ([1], [1])]
)
def test_gpus_are_chosen_by_word_number_and_list(wanted, indexes):
    assert choose_devices(CARDS, wanted) == [CARDS[index] for index in indexes]


@pytest.mark.parametrize(("gpus", "wanted"), [([], "all"), (CARDS, 0), (CARDS, []), ([], 0)])
def test_without_a_gpu_the_processor_runs_models(gpus, wanted):
    assert choose_devices(gpus, wanted) == [CPU]


@pytest.mark.parametrize(
    ("gpus", "wanted", "message"),
    [
        ([], 1, "gpus = 1 asks for more than there are: torch finds no GPU on this machine"),
        (CARDS, 4, r"gpus = 4 asks for more than there are: torch finds 0 \(card 0\), 1 \(card 1\), 2 \(card 2\)"),
        (CARDS, -1, "gpus = -1 asks for"),
        (CARDS, [0, 5], r"gpus = \[0, 5\] names GPU 5, which is not there"),
        (CARDS, [1, 1], r"gpus = \[1, 1\] names a GPU twice"),
        (CARDS, "none", 'gpus = "none" is neither "all"'),
    ],
)
def test_a_gpu_that_is_not_there_is_a_mistake_in_the_configuration(gpus, wanted, message):
    with pytest.raises(ConfigError, match=message):
        choose_devices(gpus, wanted)


def test_a_child_sees_its_gpu_alone_under_the_name_that_torch_gives_it(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert child_environment(CARDS[2])["CUDA_VISIBLE_DEVICES"] == "2"
    assert child_environment(CPU)["CUDA_VISIBLE_DEVICES"] == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa, GPU-bb,GPU-cc")
    assert child_environment(CARDS[1])["CUDA_VISIBLE_DEVICES"] == "GPU-bb"
    xpu = Device(kind="xpu", index=1)
    assert "GPU" in child_environment(xpu)["CUDA_VISIBLE_DEVICES"]
    assert [name_in_child(device) for device in (CARDS[2], xpu, CPU)] == ["cuda:0", "xpu:1", "cpu"]
    assert Device(kind="mps").name == "mps"


def test_torch_is_asked_in_a_process_of_its_own():
    pytest.importorskip("torch")
    program = "import sys; from dedupd.embedding import devices; devices.find_gpus(); print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
    assert all(gpu.is_gpu and gpu.title for gpu in find_gpus())


def test_without_torch_the_message_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"cannot be used: ImportError: libtorch.so: no such file; install it"
    ) as told:
        find_gpus()
    assert 'model = "builtin"' in str(told.value)


def test_a_child_that_breaks_off_is_said_with_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("import os; os.write(2, b'driver: mismatch\\n'); os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigError, match="ended with code 3: driver: mismatch"):
        find_gpus()


@pytest.fixture
def smi(tmp_path):
    """Makes an nvidia-smi that says something."""

    def made(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    return made


def test_utilisation_is_read_by_uuid(smi):
    said = "GPU-aa, 97\\nGPU-bb, [N/A]\\nGPU-cc, 0\\n"
    assert gpu_utilisation(smi(f"printf '{said}'")) == {"GPU-aa": 0.97, "GPU-cc": 0.0}


@pytest.mark.parametrize("script", ["exit 9", "echo No devices were found"])
def test_where_nobody_tells_utilisation_is_not_known(smi, script):
    assert gpu_utilisation(smi(script)) == {}
    assert gpu_utilisation("/nonexistent/nvidia-smi") == {}
