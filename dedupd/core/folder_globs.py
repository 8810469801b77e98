"""Which folders are meant by a list of globs, in the order of the list. Looks at names only, never at the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dedupd.core.ignore_rules import path_regex


class FolderGlobs:
    """An ordered list of folders, each a path or a glob; a folder stands for all that lies below it.

    One that begins with a slash is meant from the top of the file system, any other one at whatever depth: `best` is
    every folder of that name. `*` and `?` stay within one component, `**` stands for any number of them; a glob may
    name files as well. Case matters. Immutable.
    """

    __slots__ = ("_patterns", "globs")

    def __init__(self, globs: Iterable[bytes] = ()) -> None:
        """Compile; ValueError for a glob that names nothing."""
        self.globs = tuple(globs)
        self._patterns = tuple(_compiled(glob) for glob in self.globs)

    def rank(self, path: bytes) -> int:
        """Number of the first glob that a file lies below (0 …), or how many there are. The path is absolute."""
        below = path.removeprefix(b"/")
        return next((i for i, pattern in enumerate(self._patterns) if pattern.match(below)), len(self._patterns))

    def __contains__(self, path: bytes) -> bool:
        """Whether a file lies below any of them."""
        return self.rank(path) < len(self._patterns)

    def __len__(self) -> int:
        return len(self._patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FolderGlobs) and self.globs == other.globs

    def __hash__(self) -> int:
        return hash(self.globs)


def _compiled(glob: bytes) -> re.Pattern[bytes]:
    bare = glob.strip(b"/")
    if not bare.strip(b"/."):
        raise ValueError(f"the folder {glob.decode(errors='backslashreplace')!r} names nothing; write a path or a name")
    depth = b"" if glob.startswith(b"/") else b"(?s:.*/)?"
    # A folder may really be called "[2019] Norway": what is meant word for word counts as well.
    words, below = re.escape(bare), rb")(?s:/.*)?\Z"
    try:
        return re.compile(depth + b"(?:" + path_regex(bare) + b"|" + words + below)
    except re.error:  # "[2019-08] Norway" has a range that runs backwards: it can only be meant word for word
        return re.compile(depth + b"(?:" + words + below)
