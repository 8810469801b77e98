"""Digests that say "the same": of all bytes, of a JPEG's image data, of all pixels.

Equal image digests and equal pixel digests both promise equal pixels, upright, under the same colour meaning; unequal
ones promise nothing. A profile that only says sRGB counts as none, any other is part of the digest: without it the
picture looks different. Does not read files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import blake3
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from dedupd.core.records import ProblemCode
from dedupd.imaging import raw
from dedupd.imaging.eighth import scan_end
from dedupd.imaging.exif import ORIENTATION
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError
from dedupd.imaging.picture import DECODER_ERRORS, Picture, explain, open_picture, upright
from dedupd.imaging.rgb import to_resizable

# In entropy-coded data FF is followed by 00 (a literal FF), D0–D7 (a restart) or FF (padding); all else ends the scan.
_GOES_ON = frozenset({0x00, *range(0xD0, 0xD8), 0xFF})
_ENDS_SCAN = np.array([byte not in _GOES_ON for byte in range(256)])
_SCAN_STEP_BYTES = 256 * 1024  # stays in the cache; 0.5 ms for 2.3 MB, a regular expression takes twice that, C a fifth
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP14, _APP15 = 0xE0, 0xEE, 0xEF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; not tables, not reserved
_NO_SEGMENT = frozenset({0x00, 0x01, *range(0xD0, 0xD9), 0xFF})  # padding, garbage and markers without a length

_NO_PADDING = re.compile(rb"[^\0\xff\r\n]")

_IMAGE_VERSION = b"dedupd jpeg image data 1"
_PIXEL_VERSION = b"dedupd pixels 1"


def content_digest(data: bytes) -> bytes:
    """BLAKE3-256 of the bytes: what names a content."""
    return blake3.blake3(data).digest()


class ImageData(NamedTuple):
    """What of a JPEG file decides its pixels."""

    digest: bytes  # BLAKE3-256
    size_bytes: int
    trailing_bytes: int  # that follow the end of the image in its file, padding left out


def image_data(data: bytes, *, orientation: int, icc_profile: bytes | None) -> ImageData | None:
    """Digest and size of what decides a JPEG's pixels: frame headers, tables and entropy-coded data.

    Application segments and comments are left out; how they bear on the pixels (orientation, the colour space that
    libjpeg derives from the JFIF and Adobe markers, the colour profile) goes in. Stops at the first end-of-image
    marker: what follows (a second picture, a video, a maker's trailer) is no part of this picture.

    Returns:
        None where the markers do not lead to an end of image.
    """
    hasher = blake3.blake3(_IMAGE_VERSION)
    view = memoryview(data)
    has_jfif, adobe_transform, components = False, -1, b""
    marker, end, size = _SOI, 0, 0
    for marker, start, end in _segments(data):
        if marker == _APP0:
            has_jfif = has_jfif or data.startswith(b"JFIF\0", start + 4)
        elif marker == _APP14 and data.startswith(b"Adobe", start + 4) and end - start >= 16:
            adobe_transform = data[start + 15]
        elif marker in _FRAMES:
            components = data[start + 10 : end : 3]
        if not (_APP0 <= marker <= _APP15 or marker == _COM):
            hasher.update(view[start:end])
            size += end - start
    if marker != _EOI:
        return None
    colours = _colour_space(components, has_jfif=has_jfif, adobe_transform=adobe_transform)
    hasher.update(b"\0%d %s " % (orientation, colours))
    hasher.update(_profile_key(icc_profile))
    return ImageData(hasher.digest(), size, _belonging(data, end))


def _belonging(data: bytes, end: int) -> int:
    """How many bytes follow the end of the image; 0 where they are padding (zeros, FF, line ends) and nothing else."""
    return len(data) - end if _NO_PADDING.search(data, end) else 0


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment, the entropy-coded data with the start of scan that it belongs to.

    The end-of-image marker comes last; where the data break off before it, it does not come.
    """
    at = data.find(b"\xff", 2)
    while 0 <= at < len(data) - 1:
        marker = data[at + 1]
        if marker == _EOI:
            yield marker, at, at + 2
            return
        if marker in _NO_SEGMENT:
            at = data.find(b"\xff", at + 1)
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            return
        if marker == _SOS:
            end = _scan_end(data, end)
            if end < 0:
                return
        yield marker, at, end
        at = data.find(b"\xff", end)


def _scan_end(data: bytes, at: int) -> int:
    compiled = scan_end(data, at)
    return compiled if compiled is not None else scan_end_in_steps(data, at)


def scan_end_in_steps(data: bytes, at: int) -> int:
    """What `eighth.scan_end` finds, without it."""
    everything = np.frombuffer(data, np.uint8)
    while at < len(data) - 1:
        step = everything[at : at + _SCAN_STEP_BYTES + 1]
        escapes = np.flatnonzero(step[:-1] == 0xFF)
        ends = _ENDS_SCAN[step[escapes + 1]]
        if ends.any():
            return at + int(escapes[ends.argmax()])
        at += _SCAN_STEP_BYTES
    return -1


def _colour_space(components: bytes, *, has_jfif: bool, adobe_transform: int) -> bytes:
    """What libjpeg takes the components for (`default_decompress_parms` in jdapimin.c)."""
    match len(components):
        case 3 if has_jfif:
            return b"YCbCr"
        case 3 if adobe_transform >= 0:
            return b"RGB" if adobe_transform == 0 else b"YCbCr"
        case 3:
            return b"RGB" if components == b"RGB" else b"YCbCr"
        case 4:
            return b"YCCK" if adobe_transform == 2 else b"CMYK"
        case _:
            return b"grey"


def _profile_key(icc_profile: bytes | None) -> bytes:
    return content_digest(icc_profile) if icc_profile and has_own_colours(icc_profile) else b""


def has_own_colours(icc_profile: bytes | None) -> bool:
    """Whether a profile is there that says anything but sRGB: without it the picture looks different."""
    return False if not icc_profile else not _is_srgb(icc_profile)


def _is_srgb(profile: bytes) -> bool:
    """Whether the profile's description (`desc` tag, ICC.1:2022 §9.2.41) names sRGB."""
    for entry in range(132, min(132 + 12 * int.from_bytes(profile[128:132], "big"), 132 + 12 * 64), 12):
        if profile[entry : entry + 4] == b"desc":
            at, size = (int.from_bytes(profile[entry + n : entry + n + 4], "big") for n in (4, 8))
            text = profile[at : at + min(size, 512)].replace(b"\0", b"")  # ASCII, or UTF-16 whose high bytes are 0
            return b"sRGB" in text
    return False


def pixel_digest(data: bytes, limits: DecodeLimits) -> bytes:
    """BLAKE3-256 of all decoded pixels, upright, in their own depth and bands, with their size.

    Every frame of an animation or page of a TIFF counts, with its duration. A palette counts as the colours it stands
    for. A RAW file counts with its sensor's values and with what decides how they look.

    Raises:
        UnreadableImageError: also UNSUPPORTED where no decoder here keeps the picture's full depth.
    """
    picture = open_picture(data, limits)
    hasher = blake3.blake3(_PIXEL_VERSION)
    hasher.update(_profile_key(picture.image.info.get("icc_profile")))
    try:
        if picture.format == "RAW":
            values, look = raw.sensor_values(data)
            _add(hasher, values, look)
        else:
            for pixels, duration_ms in _frames(picture, data, limits):
                _add(hasher, pixels, (duration_ms,))
    except (*DECODER_ERRORS, MemoryError, cv2.error, Image.DecompressionBombWarning) as error:
        raise explain(error, data, picture.format) from error
    return hasher.digest()


def _add(hasher: blake3.blake3, pixels: npt.NDArray[np.generic], extra: tuple[int, ...]) -> None:
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    hasher.update(repr((pixels.shape, little_endian.dtype.str, extra)).encode())
    hasher.update(np.ascontiguousarray(little_endian).view(np.uint8).reshape(-1).data)


def _frames(picture: Picture, data: bytes, limits: DecodeLimits) -> Iterator[tuple[npt.NDArray[np.generic], int]]:
    """Each frame's pixels, upright, and how many milliseconds it shows."""
    image = picture.image
    count = int(getattr(image, "n_frames", 1))
    if picture.width_px * picture.height_px * count > limits.max_jpeg_pixels:
        raise UnreadableImageError(ProblemCode.TOO_MANY_PIXELS, f"its {count} frames together are over the pixel limit")
    if _is_deep_colour(picture, data):
        if count > 1:
            raise UnreadableImageError(ProblemCode.UNSUPPORTED, "several frames of more than 8 bits a band")
        if picture.format == "TIFF" and picture.tags.get(ORIENTATION, 1) != 1:  # OpenCV turns some of these, not all
            raise UnreadableImageError(ProblemCode.UNSUPPORTED, "a turned TIFF of more than 8 bits a band")
        yield _turned(_deep_pixels(data), picture.orientation), 0
        return
    for frame in range(count):
        if frame:
            image.seek(frame)
        picture.load()
        if image.mode.startswith("I") or image.mode in {"F", "CMYK", "LAB", "HSV", "YCbCr"}:
            own = image
        else:
            own = to_resizable(image)
        yield np.asarray(upright(own, picture.orientation)), int(image.info.get("duration") or 0)


def _is_deep_colour(picture: Picture, data: bytes) -> bool:
    """Whether Pillow would drop bits: it knows 16 bits for one band only."""
    image = picture.image
    if image.mode.startswith("I") or image.mode == "F":
        return False
    match picture.format:
        case "PNG":
            return data[24] > 8  # bit depth in IHDR
        case "TIFF":
            bits = getattr(image, "tag_v2", {}).get(258, (1,))  # BitsPerSample
            return max(bits, default=1) > 8
        case "HEIF":
            return int(image.info.get("bit_depth", 8)) > 8
        case "AVIF":
            return _avif_is_deep(data)
        case _:
            return False


def _avif_is_deep(data: bytes) -> bool:
    """Whether any AV1 configuration says more than 8 bits (`high_bitdepth` in the av1C box, AV1-ISOBMFF §2.3.3)."""
    return any(data[found.end() + 2] & 0x40 for found in re.finditer(rb"av1C(?=...)", data[:65536], re.DOTALL))


def _deep_pixels(data: bytes) -> npt.NDArray[np.generic]:
    """All bits of a colour picture with more than 8 a band, by OpenCV, bands in its order, not turned."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype.itemsize < 2:
        raise UnreadableImageError(ProblemCode.UNSUPPORTED, "no decoder here keeps its more than 8 bits a band")
    return pixels


def _turned(pixels: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    """`picture.upright` for arrays of any depth."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    return pixels[::rows, ::columns]
