"""Gets a picture out of a camera's RAW file: the preview the camera embedded, or else a half-size development.

Wraps rawpy, which is untyped; nothing of it leaves this module. Does not scale, convert or read EXIF.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import rawpy
from PIL import Image, JpegImagePlugin

from dedupd.core.decoded import SMALL_SIDE_PX
from dedupd.core.records import ProblemCode
from dedupd.imaging.limits import UnreadableImageError

_EXIF_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's `flip` in EXIF's numbers
_PREVIEW_ASPECT_TOLERANCE = 0.1  # previews are cut to the camera's aspect, the sensor has a rim


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPicture:
    """What a RAW file shows."""

    image: Image.Image
    orientation: int  # 1, 3, 6 or 8, still to be applied to `image`
    width_px: int  # of the sensor's picture, before orientation
    height_px: int
    decoder: str


def open_raw(data: bytes, check_size: Callable[[tuple[int, int]], None]) -> RawPicture:
    """Open a RAW file; `check_size` is asked before anything is unpacked.

    Raises:
        UnreadableImageError: LibRaw does not know the camera, or the file is broken.
    """
    with _opened(data) as raw:
        sizes = raw.sizes
        check_size((sizes.width, sizes.height))
        orientation = _EXIF_ORIENTATION.get(sizes.flip, 1)
        preview = _preview(raw)
        if preview is not None:
            check_size(preview.size)
            if not _lies_as_stored(preview.size, (sizes.width, sizes.height)):
                orientation = 1  # the camera has turned its preview already
            image, decoder = preview, "rawpy-0/preview"
        else:
            rgb = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8, user_flip=0)
            image, decoder = Image.fromarray(rgb), "rawpy-0/half"
        return RawPicture(
            image=image, orientation=orientation, width_px=sizes.width, height_px=sizes.height, decoder=decoder
        )


def sensor_values(data: bytes) -> tuple[npt.NDArray[np.uint16], tuple[int, ...]]:
    """The sensor's values [height, width(, colours)] and what else decides their look: flip, pattern, levels.

    Raises:
        UnreadableImageError: as `open_raw`.
    """
    with _opened(data) as raw:
        values = np.array(raw.raw_image_visible, dtype=np.uint16)
        pattern = [] if raw.raw_pattern is None else raw.raw_pattern.ravel().tolist()
        look = [raw.sizes.flip, raw.white_level, *raw.black_level_per_channel, *pattern]
        balance = np.asarray(raw.camera_whitebalance, dtype=np.float32).view(np.uint32).tolist()
        return values, tuple(int(value) for value in [*look, *balance])


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    raw = rawpy.RawPy()
    try:
        raw.open_buffer(io.BytesIO(data))
        yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnreadableImageError(
            ProblemCode.UNSUPPORTED, "a RAW file of a camera that LibRaw does not know"
        ) from error
    except (rawpy.LibRawIOError, rawpy.LibRawDataError) as error:
        raise UnreadableImageError(ProblemCode.TRUNCATED, "the RAW data end too early or are broken") from error
    except rawpy.LibRawError as error:
        raise UnreadableImageError(ProblemCode.DAMAGED, f"LibRaw refused it: {type(error).__name__}") from error
    finally:
        raw.close()


def _preview(raw: Any) -> Image.Image | None:
    """The embedded preview, if it is large enough to be looked at instead of the sensor's data."""
    try:
        found = raw.extract_thumb()
        if found.format == rawpy.ThumbFormat.JPEG:
            image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(found.data))
        elif found.format == rawpy.ThumbFormat.BITMAP:
            image = Image.fromarray(found.data)
        else:
            return None
    except (rawpy.LibRawError, OSError, SyntaxError, ValueError, TypeError):
        return None
    return image if max(image.size) >= SMALL_SIDE_PX else None


def _lies_as_stored(preview: tuple[int, int], sensor: tuple[int, int]) -> bool:
    stored, seen = sensor[0] / sensor[1], preview[0] / preview[1]
    turned = 1 / stored
    return abs(seen - stored) <= abs(seen - turned) + _PREVIEW_ASPECT_TOLERANCE * stored
