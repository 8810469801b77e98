"""CPU time of a dedupctl process from its start to its end: `--help`, and `status` against a daemon that answers.

    python benchmarks/cli_startup.py [--socket PATH] [--runs 20]

Without a daemon `status` is measured up to its "no dedupd answers", which imports the same modules but one decoding.
Goal: under 150 ms each.
"""

import argparse
import os
import statistics
import subprocess
import sys


def cpu_ms(arguments: list[str]) -> float:
    """User and system time of one child."""
    child = subprocess.Popen([sys.executable, "-m", "dedupd.cli.main", *arguments], stdout=-3, stderr=-3)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0  # waited for above
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket")
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    before = ["--socket", args.socket] if args.socket else []
    for arguments in (["--help"], [*before, "status"], [*before, "status", "--json"]):
        cpu_ms(arguments)  # the first one writes bytecode
        samples = [cpu_ms(arguments) for _ in range(args.runs)]
        print(f"{' '.join(arguments):<60} median {statistics.median(samples):5.0f} ms   worst {max(samples):5.0f} ms")


if __name__ == "__main__":
    main()
