"""Reads what the camera wrote: time, body, exposure. The text is hostile until cleaned; nothing here raises.

Takes EXIF only; maker notes are not parsed (each maker's own format, many parser bugs, little gain).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from PIL import ExifTags, Image

from dedupd.core.records import Capture

_MAX_TEXT = 64  # characters kept; camera names have under 40
_MAX_RAW_TEXT = 256  # characters looked at
_MOMENT = re.compile(r"(\d{4})[:\-/.](\d{2})[:\-/.](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_EARLIEST_YEAR, _LATEST_YEAR = 1970, 2200  # cameras without a set clock say 0000 or 1904
_MAX_ISO = 100_000_000

_Tags = Mapping[int, Any]


def capture_of(exif: Image.Exif) -> Capture:
    """What EXIF says of the shot; fields that are missing or make no sense are None."""
    main = _directory(exif, None)
    details = _directory(exif, ExifTags.IFD.Exif)
    place = _directory(exif, ExifTags.IFD.GPSInfo)
    taken_at_ms, has_subseconds = _taken_at(details)
    return Capture(
        taken_at_ms=taken_at_ms,
        has_subseconds=has_subseconds,
        make=clean_text(main.get(ExifTags.Base.Make)),
        model=clean_text(main.get(ExifTags.Base.Model)),
        serial=clean_text(details.get(ExifTags.Base.BodySerialNumber)),
        exposure_s=_positive(details.get(ExifTags.Base.ExposureTime)),
        f_number=_positive(details.get(ExifTags.Base.FNumber)),
        iso=_iso(details.get(ExifTags.Base.ISOSpeedRatings)),
        image_id=clean_text(details.get(ExifTags.Base.ImageUniqueID)),
        # Many cameras write an empty GPS directory; only a latitude is a place.
        has_gps=ExifTags.GPS.GPSLatitude in place,
        software=clean_text(main.get(ExifTags.Base.Software)),
    )


def clean_text(value: object) -> str | None:
    """One line of at most 64 characters without control, format and surrogate characters; None if nothing is left."""
    if isinstance(value, bytes):
        value = value[:_MAX_RAW_TEXT].decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return None
    spaced = " ".join(value[:_MAX_RAW_TEXT].partition("\0")[0].split())
    kept = "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))
    return kept[:_MAX_TEXT].strip() or None


def _directory(exif: Image.Exif, which: int | None) -> _Tags:
    try:
        return dict(exif.items()) if which is None else dict(exif.get_ifd(which))
    except Exception:  # noqa: BLE001 - a parser of hostile bytes; what it cannot read is simply not known
        return {}


def _taken_at(details: _Tags) -> tuple[int | None, bool]:
    """Milliseconds of the original moment, else of digitising, and whether fractions of a second are known."""
    for moment, fraction in (
        (ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal),
        (ExifTags.Base.DateTimeDigitized, ExifTags.Base.SubsecTimeDigitized),
    ):
        found = _MOMENT.match(clean_text(details.get(moment)) or "")
        if not found:
            continue
        try:
            at = datetime.strptime(" ".join(found.groups()), "%Y %m %d %H %M %S").replace(tzinfo=UTC)
        except ValueError:
            continue
        if not _EARLIEST_YEAR <= at.year <= _LATEST_YEAR:
            continue
        digits = clean_text(details.get(fraction)) or ""
        has_fraction = digits.isascii() and digits.isdigit()
        return int(at.timestamp()) * 1000 + (int((digits + "00")[:3]) if has_fraction else 0), has_fraction
    return None, False


def _positive(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # a rational, a float or nonsense, and nonsense is caught
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _iso(value: object) -> int | None:
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, int) and 0 < value <= _MAX_ISO else None
