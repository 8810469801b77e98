"""difPy: every picture as 50 × 50 pixels, the mean squared error of each pair, in four rotations."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

NAME = "difPy"
FINDS = "near-duplicates"
PIP = ("difPy==4.2.1",)
DEBIAN = ()
SETTINGS = {"duplicates": "duplicates", "similar": "similar"}
TIMES = 2.0
CALL = "search(build(folder), similarity=…, same_dim=False for similar)"


def version() -> str:
    return importlib.metadata.version("difPy")


def groups(folder: Path, setting: str, workers: int) -> list[list[str]]:
    import difPy  # noqa: PLC0415

    built = difPy.build(str(folder), show_progress=False, processes=workers)
    found = difPy.search(
        built, similarity=setting, same_dim=setting == "duplicates", show_progress=False, processes=workers
    )
    return [[str(first), *(str(other[0]) for other in others)] for first, others in found.result.items()]
