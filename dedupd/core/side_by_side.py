"""What is known of two pictures, side by side: what the cameras wrote, with what contradicts, and their quality.

Pure, for people. Whether something contradicts is `capture_notes.capture_contradiction`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dedupd.core.capture_notes import capture_contradiction
from dedupd.core.records import Capture, Quality
from dedupd.core.wording import bytes_text, percent_text

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - cameras write local time without a zone
_FIRST_MS = (datetime.min - _EPOCH) // timedelta(milliseconds=1)  # noqa: DTZ901 - the same
_LAST_MS = (datetime.max - _EPOCH) // timedelta(milliseconds=1)  # noqa: DTZ901 - the same


class Standing(StrEnum):
    """How two values stand to each other."""

    SAME = "same"
    DIFFERS = "differs"  # as copies may
    CONTRADICTS = "contradicts"  # as two shots do
    UNKNOWN = "unknown"  # one is missing, which says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a table about two pictures; None where a picture does not say it."""

    name: str
    a: str | None
    b: str | None
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of a picture's file and pixels."""

    format: str
    width_px: int
    height_px: int
    size_bytes: int
    quality: Quality


def metadata_facts(a: Capture, b: Capture) -> tuple[Fact, ...]:
    """What the cameras wrote; lines that neither picture has are left out."""
    lines = (
        _capture_fact("taken", _taken(a), _taken(b), _moment_of(a), _moment_of(b)),
        _capture_fact("make", a.make, b.make, Capture(make=a.make), Capture(make=b.make)),
        _capture_fact("model", a.model, b.model, Capture(model=a.model), Capture(model=b.model)),
        _capture_fact("serial number", a.serial, b.serial, Capture(serial=a.serial), Capture(serial=b.serial)),
        _capture_fact(
            "exposure",
            _exposure(a),
            _exposure(b),
            Capture(exposure_s=a.exposure_s),
            Capture(exposure_s=b.exposure_s),
        ),
        _capture_fact(
            "aperture", _aperture(a), _aperture(b), Capture(f_number=a.f_number), Capture(f_number=b.f_number)
        ),
        _capture_fact("ISO", _text(a.iso), _text(b.iso), Capture(iso=a.iso), Capture(iso=b.iso)),
        _capture_fact(
            "image number", a.image_id, b.image_id, Capture(image_id=a.image_id), Capture(image_id=b.image_id)
        ),
        _fact("position", "recorded" if a.has_gps else None, "recorded" if b.has_gps else None),
        _fact("software", a.software, b.software),
        _fact("rating", _stars(a), _stars(b)),
        _fact("colour profile", "its own" if a.has_icc else None, "its own" if b.has_icc else None),
    )
    return tuple(fact for fact in lines if fact.a is not None or fact.b is not None)


def quality_facts(a: Measured, b: Measured) -> tuple[Fact, ...]:
    """What their files and pixels are worth; lines that neither picture has are left out."""
    lines = (
        _fact("format", a.format, b.format),
        _fact("pixels", f"{a.width_px} × {a.height_px}", f"{b.width_px} × {b.height_px}"),
        _fact("file size", bytes_text(a.size_bytes), bytes_text(b.size_bytes)),
        _fact("JPEG quality", _text(a.quality.jpeg_quality), _text(b.quality.jpeg_quality)),
        _fact("traces of JPEG quality", _text(a.quality.earlier_jpeg_quality), _text(b.quality.earlier_jpeg_quality)),
        _fact("detail worth", _detail(a.quality), _detail(b.quality)),
        _fact("noise", f"{a.quality.noise:.1f} levels", f"{b.quality.noise:.1f} levels"),
        _fact("clipped", percent_text(a.quality.clipped_share), percent_text(b.quality.clipped_share)),
        _fact("sharpness at small size", f"{a.quality.sharpness:.0f}", f"{b.quality.sharpness:.0f}"),
        _fact("texture", f"{a.quality.information:.1f} of 8", f"{b.quality.information:.1f} of 8"),
        _fact("even border", percent_text(a.quality.frame_share), percent_text(b.quality.frame_share)),
    )
    return tuple(fact for fact in lines if fact.a is not None or fact.b is not None)


def _fact(name: str, a: str | None, b: str | None) -> Fact:
    if a is None or b is None:
        return Fact(name=name, a=a, b=b, standing=Standing.UNKNOWN)
    return Fact(name=name, a=a, b=b, standing=Standing.SAME if a == b else Standing.DIFFERS)


def _capture_fact(name: str, a: str | None, b: str | None, only_a: Capture, only_b: Capture) -> Fact:
    """A line of which the rules for capture metadata say whether it contradicts, asked with nothing else."""
    fact = _fact(name, a, b)
    if capture_contradiction(only_a, only_b) is None:
        return fact
    return Fact(name=name, a=a, b=b, standing=Standing.CONTRADICTS)


def _stars(capture: Capture) -> str | None:
    return None if capture.rating is None else f"{capture.rating} of 5"


def _moment_of(capture: Capture) -> Capture:
    return Capture(taken_at_ms=capture.taken_at_ms, has_subseconds=capture.has_subseconds)


def _taken(capture: Capture) -> str | None:
    """Camera time as 2024-05-01 12:00:00.250, its fraction only where the camera wrote one."""
    if capture.taken_at_ms is None:
        return None
    moment = _EPOCH + timedelta(milliseconds=min(max(capture.taken_at_ms, _FIRST_MS), _LAST_MS))
    return moment.isoformat(sep=" ", timespec="milliseconds" if capture.has_subseconds else "seconds")


def _exposure(capture: Capture) -> str | None:
    if not capture.exposure_s:
        return None
    if capture.exposure_s >= 0.3:
        return f"{capture.exposure_s:g} s"
    return f"1/{1 / capture.exposure_s:.0f} s"


def _aperture(capture: Capture) -> str | None:
    return f"f/{capture.f_number:g}" if capture.f_number else None


def _detail(quality: Quality) -> str | None:
    """What the picture would take as a JPEG of one and the same quality; None where that was not estimated."""
    return bytes_text(quality.detail_bytes) if quality.detail_bytes else None


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
