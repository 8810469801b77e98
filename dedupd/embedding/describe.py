"""From a small picture to its descriptor: which views, which orientations, which vectors are stored and which asked.

Stored: the whole picture, without borders, without captions and bars (where those differ), and the middle of it.
Asked: the first three in eight orientations, and seventeen windows as they are, for copies that were cropped.
Keeps nothing between pictures; every picture is computed by itself, so a batch's size cannot change a vector.
"""

from __future__ import annotations

import hashlib

import numpy as np

from dedupd.core.arrays import Pixels, Vectors
from dedupd.core.ports import Descriptor
from dedupd.core.records import ModelTag
from dedupd.embedding import coefficients, features, trim
from dedupd.embedding.coefficients import CHROMA_SIDE, LUMA_SIDE, Coefficients, Floats, Window
from dedupd.embedding.projection import Projection

VERSION = 1  # raise it when code changes what comes out; constants and the matrix are in the tag by themselves

TRIM_STEP = 0.015  # of a side: boxes closer than this are one view
BODY_STEP = 0.02

# With these, originals are found by crops and crops by originals: benchmarks/candidates.py, docs/descriptor.md.
# Stored: so small that a crop to 70 % of each side still holds most of it, wherever it was cut.
STORED_WINDOW = Window(0.65, 0.175, 0.175)
_MIDDLE = 0.5
ASKED_WINDOWS = tuple(
    Window(side, down * (1.0 - side), right * (1.0 - side))
    for side, places in (
        (0.9, ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))),
        (0.82, ((_MIDDLE, _MIDDLE),)),
        (0.8, ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))),
        (0.8, ((0.0, _MIDDLE), (_MIDDLE, 0.0), (_MIDDLE, 1.0), (1.0, _MIDDLE))),
        (0.7, ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))),
    )
    for down, right in places
)
WINDOW_CONTRAST = 1.0  # grey levels: windows that show less (a piece of sky) are left out, they match everywhere

FLAT_NORM = 1.0  # length of the luma features below which brightness counts (photos: 4 … 10)
FLAT_WEIGHT = 1.0  # length of the brightness part of a flat picture, before the whole is made unit length


def model_tag(projection: Projection) -> ModelTag:
    """The name of what `describe` puts out: it changes with the matrix, the version and every constant here."""
    constants = [
        (module.__name__, name, value)
        for module in (trim, coefficients, features)
        for name, value in sorted(vars(module).items())
        if name.isupper() and isinstance(value, int | float | tuple) and not name.startswith("_")
    ]
    own = (TRIM_STEP, BODY_STEP, STORED_WINDOW, ASKED_WINDOWS, WINDOW_CONTRAST, FLAT_NORM, FLAT_WEIGHT)
    digest = hashlib.blake2b(repr((constants, own)).encode() + projection.fingerprint(), digest_size=4).hexdigest()
    return ModelTag(f"dct-lda-{projection.dim}-v{VERSION}-{digest}")


def describe(pixels: Pixels, projection: Projection) -> Descriptor:
    """Describe one picture.

    Args:
        pixels: uint8 [height, width, 3], RGB, upright, of any size from 1×1; 384 px a side is more than enough.
        projection: what turns features into vectors.

    Returns:
        1 … 4 stored vectors and 8 … 41 queries, the first stored one being the first query. Never a zero vector: a
        picture without any structure is described by its brightness and colour.

    Raises:
        ValueError: `pixels` is not of that shape and type, or empty.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        shape = list(pixels.shape)
        raise ValueError(f"cannot describe an array {pixels.dtype} {shape}; uint8 [height, width, 3] is needed")
    views, proper = _views(pixels)
    luma = np.stack([view.luma[:LUMA_SIDE, :LUMA_SIDE] for view in views])
    chroma = np.stack([view.chroma[:, :CHROMA_SIDE, :CHROMA_SIDE] for view in views])
    turned = features.all_orientations(features.squash(luma, chroma)).reshape(-1, features.FEATURES)
    of_views = _vectors(turned, np.tile(luma[:, 0, 0], features.ORIENTATIONS), projection)
    middle = _window_vectors(proper, (STORED_WINDOW,), projection)
    corners = _window_vectors(proper, ASKED_WINDOWS, projection)
    return Descriptor(
        stored=np.concatenate([of_views[: len(views)], middle]), queries=np.concatenate([of_views, corners])
    )


def _views(pixels: Pixels) -> tuple[list[Coefficients], Coefficients]:
    """Coefficients of the distinct views, the whole first, and of the picture without borders."""
    boxes = trim.find_boxes(pixels)
    exact = np.ascontiguousarray(pixels, dtype=np.float32)
    views = [coefficients.box_coefficients(exact, boxes.whole)]
    if is_trimmed := trim.differs(boxes.whole, boxes.trimmed, TRIM_STEP):
        views.append(coefficients.box_coefficients(exact, boxes.trimmed))
    proper = views[-1]
    others = (boxes.whole, boxes.trimmed) if is_trimmed else (boxes.whole,)
    if all(trim.differs(other, boxes.body, BODY_STEP) for other in others):
        views.append(coefficients.box_coefficients(exact, boxes.body))
    return views, proper


def _window_vectors(whole: Coefficients, windows: tuple[Window, ...], projection: Projection) -> Vectors:
    """Vectors of those windows that show something: float32 [0 … len(windows), dim]."""
    luma, chroma = coefficients.window_coefficients(whole, windows)
    is_shown = features.contrasts(luma) >= WINDOW_CONTRAST
    luma, chroma = luma[is_shown], chroma[is_shown]
    return _vectors(features.squash(luma, chroma), luma[:, 0, 0], projection)


def _vectors(rows: Floats, level: Floats, projection: Projection) -> Vectors:
    """Project features [n, 328] and make them unit length; where there is no structure, brightness takes its place.

    Brightness 0 … 255 is a half turn in the plane of the first two axes, so black and white are opposite.
    """
    structure = np.minimum(np.linalg.norm(rows[:, : LUMA_SIDE**2], axis=1) / FLAT_NORM, 1.0)[:, None]
    vectors: Vectors = coefficients.product(rows, projection.matrix) + structure * projection.offset
    angle = np.pi * level / 255.0
    vectors[:, :2] += FLAT_WEIGHT * (1.0 - structure) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
