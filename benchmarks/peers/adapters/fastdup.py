"""fastdup: a vector of 576 numbers from a network, HNSW, connected components over a similarity."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from pathlib import Path

NAME = "fastdup"
FINDS = "near-duplicates"
PIP = ("fastdup==2.54",)
DEBIAN = ()
SETTINGS = {"0.96": 0.96, "0.90": 0.90, "0.98": 0.98, "0.99": 0.99}
TIMES = 2.0
CALL = "create(work_dir).run(folder, cc_threshold=…); connected_components()"


def version() -> str:
    return importlib.metadata.version("fastdup")


def groups(folder: Path, setting: float, workers: int) -> list[list[str]]:
    os.environ["SENTRY_OPT_OUT"] = "1"  # it would tell its makers
    import fastdup  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as temporary:
        done = fastdup.create(work_dir=temporary, input_dir=str(folder))
        done.run(cc_threshold=setting, num_threads=workers, overwrite=True)
        table, _ = done.connected_components()
        if table.empty:
            return []
        return [list(names) for _, names in table.groupby("component_id")["filename"]]
