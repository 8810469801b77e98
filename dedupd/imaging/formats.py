"""Says what a file's bytes are, from their first bytes and structure, never from its name.

Decodes nothing. The allow-list of what dedupd reads is here: a format that is not named is never given to a decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from dedupd.core.records import ProblemCode
from dedupd.imaging.limits import UnreadableImageError

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_BOX_HEADER_BYTES = 8
_DIB_HEADER_BYTES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # the sizes of BMP's second header that exist

_RAW_SIGNATURES = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),  # Olympus
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # Panasonic, Leica
    (0, b"FOVb"),  # Sigma
    (0, b"\0MRM"),  # Minolta
    (6, b"HEAPCCDR"),  # Canon CRW
    (4, b"ftypcrx "),  # Canon CR3
)
_UNSUPPORTED_SIGNATURES = (
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"DDS ", "DDS"),
    (0, b"%!PS", "PostScript"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"\0\0\2\0", "cursor"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"qoif", "QOI"),
)
_PORTABLE_MAPS = frozenset(b"P%d" % kind for kind in range(1, 8))

# TIFF tags that tell a camera's RAW file from a picture (TIFF 6.0, TIFF/EP, Adobe DNG 1.7).
_NEW_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC, _MAKE, _SUB_IFDS, _DNG_VERSION = 254, 259, 262, 271, 330, 50706
_RAW_PHOTOMETRIC = frozenset({32803, 34892})  # colour filter array, linear raw
_RAW_COMPRESSION = frozenset({32767, 32769, 32770, 32772, 34713, 65535})  # Sony, Epson, Samsung, Samsung, Nikon, Pentax


def sniff(data: bytes) -> str:
    """The format's name: "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF" or "RAW".

    Raises:
        UnreadableImageError: EMPTY, UNSUPPORTED (a picture of another kind) or NOT_AN_IMAGE.
    """
    if not data:
        raise UnreadableImageError(ProblemCode.EMPTY, "the file holds no bytes")
    if any(data.startswith(signature, at) for at, signature in _RAW_SIGNATURES):
        return "RAW"
    found = _plain_format(data) or _box_format(data)
    if found:
        return found
    if data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return "RAW" if _is_tiff_raw(data) else "TIFF"
    for at, signature, name in _UNSUPPORTED_SIGNATURES:
        if data.startswith(signature, at):
            raise UnreadableImageError(ProblemCode.UNSUPPORTED, f"{name} pictures are not read")
    if data[:2] in _PORTABLE_MAPS and data[2:3].isspace():
        raise UnreadableImageError(ProblemCode.UNSUPPORTED, "portable bitmap pictures are not read")
    raise UnreadableImageError(ProblemCode.NOT_AN_IMAGE, "the bytes are no picture format that dedupd knows")


def _plain_format(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _DIB_HEADER_BYTES:
        return "BMP"
    return None


def _box_format(data: bytes) -> str | None:
    """HEIF or AVIF by the brands of the leading `ftyp` box (ISO/IEC 14496-12, 23008-12)."""
    if data[4:8] != b"ftyp":
        return None
    box = data[: min(int.from_bytes(data[:4], "big"), 512)]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}
    # mif1 alone says only "HEIF structure"; an AVIF file carries it too, so AVIF is asked first.
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def _is_tiff_raw(data: bytes) -> bool:
    if data[8:10] == b"CR":  # Canon CR2
        return True
    tags = _first_directory(data)
    if _DNG_VERSION in tags:
        return True
    if tags.get(_PHOTOMETRIC) in _RAW_PHOTOMETRIC or tags.get(_COMPRESSION) in _RAW_COMPRESSION:
        return True
    # NEF, ARW: a thumbnail comes first and the sensor's data hang below it.
    return bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1) and _SUB_IFDS in tags and _MAKE in tags


def _first_directory(data: bytes) -> dict[int, int]:
    """Tag → first value or offset of a classic TIFF's first directory; what lies outside the bytes is left out."""
    order = "<" if data.startswith(b"II") else ">"
    if data[2:4] not in {b"*\0", b"\0*"} or len(data) < 8:
        return {}
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return {}
    (entries,) = struct.unpack_from(order + "H", data, at)
    tags: dict[int, int] = {}
    for entry in range(at + 2, min(at + 2 + 12 * entries, len(data) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)  # 3: SHORT
        tags[tag] = value
    return tags


def ends_early(data: bytes, fmt: str) -> bool:
    """Whether the container announces more bytes than there are; asked after a decoder failed, to name the cause."""
    check = _ENDS_EARLY.get(fmt)
    return check is not None and check(data)


def _png_ends_early(data: bytes) -> bool:
    at = 8
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True


def motion_bytes(data: bytes) -> int:
    """Size of the video that a HEIF or AVIF motion photo carries in its `mpvd` box (Motion Photo format 1.0)."""
    return sum(min(size, len(data) - at) for kind, at, size in _boxes(data) if kind == b"mpvd")


def _boxes_end_early(data: bytes) -> bool:
    end = 0
    for _, at, size in _boxes(data):
        if size < _BOX_HEADER_BYTES:
            return False
        end = at + size
    return end != len(data)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, size) of each outermost box (ISO/IEC 14496-12 §4.2); ends after one whose size is senseless."""
    at = 0
    while at + _BOX_HEADER_BYTES <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 0:  # to the end of the file
            size = len(data) - at
        if size == 1:  # a 64-bit size follows
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        yield data[at + 4 : at + 8], at, size
        if size < _BOX_HEADER_BYTES:
            return
        at += size


def _tiff_ends_early(data: bytes) -> bool:
    if 43 in data[2:4]:  # BigTIFF
        return False
    at = int.from_bytes(data[4:8], "little" if data.startswith(b"II") else "big")
    return at + 2 > len(data)  # most writers put the first directory behind the pixels


_ENDS_EARLY: dict[str, Callable[[bytes], bool]] = {
    "PNG": _png_ends_early,
    "WEBP": lambda data: int.from_bytes(data[4:8], "little") + 8 > len(data),
    "GIF": lambda data: not data.rstrip(b"\0").endswith(b";"),
    "HEIF": _boxes_end_early,
    "AVIF": _boxes_end_early,
    "TIFF": _tiff_ends_early,
    "BMP": lambda data: int.from_bytes(data[2:6], "little") > len(data),
}
