"""What goes along with a picture, or keeps it from going: sidecars, the RAW of a JPEG, the video of a Live Photo.

A companion goes only where the kept picture has the very same one; a sidecar that the kept picture lacks may be carried
to it, if the policy says so. Otherwise the picture stays: nothing that belongs to it is ever dropped. Looks at folders,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dedupd.cleanup.companions import Folders, SeenFile
from dedupd.cleanup.inodes import Inodes, Reason, planned
from dedupd.core.bundle import Bundle, Companion, DirectoryNames, bundle_of
from dedupd.core.cleanup_limits import too_young
from dedupd.core.cleanup_plan import PlannedFile, Role, Spared, Victim
from dedupd.core.cleanup_policy import CleanupPolicy, Companions
from dedupd.core.keep_criteria import FileCandidate
from dedupd.core.ports import LibraryView
from dedupd.core.records import FilePath, FileStat
from dedupd.core.wording import path_words


class StaysError(Exception):
    """A companion keeps its picture from going; carries the reason out of the steps that look for one."""

    def __init__(self, why: Spared, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = (why, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """A companion that goes along, with what only looking tells."""

    victim: Victim
    links: int


class Belongings:
    """Finds what goes along, for one plan. Owned by its drawing up, with the names that sidecars are carried to."""

    def __init__(self, view: LibraryView, folders: Folders, policy: CleanupPolicy, inodes: Inodes, now_ns: int) -> None:
        self._view = view
        self._folders = folders
        self._policy = policy
        self._inodes = inodes
        self._now_ns = now_ns
        self._carried: set[FilePath] = set()

    def with_picture(self, gone: FileCandidate, kept: FileCandidate, going: Collection[FilePath]) -> list[Belonging]:
        """What goes along with one name of a picture.

        Args:
            gone: the file that would go.
            kept: the file that would stay.
            going: files that go already; they need no second mention.

        Raises:
            StaysError: something that belongs to it has no like beside the kept picture.
        """
        bundle, kept_bundle = self._bundle(gone)[0], self._bundle(kept)
        found: list[Belonging] = []
        for companion in bundle.companions:
            if _is_of_both(gone, kept, companion, kept_bundle[0]):
                continue
            if companion.is_of_stem and bundle.others:
                if companion.role is Role.SIDECAR:
                    continue  # stays with the other picture
                raise StaysError(
                    Spared.COMPANION,
                    f"{path_words(companion.name)} belongs to {path_words(bundle.others[0])} as well",
                )
            seen = self._look(gone, companion)
            if _beside(gone, companion.name) not in going:
                found.append(self._along(gone, kept, companion, seen, kept_bundle))
        return found

    def of_kept(self, kept: FileCandidate) -> tuple[PlannedFile, ...]:
        """What belongs to a kept picture and is moved with it, where kept pictures are moved.

        Raises:
            StaysError: something of it cannot move along.
        """
        bundle = self._bundle(kept)[0]
        found = []
        for companion in bundle.companions:
            name = path_words(companion.name)
            if companion.is_of_stem and bundle.others:
                raise StaysError(Spared.COMPANION, f"{name} belongs to {path_words(bundle.others[0])} as well")
            seen = self._look(kept, companion)
            path = _beside(kept, companion.name)
            self._must_be_free_to_go(path, seen.stat)
            found.append(PlannedFile(path=path, stat=seen.stat, digest=self._digest(path, seen.stat)))
        return tuple(found)

    def carry(self, belongings: list[Belonging]) -> None:
        """Remember the names that sidecars will have: no second one is carried there."""
        self._carried.update(b.victim.carried_to for b in belongings if b.victim.carried_to is not None)

    def _bundle(self, candidate: FileCandidate) -> tuple[Bundle, DirectoryNames]:
        path = candidate.file.path
        names = self._folders.names(self._root(path), path.directory)
        if names is None:
            raise StaysError(Spared.UNSETTLED, "the folder cannot be listed, so what belongs to it is not known")
        return bundle_of(path.name, names), names

    def _root(self, path: FilePath) -> bytes:
        return self._inodes.roots[path.root].path

    def _look(self, picture: FileCandidate, companion: Companion) -> SeenFile:
        path = picture.file.path
        seen = self._folders.seen(self._root(path), path.directory, companion.name)
        if seen is None or not seen.is_regular or seen.stat.size_bytes == 0:
            raise StaysError(
                Spared.COMPANION,
                f"{path_words(companion.name)} belongs together with it and is no file that can be read",
            )
        return seen

    def _along(
        self,
        gone: FileCandidate,
        kept: FileCandidate,
        companion: Companion,
        seen: SeenFile,
        kept_bundle: tuple[Bundle, DirectoryNames],
    ) -> Belonging:
        path = _beside(gone, companion.name)
        self._must_be_free_to_go(path, seen.stat)
        digest = self._digest(path, seen.stat)
        file = PlannedFile(path=path, stat=seen.stat, digest=digest)
        twin = self._twin(kept, companion, file, kept_bundle[0])
        if twin is not None:
            return Belonging(victim=Victim(file=file, role=companion.role, stays=twin, is_exact=True), links=seen.links)
        to = self._carried_to(kept, companion, seen, kept_bundle)
        return Belonging(
            victim=Victim(file=file, role=companion.role, stays=planned(kept), is_exact=False, carried_to=to), links=0
        )

    def _must_be_free_to_go(self, path: FilePath, stat: FileStat) -> None:
        record = self._view.file(path)
        content = None if record is None or record.content is None else self._view.content(record.content)
        pinned = self._inodes.pinned(content.digest, path) if content is not None else 0
        kept = self._inodes.why_kept_here(path, pinned)
        first_seen_ns = record.first_seen_ns if record is not None else 0
        young = too_young(stat, first_seen_ns, self._policy.limits.min_age_s, self._now_ns)
        if kept is not None or young:
            why, detail = kept or (Spared.YOUNG, young)
            raise StaysError(why, f"{path_words(path.name)} belongs to it: {detail}")
        if any(other != path for other in self._view.files_at_inode(stat.dev, stat.ino)):
            raise StaysError(
                Spared.HARD_LINK, f"{path_words(path.name)} belongs to it and has another name, which stays"
            )

    def _twin(self, kept: FileCandidate, companion: Companion, file: PlannedFile, bundle: Bundle) -> PlannedFile | None:
        """The same companion of the kept picture: role and bytes."""
        for other in bundle.companions:
            if other.role is not companion.role:
                continue
            seen = self._look(kept, other)
            if seen.stat.size_bytes != file.stat.size_bytes:
                continue
            if (seen.stat.dev, seen.stat.ino) == (file.stat.dev, file.stat.ino):
                raise StaysError(Spared.HARD_LINK, f"{path_words(companion.name)} is a hard link of what stays")
            path = _beside(kept, other.name)
            digest = self._digest(path, seen.stat)
            if digest == file.digest:
                return PlannedFile(path=path, stat=seen.stat, digest=digest)
        return None

    def _carried_to(
        self,
        kept: FileCandidate,
        companion: Companion,
        seen: SeenFile,
        kept_bundle: tuple[Bundle, DirectoryNames],
    ) -> FilePath:
        name = path_words(companion.name)
        bundle, names = kept_bundle
        has_other = any(_kind(c) == _kind(companion) for c in bundle.companions)
        if has_other:
            raise StaysError(Spared.COMPANION, f"{name} belongs to it, and the kept picture has another one")
        if companion.role is not Role.SIDECAR or self._policy.companions is not Companions.CARRY:
            raise StaysError(Spared.COMPANION, f"{name} belongs to it, and the kept picture has none")
        to = _beside(kept, companion.name_beside(kept.file.path.name))
        if names.has_any_case(to.name) or to in self._carried:
            raise StaysError(Spared.COMPANION, f"{name} belongs to it, and its name beside the kept picture is taken")
        if seen.stat.dev != kept.file.stat.dev:
            raise StaysError(Spared.FILESYSTEM, f"{name} belongs to it, and the kept picture is on another file system")
        return to

    def _digest(self, path: FilePath, stat: FileStat) -> bytes:
        """Known where the library knows the file as it is, else read now."""
        record = self._view.file(path)
        if record is not None and record.content is not None and record.stat == stat:
            content = self._view.content(record.content)
            if content is not None:
                return content.digest
        digest = self._folders.digest(self._root(path), path.directory, path.name, stat)
        if digest is None:
            raise StaysError(Spared.COMPANION, f"{path_words(path.name)} belongs to it and cannot be read, or changes")
        return digest


def _is_of_both(gone: FileCandidate, kept: FileCandidate, companion: Companion, kept_bundle: Bundle) -> bool:
    """Whether the very file belongs to the kept picture as well, or is it: then it stays where it is."""
    one, other = gone.file.path, kept.file.path
    if (one.root, one.directory) != (other.root, other.directory):
        return False
    return companion.name == other.name or any(c.name == companion.name for c in kept_bundle.companions)


def _kind(companion: Companion) -> tuple[Role, bytes]:
    return companion.role, companion.name.rpartition(b".")[2].lower() if companion.role is Role.SIDECAR else b""


def _beside(candidate: FileCandidate, name: bytes) -> FilePath:
    path = candidate.file.path
    return FilePath(root=path.root, directory=path.directory, name=name)
