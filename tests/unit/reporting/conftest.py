"""A small real library on disk, and reports made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes.groups import FixedGroups

from dedupd.core.grouping import Group, Member, Share
from dedupd.core.ports import DecodedImage, Descriptor, NewContent
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
    RootRecord,
    RootState,
)
from dedupd.core.report import Report, ReportFile, ReportGroup
from dedupd.store import LmdbLibrary

ROOT = RootId(1)
NO_EVIDENCE = Evidence(
    method="none",
    similarity=0.9,
    geometry=None,
    residual_low=1.0,
    worst_region=0.0,
    motion_px=0.0,
    tone_change=0.0,
)


class Shelf:
    """Puts contents, files and pairs into a real store."""

    def __init__(self, library: LmdbLibrary) -> None:
        self.library = library
        self._inode = 100

    def content(self, seed: int, width: int = 400, height: int = 300) -> ContentId:
        new = NewContent(
            digest=seed.to_bytes(32, "big"),
            size_bytes=1000 * seed,
            image=DecodedImage(
                format="JPEG",
                width_px=width,
                height_px=height,
                image_digest=None,
                capture=Capture(taken_at_ms=1_559_991_111_000),
                quality=Quality(sharpness=1.0, information=7.0),
                decoder="test",
                small=np.zeros((4, 4, 3), np.uint8),
                preview=b"",
            ),
            descriptor=Descriptor(stored=np.ones((1, 1), np.float32), queries=np.ones((1, 1), np.float32)),
            first_seen_ns=1,
        )
        with self.library.transaction() as txn:
            return txn.add_content(new, ModelTag("test-1")).id

    def file(
        self,
        path: bytes,
        content: ContentId,
        *,
        size: int = 1000,
        inode: int | None = None,
        is_link: bool = False,
        missing_since_ns: int | None = None,
    ) -> None:
        directory, _, name = path.rpartition(b"/")
        self._inode += 1
        stat = FileStat(dev=1, ino=inode or self._inode, size_bytes=size, mtime_ns=10**18, ctime_ns=10**18)
        record = FileRecord(
            path=FilePath(root=ROOT, directory=directory, name=name),
            stat=stat,
            stage=FileStage.INDEXED,
            content=content,
            first_seen_ns=1,
            missing_since_ns=missing_since_ns,
            link_of_same_inode=is_link,
        )
        with self.library.transaction() as txn:
            txn.put_file(record)

    def edge(self, a: ContentId, b: ContentId, relation: Relation, similarity: float = 0.9) -> None:
        edge = Edge(
            a=min(a, b),
            b=max(a, b),
            relation=relation,
            similarity=similarity,
            reason="looked at",
            evidence=NO_EVIDENCE,
            probability=0.875,
            verifier="test",
            found_at_ns=1,
        )
        with self.library.transaction() as txn:
            txn.put_edge(edge)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    library = LmdbLibrary(tmp_path / "state")
    root = RootRecord(
        id=ROOT,
        path=b"/photos",
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=1,
    )
    with library.transaction() as txn:
        txn.put_root(root)
    yield Shelf(library)
    library.close()


def member(content: ContentId, relation: Relation = Relation.RE_ENCODED, similarity: float = 0.98) -> Member:
    return Member(content=content, relation=relation, similarity=similarity, reason="half the size", probability=0.9375)


def group(keeper: ContentId, *members: Member, related: Iterable[ContentId] = ()) -> Group:
    contents = [keeper, *(m.content for m in members)]
    return Group(id=min(contents), keeper=keeper, keeper_reason="more pixels", members=members, related=tuple(related))


def report_file(path: bytes, relation: Relation | None = None, **changes: object) -> ReportFile:
    values: dict[str, object] = {
        "path": path,
        "file": FilePath(root=ROOT, directory=b"", name=path.rpartition(b"/")[2]),
        "content": ContentId(1),
        "size_bytes": 2_000_000,
        "width_px": 4032,
        "height_px": 3024,
        "format": "JPEG",
        "mtime_ns": 1_700_000_000_000_000_000,
        "taken_at_ms": 1_559_991_111_000,
        "relation": relation,
        "similarity": 1.0,
        "probability": 1.0,
        "reason": "more pixels",
        "frees_bytes": 0 if relation is None else 2_000_000,
    }
    return ReportFile(**(values | changes))  # type: ignore[arg-type]


def report_group(keep: ReportFile, *duplicates: ReportFile, related: tuple[ReportFile, ...] = ()) -> ReportGroup:
    weakest = max(duplicates, key=lambda f: (f.relation.rank if f.relation else 0, -f.similarity))
    assert weakest.relation is not None
    return ReportGroup(
        id=keep.content,
        relation=weakest.relation,
        similarity=weakest.similarity,
        probability=weakest.probability,
        keep=keep,
        duplicates=duplicates,
        related=related,
        frees_bytes=sum(f.frees_bytes for f in duplicates),
    )


def shares_of(groups: Iterable[ReportGroup]) -> tuple[Share, ...]:
    files = [file for group in groups for file in group.duplicates]
    kinds = sorted({file.relation for file in files if file.relation}, key=lambda relation: relation.rank)
    return tuple(
        Share(
            relation=kind,
            files=sum(file.relation is kind for file in files),
            frees_bytes=sum(file.frees_bytes for file in files if file.relation is kind),
        )
        for kind in kinds
    )


def report_of(*groups: ReportGroup, **changes: object) -> Report:
    values: dict[str, object] = {
        "generated_at_ns": 1_795_180_000_000_000_000,
        "total_images": 1234,
        "total_contents": 1200,
        "duplicate_groups": len(groups),
        "shares": shares_of(groups),
        "keep_policy": "best",
        "relations": (Relation.SAME_BYTES, Relation.RE_ENCODED),
        "roots": (b"/photos",),
        "problems": 0,
        "pending": 0,
        "groups": groups,
    }
    return Report(**(values | changes))  # type: ignore[arg-type]


class Make:
    """The functions above, for test modules (importlib mode has no imports between test files)."""

    groups = FixedGroups
    member = staticmethod(member)
    group = staticmethod(group)
    file = staticmethod(report_file)
    report_group = staticmethod(report_group)
    report = staticmethod(report_of)


@pytest.fixture
def make() -> type[Make]:
    return Make
