"""dupeGuru's picture engine: 15 × 15 blocks of mean colour, each pair compared, groups in which all match."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "dupeGuru"
FINDS = "near-duplicates"
PIP = ()
DEBIAN = ("dupeguru",)
SETTINGS = {"95": (95, False), "95 scaled": (95, True), "90 scaled": (90, True), "80 scaled": (80, True)}
TIMES = 2.0
CALL = "ScannerPE, filter hardness and whether sizes may differ as the setting says; get_dupe_groups(files)"
HOMES = ("/usr/lib/dupeguru", "/usr/share/dupeguru")


def version() -> str:
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "dupeguru"], capture_output=True, text=True, check=False
    )
    return said.stdout


def groups(folder: Path, setting: tuple[int, bool], workers: int) -> list[list[str]]:  # noqa: ARG001 - one a core
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sys.path[:0] = HOMES
    from core.pe.scanner import ScannerPE  # noqa: PLC0415
    from core.scanner import ScanType  # noqa: PLC0415
    from hscommon.jobprogress.job import nulljob  # noqa: PLC0415
    from qt.pe.photo import File  # noqa: PLC0415

    files = [File(path) for path in sorted(folder.rglob("*")) if path.is_file() and File.can_handle(path)]
    for file in files:
        file.is_ref = False
    scanner = ScannerPE()
    scanner.scan_type = ScanType.FUZZYBLOCK
    scanner.min_match_percentage, scanner.match_scaled = setting
    with tempfile.TemporaryDirectory() as temporary:
        scanner.cache_path = str(Path(temporary, "cached_pictures.db"))
        found = scanner.get_dupe_groups(files, None, nulljob)
    return [[str(file.path) for file in group] for group in found]
