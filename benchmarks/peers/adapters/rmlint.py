"""rmlint: files of equal bytes, by size and hash."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path

NAME = "rmlint"
FINDS = "exact copies"
PIP = ()
DEBIAN = ("rmlint",)
SETTINGS = {"default": ""}
TIMES = None
CALL = "rmlint -T duplicates -t … -o json:stdout folder"


def version() -> str:
    said = subprocess.run(["rmlint", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split()[1]


def groups(folder: Path, setting: str, workers: int) -> list[list[str]]:  # noqa: ARG001 - one way only
    command = ["rmlint", "-T", "duplicates", "-t", str(workers), "-o", "json:stdout", str(folder)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    found = defaultdict(list)
    for entry in json.loads(said):
        if entry.get("type") == "duplicate_file":
            found[entry["checksum"]].append(entry["path"])
    return [group for group in found.values() if len(group) > 1]
