"""Writes a generated set: the files, truth.csv, and series_ambiguous.csv with the pairs that nobody is judged on.

Every picture's randomness comes from the seed, its photograph and its purpose, so that a set of another size or half
holds the same pictures as far as it goes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from benchmarks.generated.bases import Pixels, Region, regions
from benchmarks.generated.camera import WINDOW, Pose, drawn_camera, exposed, scene_of
from benchmarks.generated.copies import Original, copies_of, encoded
from benchmarks.generated.documents import document_series
from benchmarks.generated.look_alikes import KINDS, Take
from benchmarks.generated.plain import low_information
from benchmarks.pictures import age
from benchmarks.truth import Half

COLUMNS = (
    "path",
    "role",
    "source_id",
    "transform",
    "params",
    "tier",
    "series_id",
    "series_kind",
    "w",
    "h",
    "bytes",
)
DEFAULT_SOURCES = 12
DOCUMENTS = 5  # series of documents for one scene
PLAIN = 2  # series of nearly empty pictures for one scene
EXIF_SHARE = 0.3  # of the originals; most pictures that were shared have lost it
POSES = 5  # on a side of the grid of poses of a scene
ROOM = 0.20  # of a region's sides, over which the poses' centres are spread
WHOLE = Pose(zoom=WINDOW * 1.02)  # nearly all of a region
CROSSING = ("panorama",)  # its frames may lie inside a frame of another series


@dataclass(slots=True)
class Table:
    """The set as it is written; rows in the order of writing."""

    folder: Path
    rows: list[dict[str, object]] = field(default_factory=list)

    def put(self, name: str, content: bytes, **facts: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        age(path)
        width, height = Image.open(io.BytesIO(content)).size
        blank = dict.fromkeys(COLUMNS, "")
        self.rows.append({**blank, "path": name, **facts, "w": width, "h": height, "bytes": len(content)})

    def put_series(self, region: str, purpose: str, kind: str, files: Sequence[tuple[bytes, str]]) -> None:
        for frame, (content, suffix) in enumerate(files):
            name = f"{kind}/{region.replace('#', '-')}-{purpose}-{frame}{suffix}"
            self.put(name, content, role="hardneg", series_id=f"{region}-{purpose}", series_kind=kind)

    def close(self) -> Path:
        path = self.folder / "truth.csv"
        write_rows(path, COLUMNS, self.rows)
        pairs = [dict(zip(("path_a", "path_b"), pair, strict=True)) for pair in ambiguous_pairs(self.rows)]
        write_rows(self.folder / "series_ambiguous.csv", ("path_a", "path_b"), pairs)
        return path


def write_set(
    folder: Path,
    *,
    photos: Sequence[Path] = (),
    sources: int = DEFAULT_SOURCES,
    seed: int = 0,
    half: Half | None = None,
    copies: int | None = None,
) -> Path:
    """Write pictures and tables below `folder`; returns the path of truth.csv.

    Args:
        folder: where to; made when it is not there.
        photos: folders with photographs of the caller's, beside those that are shipped.
        sources: how many regions have copies, and how many have look-alikes, at most.
        seed: another one draws other parameters.
        half: only photographs of that half.
        copies: how many a source has, None: one of every kind and more of some. With a few a source is as in a
            library, where nobody keeps fifty copies; the kinds then take turns.
    """
    table = Table(folder)
    for_copies, for_series = shared_out(regions(photos, half), sources)
    others = tuple(region.pixels for region in for_copies[:8])
    for number, region in enumerate(for_copies):
        put_copies(table, region, seed, first=number * (copies or 0), count=copies)
    for number, region in enumerate(for_series):
        put_look_alikes(table, region, others, seed, number)
    return table.close()


def shared_out(found: list[Region], sources: int) -> tuple[list[Region], list[Region]]:
    """Regions for copies and regions for look-alikes, in turn; of a photograph that has two, one for each."""
    ordered = sorted(found, key=lambda r: (r.number // 2, r.number % 2, order_of(r.photo)))
    copies: list[Region] = []
    series: list[Region] = []
    serves_copies: dict[str, bool] = {}
    for region in ordered:
        before = serves_copies.get(region.photo)
        is_for_copies = len(copies) <= len(series) if before is None else not before
        serves_copies[region.photo] = is_for_copies
        (copies if is_for_copies else series).append(region)
    return copies[:sources], series[:sources]


def order_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def random_of(seed: int, *names: str) -> Generator:
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def put_copies(table: Table, region: Region, seed: int, *, first: int, count: int | None) -> None:
    rng = random_of(seed, region.name, "copies")
    camera = drawn_camera(rng)
    light = scene_of(region.pixels, rng).seen(WHOLE, camera.size_px)
    options = {"exif": camera_notes(rng).tobytes()} if rng.random() < EXIF_SHARE else {}
    content = encoded(exposed(light, camera, rng), quality=camera.quality, subsampling=camera.subsampling, **options)
    original = Original(pixels=np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), content=content)
    stem = region.name.replace("#", "-")
    table.put(f"originals/{stem}.jpg", content, role="original", source_id=region.name)
    for number, copy in enumerate(copies_of(original, rng, first=first, count=count)):
        table.put(
            f"copies/{stem}-{number:02}-{copy.transform}{copy.suffix}",
            copy.content,
            role="copy",
            source_id=region.name,
            transform=copy.transform,
            params=copy.params,
            tier=copy.tier,
        )


def camera_notes(rng: Generator) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Simulated", f"Camera {rng.integers(1, 9)}"  # Make, Model
    moment = f"20{rng.integers(10, 25)}:{rng.integers(1, 13):02}:{rng.integers(1, 29):02} {rng.integers(24):02}:{rng.integers(60):02}:{rng.integers(60):02}"  # noqa: E501
    exif.get_ifd(0x8769)[0x9003] = moment  # DateTimeOriginal
    return exif


def put_look_alikes(table: Table, region: Region, others: tuple[Pixels, ...], seed: int, number: int) -> None:
    scene = scene_of(region.pixels, random_of(seed, region.name, "scene"))
    for place, (kind, make) in enumerate(KINDS.items()):
        rng = random_of(seed, region.name, kind)
        take = Take(scene=scene, camera=drawn_camera(rng), pose=pose_of(place, rng), rng=rng, others=others)
        table.put_series(region.name, kind, kind, [(content, ".jpg") for content in make(take)])
    for variant in range(DOCUMENTS):
        rng = random_of(seed, region.name, "document", str(variant))
        kind, files = document_series(rng, number * DOCUMENTS + variant)
        table.put_series(region.name, f"document{variant}", kind, files)
    for variant in range(PLAIN):
        rng = random_of(seed, region.name, "plain", str(variant))
        files = [(content, ".jpg") for content in low_information(rng, number * PLAIN + variant)]
        table.put_series(region.name, f"plain{variant}", "low_information", files)


def pose_of(place: int, rng: Generator) -> Pose:
    """A pose of its own for each series of a scene: no frame of one lies inside a frame of another."""
    step = ROOM / (POSES - 1)
    row, column = divmod(place, POSES)
    jitter = rng.uniform(-0.1, 0.1, 2) * step
    return Pose(
        x=0.5 - ROOM / 2 + column * step + float(jitter[0]),
        y=0.5 - ROOM / 2 + row % POSES * step + float(jitter[1]),
        turn_deg=float(rng.uniform(-0.8, 0.8)),
    )


def ambiguous_pairs(rows: list[dict[str, object]]) -> list[tuple[str, str]]:
    """Tripod frames without a change, and frames that may be a part of another series' frame of the same scene."""
    by_series: dict[str, list[str]] = {}
    by_scene: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        series, kind, path = str(row["series_id"]), str(row["series_kind"]), str(row["path"])
        if kind == "tripod_ambiguous":
            by_series.setdefault(series, []).append(path)
        if kind in KINDS:
            by_scene.setdefault(series.partition(f"-{kind}")[0], []).append((series, kind, path))
    pairs = [pair for paths in by_series.values() for pair in itertools.combinations(paths, 2)]
    for frames in by_scene.values():
        for (series_a, kind_a, path_a), (series_b, kind_b, path_b) in itertools.combinations(frames, 2):
            if series_a != series_b and (kind_a in CROSSING or kind_b in CROSSING):
                pairs.append((path_a, path_b))
    return pairs


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
