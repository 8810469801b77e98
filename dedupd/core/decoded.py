"""What a decode worker makes of a picture. Apart from `ports`, so that a worker need not load what the daemon knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dedupd.core.records import Capture, Quality

if TYPE_CHECKING:
    from dedupd.core.arrays import Pixels

SMALL_SIDE_PX = 384  # long side of a small image


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """What one read of a picture gave. `small` is what descriptors and evidence look at."""

    format: str
    width_px: int
    height_px: int
    image_digest: bytes | None
    capture: Capture
    quality: Quality
    decoder: str
    small: Pixels  # long side ≤ SMALL_SIDE_PX, never enlarged
    preview: bytes  # `small` as JPEG, with a sketch of it, for evidence later and for people
    trailing_bytes: int = 0  # as `records.ContentRecord.trailing_bytes`
