"""`python -m benchmarks.generated OUT`: write a labelled set of our own making."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import pillow_heif

from benchmarks.generated.write import DEFAULT_SOURCES, write_set


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the pictures and truth.csv")
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR", help="more photographs")
    parser.add_argument("--sources", type=int, default=DEFAULT_SOURCES, help="regions of photographs, for each use")
    parser.add_argument("--copies", type=int, metavar="N", help="of each source (default: one of every kind, or more)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", choices=("tune", "report"), help="only photographs of that half (default: both)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    pillow_heif.register_heif_opener()
    table = write_set(
        arguments.out,
        photos=arguments.photos,
        sources=arguments.sources,
        seed=arguments.seed,
        half=arguments.half,
        copies=arguments.copies,
    )
    lines = sum(1 for _ in table.open()) - 1
    print(f"{table}: {lines} pictures, {time.process_time():.0f} CPU s")


if __name__ == "__main__":
    main()
