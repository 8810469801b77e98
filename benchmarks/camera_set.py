"""Multiplies camera pictures: as many distinct ones as a benchmark needs, each as dear to decode as a camera's own.

    python -m benchmarks.camera_set --data DIR --files 500 --to FOLDER

Every picture has the size, the quantization tables, the chroma subsampling and the EXIF block of one picture of DIR,
its moments moved by some hours. It is laid together from sixteen crops, turned or mirrored, of that picture and of
others in DIR, at their own pixel scale and on the grid of their JPEG blocks: so their detail is still the camera's, and
no two pictures are copies of each other. Single crops would be: of 36 photographs no 500 of camera size can be cut that
do not overlap; in fewer pieces, many a pair would share so much that it is worth a long look. Deterministic: the same
DIR and number give the same pictures.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from benchmarks.pictures import age, save_aged

SUFFIXES = frozenset({".jpg", ".jpeg"})  # what draft() can scale
BLOCK_PX = 16  # of a JPEG with halved chroma
NEIGHBOURS = 9  # crops of one picture come from these many of DIR, in its order; they are held in memory
CUTS = (0.25, 0.5, 0.75)  # where the crops meet, of each side …
CUT_SPREAD = 0.06  # … and how far from there at most

_MOMENT = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_MOMENT_FORMAT = "%Y:%m:%d %H:%M:%S"
_SUBSAMPLING = {(1, 1): 0, (2, 1): 1, (2, 2): 2}  # Pillow's numbers, by the first component's sampling factors


def jpegs_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def camera_pictures(data: Path, folder: Path, count: int) -> list[Path]:
    """The first `count` JPEGs of `data`, in a folder of our own; made of them where it holds fewer."""
    sources = jpegs_in(data)
    if len(sources) < count:
        return make_camera_set(data, folder, count)
    return [put(path, folder / f"{number:05}{path.suffix}") for number, path in enumerate(sources[:count])]


def put(source: Path, target: Path) -> Path:
    """Have a file in another place too, old enough to have settled; by a hard link where that can be had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another filesystem
        shutil.copyfile(source, target)
    age(target)
    return target


def make_camera_set(data: Path, folder: Path, count: int) -> list[Path]:
    """Write `count` pictures into `folder`, about as many from each picture of `data`; returns their paths in order."""
    sources = jpegs_in(data)
    if len(sources) < NEIGHBOURS:
        sys.exit(f"{data} holds {len(sources)} JPEGs; this needs {NEIGHBOURS} or more to make others of.")
    made: list[Path] = []
    for number, source in enumerate(sources):
        pool = [sources[(number + step) % len(sources)] for step in range(NEIGHBOURS)]
        for version in range(-(-(count - number) // len(sources))):
            path = folder / f"{source.stem}-{version:03}.jpg"
            _make(source, pool, np.random.default_rng((number, version)), timedelta(hours=version + 1), path)
            made.append(path)
    _pixels.cache_clear()
    return sorted(made)


def _make(source: Path, pool: list[Path], rng: np.random.Generator, later: timedelta, path: Path) -> None:
    with Image.open(source) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        width, height = image.size
        sampling, tables = image.layer[0][1:3], dict(image.quantization)
        exif = _moved(image.info.get("exif", b""), later)
    canvas = np.empty((height, width, 3), np.uint8)
    columns, rows = (_edges(side, rng) for side in (width, height))
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            canvas[top:bottom, left:right] = _crop(pool, rng, bottom - top, right - left)
    save_aged(
        Image.fromarray(canvas), path, qtables=tables, subsampling=_SUBSAMPLING.get(tuple(sampling), 2), exif=exif
    )


def _edges(side_px: int, rng: np.random.Generator) -> list[int]:
    """Where crops begin and end along one side."""
    cuts = [_on_grid(side_px * (cut + rng.uniform(-CUT_SPREAD, CUT_SPREAD))) for cut in CUTS]
    return [0, *cuts, side_px]


def _crop(pool: list[Path], rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A piece of one of the pool's pictures that is large enough, turned by quarters and mirrored at random."""
    pieces = rng.permutation(len(pool))
    for number in pieces:
        pixels = np.rot90(_pixels(pool[number]), rng.integers(4))
        pixels = pixels[:, ::-1] if rng.integers(2) else pixels
        rows, columns = pixels.shape[0] - height, pixels.shape[1] - width
        if rows >= 0 and columns >= 0:
            top, left = (_on_grid(rng.uniform(0, room)) for room in (rows, columns))
            return pixels[top : top + height, left : left + width]
    largest = _pixels(pool[0])  # its own frame's picture is always large enough as it lies
    return largest[:height, :width]


@lru_cache(maxsize=NEIGHBOURS + 1)
def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _on_grid(px: float) -> int:
    return int(px) // BLOCK_PX * BLOCK_PX


def _moved(exif: bytes, later: timedelta) -> bytes:
    """An EXIF block with all its moments later; what is no moment stays."""

    def moved(found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.strptime(found[0].decode(), _MOMENT_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return found[0]
        return (moment + later).strftime(_MOMENT_FORMAT).encode()

    return _MOMENT.sub(moved, exif)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="camera JPEGs to make others of")
    parser.add_argument("--files", type=int, default=500, help="how many to make")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where they go")
    arguments = parser.parse_args()
    made = make_camera_set(arguments.data, arguments.to, arguments.files)
    print(f"{len(made)} pictures, {sum(path.stat().st_size for path in made) / len(made) / 1e6:.2f} MB each")


if __name__ == "__main__":
    main()
