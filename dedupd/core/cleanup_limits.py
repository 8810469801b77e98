"""How much a clean-up may take at once, counted item by item: files, bytes, shares of roots and folders, and age.

Pure: what is known and what the day has used come in as arguments. Says which limit bites, and in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dedupd.core.cleanup_plan import DIRECTORY_SHARE_FROM, ROOT_SHARE_FROM, Limits, Spared
from dedupd.core.records import FilePath, FileStat, RootId
from dedupd.core.wording import bytes_text, count_text, percent_text

_Directory = tuple[RootId, bytes]
_NEXT = "the next plan goes on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A file that an item would take."""

    path: FilePath
    size_bytes: int
    is_picture: bool  # counts among the known files of its root and folder; sidecars and videos do not


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedToday:
    """What plans have taken within the last 24 hours and that was not put back."""

    files: int = 0
    bytes_: int = 0


class Allowance:
    """What one run may still take. Mutable; owned by the drawing up of one plan."""

    def __init__(
        self,
        limits: Limits,
        *,
        used_today: UsedToday,
        known: Mapping[RootId, Mapping[bytes, int]],
        names_go: bool = True,
    ) -> None:
        """Begin with nothing taken.

        Args:
            limits: what may happen at once.
            used_today: what the day has had already.
            known: of each root concerned the number of known pictures that are there, by folder below it.
            names_go: files leave their place; hard links and shared blocks leave every name where it is.
        """
        self._limits = limits
        self._today = used_today
        self._names_go = names_go
        self._files = 0
        self._bytes = 0
        self._in_root = {root: sum(folders.values()) for root, folders in known.items()}
        self._in_folder = {(root, name): n for root, folders in known.items() for name, n in folders.items()}
        self._left_below: Counter[_Directory] = Counter()
        for (root, directory), count in self._in_folder.items():
            for above in _upwards(directory):
                self._left_below[root, above] += count
        self._from_root: Counter[RootId] = Counter()
        self._from_folder: Counter[_Directory] = Counter()

    def take(self, files: Iterable[Taken]) -> tuple[Spared, str] | None:
        """Count an item in, or say which limit it would pass; then nothing of it is counted."""
        taken = list(files)
        bites = self._amount(len(taken), sum(file.size_bytes for file in taken))
        roots = Counter(file.path.root for file in taken if file.is_picture)
        folders = Counter((file.path.root, file.path.directory) for file in taken if file.is_picture)
        bites = bites or self._root_share(roots)
        if self._names_go:
            bites = bites or self._folder_share(folders) or self._last_of_tree(folders)
        if bites is None:
            self._count_in(taken, roots, folders)
        return bites

    def _amount(self, files: int, bytes_: int) -> tuple[Spared, str] | None:
        limits, today = self._limits, self._today
        if 0 < limits.files_per_run < self._files + files:
            return Spared.FILES_PER_RUN, f"{count_text(limits.files_per_run, 'file', 'files')} a run; {_NEXT}"
        if 0 < limits.bytes_per_run < self._bytes + bytes_:
            return Spared.BYTES_PER_RUN, f"{bytes_text(limits.bytes_per_run)} a run; {_NEXT}"
        if 0 < limits.files_per_day < today.files + self._files + files:
            return Spared.FILES_PER_DAY, (
                f"{count_text(limits.files_per_day, 'file', 'files')} in 24 hours, {today.files:,} of them used already"
            )
        if 0 < limits.bytes_per_day < today.bytes_ + self._bytes + bytes_:
            return Spared.BYTES_PER_DAY, (
                f"{bytes_text(limits.bytes_per_day)} in 24 hours, {bytes_text(today.bytes_)} of them used already"
            )
        return None

    def _root_share(self, roots: Counter[RootId]) -> tuple[Spared, str] | None:
        share = self._limits.root_share
        for root, count in roots.items():
            known = self._in_root.get(root, 0)
            if 0 < share < 1 and self._from_root[root] + count > max(ROOT_SHARE_FROM, int(share * known)):
                return Spared.ROOT_SHARE, f"{percent_text(share)} of the root's {known:,} pictures a run; {_NEXT}"
        return None

    def _folder_share(self, folders: Counter[_Directory]) -> tuple[Spared, str] | None:
        share = self._limits.directory_share
        for folder, count in folders.items():
            known = self._in_folder.get(folder, 0)
            if 0 < share < 1 and self._from_folder[folder] + count > max(DIRECTORY_SHARE_FROM, int(share * known)):
                return Spared.DIRECTORY_SHARE, f"{percent_text(share)} of its folder's {known:,} pictures; {_NEXT}"
        return None

    def _last_of_tree(self, folders: Counter[_Directory]) -> tuple[Spared, str] | None:
        if self._limits.directory_share >= 1:
            return None
        below = _below(folders)
        if any(self._left_below[folder] - count < 1 for folder, count in below.items()):
            return (
                Spared.DIRECTORY_SHARE,
                "no picture would be left in a folder; `directory_share = 1` lets that happen",
            )
        return None

    def _count_in(self, taken: list[Taken], roots: Counter[RootId], folders: Counter[_Directory]) -> None:
        self._files += len(taken)
        self._bytes += sum(file.size_bytes for file in taken)
        self._from_root += roots
        self._from_folder += folders
        self._left_below.subtract(_below(folders))


def too_young(stat: FileStat, first_seen_ns: int, min_age_s: float, now_ns: int) -> str:
    """Why a file is too young to go, in words; "" when it is not.

    A modification time to come says nothing, cameras and people set it; the time of the last change of its inode
    (ctime) is the system's.
    """
    told = {
        "was first seen": first_seen_ns,
        "was written": stat.mtime_ns,
        "was moved, linked or changed": stat.ctime_ns,
    }
    if stat.mtime_ns > now_ns:
        del told["was written"]
    word, newest_ns = max(told.items(), key=lambda item: item[1])
    age_s = (now_ns - newest_ns) / 1e9
    if age_s >= min_age_s:
        return ""
    return f"it {word} {_span(max(0.0, age_s))} ago, less than the {_span(min_age_s)} of `min_age_h`"


def _span(seconds: float) -> str:
    if seconds < 120:
        return count_text(int(seconds), "second", "seconds")
    if seconds < 7200:
        return count_text(int(seconds // 60), "minute", "minutes")
    return count_text(int(seconds // 3600), "hour", "hours")


def _below(folders: Counter[_Directory]) -> Counter[_Directory]:
    """The same counts for every folder above as well."""
    below: Counter[_Directory] = Counter()
    for (root, directory), count in folders.items():
        for above in _upwards(directory):
            below[root, above] += count
    return below


def _upwards(directory: bytes) -> Iterator[bytes]:
    """The folder and all above it, b"" for the root last."""
    while directory:
        yield directory
        directory = directory.rpartition(b"/")[0]
    yield b""
