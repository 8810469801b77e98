"""Asks torch which GPUs it can use and prints the answer: `python -m dedupd.embedding.device_probe`.

A process of its own, so that the daemon has neither torch nor a driver's context in it. Prints one JSON line, a
`devices.Found`, and ends.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from dedupd.embedding.devices import Device, Found


def main() -> None:
    """Print what there is."""
    answer = os.dup(1)
    os.dup2(2, 1)  # drivers print what they like; only the answer may stand on standard output
    try:
        found = Found(gpus=_gpus())
    except Exception as error:  # noqa: BLE001 - torch, its libraries and drivers raise anything; said to who asked
        found = Found(gpus=[], problem=f"{type(error).__name__}: {error}")
    os.write(answer, msgspec.json.encode(found))


def _gpus() -> list[Device]:
    import torch  # noqa: PLC0415 - only in this process

    found = [_cuda(torch, index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.xpu.is_available():
        found += [_xpu(torch, index) for index in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        found.append(Device(kind="mps", title="Apple GPU"))
    return found


def _cuda(torch: Any, index: int) -> Device:
    known = torch.cuda.get_device_properties(index)
    uuid = getattr(known, "uuid", None)
    return Device(
        kind="cuda",
        index=index,
        title=known.name,
        memory_bytes=known.total_memory,
        uuid=f"GPU-{uuid}" if uuid is not None else "",
    )


def _xpu(torch: Any, index: int) -> Device:
    known = torch.xpu.get_device_properties(index)
    return Device(kind="xpu", index=index, title=known.name, memory_bytes=known.total_memory)


if __name__ == "__main__":
    main()
