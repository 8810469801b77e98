"""How paths and times look in JSON, and text in CSV. Pure; owns nothing."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_US = 1_000
_US_PER_MS = 1_000
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")


def path_text(path: bytes) -> str:
    r"""A path as text; bytes that are not UTF-8 appear as \xff, and `path_b64` then carries the exact path."""
    return path.decode("utf-8", "backslashreplace")


def path_b64(path: bytes) -> str | UnsetType:
    """The exact bytes in base64 where the text cannot say them, left out of the JSON otherwise."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(path).decode("ascii")
    return UNSET


def utc_text(time_ns: int) -> str:
    """Time in ns since 1970 as ISO 8601 in UTC with microseconds: 2026-11-20T13:28:47.123456Z.

    Filesystems can hold times outside the years 1 … 9999; those become the nearest that can be written, the exact
    value is in the *_ns field beside it.
    """
    return _moment(time_ns // _NS_PER_US).isoformat(timespec="microseconds") + "Z"


def camera_text(time_ms: int | None) -> str | None:
    """A camera's local time as ISO 8601 without a zone, with milliseconds: 2024-05-01T12:00:00.250."""
    return None if time_ms is None else _moment(time_ms * _US_PER_MS).isoformat(timespec="milliseconds")


def cell_text(text: str) -> str:
    """Text for a cell of a CSV file, so that no spreadsheet takes it for a formula.

    Spreadsheets run a cell that begins with = + - @, tab or carriage return. Such text, and text that begins with an
    apostrophe, gets one apostrophe in front (OWASP, "CSV Injection"); taking one away gives the text back.
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _moment(time_us: int) -> datetime:
    clamped = min(max(time_us, _FIRST_US), _LAST_US)
    return (_EPOCH + timedelta(microseconds=clamped)).replace(tzinfo=None)
