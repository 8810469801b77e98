"""Photographs that ship with scikit-image and scikit-learn, and what the tests of the evidence make of them."""

from __future__ import annotations

import io
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image, ImageDraw, ImageFont

from dedupd.core.arrays import Pixels
from dedupd.core.records import ContentId, ContentRecord, ContentStage, Evidence
from dedupd.core.relation import Verdict, decide
from dedupd.imaging.common_frame import CommonFrame
from dedupd.imaging.decode import decode, decode_preview
from dedupd.imaging.evidence import aligned, compare_images, prepare
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.prepared_side import PreparedSide
from dedupd.imaging.residual import Residual, measure
from dedupd.imaging.sketch import Sketch, pack, sketch_of, unpack

SMALL_PX = 384
PHOTOS = ("astronaut", "chelsea", "coffee", "china", "flower")


@cache
def photo(name: str) -> Image.Image:
    """A photograph of 400 … 640 px. Do not draw on it: copy it first."""
    if name in ("china", "flower"):
        return Image.fromarray(sklearn.datasets.load_sample_image(f"{name}.jpg"))
    return Image.fromarray(getattr(skimage.data, name)())


def small_pixels(picture: Image.Image) -> Pixels:
    """What is made of a decoded picture, uint8 [h, w, 3]."""
    picture = picture.convert("RGB")
    picture.thumbnail((SMALL_PX, SMALL_PX))
    return np.asarray(picture)


def sketched(picture: Image.Image) -> Sketch:
    """Its sketch as it is after being stored."""
    pixels = small_pixels(picture)
    sketch = unpack(pack(sketch_of(prepare(pixels, pixels.shape[1], pixels.shape[0]))))
    assert sketch is not None
    return sketch


def saved(image: Image.Image, quality: int = 85, form: str = "JPEG") -> Image.Image:
    """Compressed and read again."""
    coded = io.BytesIO()
    image.save(coded, form, quality=quality)
    return Image.open(io.BytesIO(coded.getvalue())).convert("RGB")


def side(image: Image.Image) -> PreparedSide:
    """As the daemon compares it: a small preview, compressed."""
    small = image.copy()
    small.thumbnail((SMALL_PX, SMALL_PX), Image.Resampling.LANCZOS)
    return prepare(np.asarray(saved(small, 88)), *image.size)


def frame_of(first: Image.Image, second: Image.Image) -> CommonFrame:
    """Both on each other; the pair must align."""
    frame = aligned(side(first), side(second))
    assert frame is not None
    return frame


def residual_of(first: Image.Image, second: Image.Image) -> Residual:
    return measure(frame_of(first, second))


class Known(NamedTuple):
    """A picture as the daemon knows it."""

    content: ContentRecord
    side: PreparedSide


def known(image: Image.Image, quality: int = 92, form: str = "JPEG") -> Known:
    """Saved, read and described: what the store holds of it, and its preview made ready."""
    coded = io.BytesIO()
    image.save(coded, form, quality=quality)
    decoded = decode(coded.getvalue(), DecodeLimits())
    digest = blake2b(coded.getvalue(), digest_size=32).digest()
    content = ContentRecord(
        id=ContentId(1 + int.from_bytes(digest[:4], "big")),
        digest=digest,
        size_bytes=len(coded.getvalue()),
        format=decoded.format,
        width_px=decoded.width_px,
        height_px=decoded.height_px,
        image_digest=decoded.image_digest,
        pixel_digest=None,
        quality=decoded.quality,
        capture=decoded.capture,
        decoder=decoded.decoder,
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
    )
    return Known(content, prepare(decode_preview(decoded.preview), decoded.width_px, decoded.height_px))


def judged(a: Known, b: Known) -> tuple[Evidence, Verdict]:
    """What the small images say, and the decision."""
    evidence = compare_images(a.side, b.side)
    return evidence, decide(a.content, b.content, evidence)


def with_noise(image: Image.Image, levels: float, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, levels, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def written(
    image: Image.Image,
    text: str,
    at: tuple[float, float],
    *,
    height: float = 0.07,
    colour: tuple[int, int, int] = (255, 255, 255),
    opacity: float = 1.0,
    outline: float = 0.0,
    turned: bool = False,
) -> Image.Image:
    """The picture with a line of text laid over it.

    Args:
        image: what it is laid over.
        text: one line.
        at: left and top of the line, as shares of the picture's sides.
        height: of the letters, as a share of the picture's short side.
        colour: of the letters; an outline is black.
        opacity: 0 … 1.
        outline: its width as a share of the letters' height.
        turned: whether the line runs upwards.
    """
    size = height * min(image.size)
    font, stroke = ImageFont.load_default(size), round(outline * size)
    ink, black = Image.new("L", image.size), Image.new("L", image.size)
    place = (round(at[0] * image.width), round(at[1] * image.height))
    if turned:
        ink, black = (Image.new("L", image.size[::-1]) for _ in range(2))
        place = (round((1 - at[1]) * image.height), round(at[0] * image.width))
    ImageDraw.Draw(black).text(place, text, fill=255, font=font, stroke_width=stroke)
    ImageDraw.Draw(ink).text(place, text, fill=255, font=font)
    if turned:
        ink, black = (mask.transpose(Image.Transpose.ROTATE_90) for mask in (ink, black))
    made = image.copy()
    if stroke:
        made.paste((0, 0, 0), mask=black.point(lambda v: int(v * opacity)))
    made.paste(colour, mask=ink.point(lambda v: int(v * opacity)))
    return made
