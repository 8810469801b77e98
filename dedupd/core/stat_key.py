"""The packed form of the stat fields that decide whether a file may have changed, and one digest of a directory's.

Reconciling compares millions of these, so it compares bytes and decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from blake3 import blake3

from dedupd.core.records import FileStat

_LAYOUT = struct.Struct("<QQQqq")
PACKED_BYTES = _LAYOUT.size  # 40: dev, ino, size_bytes, mtime_ns, ctime_ns
FINGERPRINT_BYTES = 16  # BLAKE3 cut to 128 bits: nobody who may write files can afford two that agree

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_LATEST_NS = 0x7FFF_FFFF_FFFF_FFFF  # in the year 2262; filesystems go to 2446 and beyond, and any program may set that
_EARLIEST_NS = -_LATEST_NS - 1

pack_plain = _LAYOUT.pack  # `pack_fields` where no number is over 64 bits or below zero; struct.error otherwise


def pack(stat: FileStat) -> bytes:
    """Pack a FileStat."""
    return pack_fields(stat.dev, stat.ino, stat.size_bytes, stat.mtime_ns, stat.ctime_ns)


def pack_fields(dev: int, ino: int, size_bytes: int, mtime_ns: int, ctime_ns: int) -> bytes:
    """Pack the fields as os.stat gives them, without making a FileStat first. Times are cut to what 64 bits hold."""
    return _LAYOUT.pack(dev & _MASK, ino & _MASK, size_bytes, _within(mtime_ns), _within(ctime_ns))


def _within(time_ns: int) -> int:
    return max(_EARLIEST_NS, min(time_ns, _LATEST_NS))


def unpack(packed: bytes) -> FileStat:
    """The FileStat of a packed key."""
    dev, ino, size_bytes, mtime_ns, ctime_ns = _LAYOUT.unpack(packed)
    return FileStat(dev=dev, ino=ino, size_bytes=size_bytes, mtime_ns=mtime_ns, ctime_ns=ctime_ns)


def fingerprint(stats: Mapping[bytes, bytes]) -> bytes:
    """16 bytes that stand for all names of a directory and their packed stats, in whatever order they come.

    No name holds a slash and every stat is 40 bytes, so no two directories are hashed as the same bytes.
    """
    names = sorted(stats)
    in_order = stats.values() if names == list(stats) else map(stats.__getitem__, names)
    return blake3(b"/".join([*names, b"", *in_order])).digest(FINGERPRINT_BYTES)
