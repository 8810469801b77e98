"""Files that belong together: the RAW of a JPEG, the video of a Live Photo, and what programs wrote about a picture.

Looks at names only. All of it lies in one folder and shares a name; upper and lower case do not matter. What belongs
together is never a duplicate of one another.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from dedupd.core.cleanup_plan import Role
from dedupd.core.ignore_rules import PICTURE_SUFFIXES

_SIDECARS = frozenset({"xmp", "aae", "json", "pp3", "dop"})
_VIDEOS = frozenset({"mov", "mp4", "m4v"})
_SHOT_WITH_RAW = frozenset({"jpg", "jpeg", "jpe", "jfif", "heic", "heif", "hif"})
_NEVER_RAW = _SHOT_WITH_RAW | {"png", "webp", "tif", "tiff", "gif", "bmp", "avif"}
_PICTURES = frozenset(suffix[1:] for suffix in PICTURE_SUFFIXES)
_RAWS = _PICTURES - _NEVER_RAW

# Google Takeout writes IMG.jpg.supplemental-metadata.json, cuts that to what its longest name allows, and puts the
# number of IMG(1).jpg behind it: IMG.jpg.supplemental-metadata(1).json, earlier IMG.jpg(1).json.
_TAKEOUT = ".supplemental-metadata"
_TAKEOUT_LONGEST = 46  # characters before ".json"
_NUMBERED = re.compile(r"(.*)(\(\d{1,3}\))\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A file that belongs to a picture."""

    name: bytes
    role: Role
    ending: bytes  # what follows the picture's name …
    is_of_stem: bool  # … without its suffix: then it belongs to every picture of that stem

    def name_beside(self, picture: bytes) -> bytes:
        """What it would be called beside another picture."""
        return (picture.rpartition(b".")[0] or picture if self.is_of_stem else picture) + self.ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What belongs to a picture, and which other pictures share its stem without being the same shot's RAW or JPEG."""

    companions: tuple[Companion, ...] = ()
    others: tuple[bytes, ...] = ()


class DirectoryNames:
    """The names in one folder, so that those of one stem are found quickly. Immutable."""

    __slots__ = ("_lower", "_names", "all")

    def __init__(self, names: Iterable[bytes]) -> None:
        """Sort the names."""
        self.all = frozenset(names)
        pairs = sorted((_lower(name), name) for name in self.all)
        self._lower = [lower for lower, _ in pairs]
        self._names = [name for _, name in pairs]

    def starting(self, lower: str) -> list[tuple[str, bytes]]:
        """Names that begin so in lower case, with that form of them."""
        found = []
        for i in range(bisect_left(self._lower, lower), len(self._lower)):
            if not self._lower[i].startswith(lower):
                break
            found.append((self._lower[i], self._names[i]))
        return found

    def has_any_case(self, name: bytes) -> bool:
        """Whether a name is taken, on a file system for which case does not matter as well."""
        lower = _lower(name)
        i = bisect_left(self._lower, lower)
        return i < len(self._lower) and self._lower[i] == lower


def bundle_of(picture: bytes, names: DirectoryNames) -> Bundle:
    """What belongs to the picture of this name among the names of its folder."""
    stem, suffix = _parts(_lower(picture))
    near = [(lower, name) for lower, name in names.starting(_bare(stem)[:_TAKEOUT_LONGEST]) if name != picture]
    alike = [(lower, name) for lower, name in near if _parts(lower)[0] == stem]
    raws = [(lower, name) for lower, name in alike if _are_of_one_shot(suffix, _parts(lower)[1])]
    others = [(lower, name) for lower, name in alike if _parts(lower)[1] in _PICTURES and (lower, name) not in raws]
    own = [_lower(picture), *(lower for lower, _ in raws)]
    found = [Companion(name=name, role=Role.RAW, ending=_ending(name), is_of_stem=True) for _, name in raws]
    for lower, name in near:
        if (lower, name) not in raws and (lower, name) not in others:
            companion = _of_stem(lower, name, stem) or _of_name(lower, name, own)
            found += [companion] if companion is not None else []
    return Bundle(
        companions=tuple(sorted(found, key=lambda c: c.name)), others=tuple(sorted(name for _, name in others))
    )


def _of_stem(lower: str, name: bytes, stem: str) -> Companion | None:
    other, suffix = _parts(lower)
    if lower == stem and suffix == "mp":  # Pixel: PXL_1.MP.jpg and its video PXL_1.MP
        return Companion(name=name, role=Role.VIDEO, ending=b"", is_of_stem=True)
    role = _role(suffix)
    if other != stem or role is None:
        return None
    return Companion(name=name, role=role, ending=_ending(name), is_of_stem=True)


def _of_name(lower: str, name: bytes, pictures: Iterable[str]) -> Companion | None:
    """What is called after a picture's whole name."""
    base, suffix = _parts(lower)
    role = _role(suffix)
    if role is None:
        return None
    for picture in pictures:
        if base == picture:
            return Companion(name=name, role=role, ending=_ending(name), is_of_stem=False)
        if suffix == "json" and _is_takeout(base, picture):
            return Companion(name=name, role=role, ending=_TAKEOUT.encode() + b".json", is_of_stem=False)
    return None


def _is_takeout(base: str, picture: str) -> bool:
    stem, suffix = _parts(picture)
    numbered, base_numbered = _NUMBERED.match(stem), _NUMBERED.match(base)
    number = numbered[2] if numbered else ""
    if base_numbered and base_numbered[2] == number:  # the number stands behind all the rest
        base, picture = base_numbered[1], f"{numbered[1]}.{suffix}" if numbered else picture
    elif numbered:
        return False
    if base == picture[:_TAKEOUT_LONGEST]:
        return True
    return base.startswith(picture + ".") and _TAKEOUT.startswith(base[len(picture) :])


def _are_of_one_shot(suffix: str, other: str) -> bool:
    return (suffix in _RAWS and other in _SHOT_WITH_RAW) or (suffix in _SHOT_WITH_RAW and other in _RAWS)


def _role(suffix: str) -> Role | None:
    return Role.SIDECAR if suffix in _SIDECARS else Role.VIDEO if suffix in _VIDEOS else None


def _lower(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape").lower()


def _parts(lower: str) -> tuple[str, str]:
    """Stem and suffix; a name without a dot is all stem."""
    stem, dot, suffix = lower.rpartition(".")
    return (stem, suffix) if dot and stem else (lower, "")


def _bare(stem: str) -> str:
    numbered = _NUMBERED.match(stem)
    return numbered[1] if numbered else stem


def _ending(name: bytes) -> bytes:
    return b"." + name.rpartition(b".")[2]


def is_raw_pair(format_a: str, paths_a: Iterable[bytes], format_b: str, paths_b: Iterable[bytes]) -> bool:
    """Whether one is RAW, the other is not, and they share a folder and a name but for the suffix.

    Args:
        format_a: as in ContentRecord.format.
        paths_a: where the content lies; any spelling, as long as both sides use the same.
        format_b: the other's format.
        paths_b: the other's paths.
    """
    if (format_a == "RAW") == (format_b == "RAW"):
        return False
    return not _stems(paths_a).isdisjoint(_stems(paths_b))


def _stems(paths: Iterable[bytes]) -> set[bytes]:
    stems = set()
    for path in paths:
        directory, slash, name = path.rpartition(b"/")
        stems.add(directory + slash + name.split(b".", 1)[0].lower())
    return stems
