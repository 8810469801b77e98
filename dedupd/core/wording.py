"""Numbers and days as people read them, the same in reports and alerts. Pure; no locale, no translation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def bytes_text(size: int) -> str:
    """A number of bytes in decimal units, as file managers show it: 842 bytes, 1.2 MB, 34 GB."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    value = float(size)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def percent_text(share: float) -> str:
    """A share 0 … 1 in per cent, rounded down, so that only what is equal says 100 %: 99.9 %, 98 %."""
    per_mille = int(share * 1000 + 1e-9)
    return f"{per_mille / 10:.1f} %" if 990 < per_mille < 1000 else f"{per_mille // 10} %"


def probability_text(probability: float) -> str:
    """A probability in per cent, rounded down; "" where none was given (0): 99.9 %."""
    return percent_text(probability) if probability > 0 else ""


def likeness_text(similarity: float, probability: float) -> str:
    """How alike two pictures are and how probably they are one shot: 98 % alike, one shot to 99.9 %."""
    one_shot = probability_text(probability)
    return f"{percent_text(similarity)} alike" + (f", one shot to {one_shot}" if one_shot else "")


def count_text(count: int, one: str, many: str) -> str:
    """A number with its noun: 1 file, 12,345 files."""
    return f"1 {one}" if count == 1 else f"{count:,} {many}"


def date_text(at_ns: int) -> str:
    """The day of a moment since 1970, in UTC: 3 May 2026."""
    at = _EPOCH + timedelta(seconds=at_ns // 1_000_000_000)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def path_words(path: bytes) -> str:
    r"""A path as one line of plain text for people.

    Control characters, direction marks and bytes that are not UTF-8 are spelt out (\x1b, \u202e, \xff), so that a
    name can neither break a line nor pass for another.
    """
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else _spelt(c) for c in text)


def _spelt(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
