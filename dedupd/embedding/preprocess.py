"""Small pictures as a model wants them: resized and cropped on the CPU as bytes, all of one shape.

Stops before numbers become fractions: bytes are a quarter of the way to a device, which multiplies and adds for itself
(`Preprocessing.scale` and `offset`). Reads no file and imports no torch. Stateless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
from PIL import Image

from dedupd.core.arrays import Pixels

Triple = tuple[float, float, float]  # one number each for red, green and blue


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactSize:
    """Every picture becomes this size, whatever its shape."""

    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortestSide:
    """The shorter side becomes this long, the shape stays; a crop must follow."""

    px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBudget:
    """NaFlex: the shape stays nearly, the size is such that the picture has this many patches at most."""

    patches: int
    patch_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a model's processor configuration comes to."""

    target: ExactSize | ShortestSide | PatchBudget
    resample: int  # Pillow's number of the filter
    crop: ExactSize | None  # the middle, after resizing; what is smaller gets black borders
    scale: Triple  # a byte times this …
    offset: Triple  # … plus this is what the model wants

    @property
    def input_px(self) -> int:
        """The longest side that the model looks at, about."""
        match self.target:
            case PatchBudget(patches=patches, patch_px=patch_px):
                return patch_px * math.isqrt(patches)
            case ExactSize(height=height, width=width):
                return max(height, width)
            case ShortestSide(px=px):
                return px


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pictures of one shape. With a patch budget they are cut into patches and padded, and the rest is set."""

    pixels: npt.NDArray[np.uint8]  # [n, height, width, 3] or [n, patches, patch_px * patch_px * 3]
    mask: npt.NDArray[np.int32] | None = None  # [n, patches], 1: a patch, 0: padding
    shapes: npt.NDArray[np.int64] | None = None  # [n, 2], rows and columns of patches

    def __len__(self) -> int:
        return len(self.pixels)


def prepare(pictures: Sequence[Pixels], how: Preprocessing, threads: Executor | None = None) -> Batch:
    """Resize, crop and stack pictures; with threads side by side, as Pillow lets go of the interpreter.

    Args:
        pictures: uint8 [height, width, 3] each, of any size, at least one.
        how: the model's preprocessing.
        threads: where to resize; None: here.
    """
    one = _resized_to_budget if isinstance(how.target, PatchBudget) else _resized_and_cropped
    resized = [*(threads.map if threads else map)(one, pictures, repeat(how))]
    if isinstance(how.target, PatchBudget):
        return _in_patches(resized, how.target)
    return Batch(pixels=np.stack(resized))


def size_within(height: int, width: int, budget: PatchBudget) -> tuple[int, int]:
    """Height and width that keep the shape and fill the budget: whole patches, at least one each way.

    As in transformers' `get_image_size_for_max_num_patches`, to the same steps: a patch more or less would be another
    embedding.
    """
    tolerance = 1e-5
    low, high = tolerance / 10, 100.0
    while high - low >= tolerance:
        middle = (low + high) / 2
        rows, columns = (_whole(middle * side, budget.patch_px) // budget.patch_px for side in (height, width))
        if rows * columns <= budget.patches:
            low = middle
        else:
            high = middle
    return _whole(low * height, budget.patch_px), _whole(low * width, budget.patch_px)


def _whole(side: float, patch_px: int) -> int:
    """A side rounded up to whole patches."""
    return max(patch_px, math.ceil(side / patch_px) * patch_px)


def _resized_to_budget(picture: Pixels, how: Preprocessing) -> Pixels:
    assert isinstance(how.target, PatchBudget)
    height, width = size_within(picture.shape[0], picture.shape[1], how.target)
    return _resized(picture, height, width, how.resample)


def _resized_and_cropped(picture: Pixels, how: Preprocessing) -> Pixels:
    match how.target:
        case ShortestSide(px=px):
            height, width = picture.shape[:2]
            long = int(px * max(height, width) / min(height, width))
            height, width = (px, long) if height < width else (long, px)
        case ExactSize(height=height, width=width):
            pass
        case _:
            raise AssertionError(how.target)
    resized = _resized(picture, height, width, how.resample)
    return resized if how.crop is None else _middle(resized, how.crop)


def _resized(picture: Pixels, height: int, width: int, resample: int) -> Pixels:
    image = Image.fromarray(picture).resize((width, height), resample=Image.Resampling(resample))
    return np.asarray(image)


def _middle(picture: Pixels, size: ExactSize) -> Pixels:
    """The middle of a picture; of an odd rest the larger half is cut, or left black, as transformers does it."""
    height, width = picture.shape[:2]
    above, left = max(0, size.height - height), max(0, size.width - width)
    if above or left:
        borders = ((-(-above // 2), above // 2), (-(-left // 2), left // 2), (0, 0))
        picture = np.pad(picture, borders)
        height, width = picture.shape[:2]
    top, start = (height - size.height) // 2, (width - size.width) // 2
    return picture[top : top + size.height, start : start + size.width]


def _in_patches(pictures: Sequence[Pixels], budget: PatchBudget) -> Batch:
    """Cut into patches, rows first, and padded with zeros to the whole budget: every batch has one shape."""
    side = budget.patch_px
    pixels = np.zeros((len(pictures), budget.patches, side * side * 3), dtype=np.uint8)
    mask = np.zeros((len(pictures), budget.patches), dtype=np.int32)
    shapes = np.empty((len(pictures), 2), dtype=np.int64)
    for place, picture in enumerate(pictures):
        rows, columns = picture.shape[0] // side, picture.shape[1] // side
        cut = picture.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
        pixels[place, : rows * columns] = cut.reshape(rows * columns, -1)
        mask[place, : rows * columns] = 1
        shapes[place] = rows, columns
    return Batch(pixels=pixels, mask=mask, shapes=shapes)
