"""The files of a group as the drawing up of a plan sees them: usable or not, by inode, and whether each may go at all.

Several names of one inode are one file: they go together or not at all. Reads one view and looks at folders; what a
file is to another one is `cleanup.judge`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dedupd.cleanup.companions import Folders, SeenFile
from dedupd.core.bundle import bundle_of
from dedupd.core.cleanup_limits import too_young
from dedupd.core.cleanup_plan import WITH_FOLDER, Action, PlannedFile, Spared
from dedupd.core.cleanup_policy import CleanupPolicy
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.keep_criteria import FileCandidate
from dedupd.core.ports import LibraryView
from dedupd.core.records import (
    ContentRecord,
    FilePath,
    FileRecord,
    FileStage,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.core.verdicts import Pin
from dedupd.core.wording import path_words

InodeKey = tuple[int, int]  # device, inode
Reason = tuple[Spared, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inode:
    """One file of a group with all its names that are known."""

    names: tuple[FileCandidate, ...]  # by path
    links: int  # how many names it has, known or not
    blocked: Mapping[FilePath, Reason]  # why it may not go, whatever stays; empty: it may

    @property
    def is_outside(self) -> bool:
        """Whether it lies where no files are asked to go from."""
        return any(why is Spared.OUTSIDE for why, _ in self.blocked.values())

    @property
    def key(self) -> InodeKey:
        """What tells it from every other file that is there now."""
        stat = self.names[0].file.stat
        return stat.dev, stat.ino

    @property
    def content(self) -> ContentRecord:
        """What it holds."""
        return self.names[0].content

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.names[0].file.stat.size_bytes


def planned(candidate: FileCandidate) -> PlannedFile:
    """The file as a plan names it."""
    return PlannedFile(path=candidate.file.path, stat=candidate.file.stat, digest=candidate.content.digest)


class Inodes:
    """Sees files for one plan. Owned by its drawing up."""

    def __init__(
        self,
        view: LibraryView,
        *,
        folders: Folders,
        policy: CleanupPolicy,
        wish: PlanWish,
        pins: Mapping[bytes, Pin],
        now_ns: int,
    ) -> None:
        self._view = view
        self._folders = folders
        self._policy = policy
        self._wish = wish
        self._pins = pins
        self._now_ns = now_ns
        self._counts_companions = "bundle" in policy.keep.criteria
        self.roots: dict[RootId, RootRecord] = {root.id: root for root in view.roots()}

    def of(self, contents: Iterable[ContentRecord]) -> tuple[list[Inode], list[tuple[FileRecord, Reason]]]:
        """The files that are there and can be believed, by inode, and those that cannot, with why."""
        by_inode: dict[InodeKey, list[FileCandidate]] = {}
        links: dict[InodeKey, int] = {}
        unusable: list[tuple[FileRecord, Reason]] = []
        for content in contents:
            for file in self.present(content):
                reason = self._why_unusable(file)
                if reason is None:
                    seen = self._folders.seen(self._root(file).path, file.path.directory, file.path.name)
                    reason = _why_unsettled(file, seen)
                if reason is not None:
                    unusable.append((file, reason))
                    continue
                assert seen is not None  # else it would be unsettled
                key = file.stat.dev, file.stat.ino
                by_inode.setdefault(key, []).append(self._candidate(file, content))
                links[key] = seen.links
        inodes = [self._inode(names, links[key]) for key, names in by_inode.items()]
        return sorted(inodes, key=lambda inode: inode.names[0].path), unusable

    def present(self, content: ContentRecord) -> list[FileRecord]:
        """The files of a content that were there when their folders were last looked at."""
        return [file for file in self._view.files_of(content.id) if file.missing_since_ns is None]

    def absolute(self, path: FilePath) -> bytes:
        """The path as the system knows it."""
        root = self.roots.get(path.root)
        return (b"" if root is None else root.path.rstrip(b"/")) + b"/" + path.relative()

    def why_kept_here(self, file: FilePath, pinned: int) -> Reason | None:
        """Why a file may not go wherever its like is: a person said so, or the plan is not about it."""
        path = self.absolute(file)
        policy, wish = self._policy, self._wish
        if pinned == 2:
            return Spared.PINNED, "a person said to keep it"
        if path in policy.protected:
            return Spared.PROTECTED, "it lies in a protected folder"
        root = self.roots[file.root].path
        if (policy.roots and root not in policy.roots) or (wish.roots is not None and file.root not in wish.roots):
            return Spared.OUTSIDE, "its root is not one that files go from"
        if wish.folder_prefix and not _is_below(path, wish.folder_prefix):
            return Spared.OUTSIDE, f"it does not lie in {path_words(wish.folder_prefix)}"
        if policy.action in WITH_FOLDER and _is_below(path, policy.folder):
            return Spared.OUTSIDE, "it lies in the folder that files are moved to"
        return None

    def _was_moved_aside(self, path: bytes) -> bool:
        """Whether it lies where earlier plans moved duplicates: nothing goes because of what lies there."""
        folder = self._policy.folder
        aside = {Action.MOVE: folder, Action.SORT: folder.rstrip(b"/") + b"/duplicates"}.get(self._policy.action)
        return aside is not None and _is_below(path, aside)

    def pinned(self, digest: bytes, path: FilePath) -> int:
        """As `FileCandidate.pinned`."""
        pin = self._pins.get(digest)
        return 0 if pin is None else 2 if pin.path == path else 1

    def _root(self, file: FileRecord) -> RootRecord:
        return self.roots[file.path.root]

    def _why_unusable(self, file: FileRecord) -> Reason | None:
        root = self.roots.get(file.path.root)
        if root is None or not root.is_watched:
            return Spared.ROOT, "its root is not watched any more"
        if root.state is not RootState.ONLINE or root.identity is None:
            return Spared.ROOT, f"its root is {root.state}" + (f": {root.state_reason}" if root.state_reason else "")
        if file.stage is not FileStage.INDEXED:
            return Spared.UNSETTLED, "it has not been read yet"
        if self._was_moved_aside(self.absolute(file.path)):
            return Spared.OUTSIDE, "it lies in the folder that duplicates are moved to"
        return None

    def _candidate(self, file: FileRecord, content: ContentRecord) -> FileCandidate:
        path = self.absolute(file.path)
        return FileCandidate(
            file=file,
            path=path,
            content=content,
            pinned=self.pinned(content.digest, file.path),
            is_protected=path in self._policy.protected,
            companions=tuple(self._companion_roles(file)) if self._counts_companions else (),
        )

    def _companion_roles(self, file: FileRecord) -> Iterator[str]:
        names = self._folders.names(self._root(file).path, file.path.directory)
        if names is not None:
            yield from (companion.role.value for companion in bundle_of(file.path.name, names).companions)

    def _inode(self, names: list[FileCandidate], links: int) -> Inode:
        names = sorted(names, key=lambda name: name.path)
        inode = Inode(names=tuple(names), links=links, blocked={})
        blocked = {name.file.path: reason for name in names if (reason := self._why_blocked(name)) is not None}
        others = self._other_names(inode)
        if others and len(blocked) < len(names):
            said = f"{path_words(others[0])} is the same file by another name, which would stay"
            blocked |= {n.file.path: (Spared.HARD_LINK, said) for n in names if n.file.path not in blocked}
        elif blocked:
            staying = next(iter(blocked))
            said = f"{path_words(self.absolute(staying))} is the same file by another name, which stays"
            blocked |= {n.file.path: (Spared.HARD_LINK, said) for n in names if n.file.path not in blocked}
        return replace(inode, blocked=blocked)

    def _why_blocked(self, name: FileCandidate) -> Reason | None:
        kept = self.why_kept_here(name.file.path, name.pinned)
        if kept is not None:
            return kept
        young = too_young(name.file.stat, name.file.first_seen_ns, self._policy.limits.min_age_s, self._now_ns)
        return (Spared.YOUNG, young) if young else None

    def _other_names(self, inode: Inode) -> list[bytes]:
        """Names of the same inode that are known and not among its usable ones, and for hard links any unknown one."""
        own = {name.file.path for name in inode.names}
        others = [
            self.absolute(path)
            for path in self._view.files_at_inode(*inode.key)
            if path not in own and (file := self._view.file(path)) is not None and file.missing_since_ns is None
        ]
        if self._policy.action is Action.HARDLINK and inode.links > len(own) and not others:
            return [b"a name outside the library"]
        return others


def _why_unsettled(file: FileRecord, seen: SeenFile | None) -> Reason | None:
    if seen is None:
        return Spared.UNSETTLED, "it is not there any more, or cannot be looked at"
    if not seen.is_regular:
        return Spared.UNSETTLED, "it is no regular file any more"
    if seen.stat != file.stat:
        return Spared.UNSETTLED, "it has changed since it was read"
    return (Spared.UNSETTLED, "it is empty") if seen.stat.size_bytes == 0 else None


def _is_below(path: bytes, folder: bytes) -> bool:
    return path.startswith(folder.rstrip(b"/") + b"/") or path == folder
