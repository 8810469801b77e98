"""What dedupd asks of torch about a device: is it there, which kinds of number it is fast at, what its errors mean.

Only ever imported in a worker process. Keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dedupd.core.errors import DegradedError
from dedupd.embedding.model_spec import OutOfDeviceMemoryError

# RuntimeErrors that torch does not tell apart by class: the CPU's allocator, and MPS.
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


class DeviceMissingError(DegradedError):
    """The device is not there, or torch has none of its kind: another must do the work."""

    code = "device-missing"


def open_device(name: str) -> torch.device:
    """A device of this machine.

    Raises:
        DeviceMissingError: see there.
    """
    device = torch.device(name)
    match device.type:
        case "cpu":
            return device
        case "cuda":
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        case "xpu":
            count = torch.xpu.device_count() if torch.xpu.is_available() else 0
        case "mps":
            count = 1 if torch.backends.mps.is_available() else 0
        case _:
            count = 0
    if (device.index or 0) >= count:
        raise DeviceMissingError(f"the device {name} is not there: torch sees {count} of its kind")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def dtypes_for(device: torch.device, wanted: str) -> list[torch.dtype]:
    """The kinds of number to try on a device, the fastest first; float32 is always the last.

    Args:
        device: an open one.
        wanted: "auto", or the one that the configuration names.
    """
    fast = _fast_dtypes(device) if wanted == "auto" else [getattr(torch, wanted)]
    return [*(dtype for dtype in fast if dtype != torch.float32), torch.float32]


def name_of(dtype: torch.dtype) -> str:
    """As the configuration writes it."""
    return str(dtype).removeprefix("torch.")


@contextmanager
def memory_errors_named(device: torch.device) -> Iterator[None]:
    """Turn whatever a device says when it is full into OutOfDeviceMemoryError, with its cache emptied."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        full: Exception = error
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in _MEMORY_WORDS):
            raise
        full = error
    else:
        return
    empty_cache(device)
    raise OutOfDeviceMemoryError(f"{device}: {full}") from full


def empty_cache(device: torch.device) -> None:
    """Give back what torch holds for later."""
    match device.type:
        case "cuda":
            torch.cuda.empty_cache()
        case "xpu":
            torch.xpu.empty_cache()
        case "mps":
            torch.mps.empty_cache()
        case _:
            pass


def _fast_dtypes(device: torch.device) -> list[torch.dtype]:
    match device.type:
        case "cuda":
            has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
            return [torch.bfloat16, torch.float16] if has_bfloat16 else [torch.float16]
        case "xpu":
            return [torch.bfloat16, torch.float16] if torch.xpu.is_bf16_supported() else [torch.float16]
        case "mps":
            return [torch.float16]
        case _:
            return [torch.bfloat16] if _cpu_has_bfloat16() else []


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself, three times as fast as float32 (measured); emulated it is slower."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe is not None and probe() for probe in probes)
