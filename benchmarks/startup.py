"""CPU time of `dedupctl --help`, `dedupctl status` and `dedupd --help` from start to end, beside a bare Python.

    python -m benchmarks.startup [--runs 9] [--json FILE]

`status` asks a daemon that answers. The commands take turns, so that a busy moment of the machine meets all of them.
The promise: `dedupctl --help` and `dedupctl status` under 150 ms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.pictures import make_scenes
from benchmarks.processes import installed, running, spent_by

QUICK = ()
PROMISE_MS = 150
PROMISED = ("dedupctl --help", "dedupctl status")
REFERENCE = "python -c pass"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=9)


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        make_scenes(home / "photos", 3, (640, 480))
        with running(home, home / "photos", workers=1) as daemon:
            daemon.wait_until_idle(files=3)
            ask = [installed("dedupctl"), "--socket", daemon.socket]
            commands: dict[str, list[str | Path]] = {
                REFERENCE: [sys.executable, "-c", "pass"],
                "dedupctl --help": [installed("dedupctl"), "--help"],
                "dedupctl status": [*ask, "status"],
                "dedupctl status --json": [*ask, "status", "--json"],
                "dedupd --help": [installed("dedupd"), "--help"],
            }
            for command in commands.values():
                spent_by(command)  # the first one writes bytecode
            samples: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(arguments.runs):
                for name, command in commands.items():
                    samples[name].append(spent_by(command).cpu_s * 1000)
    reference = median(samples[REFERENCE])
    return {
        "runs": arguments.runs,
        "commands": {
            name: {
                "cpu_ms_median": round(median(own), 1),
                "cpu_ms_worst": round(max(own), 1),
                "ratio_to_bare_python": round(median(own) / reference, 2),
            }
            for name, own in samples.items()
        },
    }


def rows(result: Result) -> list[Row]:
    return [
        Row(
            what=f"CPU of `{name}`",
            value=f"{own['cpu_ms_median']:.0f} ms ({own['ratio_to_bare_python']:.1f}× bare Python)",
            promise=f"< {PROMISE_MS} ms" if name in PROMISED else "",
            is_kept=own["cpu_ms_median"] < PROMISE_MS if name in PROMISED else None,
        )
        for name, own in result["commands"].items()
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
