"""The multiplied camera pictures are as their sources were written, and no two are alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.camera_set import NEIGHBOURS, make_camera_set

_MAKE, _MOMENT = 0x010F, 0x0132


def _write_sources(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(NEIGHBOURS):
        exif = Image.Exif()
        exif[_MAKE], exif[_MOMENT] = f"Camera {number}", "2020:05:17 23:30:00"
        size = (240, 160) if number % 2 else (160, 256)
        pixels = rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
        image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / f"{number}.jpg", quality=90 - number, subsampling=number % 3, exif=exif)


def test_made_pictures_keep_size_tables_and_exif_and_are_distinct(tmp_path: Path) -> None:
    _write_sources(tmp_path / "data")
    made = make_camera_set(tmp_path / "data", tmp_path / "made", 2 * NEIGHBOURS + 1)
    assert len(made) == 2 * NEIGHBOURS + 1
    assert len({path.read_bytes() for path in made}) == len(made)
    moments: set[str] = set()
    for path in made:
        with Image.open(path) as own, Image.open(tmp_path / "data" / f"{path.stem.partition('-')[0]}.jpg") as source:
            assert own.size == source.size
            assert own.quantization == source.quantization
            assert [c[1:3] for c in own.layer] == [c[1:3] for c in source.layer]
            assert own.getexif()[_MAKE] == source.getexif()[_MAKE]
            moments.add(own.getexif()[_MOMENT])
    assert moments == {"2020:05:18 00:30:00", "2020:05:18 01:30:00", "2020:05:18 02:30:00"}


def test_the_same_folder_gives_the_same_pictures(tmp_path: Path) -> None:
    _write_sources(tmp_path / "data")
    first, second = (make_camera_set(tmp_path / "data", tmp_path / name, 12) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
