"""Fit the descriptor's projection: `python benchmarks/descriptor/fit.py TRAIN_DIR [--out FILE] [--hold-out]`.

TRAIN_DIR holds tar shards of photos and SOURCES.csv, which says where each is from; only those from SOURCES are used.
Each photo gets a random orientation and random edits; a linear discriminant then keeps the directions in which photos
differ and copies of one photo do not. One core, a few minutes, a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from edits import edited_copy
from PIL import Image

from dedupd.embedding.coefficients import CHROMA_SIDE, LUMA_SIDE, box_coefficients
from dedupd.embedding.features import FEATURES, squash
from dedupd.embedding.trim import find_boxes

# Photos that their takers gave away (CC0). Wallpaper collections under a free licence are left out: a licence
# file does not prove the collector's right to other people's photos, and some sit in a folder named "nonfree".
SOURCES = frozenset({"alexeygrigorev/clothing-dataset", "thorsted/digicam_corpus"})

SEED = 7
COPIES = 16  # a photo
DIM = 128
RIDGE = 0.002  # share of the mean variance added to each, so that rare directions are not trusted
DAMPING = 0.75  # power of between/(between + within) that weighs a direction; 0.5 … 1 differ little
HOLD_OUT_EVERY = 5  # with --hold-out, every fifth photo is measured instead of fitted


def photos(train: Path) -> Iterator[np.ndarray]:
    """The pictures of the shards that are from SOURCES, in order: uint8 [height, width, 3]."""
    with (train / "SOURCES.csv").open(newline="") as file:
        usable = {(row["shard"], row["file"]) for row in csv.DictReader(file) if row["source"] in SOURCES}
    for shard in sorted(train.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if (shard.name, member.name) in usable and (file := tar.extractfile(member)) is not None:
                    yield np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))


def random_orientation(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the photos stay upright, the others get any of the eight orientations."""
    turn, mirror = (int(rng.integers(4)), bool(rng.integers(2))) if rng.random() < 0.5 else (0, False)
    turned = np.rot90(pixels, turn)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def whole_features(pixels: np.ndarray) -> np.ndarray:
    part = box_coefficients(pixels.astype(np.float32), find_boxes(pixels).whole)
    return squash(part.luma[None, :LUMA_SIDE, :LUMA_SIDE], part.chroma[None, :, :CHROMA_SIDE, :CHROMA_SIDE])[0]


def copies_features(train: Path, copies: int) -> np.ndarray:
    """float32 [photos, 1 + copies, 328]; the photo itself first."""
    rows = []
    for number, pixels in enumerate(photos(train)):
        rng = np.random.default_rng([SEED, number])
        original = random_orientation(pixels, rng)
        rows.append([whole_features(original), *(whole_features(edited_copy(original, rng)) for _ in range(copies))])
    return np.array(rows, dtype=np.float32)


def discriminant(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [328, DIM] and offset [DIM] of a linear discriminant of [photos, copies, 328]."""
    mean = samples.mean(axis=(0, 1), dtype=np.float64)
    centres = samples.mean(axis=1, dtype=np.float64)
    spread = (samples - centres[:, None]).reshape(-1, FEATURES)
    within = spread.T @ spread / len(spread)
    between = (centres - mean).T @ (centres - mean) / len(centres)
    within += RIDGE * np.trace(within) / FEATURES * np.eye(FEATURES)
    variance, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(variance)
    ratio, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    best = np.argsort(ratio)[::-1][:DIM]
    matrix = whiten @ directions[:, best] * (ratio[best] / (1 + ratio[best])) ** DAMPING
    # An eigenvector's sign is arbitrary; fixing it makes runs on other machines comparable.
    matrix *= np.sign(matrix[np.abs(matrix).argmax(axis=0), np.arange(DIM)])
    matrix[0] = 0.0  # the slot of the mean brightness is always empty
    return matrix, -mean @ matrix


def recall(samples: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """Share of copies whose photo is nearest, and among the nearest ten, of the photos given."""
    vectors = samples @ matrix + offset
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    similarity = vectors[:, 1:].reshape(-1, vectors.shape[-1]) @ vectors[:, 0].T
    owner = np.repeat(np.arange(len(samples)), samples.shape[1] - 1)
    own = similarity[np.arange(len(owner)), owner]
    nearer = (similarity > own[:, None]).sum(axis=1)
    return float(np.mean(nearer < 1)), float(np.mean(nearer < 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "dedupd/embedding/projection.npz")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--hold-out", action="store_true", help="measure on held-out photos and write nothing")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    started = time.process_time()
    samples = copies_features(arguments.train, arguments.copies)
    print(f"{samples.shape[0]} photos, {samples.shape[1]} samples each, {time.process_time() - started:.0f} CPU-s")
    if arguments.hold_out:
        is_held = np.arange(len(samples)) % HOLD_OUT_EVERY == 0
        matrix, offset = discriminant(samples[~is_held])
        for name, m, o in (("features", np.eye(FEATURES), np.zeros(FEATURES)), ("projected", matrix, offset)):
            first, ten = recall(samples[is_held], m, o)
            print(f"{name:10s} recall@1 {first:.3f} @10 {ten:.3f}")
        return
    matrix, offset = discriminant(samples)
    np.savez(arguments.out, matrix=matrix.astype(np.float16), offset=offset.astype(np.float16))
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
