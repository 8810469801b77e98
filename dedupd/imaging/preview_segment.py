"""Bytes of ours inside a preview: an application segment of the JPEG, which whoever shows the picture passes over.

Knows nothing of what they mean (`sketch` does) and imports nothing heavy.
"""

from __future__ import annotations

import struct

_START_OF_IMAGE = b"\xff\xd8"
_APPLICATION_11 = b"\xff\xeb"
_MARK = b"dedupd\0"
_LENGTH = struct.Struct(">H")  # its own two bytes and all behind it
_BEGIN = len(_START_OF_IMAGE)
_BODY = _BEGIN + len(_APPLICATION_11) + _LENGTH.size


def attached(preview: bytes, body: bytes) -> bytes:
    """A JPEG that carries `body`, at most 65,526 bytes, behind its start."""
    segment = _APPLICATION_11 + _LENGTH.pack(_LENGTH.size + len(_MARK) + len(body)) + _MARK + body
    return preview[:_BEGIN] + segment + preview[_BEGIN:]


def body_in(preview: bytes) -> bytes | None:
    """What a preview carries; None where it carries nothing."""
    end = _end(preview)
    return None if end is None else preview[_BODY + len(_MARK) : end]


def detached(preview: bytes) -> bytes:
    """The preview without what it carries, for those who only show it."""
    end = _end(preview)
    return preview if end is None else preview[:_BEGIN] + preview[end:]


def _end(preview: bytes) -> int | None:
    """Where the segment ends; None where there is none."""
    is_there = preview.startswith(_APPLICATION_11, _BEGIN) and preview.startswith(_MARK, _BODY)
    return _BODY - _LENGTH.size + int(_LENGTH.unpack_from(preview, _BODY - _LENGTH.size)[0]) if is_there else None
