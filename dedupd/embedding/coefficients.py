"""Low-frequency cosine coefficients of a part of a picture, and what turning and mirroring does to them.

Instead of resizing and transforming, the pixels are integrated against the cosines themselves (a picture is constant
within each pixel), which is the DCT of an area-resized picture without the resize: any size, any aspect ratio and one
pixel are fine, and turning the picture turns the coefficients exactly. Does not normalise lengths. Stateless.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dedupd.embedding.trim import PixelBox

Floats = npt.NDArray[np.float32]

LUMA_SIDE = 16  # frequencies compared a side: those that a 64 px thumbnail still carries well (notes on matching)
CHROMA_SIDE = 6
FINE_LUMA_SIDE = 32  # frequencies kept a side, so that windows down to 0.7 of the picture can be derived from them
FINE_CHROMA_SIDE = 12

_ONE_THREAD_PRODUCTS = 250_000  # OpenBLAS goes parallel from 262,144 multiplications a product (interface/gemm.c)

# ITU-R BT.601 as JPEG uses it: rows Y, Cb, Cr of R, G, B.
_YCC_OF_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """The lowest frequencies of a picture, vertical ones along the rows, in grey levels."""

    luma: Floats  # float32 [32, 32]
    chroma: Floats  # float32 [2, 12, 12], Cb and Cr


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture with the picture's aspect ratio, in fractions of its sides."""

    side: float  # 0 … 1
    top: float  # 0 … 1 - side
    left: float


@lru_cache(maxsize=512)
def cosine_integrals(size_px: int, frequencies: int) -> Floats:
    """Integrals of √2·cos(πux) (of 1 for u = 0) over each of `size_px` equal parts of [0, 1].

    Returns:
        float32 [frequencies, size_px], read-only.
    """
    edges = np.arange(size_px + 1, dtype=np.float64) / size_px
    u = np.arange(1, frequencies, dtype=np.float64)[:, None]
    table = np.empty((frequencies, size_px), dtype=np.float64)
    table[0] = 1.0 / size_px
    table[1:] = np.sqrt(2.0) * np.diff(np.sin(np.pi * u * edges), axis=1) / (np.pi * u)
    return _frozen(table)


def box_coefficients(pixels: Floats, box: PixelBox) -> Coefficients:
    """Coefficients of one box of a picture.

    Args:
        pixels: float32 [height, width, 3], the picture's RGB, 0 … 255, contiguous.
        box: which part.
    """
    part = pixels[box.top : box.bottom]
    vertical = product(cosine_integrals(box.height, FINE_LUMA_SIDE), part.reshape(box.height, -1))
    ycc = vertical.reshape(FINE_LUMA_SIDE, -1, 3)[:, box.left : box.right] @ _YCC_OF_RGB.T
    horizontal = cosine_integrals(box.width, FINE_LUMA_SIDE).T
    blue_red = ycc[:FINE_CHROMA_SIDE, :, 1:].transpose(2, 0, 1)
    chroma: Floats = np.matmul(blue_red, horizontal[:, :FINE_CHROMA_SIDE], dtype=np.float32)
    return Coefficients(luma=product(ycc[:, :, 0], horizontal), chroma=chroma)


def product(left: Floats, right: Floats) -> Floats:
    """Matrix product [m, k] · [k, n], m ≥ 0, in pieces too small for the BLAS to wake its other threads.

    Its threads would spin on cores that decoding needs (measured: seven times the CPU time on a busy machine) and gain
    nothing at these sizes.
    """
    columns = max(1, _ONE_THREAD_PRODUCTS // max(1, left.size))
    if columns >= right.shape[1]:
        return left @ right
    pieces = right.shape[1] // columns
    cut = pieces * columns
    stacked = left @ right[:, :cut].reshape(len(right), pieces, columns).transpose(1, 0, 2)
    return np.concatenate([stacked.transpose(1, 0, 2).reshape(len(left), cut), left @ right[:, cut:]], axis=1)


def window_coefficients(whole: Coefficients, windows: tuple[Window, ...]) -> tuple[Floats, Floats]:
    """Luma [n, 16, 16] and chroma [n, 2, 6, 6] of windows, derived without looking at the pixels again."""
    rows, columns = _window_tables(windows, LUMA_SIDE, FINE_LUMA_SIDE)
    luma: Floats = np.matmul(np.matmul(rows, whole.luma), columns, dtype=np.float32)
    rows, columns = _window_tables(windows, CHROMA_SIDE, FINE_CHROMA_SIDE)
    chroma: Floats = np.matmul(np.matmul(rows[:, None], whole.chroma), columns[:, None], dtype=np.float32)
    return luma, chroma


@lru_cache(maxsize=8)
def _window_tables(windows: tuple[Window, ...], frequencies: int, fine: int) -> tuple[Floats, Floats]:
    """What stands left and right of a picture's coefficients to give each window's: [n, k, fine] and [n, fine, k]."""
    rows = np.stack([_window_table(window.side, window.top, frequencies, fine) for window in windows])
    columns = np.stack([_window_table(window.side, window.left, frequencies, fine).T for window in windows])
    return _frozen(rows), _frozen(columns)


def _window_table(side: float, start: float, frequencies: int, fine: int) -> npt.NDArray[np.float64]:
    """What turns `fine` coefficients of [0, 1] into `frequencies` of [start, start + side] along one axis."""
    points = 1024  # midpoint rule; exact to 1e-5 at 32 frequencies
    x = (np.arange(points) + 0.5) / points
    return _cosines(x, frequencies) @ _cosines(start + side * x, fine).T / points


def _cosines(x: npt.NDArray[np.float64], frequencies: int) -> npt.NDArray[np.float64]:
    u = np.arange(frequencies, dtype=np.float64)[:, None]
    values: npt.NDArray[np.float64] = np.where(u == 0, 1.0, np.sqrt(2.0)) * np.cos(np.pi * u * x)
    return values


def _frozen(table: npt.NDArray[np.float64]) -> Floats:
    small = table.astype(np.float32)
    small.flags.writeable = False
    return small
