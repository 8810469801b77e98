"""What is shown of a pair beside its evidence: the usual figures, and what stands on the picture for people.

Values only; workers make them, the API and reports tell them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.records import Evidence

_WHITE = 255.0  # levels; the peak that PSNR relates to


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures that the literature compares pictures by; the decision is not made from them.

    Taken from the lumas of the aligned small images, in the pixels of the coarser one, where both show something.
    """

    width_px: int  # of what both show
    height_px: int
    mse: float  # 0 … 65025, mean squared difference of luma
    ssim: float  # -1 … 1, mean structural similarity (Wang et al. 2004; Gaussian window of 11 px, sigma 1.5)
    toned_mse: float  # the same after a global tone curve brought one's brightness and colours to the other's
    toned_ssim: float
    keypoints_a: int  # SIFT keypoints found in A's small image
    keypoints_b: int
    matches: int  # keypoints that are each other's nearest
    agreeing: int  # of these, how many lie where the alignment says

    @property
    def psnr_db(self) -> float | None:
        """Peak signal to noise ratio; None where nothing differs (it is infinite)."""
        return _psnr_db(self.mse)

    @property
    def toned_psnr_db(self) -> float | None:
        """The same after tone mapping."""
        return _psnr_db(self.toned_mse)


class SheetFormat(StrEnum):
    """What a sheet can be written as."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetWords:
    """What stands on the picture for people; the worker that draws it is told no more of the files."""

    form: SheetFormat
    title: str
    lines: tuple[str, ...]  # each is wrapped
    name_a: str  # a file's name, or what stands for it
    name_b: str
    about_a: str  # one line: size, format, bytes
    about_b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Illustrated:
    """What a worker found and drew."""

    evidence: Evidence  # seen from the side that was asked as A
    figures: Figures | None  # None: no alignment was found, nothing can be measured
    sheet: bytes | None  # the picture; None when none was asked for


def _psnr_db(mse: float) -> float | None:
    return 10 * math.log10(_WHITE**2 / mse) if mse > 0 else None
