"""Models without torch for the device worker, which finds them by the `loader` of their spec.

What a model does beside computing is told by `conduct.json` in its folder, read again for every batch, and by the first
pixel of a picture. Everything that waits waits on a FIFO, so that a test knows where it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from dedupd.core.records import ModelTag
from dedupd.embedding.model_spec import ModelSpec, OutOfDeviceMemoryError

GRID = 8
DIM = GRID * GRID * 3 + 1
TAG = ModelTag("grid-8")

HOLDS = (1, 2, 3)  # first pixels that mean something
ENDS_WORKERS = (1, 2, 4)
FAILS = (1, 2, 5)
HANGS = (1, 2, 6)
HAS_NO_VECTOR = (1, 2, 7)


def spec_in(folder: Path, **changes: Any) -> ModelSpec:
    given = {
        "name": "grid",
        "folder": str(folder),
        "tag": TAG,
        "dim": DIM,
        "family": "grid",
        "input_px": 64,
        "candidate_similarity": 0.9,
        "loader": "fakes.device_models:load_model",
    }
    return ModelSpec(**given | changes)


def conduct(folder: Path, **told: Any) -> None:
    """Say what the model does from the next batch on."""
    temporary = folder / "conduct.new"
    temporary.write_text(json.dumps(told))
    temporary.replace(folder / "conduct.json")


def batches_seen(folder: Path) -> list[tuple[str, int]]:
    """Of every batch that was computed: the device and how many pictures."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(device, int(count)) for device, _, count in (line.partition(" ") for line in lines)]


class GridModel:
    """A picture's colours in 8 × 8 fields, each picture computed by itself."""

    tag = str(TAG)
    dim = DIM
    dtype = "float32"
    attention = "none"

    def __init__(self, spec: ModelSpec, device: str) -> None:
        self.device = device
        self._folder = Path(spec.folder)
        self._here = os.environ["CUDA_VISIBLE_DEVICES"] if device.startswith("cuda") else device

    def embed(self, pictures):
        told = told_in(self._folder)
        if len(pictures) > told.get("room", {}).get(self._here, 1000):
            raise OutOfDeviceMemoryError
        if self._here in told.get("ends", []) and not is_grey(pictures):
            os._exit(9)
        if self._here in told.get("breaks", []) and (not is_grey(pictures) or (self._folder / "broken").exists()):
            (self._folder / "broken").touch()
            raise RuntimeError("the device has fallen off the bus")
        for picture in pictures:
            self._mind(tuple(picture[0, 0]))
        if self._folder.is_dir() and not is_grey(pictures):
            with (self._folder / "log").open("a") as log:
                log.write(f"{self._here} {len(pictures)}\n")
        return np.stack([vector_of(picture) for picture in pictures])

    def _mind(self, pixel):
        match pixel:
            case pixel if pixel == HOLDS and (self._folder / "arrived").exists():
                (self._folder / "arrived").open("wb").close()
                (self._folder / "gate").open("rb").close()
            case pixel if pixel == ENDS_WORKERS:
                os._exit(9)
            case pixel if pixel == FAILS:
                raise ValueError("an odd picture")
            case pixel if pixel == HANGS and not (self._folder / "hung").exists():
                (self._folder / "hung").touch()
                os.mkfifo(self._folder / "never")
                (self._folder / "never").open("rb").close()


def load_model(spec: ModelSpec, device: str) -> GridModel:
    model = GridModel(spec, device)
    told = told_in(Path(spec.folder))
    if model._here in told.get("ends_at_start", []):
        os._exit(9)
    if model._here in told.get("refuses", []):
        raise RuntimeError("no such architecture")
    return model


def told_in(folder: Path) -> dict[str, Any]:
    told = folder / "conduct.json"
    return json.loads(told.read_text()) if told.exists() else {}


def is_grey(pictures) -> bool:
    """Whether it is the worker's own, with which it tries the device."""
    return len(pictures) == 1 and bool((pictures[0] == 128).all())


def vector_of(picture):
    if tuple(picture[0, 0]) == HAS_NO_VECTOR:
        return np.full(DIM, np.nan, np.float32)
    height, width, _ = picture.shape
    rows = np.linspace(0, height, GRID + 1).astype(int)
    columns = np.linspace(0, width, GRID + 1).astype(int)
    fields = [
        picture[top : max(end, top + 1), left : max(right, left + 1)].mean(axis=(0, 1), dtype=np.float64)
        for top, end in zip(np.minimum(rows[:-1], height - 1), rows[1:], strict=True)
        for left, right in zip(np.minimum(columns[:-1], width - 1), columns[1:], strict=True)
    ]
    colours = np.concatenate(fields)
    vector = np.append(colours - colours.mean(), 1.0)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
