"""image-dedup-ai: a perceptual hash of 64 bits of a reduced decode, multi-index hashing, connected components."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

NAME = "image-dedup-ai"
FINDS = "near-duplicates"
PIP = ("image-dedup-ai==0.1.0",)
DEBIAN = ()
SETTINGS = {"0.90": 0.90, "0.85": 0.85, "0.95": 0.95, "0.98": 0.98}
TIMES = 1.0
CALL = "find_duplicates(folder, threshold=…, workers=…)"


def version() -> str:
    return importlib.metadata.version("image-dedup-ai")


def groups(folder: Path, setting: float, workers: int) -> list[list[str]]:
    from image_dedup_ai import find_duplicates  # noqa: PLC0415

    return [list(group) for group in find_duplicates(str(folder), threshold=setting, workers=workers).groups]
