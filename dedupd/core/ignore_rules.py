"""Which names below a root are looked at: what is ignored, and what may be a picture.

Looks at names only, never at the disk. Compiled once and immutable; the composition root owns one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import itemgetter

# Other programs' thumbnails, bins, snapshots and half-written files; a duplicate found there would help nobody.
BUILT_IN_GLOBS = (
    b"@eaDir",  # Synology: a folder of thumbnails for each photo
    b".@__thumb",  # QNAP, the same
    b".thumbnails",
    b"#recycle",
    b"@Recycle",
    b"$RECYCLE.BIN",
    b"System Volume Information",
    b".Trash",
    b".Trash-*",
    b"#snapshot",
    b".snapshot",
    b".snapshots",
    b".zfs",
    b"lost+found",
    b".stversions",  # Syncthing
    b".stfolder",
    b".syncthing.*.tmp",
    b".sync",  # Resilio
    b".tmp.drivedownload",
    b"*.part",
    b"*.partial",
    b"*.crdownload",
    b"*.filepart",
    b".~lock*",
    b"._*",  # macOS resource forks: they carry the picture's own suffix
    b".AppleDouble",
    b".DS_Store",
    b"Thumbs.db",
    b".git",  # its objects have no suffix and would all be read
    b".dedupd-*",  # our quarantine
)

PICTURE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
        *(".heic", ".heif", ".hif", ".avif"),
        # RAW: Canon, Nikon, Sony, Adobe and others, Fujifilm, Olympus, Panasonic and Leica, Pentax, Samsung, the rest
        *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".rwl"),
        *(".raw", ".pef", ".srw", ".x3f", ".erf", ".kdc", ".dcr", ".mrw", ".mef", ".mos", ".iiq", ".3fr", ".fff"),
    }
)

# The longest suffix that is taken for one. Beyond it, or with anything but ASCII letters and digits after the last
# dot ("Mrs. Smith at the beach", "photo.jpg~"), a name counts as having none.
_LONGEST_SUFFIX_BYTES = 10

_PICTURE_ENDS = frozenset(suffix[1:].encode() for suffix in PICTURE_SUFFIXES)
_BY_FREQUENCY = (".jpg", ".heic", ".png", ".jpeg")  # then whatever there is
_PLAIN_ENDS = tuple(dict.fromkeys(suffix.encode() for suffix in (*_BY_FREQUENCY, *sorted(PICTURE_SUFFIXES))))
_LOOKED_AT = PICTURE_SUFFIXES | {""}
_MEANS_MORE = re.compile(rb"[\\\[\]^&~|]")  # in a regular expression's set than in a glob's
_GLOB_SIGNS = re.compile(rb"[*?\[]")
_SIGNS = re.compile(rb"[*?]")
_FIRST_BYTE = itemgetter(0)


def suffix_of(name: bytes) -> str:
    """The suffix of a name in lower case with its dot; "" when it has none.

    A leading dot counts: `.nomedia` has the suffix ".nomedia", so that hidden settings files are not read as pictures.
    """
    _, dot, suffix = name.rpartition(b".")
    if not dot or len(suffix) > _LONGEST_SUFFIX_BYTES or not suffix.isalnum():
        return ""
    return "." + suffix.decode("ascii").lower()


def may_be_picture(name: bytes) -> bool:
    """Whether a file of this name is worth opening: a picture's suffix in any case, or none at all."""
    _, _, suffix = name.rpartition(b".")
    return suffix.lower() in _PICTURE_ENDS or suffix_of(name) in _LOOKED_AT


