"""Picks a few tags out of an EXIF block; what is broken, out of range or of another type is simply not there.

Not Pillow's reader: that converts every tag of every directory (0.7 ms a camera file, a fortieth of a decode) and can
raise almost anything. Follows TIFF 6.0 and EXIF 2.32; offsets are read, never followed twice.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

ORIENTATION, MAKE, MODEL, SOFTWARE, RATING = 0x0112, 0x010F, 0x0110, 0x0131, 0x4746
EXPOSURE, F_NUMBER, ISO = 0x829A, 0x829D, 0x8827
TAKEN, DIGITISED, TAKEN_FRACTION, DIGITISED_FRACTION = 0x9003, 0x9004, 0x9291, 0x9292
IMAGE_ID, SERIAL = 0xA420, 0xA431
HAS_PLACE = -1  # no tag of EXIF's: the GPS directory holds a latitude

Value = bytes | int | float
Tags = Mapping[int, Value]

_DETAILS, _GPS, _GPS_LATITUDE = 0x8769, 0x8825, 2
_MAIN_WANTED = frozenset({ORIENTATION, MAKE, MODEL, SOFTWARE, RATING, _DETAILS, _GPS})
_DETAILS_WANTED = frozenset(
    {EXPOSURE, F_NUMBER, ISO, TAKEN, DIGITISED, TAKEN_FRACTION, DIGITISED_FRACTION, IMAGE_ID, SERIAL}
)
_MAX_TEXT_BYTES = 256
_ENTRY_BYTES = 12
_TEXT, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _SIGNED_RATIONAL, _DIRECTORY = 2, 3, 4, 5, 7, 10, 13
_PREFIX = b"Exif\0\0"


def read_tags(block: bytes) -> Tags:
    """The wanted tags of a TIFF structure (a JPEG's EXIF with or without its prefix, a TIFF or a TIFF-like RAW file).

    Texts come as bytes up to 256, numbers as the first of their values.
    """
    base = len(_PREFIX) if block.startswith(_PREFIX) else 0
    order = {b"II": "<", b"MM": ">"}.get(block[base : base + 2])
    if order is None or len(block) < base + 8:
        return {}
    reader = _Reader(block, base, order)
    tags = reader.directory(reader.long_at(base + 4), _MAIN_WANTED)
    details, place = tags.pop(_DETAILS, None), tags.pop(_GPS, None)
    if isinstance(details, int):
        tags |= reader.directory(details, _DETAILS_WANTED)
    if isinstance(place, int) and reader.has_entry(place, _GPS_LATITUDE):
        tags[HAS_PLACE] = 1
    return tags


class _Reader:
    """Reads directories of one block; every access is checked against its length."""

    def __init__(self, block: bytes, base: int, order: str) -> None:
        self._block = block
        self._base = base
        self._order = order
        self._entry = struct.Struct(order + "HHI")

    def long_at(self, at: int) -> int:
        """The 32-bit number at a place that was checked to be inside."""
        (value,) = struct.unpack_from(self._order + "I", self._block, at)
        return int(value)

    def directory(self, offset: int, wanted: frozenset[int]) -> dict[int, Value]:
        """The wanted entries of the directory at an offset, the first of each tag."""
        tags: dict[int, Value] = {}
        for at in self._entries(offset):
            tag, kind, count = self._entry.unpack_from(self._block, at)
            if tag in wanted and tag not in tags:
                value = self._value(kind, count, at + 8)
                if value is not None:
                    tags[tag] = value
        return tags

    def has_entry(self, offset: int, tag: int) -> bool:
        """Whether the directory at an offset has this tag."""
        return any(self._entry.unpack_from(self._block, at)[0] == tag for at in self._entries(offset))

    def _entries(self, offset: int) -> range:
        start = self._base + offset
        if start + 2 > len(self._block):
            return range(0)
        (count,) = struct.unpack_from(self._order + "H", self._block, start)
        fitting = (len(self._block) - start - 2) // _ENTRY_BYTES
        return range(start + 2, start + 2 + min(count, fitting) * _ENTRY_BYTES, _ENTRY_BYTES)

    def _value(self, kind: int, count: int, at: int) -> Value | None:
        if count < 1:
            return None
        if kind in {_TEXT, _UNDEFINED}:
            start = at if count <= 4 else self._base + self.long_at(at)
            return self._block[start : start + min(count, _MAX_TEXT_BYTES)]
        if kind == _SHORT:
            start = at if count <= 2 else self._base + self.long_at(at)
            return self._number("H", start)
        if kind in {_LONG, _DIRECTORY}:
            return self._number("I", at if count == 1 else self._base + self.long_at(at))
        if kind in {_RATIONAL, _SIGNED_RATIONAL}:
            start = self._base + self.long_at(at)
            above, below = (self._number("I" if kind == _RATIONAL else "i", start + n) for n in (0, 4))
            return above / below if above is not None and below else None
        return None

    def _number(self, kind: str, at: int) -> int | None:
        if at + struct.calcsize(kind) > len(self._block):
            return None
        (value,) = struct.unpack_from(self._order + kind, self._block, at)
        return int(value)
