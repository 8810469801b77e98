"""What it costs that decode workers are confined: CPU time a picture and a start, with and without, in one run.

    python -m benchmarks.confinement [--rounds 5] [--pictures 12] [--json FILE]

Both kinds take turns on the same pictures, so that a busy moment of the machine meets both. Says also what a worker has
resident after its round.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import CAMERA_PX, make_scenes
from dedupd.core.ports import Priority, ReadFile
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.limits import DecodeLimits

QUICK = ("--rounds", "3", "--pictures", "6")
KINDS = {"confined": True, "unconfined": False}
_TICKS_S = os.sysconf("SC_CLK_TCK")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=12)


def run(arguments: argparse.Namespace) -> Result:
    samples: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        make_scenes(folder, arguments.pictures, CAMERA_PX)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        for number in range(arguments.rounds):
            order = list(KINDS) if number % 2 else list(reversed(KINDS))
            for kind in order:
                for name, value in measured(paths, is_confined=KINDS[kind]).items():
                    samples[kind].setdefault(name, []).append(value)
    medians = {kind: {name: round(median(values), 3) for name, values in own.items()} for kind, own in samples.items()}
    ratio = medians["confined"]["cpu_ms_a_picture"] / medians["unconfined"]["cpu_ms_a_picture"]
    return {"pictures": len(paths), "rounds": arguments.rounds, **medians, "ratio": round(ratio, 3)}


def measured(paths: list[Path], *, is_confined: bool) -> dict[str, float]:
    """One worker's start and its round over all pictures."""
    pool = DecodePool(1, limits=DecodeLimits(is_confined=is_confined))
    try:
        read(pool, paths[0])
        (pid,) = pool.worker_pids()
        started_s = cpu_s(pid)
        for path in paths:
            read(pool, path)
        spent_s = cpu_s(pid) - started_s
        resident = next(
            int(line.split()[1])
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS:")
        )
    finally:
        pool.close()
    return {
        "start_cpu_ms": started_s * 1000,
        "cpu_ms_a_picture": spent_s * 1000 / len(paths),
        "resident_mib": resident / 1024,
    }


def read(pool: DecodePool, path: Path) -> None:
    answer = pool.read(os.fsencode(path), is_known=lambda _: False, priority=Priority.BACKLOG).result(60)
    assert isinstance(answer, ReadFile), answer


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


def rows(result: Result) -> list[Row]:
    named = {"cpu_ms_a_picture": "CPU a picture", "start_cpu_ms": "CPU of a start", "resident_mib": "resident, MiB"}
    return [
        Row(
            what=f"{words}, confined and not",
            value=f"{result['confined'][name]:.1f} and {result['unconfined'][name]:.1f}",
        )
        for name, words in named.items()
    ] + [Row(what="ratio of CPU a picture", value=f"{result['ratio']:.3f}")]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
