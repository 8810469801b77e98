"""The packed form of the stat fields that decide whether a file may have changed.

Reconciling compares millions of these, so it compares bytes and decodes nothing.
"""

from __future__ import annotations

import struct

from dedupd.core.records import FileStat

_LAYOUT = struct.Struct("<QQQqq")
PACKED_BYTES = _LAYOUT.size  # 40: dev, ino, size_bytes, mtime_ns, ctime_ns

_MASK = 0xFFFF_FFFF_FFFF_FFFF


def pack(stat: FileStat) -> bytes:
    """Pack a FileStat."""
    return pack_fields(stat.dev, stat.ino, stat.size_bytes, stat.mtime_ns, stat.ctime_ns)


def pack_fields(dev: int, ino: int, size_bytes: int, mtime_ns: int, ctime_ns: int) -> bytes:
    """Pack the fields as os.stat gives them, without making a FileStat first."""
    return _LAYOUT.pack(dev & _MASK, ino & _MASK, size_bytes, mtime_ns, ctime_ns)


def unpack(packed: bytes) -> FileStat:
    """The FileStat of a packed key."""
    dev, ino, size_bytes, mtime_ns, ctime_ns = _LAYOUT.unpack(packed)
    return FileStat(dev=dev, ino=ino, size_bytes=size_bytes, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
