"""imagededup: a perceptual hash of 64 bits of a full decode, each compared with every other."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

NAME = "imagededup"
FINDS = "near-duplicates"
# The network's weights come by download, so only the hash is compared; torch is imported all the same. The CPU's build,
# since the usual one brings gigabytes of CUDA along.
PIP = ("imagededup==0.3.3.post2", "torch==2.13.0+cpu", "torchvision==0.28.0")
DEBIAN = ()
SETTINGS = {"PHash 10 bits": 10, "PHash 4 bits": 4, "PHash 0 bits": 0}
TIMES = 2.0
CALL = "PHash().find_duplicates(image_dir, max_distance_threshold=…)"


def version() -> str:
    return importlib.metadata.version("imagededup")


def groups(folder: Path, setting: int, workers: int) -> list[list[str]]:
    import torch  # noqa: PLC0415

    # torchvision's build does not match the CPU's torch: it imports once the operators it asks for have a signature.
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from imagededup.methods import PHash  # noqa: PLC0415

    found = PHash(verbose=False).find_duplicates(
        image_dir=folder,
        max_distance_threshold=setting,
        recursive=True,
        num_enc_workers=workers,
        num_dist_workers=workers,
    )
    return [
        [os.path.join(folder, name) for name in (first, other)]  # noqa: PTH118 - names are strings there
        for first, others in found.items()
        for other in others
    ]
