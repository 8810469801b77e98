"""Fuzzes with atheris: `python -m fuzz [--seconds N] [TARGET …]`. Ends with 1 if anything was found.

Each target runs in a process of its own; what it learns is kept under `build/fuzz/`, and so is what it finds. Put a
found input into `corpus/TARGET/` together with its fix.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

BUILD = Path("build/fuzz")
_INPUT_S = 10  # one input that takes longer is a finding
_MEMORY_MB = 2048
PICTURES = "pictures"  # by its own mutator, through a decode worker's process


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    arguments, rest = parser.parse_known_args()
    if arguments.inside:
        run_one(arguments.inside, rest)
        return 0
    from fuzz.targets import TARGETS

    found = []
    for name in arguments.targets or [*TARGETS, PICTURES]:
        if name == PICTURES:
            found += [PICTURES] * bool(fuzz_pictures(arguments.seconds))
            continue
        learned = BUILD / name
        learned.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate([*TARGETS[name].seeds, *TARGETS[name].found(name)]):
            (learned / f"seed{number}").write_bytes(seed)
        options = [
            f"-max_total_time={arguments.seconds}",
            f"-timeout={_INPUT_S}",
            f"-rss_limit_mb={_MEMORY_MB}",
            "-max_len=4096",
            "-print_final_stats=1",
            "-verbosity=1",
            f"-artifact_prefix={BUILD}/{name}-",
            str(learned),
        ]
        print(f"{name}: {arguments.seconds} s", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "fuzz", "--inside", name, *options], capture_output=True, text=True, check=False
        )
        tail = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line or " DONE " in line]
        print("  " + "  ".join(" ".join(line.split()) for line in tail), flush=True)
        if done.returncode:
            found.append(name)
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", flush=True)
    if found:
        print(f"FOUND: {', '.join(found)}; the inputs are {BUILD}/TARGET-*", flush=True)
    return 1 if found else 0


def fuzz_pictures(seconds: int) -> int:
    """How many pictures a decode worker did not answer as it should."""
    from fuzz.pictures import fuzz

    BUILD.mkdir(parents=True, exist_ok=True)
    print(f"{PICTURES}: {seconds} s", flush=True)
    return fuzz(seconds, BUILD / f"{PICTURES}-", lambda line: print(f"  {line}", flush=True))


def run_one(name: str, options: list[str]) -> None:
    """Fuzz in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["dedupd", "tomllib", "re"]):
        from fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *options], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    sys.exit(main())
