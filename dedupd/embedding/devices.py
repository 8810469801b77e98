"""Which devices there are to run a model on, and which of them the settings mean.

Does not import torch: a child process (`device_probe`) asks it once and ends. Runs no model and owns nothing.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.undecodable import UNDECODABLE

_log = logging.getLogger(__name__)

_PROBE_S = 120.0  # importing torch takes 2 s of CPU, the driver's first start on a busy machine many times that
_SMI_S = 5.0

# What a process that asks torch or runs a model may see of the environment: it may hold an alert channel's password.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR",
)  # fmt: skip
_IN_BUS_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # the numbers that nvidia-smi shows


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Something that runs a model."""

    kind: str  # "cuda" (AMD's too), "xpu", "mps" or "cpu"
    index: int = 0
    title: str = ""  # as its maker calls it
    memory_bytes: int = 0  # 0: not known, or the machine's own
    uuid: str = ""  # as nvidia-smi names it; empty: none

    @property
    def name(self) -> str:
        """As torch, the settings and the status call it: "cuda:0", "mps", "cpu"."""
        return self.kind if self.kind in {"mps", "cpu"} else f"{self.kind}:{self.index}"

    @property
    def is_gpu(self) -> bool:
        """Whether it is anything but the processor."""
        return self.kind != "cpu"


CPU = Device(kind="cpu", title="processor")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the child process found."""

    gpus: list[Device]
    problem: str = ""  # why torch cannot be used at all; empty: it can


def find_gpus(python: str = sys.executable) -> list[Device]:
    """All GPUs that torch can use, by kind and index.

    Raises:
        ConfigError: torch is not there or does not load; then no device runs a model.
    """
    found = _ask_torch(python)
    if found.problem:
        raise ConfigError(
            f"models need PyTorch, which cannot be used: {found.problem}; install it "
            '(pip install "dedupd[models]") or set model = "builtin"'
        )
    return found.gpus


def choose_devices(gpus: Sequence[Device], wanted: str | int | Sequence[int]) -> list[Device]:
    """The devices that a setting means; the processor alone if it means no GPU or there is none.

    Args:
        gpus: what there is, as `find_gpus` says it.
        wanted: "all", how many (the first ones; 0: none), or their indexes.

    Raises:
        ConfigError: a GPU is asked for that is not there.
    """
    if isinstance(wanted, str):
        if wanted != "all":
            raise ConfigError(f'gpus = "{wanted}" is neither "all", nor a number, nor a list of numbers')
        if not gpus:
            _log.info("no-gpu models run on the processor")
        return list(gpus) or [CPU]
    if isinstance(wanted, int):
        if not 0 <= wanted <= len(gpus):
            raise ConfigError(f"gpus = {wanted} asks for more than there are: {_listed(gpus)}")
        return list(gpus[:wanted]) or [CPU]
    by_index = dict(enumerate(gpus))
    for index in wanted:
        if index not in by_index:
            raise ConfigError(f"gpus = {list(wanted)} names GPU {index}, which is not there: {_listed(gpus)}")
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"gpus = {list(wanted)} names a GPU twice; name each once")
    return [by_index[index] for index in wanted] or [CPU]


def child_environment(device: Device) -> dict[str, str]:
    """The environment of a process that shall see this device and no other GPU of its kind."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | _IN_BUS_ORDER
    match device.kind:
        case "cuda":
            environment["CUDA_VISIBLE_DEVICES"] = _visible(environment.get("CUDA_VISIBLE_DEVICES"), device.index)
        case "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""  # a driver's context would take memory for nothing
    return environment


def name_in_child(device: Device) -> str:
    """What torch calls the device in a process with `child_environment`."""
    return "cuda:0" if device.kind == "cuda" else device.name


def gpu_utilisation(program: str = "nvidia-smi") -> dict[str, float]:
    """How busy each NVIDIA GPU was over the last moments, 0 … 1, by uuid; empty where nobody tells.

    Takes up to a second; callers keep the answer for a while.
    """
    try:
        said = subprocess.run(
            [program, "--query-gpu=uuid,utilization.gpu", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=_SMI_S, check=True, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = (line.rpartition(",") for line in said.splitlines())
    return {uuid.strip(): float(busy) / 100 for uuid, _, busy in pairs if busy.strip().isdigit()}


def _ask_torch(python: str) -> Found:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | _IN_BUS_ORDER
    try:
        asked = subprocess.run(
            [python, "-m", "dedupd.embedding.device_probe"],
            capture_output=True, env=environment, cwd="/", timeout=_PROBE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return msgspec.json.decode(asked.stdout, type=Found)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(gpus=[], problem=str(error))
    except UNDECODABLE:
        last_words = asked.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Found(gpus=[], problem=f"it ended with code {asked.returncode}: {' '.join(last_words)}")


def _visible(already: str | None, index: int) -> str:
    """What CUDA_VISIBLE_DEVICES must say so that only the GPU of an index is seen, within what is visible to us."""
    return already.split(",")[index].strip() if already else str(index)


def _listed(gpus: Sequence[Device]) -> str:
    if not gpus:
        return "torch finds no GPU on this machine (gpus = 0 runs models on the processor)"
    return "torch finds " + ", ".join(f"{number} ({gpu.title or gpu.name})" for number, gpu in enumerate(gpus))
