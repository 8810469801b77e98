"""PDQ + FAISS: 256 bits of a reduced decode and an exact binary index, the leanest that fits a page of code."""

from __future__ import annotations

import importlib.metadata
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

NAME = "PDQ + FAISS"
FINDS = "near-duplicates"
PIP = ("pdqhash==0.2.8", "faiss-cpu==1.15.1", "numpy==2.4.6", "pillow==13.0.0", "pillow_heif==1.8.1")
DEBIAN = ()
SETTINGS = {"31 bits": 31, "60 bits": 60, "80 bits": 80, "10 bits": 10}  # 31: what PDQ's makers take for a match
TIMES = 1.0
CALL = "our own driver: draft decode to 512 px, pdqhash.compute, IndexBinaryFlat.range_search"

SIDE_PX = 512
SUFFIXES = frozenset(".jpg .jpeg .png .webp .gif .bmp .tif .tiff .heic .heif .avif".split())  # noqa: SIM905
MIN_QUALITY = 50  # PDQ says of a flat picture that its hash means nothing


def version() -> str:
    return f"{importlib.metadata.version('pdqhash')} + {importlib.metadata.version('faiss-cpu')}"


def groups(folder: Path, setting: int, workers: int) -> list[list[str]]:
    import faiss  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    paths = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    with ProcessPoolExecutor(workers) as pool:
        hashed = [(path, bits) for path, bits in zip(paths, pool.map(hash_of, paths, chunksize=4), strict=True) if bits]
    codes = np.array([list(bits) for _, bits in hashed], np.uint8).reshape(-1, 32)
    index = faiss.IndexBinaryFlat(256)
    index.add(codes)
    limits, _, others = index.range_search(codes, setting + 1)  # nearer than
    return components(
        [path for path, _ in hashed],
        [(i, int(j)) for i in range(len(hashed)) for j in others[limits[i] : limits[i + 1]] if i < j],
    )


def hash_of(path: str) -> bytes:
    """32 bytes; none of what cannot be read or shows too little."""
    import numpy as np  # noqa: PLC0415
    import pdqhash  # noqa: PLC0415
    import pillow_heif  # noqa: PLC0415
    from PIL import Image, ImageOps  # noqa: PLC0415

    pillow_heif.register_heif_opener()
    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIDE_PX, SIDE_PX))
            image.thumbnail((SIDE_PX, SIDE_PX))
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError:
        return b""
    bits, quality = pdqhash.compute(pixels)
    return np.packbits(bits).tobytes() if quality >= MIN_QUALITY else b""


def components(names: list[str], pairs: list[tuple[int, int]]) -> list[list[str]]:
    """Connected by pairs, of two and more."""
    heads = list(range(len(names)))

    def head(i: int) -> int:
        while heads[i] != i:
            heads[i] = heads[heads[i]]
            i = heads[i]
        return i

    for i, j in pairs:
        heads[head(i)] = head(j)
    members = defaultdict(list)
    for i, name in enumerate(names):
        members[head(i)].append(name)
    return [group for group in members.values() if len(group) > 1]
