"""Pictures a second that vision models embed, by model, device and kind of number.

    python -m benchmarks.embed [--make siglip2-base …] [--model FOLDER …] [--devices all] [--dtypes auto float32]
                               [--pictures 64] [--files 24] [--json FILE]

`decoded`: from pictures in memory, as decoding leaves them (384 px), through the daemon's own device workers. `from
files`: the same after the daemon's own decode workers, on JPEGs of 8 megapixels in the page cache; beside it decoding
alone and which of the two bounds it. Kinds of number take turns in every round, so their ratio is of one run. Models
are made with random weights of published shapes, or read from a folder. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.made_models import MAKERS, make_model
from benchmarks.pictures import CAMERA_PX, make_scenes
from dedupd.core.arrays import Pixels
from dedupd.core.errors import ConfigError
from dedupd.core.ports import DecodedImage, Descriptor, EmbedItem, Priority, ReadFile
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.devices import CPU, Device, choose_devices, find_gpus
from dedupd.embedding.model_folder import inspect_model
from dedupd.embedding.model_spec import ModelSpec
from dedupd.imaging.decode_pool import DecodePool

QUICK = ("--make", "efficientnet-b0", "--pictures", "32", "--files", "12", "--rounds", "2")
BATCH = 64  # pictures in one call of the embedder
CALLS_AHEAD = 32  # calls under way at once; on a GPU a portion is larger than a call
PROMISED_PER_S = 3000  # siglip2-base from decoded pictures, on one card of the H200 class


@dataclass(slots=True, kw_only=True)
class Runner:
    """One model with one kind of number on its devices, and what it took."""

    dtype: str  # as asked for
    pool: DevicePool
    rates: list[float] = field(default_factory=list)  # pictures a second, by round


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--make", nargs="*", default=[], choices=sorted(MAKERS), metavar="NAME",
                        help=f"models with random weights: {', '.join(MAKERS)} (default: siglip2-base)")  # fmt: skip
    parser.add_argument("--model", nargs="*", default=[], type=Path, metavar="FOLDER", help="models of yours")
    parser.add_argument("--devices", default="all", help="all, cpu, or how many GPUs")
    parser.add_argument("--dtypes", nargs="+", default=["auto", "float32"])
    parser.add_argument("--batch-size", type=int, default=0, help="pictures at once on a device; 0: found")
    parser.add_argument("--pictures", type=int, default=64, help="decoded ones a round; thousands on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=24, help="JPEGs; 0: only decoded pictures")
    parser.add_argument("--decode-workers", type=int, default=0, help="0: one a core")


def run(arguments: argparse.Namespace) -> Result:
    try:
        devices = chosen(arguments.devices)
    except ConfigError as error:
        return {"skipped": str(error)}
    reader = DecodePool(arguments.decode_workers or len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as temporary, closing(reader):
        home = Path(temporary)
        files = make_scenes(home / "photos", arguments.files or 8, CAMERA_PX)
        small = [image.small for image in decoded(reader, files)]
        models = {path.name: path for path in arguments.model}
        for name in arguments.make or ([] if models else ["siglip2-base"]):
            models[name] = home / name
            make_model(name, models[name])
        return {
            "devices": [{"name": device.name, "title": device.title} for device in devices],
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
            "pictures": arguments.pictures,
            "rounds": arguments.rounds,
            "files": arguments.files,
            "models": {
                name: measured(inspected(folder, home, arguments.dtypes), devices, arguments, small, files, reader)
                for name, folder in models.items()
            },
        }


def chosen(words: str) -> list[Device]:
    if words == "cpu":
        return [CPU]
    return choose_devices(find_gpus(), "all" if words == "all" else int(words))


def inspected(folder: Path, home: Path, dtypes: Sequence[str]) -> list[ModelSpec]:
    return [inspect_model(str(folder), home / "models", dtype=dtype) for dtype in dtypes]


def measured(
    specs: Sequence[ModelSpec],
    devices: Sequence[Device],
    arguments: argparse.Namespace,
    small: Sequence[Pixels],
    files: Sequence[Path],
    reader: DecodePool,
) -> Result:
    shown = [small[number % len(small)] for number in range(arguments.pictures)]
    size = arguments.batch_size
    runners = [Runner(dtype=spec.dtype, pool=DevicePool(spec, devices, batch_size=size)) for spec in specs]
    try:
        for number in range(arguments.rounds + 1):
            for runner in runners:
                rate = len(shown) / seconds_for(runner.pool, shown)
                runner.rates += [rate] if number else []  # the first loads the model and finds the batch size
        return {runner.dtype: figures(runner, files if arguments.files else [], reader) for runner in runners}
    finally:
        for runner in runners:
            runner.pool.close()


def figures(runner: Runner, files: Sequence[Path], reader: DecodePool) -> Result:
    result: Result = {
        "decoded_per_s": median(runner.rates),
        "decoded_per_s_by_round": [round(rate, 2) for rate in runner.rates],
        "workers": [
            {
                "device": speed.device,
                "dtype": speed.dtype,
                "attention": speed.attention,
                "batch_size": speed.batch_size,
                "peak_memory_mib": speed.peak_memory_bytes >> 20,
                "utilisation": speed.utilisation,
            }
            for speed in runner.pool.speed()
            if speed.dtype
        ],
    }
    return result | (from_files(runner, files, reader) if files else {})


def from_files(runner: Runner, files: Sequence[Path], reader: DecodePool) -> Result:
    """Pictures a second from files to vectors, and of decoding alone in the same minute."""
    began_s = time.perf_counter()
    decoding = len(list(decoded(reader, files))) / (time.perf_counter() - began_s)
    began_s = time.perf_counter()
    waiting = [runner.pool.embed([item(image.small) for image in group]) for group in grouped(decoded(reader, files))]
    embedded = sum(len(future.result()) for future in waiting)
    return {
        "from_files_per_s": round(embedded / (time.perf_counter() - began_s), 2),
        "decoding_alone_per_s": round(decoding, 2),
        "bounded_by": "decoding" if decoding < median(runner.rates) else "the model",
    }


def decoded(reader: DecodePool, files: Sequence[Path]) -> Iterator[DecodedImage]:
    """Files as the daemon reads them, in order."""
    reading = [reader.read(bytes(path), is_known=lambda _: False, priority=Priority.BACKLOG) for path in files]
    for future in reading:
        read = future.result()
        assert isinstance(read, ReadFile), read
        assert isinstance(read.image, DecodedImage), read
        yield read.image


def grouped(images: Iterator[DecodedImage]) -> Iterator[list[DecodedImage]]:
    while group := list(islice(images, BATCH)):
        yield group


def seconds_for(pool: DevicePool, shown: Sequence[Pixels]) -> float:
    began_s = time.perf_counter()
    under_way: deque[Future[list[Descriptor]]] = deque()
    embedded = 0
    for start in range(0, len(shown), BATCH):
        under_way.append(pool.embed([item(picture) for picture in shown[start : start + BATCH]]))
        if len(under_way) > CALLS_AHEAD:
            embedded += len(under_way.popleft().result())
    embedded += sum(len(future.result()) for future in under_way)
    assert embedded == len(shown)
    return time.perf_counter() - began_s


def item(picture: Pixels) -> EmbedItem:
    return EmbedItem(digest=bytes(32), path=None, small=picture)


def rows(result: Result) -> list[Row]:
    if "skipped" in result:
        return [Row(what="vision models", value="not measured: torch is not there")]
    is_fast_card = any("H200" in device["title"] for device in result["devices"])
    shown = []
    for name, by_dtype in result["models"].items():
        for asked, figure in by_dtype.items():
            ran = ", ".join(f"{worker['device']} {worker['dtype']}" for worker in figure["workers"])
            rate = figure["decoded_per_s"]
            promise = is_fast_card and name == "siglip2-base" and asked == "auto"
            shown.append(
                Row(
                    what=f"{name}, decoded ({ran})",
                    value=f"{rate:.1f} pictures/s",
                    promise=f"≥ {PROMISED_PER_S}" if promise else "",
                    is_kept=rate >= PROMISED_PER_S if promise else None,
                )
            )
            if "from_files_per_s" in figure:
                bound = f"bounded by {figure['bounded_by']}"
                shown.append(Row(what=f"  from files, {bound}", value=f"{figure['from_files_per_s']:.1f} pictures/s"))
    return shown


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
