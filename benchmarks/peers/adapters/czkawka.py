"""czkawka's engine (Rust) by its Python binding: a perceptual hash of 256 bits, a BK-tree, Hamming distance."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

NAME = "czkawka"
FINDS = "near-duplicates"
PIP = ("czkawka==0.1.2",)
DEBIAN = ()
SETTINGS = {"5 bits": 5, "10 bits": 10, "2 bits": 2, "0 bits": 0}  # 5 is the default of its command line
TIMES = 2.0
CALL = "ImageSimilarity().set_similarity(bits); find_similar()"


def version() -> str:
    return importlib.metadata.version("czkawka")


def groups(folder: Path, setting: int, workers: int) -> list[list[str]]:  # noqa: ARG001 - RAYON_NUM_THREADS says it
    from czkawka import ImageSimilarity  # noqa: PLC0415

    finder = ImageSimilarity()
    finder.set_directories([folder])
    finder.set_similarity(setting)
    return [[str(path) for path in group] for group in finder.find_similar()]
