"""Says what the camera wrote: time, body, exposure. The text is hostile until cleaned; nothing here raises.

Takes EXIF; of XMP the rating, and of XMP and IPTC whether they are there. Maker notes are not parsed (each maker's own
format, much code, little gain).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dedupd.core.records import Capture
from dedupd.imaging import exif

_MAX_TEXT = 64  # characters kept; camera names have under 40
_MAX_RAW_TEXT = 256  # characters looked at
_MOMENT = re.compile(r"(\d{4})[:\-/.](\d{2})[:\-/.](\d{2})[ T](\d{2}):(\d{2}):(\d{2})", re.ASCII)
_IPTC = 0x0404  # the Photoshop resource that holds it (IPTC-NAA record)
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")  # Pillow's, of all formats and of its older PNG reader
_XMP_RATING = re.compile(rb"""\bx[am]p:Rating\s*(?:=\s*["']|>)\s*([1-5])(?:\.0*)?\s*["'<]""")  # -1: rejected, 0: none
_EARLIEST_YEAR, _LATEST_YEAR = 1970, 2200  # cameras without a set clock say 0000 or 1904
_MAX_ISO = 100_000_000
_MOST_STARS = 5


def capture_of(tags: exif.Tags) -> Capture:
    """What EXIF says of the shot; fields that are missing or make no sense are None."""
    taken_at_ms, has_subseconds = _taken_at(tags)
    iso = tags.get(exif.ISO)
    return Capture(
        taken_at_ms=taken_at_ms,
        has_subseconds=has_subseconds,
        make=clean_text(tags.get(exif.MAKE)),
        model=clean_text(tags.get(exif.MODEL)),
        serial=clean_text(tags.get(exif.SERIAL)),
        exposure_s=_positive(tags.get(exif.EXPOSURE)),
        f_number=_positive(tags.get(exif.F_NUMBER)),
        iso=iso if isinstance(iso, int) and 0 < iso <= _MAX_ISO else None,
        image_id=clean_text(tags.get(exif.IMAGE_ID)),
        has_gps=exif.HAS_PLACE in tags,
        software=clean_text(tags.get(exif.SOFTWARE)),
        rating=_stars(tags.get(exif.RATING)),
    )


def clean_text(value: object) -> str | None:
    """One line of at most 64 characters without control, format and surrogate characters; None if nothing is left."""
    if isinstance(value, bytes):
        value = value[:_MAX_RAW_TEXT].decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return None
    spaced = " ".join(value[:_MAX_RAW_TEXT].partition("\0")[0].split())
    if not (spaced.isascii() and spaced.isprintable()):
        spaced = "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))
    return spaced[:_MAX_TEXT].strip() or None


def has_notes(found: Mapping[Any, object]) -> bool:
    """Whether XMP or IPTC came with a picture, by what Pillow keeps of it (`Image.info`)."""
    resources = found.get("photoshop")
    has_iptc = isinstance(resources, Mapping) and bool(resources.get(_IPTC))
    return has_iptc or any(found.get(key) for key in _XMP_KEYS)


def xmp_rating(found: Mapping[Any, object]) -> int | None:
    """The stars that XMP gives (`xmp:Rating`), by what Pillow keeps of it (`Image.info`)."""
    for key in _XMP_KEYS:
        packet = found.get(key)
        packet = packet.encode(errors="replace") if isinstance(packet, str) else packet
        given = _XMP_RATING.search(packet) if isinstance(packet, bytes) else None
        if given:
            return int(given.group(1))
    return None


def _stars(value: object) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= _MOST_STARS else None


def _taken_at(tags: exif.Tags) -> tuple[int | None, bool]:
    """Milliseconds of the original moment, else of digitising, and whether fractions of a second are known."""
    for moment, fraction in ((exif.TAKEN, exif.TAKEN_FRACTION), (exif.DIGITISED, exif.DIGITISED_FRACTION)):
        found = _MOMENT.match(clean_text(tags.get(moment)) or "")
        if not found:
            continue
        year, month, day, hour, minute, second = (int(part) for part in found.groups())
        try:
            at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        if not _EARLIEST_YEAR <= at.year <= _LATEST_YEAR:
            continue
        digits = clean_text(tags.get(fraction)) or ""
        has_fraction = digits.isascii() and digits.isdigit()
        return int(at.timestamp()) * 1000 + (int((digits + "00")[:3]) if has_fraction else 0), has_fraction
    return None, False


def _positive(value: object) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        return None
    return float(value)
