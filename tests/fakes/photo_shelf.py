"""Real files in a folder, the real store that knows them, and the real groups: what a plan is drawn up from.

Only what decoding would find out is said by the test: nothing here reads a picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from blake3 import blake3

from dedupd.cleanup.companions import Folders
from dedupd.cleanup.draft import draft_plan
from dedupd.core.cleanup_limits import UsedToday
from dedupd.core.cleanup_plan import Limits, Plan
from dedupd.core.cleanup_policy import CleanupPolicy
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.ports import DecodedImage, Descriptor, LibraryTransaction, NewContent
from dedupd.core.records import (
    Capture,
    ContentId,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Quality,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
)
from dedupd.core.verdicts import Pin
from dedupd.pipeline.group_book import GroupBook
from dedupd.store import LmdbLibrary

WRITTEN_NS = 1_700_000_000_000_000_000  # all files, so that only what a test says differs
EVIDENCE = Evidence(
    method="none", similarity=0.9, geometry=None, residual_low=1.0, worst_region=0.0, motion_px=0.0, tone_change=0.0
)
NO_LIMITS = Limits(files_per_run=0, files_per_day=0, root_share=0.0, directory_share=1.0, min_age_s=0.0)
ALL = frozenset({Relation.SAME_BYTES, Relation.SAME_PIXELS, Relation.RE_ENCODED, Relation.EDITED})


class PhotoShelf:
    """One or more roots with files in them. Close it."""

    def __init__(self, folder: Path, roots: tuple[str, ...] = ("photos",)) -> None:
        self.library = LmdbLibrary(folder / "state", map_bytes=1 << 28)
        self.paths = {RootId(number): folder / name for number, name in enumerate(roots, 1)}
        self._open: LibraryTransaction | None = None
        for number, path in self.paths.items():
            path.mkdir(parents=True, exist_ok=True)
            self.put_root(number, path)

    def close(self) -> None:
        self.library.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is put within becomes one transaction: the disk is waited for once."""
        with self.library.transaction() as txn:
            self._open = txn
            try:
                yield
            finally:
                self._open = None

    @contextmanager
    def _changing(self) -> Iterator[LibraryTransaction]:
        if self._open is not None:
            yield self._open
        else:
            with self.library.transaction() as txn:
                yield txn

    def put_root(
        self, number: int, path: Path, *, state: RootState = RootState.ONLINE, is_watched: bool = True
    ) -> None:
        facts = path.stat()
        with self._changing() as txn:
            txn.put_root(
                RootRecord(
                    id=RootId(number),
                    path=os.fsencode(path),
                    identity=RootIdentity(dev=facts.st_dev, fsid=0, ino=facts.st_ino, filesystem="ext4"),
                    state=state,
                    state_reason="" if state is RootState.ONLINE else "its disk is gone",
                    last_full_scan_ns=1,
                    added_at_ns=1,
                    is_watched=is_watched,
                )
            )

    # ------------------------------------------------------------------------------------------------------- files

    def where(self, name: str, root: int = 1) -> Path:
        return self.paths[RootId(root)] / name

    def path(self, name: str, root: int = 1) -> FilePath:
        directory, _, base = os.fsencode(name).rpartition(b"/")
        return FilePath(root=RootId(root), directory=directory, name=base)

    def write(self, name: str, content: bytes, *, root: int = 1) -> Path:
        """A file that the library does not know: a sidecar, a video."""
        path = self.where(name, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(WRITTEN_NS, WRITTEN_NS))
        return path

    def picture(
        self, name: str, shown: str | bytes, *, root: int = 1, width: int = 400, fmt: str = "JPEG", trailing: int = 0,
        capture: Capture | None = None, quality: int = 80, pixels: bytes | None = None,
    ) -> ContentId:  # fmt: skip
        """A file with these bytes that is indexed as a picture."""
        data = shown.encode() if isinstance(shown, str) else shown
        self.write(name, data, root=root)
        content = self._content(data, width=width, fmt=fmt, trailing=trailing, capture=capture, quality=quality)
        if pixels is not None:
            with self._changing() as txn:
                record = txn.content(content)
                assert record is not None
                txn.put_content(replace(record, pixel_digest=pixels))
        self.know(name, content, root=root)
        return content

    def link(self, name: str, to: str, *, root: int = 1) -> None:
        """A hard link of a picture, known as well."""
        self.where(name, root).parent.mkdir(parents=True, exist_ok=True)
        os.link(self.where(to, root), self.where(name, root))
        with self._changing() as txn:
            record = txn.file(self.path(to, root))
        assert record is not None
        assert record.content is not None
        self.know(to, record.content, root=root)  # its ctime is another by now
        self.know(name, record.content, root=root, is_link=True)

    def know(self, name: str, content: ContentId, *, root: int = 1, is_link: bool = False) -> None:
        """Put the row of a file as it is now."""
        facts = self.where(name, root).lstat()
        record = FileRecord(
            path=self.path(name, root),
            stat=FileStat(
                dev=facts.st_dev,
                ino=facts.st_ino,
                size_bytes=facts.st_size,
                mtime_ns=facts.st_mtime_ns,
                ctime_ns=facts.st_ctime_ns,
            ),
            stage=FileStage.INDEXED,
            content=content,
            first_seen_ns=1,
            link_of_same_inode=is_link,
        )
        with self._changing() as txn:
            txn.put_file(record)

    def _content(
        self, data: bytes, *, width: int, fmt: str, trailing: int, capture: Capture | None, quality: int
    ) -> ContentId:
        new = NewContent(
            digest=blake3(data).digest(),
            size_bytes=len(data),
            image=DecodedImage(
                format=fmt,
                width_px=width,
                height_px=width * 3 // 4,
                image_digest=None,
                capture=capture or Capture(),
                quality=Quality(sharpness=1.0, information=7.0, jpeg_quality=quality if fmt == "JPEG" else None),
                decoder="test",
                small=np.zeros((4, 4, 3), np.uint8),
                preview=b"",
                trailing_bytes=trailing,
            ),
            descriptor=Descriptor(stored=np.ones((1, 1), np.float32), queries=np.ones((1, 1), np.float32)),
            first_seen_ns=1,
        )
        with self._changing() as txn:
            return txn.add_content(new, ModelTag("test-1")).id

    def pair(self, a: ContentId, b: ContentId, relation: Relation = Relation.RE_ENCODED, **evidence: object) -> None:
        edge = Edge(
            a=min(a, b),
            b=max(a, b),
            relation=relation,
            similarity=0.9,
            reason="looked at",
            evidence=replace(EVIDENCE, **evidence),
            verifier="test",
            found_at_ns=1,
            probability=0.99,
        )
        with self._changing() as txn:
            txn.put_edge(edge)

    # -------------------------------------------------------------------------------------------------------- plans

    def groups(self) -> GroupBook:
        book = GroupBook(self.library)
        book.load()
        return book

    def draft(
        self,
        policy: CleanupPolicy | None = None,
        wish: PlanWish | None = None,
        *,
        used_today: UsedToday | None = None,
        pins: tuple[Pin, ...] = (),
        now_ns: int | None = None,
        folders: Folders | None = None,
        **changes: object,
    ) -> Plan:
        """A plan over all relations and without limits, but for what the test says."""
        policy = policy or CleanupPolicy(name="test", **{"relations": ALL, "limits": NO_LIMITS} | changes)
        with self.library.view() as view:
            return draft_plan(
                view,
                self.groups(),
                policy,
                wish or PlanWish(),
                pins={pin.digest: pin for pin in pins},
                used_today=used_today or UsedToday(),
                now_ns=now_ns or self.now_ns(),
                expires_at_ns=(now_ns or self.now_ns()) + 1,
                folders=folders,
            )

    def now_ns(self) -> int:
        """A moment after all that was written."""
        return max(p.lstat().st_ctime_ns for path in self.paths.values() for p in [path, *path.rglob("*")]) + 1


def going(plan: Plan) -> list[str]:
    """The names below their roots that a plan takes, in order."""
    return sorted(os.fsdecode(victim.file.path.relative()) for item in plan.items for victim in item.victims)


def left(plan: Plan) -> dict[str, str]:
    """Name below its root → why it is left alone."""
    return {os.fsdecode(one.path.relative()): one.why.value for one in plan.left_alone}


def kept(plan: Plan) -> set[str]:
    """The pictures that stay in another's stead."""
    return {os.fsdecode(item.keeper.path.relative()) for item in plan.items}
