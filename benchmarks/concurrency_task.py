"""The task of `concurrency`, in a process of its own: decode each file to a small picture and describe it.

    python -P benchmarks/concurrency_task.py serial|threads|processes WORKERS LIST.txt

LIST.txt names a file a line. Says READY once everything is imported and the workers run, begins when it reads a line,
and prints the seconds that the task took and a digest of all descriptors, which must not depend on how it was shared.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dedupd.core.ports import SMALL_SIDE_PX
from dedupd.embedding.describe import describe
from dedupd.embedding.projection import load_projection

A_CHUNK = 4  # files that a process takes at a time
PROJECTION = load_projection()


def described(path: str) -> bytes:
    """The stored vectors of one picture, as bytes."""
    with Image.open(path) as image:
        image.draft("RGB", (SMALL_SIDE_PX, SMALL_SIDE_PX))
        image.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX))
        pixels = np.asarray(image.convert("RGB"))
    return describe(pixels, PROJECTION).stored.tobytes()


def main(way: str, workers: int, files: list[str]) -> None:
    cv2.setNumThreads(1)  # what is compared is how the task is shared, not what a library does by itself
    if way == "serial":
        measure(lambda: map(described, files))
        return
    pool: Executor = ThreadPoolExecutor(workers) if way == "threads" else ProcessPoolExecutor(workers)
    with pool:
        list(pool.map(time.sleep, [0.2] * workers))  # so that all of them run
        measure(lambda: pool.map(described, files, chunksize=A_CHUNK))


def measure(task: Callable[[], Iterator[bytes]]) -> None:
    print("READY", flush=True)
    sys.stdin.readline()
    began_s = time.perf_counter()
    digest = hashlib.sha256(b"".join(task())).hexdigest()
    print(time.perf_counter() - began_s, digest, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines())
