"""jdupes: files of equal bytes, by size, hash and comparison."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

NAME = "jdupes"
FINDS = "exact copies"
PIP = ()
DEBIAN = ("jdupes",)
SETTINGS = {"default": ""}
TIMES = None
CALL = "jdupes -r -q -j folder"


def version() -> str:
    return subprocess.run(["jdupes", "-v"], capture_output=True, text=True, check=False).stdout.split()[1]


def groups(folder: Path, setting: str, workers: int) -> list[list[str]]:  # noqa: ARG001 - it has neither
    said = subprocess.run(["jdupes", "-r", "-q", "-j", str(folder)], stdout=subprocess.PIPE, check=True).stdout
    found = json.loads(said)["matchSets"] if said.strip() else []
    return [[file["filePath"] for file in group["fileList"]] for group in found]
