"""findimagedupes: a picture of 16 × 16 black or white pixels, compared bit by bit with every other."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAME = "findimagedupes"
FINDS = "near-duplicates"
PIP = ()
DEBIAN = ("findimagedupes",)
SETTINGS = {"90 %": "90%", "95 %": "95%", "99 %": "99%"}
TIMES = 1.0
CALL = "findimagedupes -R -q -t … -i 'VIEW(){ … }' -- folder"

# It hands each group to a shell function called VIEW; this one ends names with NUL and groups with another.
SHOW = r"""VIEW(){ printf '%s\0' "$@"; printf '\0'; }"""


def version() -> str:
    said = subprocess.run(["findimagedupes", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split()[-1] if said.stdout + said.stderr else ""


def groups(folder: Path, setting: str, workers: int) -> list[list[str]]:  # noqa: ARG001 - it has one thread
    command = ["findimagedupes", "-R", "-q", "-t", setting, "-i", SHOW, "--", str(folder)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    names = said.decode("utf-8", "surrogateescape")
    return [[name for name in group.split("\0") if name] for group in names.split("\0\0") if group.strip("\0")]
