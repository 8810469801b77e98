"""Runs the benchmarks, prints one table, writes benchmarks/out/DATE-COMMIT.json and draws plots beside it.

python -m benchmarks                                  all, small: a few minutes on two cores, no outside data
python -m benchmarks --list
python -m benchmarks latency accuracy --data DIR      chosen ones, on data of your own
python -m benchmarks accuracy --full --write-docs     the figures of docs/accuracy.md
python -m benchmarks growth peers --full --write-docs those of docs/benchmarks.md, which `figures` puts in
python -m benchmarks --full                           all at their own full sizes
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from typing import cast

from benchmarks.common import REPOSITORY, Benchmark, machine, make_parser, print_table, write_result
from benchmarks.drawings import drawings_of
from benchmarks.figures import write_figures

NAMES = (
    "startup",
    "latency",
    "accuracy",
    "throughput",
    "memory",
    "growth",
    "concurrency",
    "peers",
    "reconcile",
    "paging",
    "keepers",
    "embed",
    "soak",
    "idle",
    "start",
    "confinement",
    "scale",
)


def benchmark_named(name: str) -> Benchmark:
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--full", action="store_true", help="full sizes instead of small ones")
    parser.add_argument("--data", type=Path, metavar="DIR", help="for those that can use a folder of yours")
    parser.add_argument("--half", choices=("tune", "report"), help="only that half of the sources (accuracy)")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into the documentation")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result goes instead")
    arguments = parser.parse_args()
    if arguments.list:
        for name in NAMES:
            duty = benchmark_named(name).__doc__.partition("\n\n")[0]
            print(f"{name:<12} {' '.join(duty.split())}")
        return
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; --list names them")

    made_on = machine()
    results, tables = {}, {}
    for name in arguments.names or NAMES:
        benchmark = benchmark_named(name)
        options = make_parser(benchmark).parse_args([] if arguments.full else list(benchmark.QUICK))
        for option in ("data", "half", "write_docs"):
            if getattr(arguments, option) and option in options:
                setattr(options, option, getattr(arguments, option))
        print(f"{name} …", file=sys.stderr, flush=True)
        began_s = time.monotonic()
        results[name] = benchmark.run(options)
        results[name]["took_s"] = round(time.monotonic() - began_s, 1)
        tables[name] = benchmark.rows(results[name])
    print_table(tables)
    named = f"{made_on['at'][:10]}-{made_on['commit']}.json"
    path = arguments.json or REPOSITORY / "benchmarks" / "out" / named
    write_result(path, made_on, results)
    print(f"\n{path}")
    for name, result in results.items():
        for file, svg in drawings_of(name, result).items():
            drawn = path.with_name(f"{path.stem}-{file}.svg")
            drawn.write_text(svg)
            print(drawn)
    if arguments.write_docs:
        write_figures({**made_on, "load_average_after": os.getloadavg()}, results)


if __name__ == "__main__":
    main()