class IgnoreRules:
    """The built-in globs and those of the configuration.

    A glob without a slash is matched against the name of every file and directory. One with a slash (but for a
    trailing one) is matched against the path below the root, where `*` stays within one component and `**` stands for
    any number of them; gitignore(5) has the same two kinds. Case matters.
    """

    __slots__ = ("_ends", "_first_bytes", "_match_glob", "_match_path", "_names", "_starts", "globs")

    def __init__(self, globs: Iterable[bytes] = ()) -> None:
        """Compile; `globs` come on top of the built-in ones. ValueError for a glob that names nothing."""
        self.globs = tuple(globs)
        names: list[bytes] = list(BUILT_IN_GLOBS)
        paths: list[bytes] = []
        for glob in self.globs:
            bare = glob.rstrip(b"/")
            if not bare.strip(b"/"):
                raise ValueError(f"ignore glob {glob!r} names nothing; write a name such as '*.tmp' or a path")
            (paths if b"/" in bare else names).append(bare.lstrip(b"/"))
        # A walk asks for every name, so the usual shapes are told apart from what needs a regular expression.
        globs = [name for name in names if _GLOB_SIGNS.search(name)]
        self._names = frozenset(names) - frozenset(globs)
        self._ends = tuple(glob[1:] for glob in globs if _is_plain(glob[1:]) and glob[:1] == b"*")
        self._starts = tuple(glob[:-1] for glob in globs if _is_plain(glob[:-1]) and glob[-1:] == b"*")
        for glob in (*globs, *paths):
            check_ranges(glob)
        shaped = [glob for glob in globs if not (_is_plain(glob.strip(b"*")) and glob.count(b"*") == 1)]
        self._match_glob = re.compile(b"|".join(map(_component_regex, shaped))).fullmatch
        self._match_path = re.compile(b"|".join(map(path_regex, paths))).fullmatch if paths else None
        self._first_bytes = _first_bytes((*names, *(path.rpartition(b"/")[2] for path in paths)))

    def is_ignored(self, directory: bytes, name: bytes) -> bool:
        """Whether an entry of a directory that is not ignored itself is. `directory` is relative to the root."""
        if name in self._names or name.endswith(self._ends) or name.startswith(self._starts):
            return True
        if self._match_glob(name) is not None:
            return True
        if self._match_path is None:
            return False
        return self._match_path(directory + b"/" + name if directory else name) is not None

    def are_plain_pictures(self, names: Sequence[bytes]) -> bool:
        """Whether a glance shows that all names, in any directory, may be pictures and are not ignored.

        False says nothing. Only first bytes and suffixes are looked at, all suffixes at once: it costs a tenth of
        asking for each name.
        """
        if self._first_bytes is None or not self._first_bytes.isdisjoint(map(_FIRST_BYTE, names)):
            return False
        joined = b"/".join(names).lower() + b"/"
        left = len(names)
        for end in _PLAIN_ENDS:
            left -= joined.count(end + b"/")
            if not left:
                return True
        return False

    def is_path_ignored(self, relative: bytes) -> bool:
        """Whether a path below the root, or any directory that leads to it, is ignored. b"", the root, never is."""
        directory = b""
        for name in relative.split(b"/") if relative else ():
            if self.is_ignored(directory, name):
                return True
            directory = directory + b"/" + name if directory else name
        return False


def _first_bytes(globs: Iterable[bytes]) -> frozenset[int] | None:
    """With what a plainly named picture must begin for one of the globs to match it; None: it may be with anything."""
    found: set[int] = set()
    for glob in globs:
        tail = b"" if b"[" in glob else _SIGNS.split(glob)[-1]
        tail = tail.lower()
        if tail and not any(end.endswith(tail) or tail.endswith(end) for end in _PLAIN_ENDS):
            continue  # it ends as no such picture does
        if _GLOB_SIGNS.match(glob):
            return None
        found.add(glob[0])
    return frozenset(found)


def _is_plain(part: bytes) -> bool:
    return _GLOB_SIGNS.search(part) is None


def path_regex(glob: bytes) -> bytes:
    """A glob with slashes as a regular expression for a whole path; `**` stands for any number of components."""
    components = glob.split(b"/")
    last = len(components) - 1
    regex = b""
    for i, component in enumerate(components):
        if component == b"**":
            regex += rb"(?:[^/]+/)*" if i < last else rb".+"
        else:
            regex += _component_regex(component) + (b"/" if i < last else b"")
    return b"(?s:" + regex + b")"


def check_ranges(glob: bytes) -> None:
    """Raise ValueError for a glob with a range that runs backwards."""
    try:
        re.compile(path_regex(glob))
    except re.error as error:
        raise ValueError(f"glob {glob!r}: {error.msg}; write the lower character of a range first") from error


def _component_regex(glob: bytes) -> bytes:
    """A glob for one name as a regular expression; `*` and `?` never match a slash.

    fnmatch.translate() is for text and lets `*` cross slashes.
    """
    regex = b""
    at = 0
    while at < len(glob):
        sign = glob[at : at + 1]
        end = glob.find(b"]", at + 2) if sign == b"[" else -1
        if sign == b"*":
            regex += rb"[^/]*"
        elif sign == b"?":
            regex += rb"[^/]"
        elif end > 0:
            members = glob[at + 1 : end]
            negation, members = (b"^", members[1:]) if members.startswith(b"!") else (b"", members)
            members = _MEANS_MORE.sub(rb"\\\g<0>", members).replace(b"--", rb"-\-")
            regex += b"[" + negation + members + b"]"
            at = end
        else:
            regex += re.escape(sign)
        at += 1
    return regex
