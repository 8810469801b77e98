"""Answers about pictures: groups, pairs, "do I have this?". Blocking; runs in threads, owns nothing."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace

from dedupd.api.failures import BadPictureError
from dedupd.core.errors import NotFoundError, RetryError
from dedupd.core.grouping import Group
from dedupd.core.ports import Groups, ImageReader, Library, LibraryView, Matcher, Priority, ReadFile
from dedupd.core.records import (
    DUPLICATE_RELATIONS,
    ContentId,
    ContentRecord,
    FilePath,
    FileRecord,
    Problem,
    Relation,
    RootId,
    RootRecord,
)
from dedupd.protocol import convert
from dedupd.protocol.pictures import (
    FindMessage,
    GroupMessage,
    GroupsMessage,
    HaveMessage,
    KnownMessage,
    MatchMessage,
    PictureMessage,
)
from dedupd.protocol.requests import GroupsQuery, HaveRequest
from dedupd.protocol.text import path_text

_CONTENT_REFERENCE = re.compile(r"content:([0-9]{1,15})")
_PIXEL_RELATIONS = frozenset({Relation.SAME_BYTES, Relation.SAME_PIXELS})
_LAST_CONTENT = 2**48 - 1
_LONGEST_PATH_BYTES = 4096  # PATH_MAX
_LONGEST_NAME_BYTES = 255  # NAME_MAX
_READ_TIMEOUT_S = 120.0  # queueing behind other questions and decoding; a single decode is stopped far earlier
_STOP_LOOK_S = 0.25  # how often a waiting answer looks whether the server stops


def relations_down_to(lowest: str) -> frozenset[Relation]:
    """A relation and everything closer."""
    return frozenset(r for r in DUPLICATE_RELATIONS if r.rank <= Relation(lowest).rank)


@dataclass(frozen=True, slots=True)
class Gallery:
    """Looks contents up within one view."""

    view: LibraryView
    roots: dict[RootId, RootRecord]

    @classmethod
    def of(cls, view: LibraryView) -> Gallery:
        return cls(view, {root.id: root for root in view.roots()})

    def picture(self, content: ContentId) -> PictureMessage | None:
        """None where the content went since it was named."""
        record = self.view.content(content)
        if record is None:
            return None
        return convert.picture_message(record, self.view.files_of(content), self.roots)

    def pictures(self, contents: Iterable[ContentId]) -> tuple[PictureMessage, ...]:
        found = (self.picture(content) for content in contents)
        return tuple(picture for picture in found if picture is not None)

    def group(self, group: Group) -> GroupMessage | None:
        keeper = self.picture(group.keeper)
        if keeper is None:
            return None
        members = []
        for member in group.members:
            picture = self.picture(member.content)
            if picture is not None:
                match = MatchMessage(
                    relation=member.relation,
                    similarity=member.similarity,
                    probability=member.probability,
                    reason=member.reason,
                    picture=picture,
                )
                members.append(match)
        return convert.group_message(
            group,
            keeper=keeper,
            members=tuple(members),
            related=self.pictures(group.related),
            frees_bytes=self._frees_bytes(group),
        )

    def _frees_bytes(self, group: Group) -> int:
        """All members' bytes and the keeper's further copies; hard links of one inode count once."""
        total = 0
        for content in group.contents:
            record = self.view.content(content)
            if record is None:
                continue
            files = [file for file in self.view.files_of(content) if file.missing_since_ns is None]
            copies = len({(file.stat.dev, file.stat.ino) for file in files})
            total += record.size_bytes * max(0, copies - (content == group.keeper))
        return total


class PictureReads:
    """Reads what clients send. Waits for its turn, no longer than the server runs."""

    def __init__(self, reader: ImageReader, stopping: threading.Event) -> None:
        self._reader = reader
        self._stopping = stopping

    def read(self, fd: int) -> ReadFile:
        """What is behind a descriptor, which the reader closes.

        Raises:
            BadPictureError: it could not be read at all; a picture that cannot be decoded is in the answer.
            RetryError: the server stops, or has too much to do.
        """
        future = self._reader.read_descriptor(fd, priority=Priority.QUESTION)
        for _ in range(int(_READ_TIMEOUT_S / _STOP_LOOK_S)):
            try:
                read = future.result(_STOP_LOOK_S)
            except TimeoutError:
                if self._stopping.is_set():
                    break
                continue
            except CancelledError:
                break
            if isinstance(read, Problem):
                raise BadPictureError(read)
            return read
        future.cancel()
        raise RetryError("The picture was not read: the daemon is stopping or has too much to do.")


class PictureAnswers:
    """Answers about pictures from the store, the groups, the reader and the matcher."""

    def __init__(
        self, *, library: Library, reader: ImageReader, matcher: Matcher, groups: Groups, reads: PictureReads
    ) -> None:
        self._library = library
        self._reader = reader
        self._matcher = matcher
        self._groups = groups
        self._reads = reads

    def groups(self, query: GroupsQuery) -> GroupsMessage:
        """One page. NotFoundError where nobody knows any more where the page before ended: the reader starts over."""
        everything = self._groups.all(relations_down_to(query.relation))
        page = everything.page(ContentId(query.after) if query.after else None, query.limit)
        if page is None:
            raise NotFoundError(f"Group {query.after} is no longer there: ask again from the first page.")
        with self._library.view() as view:
            gallery = Gallery.of(view)
            messages = [gallery.group(group) for group in page.groups]
        return GroupsMessage(
            groups=tuple(message for message in messages if message is not None),
            total=len(everything),
            next=page.next,
        )

    def group(self, number: int) -> GroupMessage:
        """The group with this id, or the one that holds the content with this id."""
        content = ContentId(number)
        group = None
        if number <= _LAST_CONTENT:
            group = self._groups.find(content) or self._groups.holding(content)
        if group is not None:
            with self._library.view() as view:
                message = Gallery.of(view).group(group)
            if message is not None:
                return message
        raise NotFoundError(f"There is no group {number}. `dedupctl groups` lists them; a group goes with its files.")

    def have(self, request: HaveRequest) -> HaveMessage:
        """Known are only bytes that a file holds which is there now: a card is wiped on this answer."""
        known: list[KnownMessage] = []
        unknown: list[str] = []
        with self._library.view() as view:
            gallery = Gallery.of(view)
            for digest in dict.fromkeys(request.digests):
                record = view.content_by_digest(bytes.fromhex(digest))
                files = [] if record is None else view.files_of(record.id)
                there = [file for file in files if convert.is_present(file, gallery.roots)]
                if record is None or not there:
                    unknown.append(digest)
                    continue
                messages = tuple(convert.file_message(file, gallery.roots) for file in there)
                known.append(KnownMessage(digest=digest, content=record.id, files=messages))
        return HaveMessage(known=tuple(known), unknown=tuple(unknown))

    def find(self, fd: int, *, is_strict: bool) -> FindMessage:
        """What the library holds of the picture behind a descriptor, which the reader closes."""
        again = os.dup(fd)
        try:
            return self._find(self._reads.read(fd), again, is_strict=is_strict)
        finally:
            os.close(again)

    def _find(self, read: ReadFile, fd: int, *, is_strict: bool) -> FindMessage:
        def pixel_digest() -> bytes | None:
            digest = self._reader.pixel_digest(os.dup(fd), priority=Priority.QUESTION).result(_READ_TIMEOUT_S)
            return digest if isinstance(digest, bytes) else None

        with self._library.view() as view:
            is_known = view.content_by_digest(read.digest) is not None
        image = read.image
        if isinstance(image, Problem):
            if not is_known:
                raise BadPictureError(image)
            image = None
        found = self._matcher.find(replace(read, image=image), pixel_digest=pixel_digest, source=lambda: os.dup(fd))
        matches = []
        with self._library.view() as view:
            gallery = Gallery.of(view)
            for match in found:
                if is_strict and match.relation not in _PIXEL_RELATIONS:
                    continue
                picture = gallery.picture(match.content)
                if picture is not None:
                    message = MatchMessage(
                        relation=match.relation,
                        similarity=match.similarity,
                        probability=match.probability,
                        reason=match.reason,
                        picture=picture,
                    )
                    matches.append(message)
        return FindMessage(
            digest=read.digest.hex(),
            size_bytes=read.stat.size_bytes,
            is_known=is_known,
            format=None if image is None else image.format,
            width=None if image is None else image.width_px,
            height=None if image is None else image.height_px,
            matches=tuple(matches),
        )


def named_content(view: LibraryView, name: str) -> ContentRecord:
    """The content that a person named, by number or by path."""
    if match := _CONTENT_REFERENCE.fullmatch(name):
        number = int(match[1])
        content = view.content(ContentId(number)) if number <= _LAST_CONTENT else None
        if content is None:
            raise NotFoundError(f"There is no content {number} in the library.")
        return content
    raw = os.fsencode(name)
    file = _file_at(view, raw)
    shown = path_text(raw)
    if file is None:
        raise NotFoundError(f"{shown} is not in the library. `dedupctl roots` lists what is watched.")
    content = None if file.content is None else view.content(file.content)
    if content is None:
        why = file.problem.detail or file.problem.code if file.problem else "it has not been read yet"
        raise NotFoundError(f"{shown} is known but not indexed: {why}")
    return content


def file_path_at(view: LibraryView, path: bytes) -> FilePath | None:
    """Where an absolute path lies: in which root, and where below it. None where it is in no root or is no path."""
    if len(path) > _LONGEST_PATH_BYTES or b"\0" in path:
        return None
    for root in sorted(view.roots(), key=lambda r: len(r.path), reverse=True):
        prefix = root.path.rstrip(b"/") + b"/"
        if path.startswith(prefix):
            directory, _, name = path.removeprefix(prefix).rpartition(b"/")
            if not name or max(map(len, path.split(b"/"))) > _LONGEST_NAME_BYTES:
                return None
            return FilePath(root=root.id, directory=directory, name=name)
    return None


def _file_at(view: LibraryView, path: bytes) -> FileRecord | None:
    place = file_path_at(view, path)
    return None if place is None else view.file(place)
