"""What every `ReportSource` promises: MAKERS lay down a library with one group of three files and one of two."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import msgspec
import numpy as np
import pytest
from fakes.groups import FixedGroups
from fakes.image_reader import decoded_image
from fakes.report_source import LibraryReports

from dedupd.api.report_source import ReportSource
from dedupd.core.grouping import Group, Member
from dedupd.core.ports import Descriptor, NewContent
from dedupd.core.records import (
    DUPLICATE_RELATIONS,
    ContentId,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.daemon.reports import EngineReports
from dedupd.protocol.report import ReportMessage, report_message
from dedupd.protocol.requests import ReportFormat
from dedupd.store import DiskPreviewCache, LmdbLibrary

SAME_BYTES = frozenset({Relation.SAME_BYTES})
FILES = {"big.jpg", "big copy.jpg", "small.jpg", "pair.png", "pair copy.png", "alone.jpg"}


@dataclass
class Stand:
    """A source over a root at `photos` that holds FILES."""

    reports: ReportSource
    photos: bytes


@contextmanager
def engine_reports(base, pictures, run_engine) -> Iterator[Stand]:
    photos = base / "photos"
    for name in ("big.jpg", "big copy.jpg"):
        pictures.save(pictures.of(1), photos / name, quality=92)
    pictures.save(pictures.of(1).resize((240, 180)), photos / "small.jpg", quality=80)
    for name in ("pair.png", "pair copy.png"):
        pictures.save(pictures.of(2, (120, 90)), photos / name)
    pictures.save(pictures.of(3), photos / "alone.jpg", quality=92)
    with run_engine(base / "state", [photos]) as engine:
        yield Stand(reports=EngineReports(engine), photos=os.fsencode(photos))


@contextmanager
def library_reports(base, _pictures, _run_engine) -> Iterator[Stand]:
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    previews = DiskPreviewCache(base / "previews")
    with library.transaction() as txn:
        txn.put_root(
            RootRecord(
                id=RootId(1),
                path=b"/photos",
                identity=None,
                state=RootState.ONLINE,
                state_reason="",
                last_full_scan_ns=None,
                added_at_ns=1,
            )
        )
        contents = {}
        for number, name in enumerate(sorted(FILES), start=1):
            contents[name] = txn.add_content(new_content(name.replace(" copy", "")), ModelTag("test-1")).id
            txn.put_file(file_of(name, number, contents[name]))
            previews.put(contents[name], decoded_image().preview)
        for content in set(contents.values()):
            txn.mark_linked(content)
    groups = FixedGroups(
        [group_of(contents["big.jpg"], contents["small.jpg"]), group_of(contents["pair.png"])], library=library
    )
    yield Stand(reports=LibraryReports(library, groups, previews), photos=b"/photos")
    library.close()


def new_content(name: str) -> NewContent:
    row = np.eye(1, 4, dtype=np.float32)
    return NewContent(
        digest=name.encode().ljust(32),
        size_bytes=1000,
        image=decoded_image(),
        descriptor=Descriptor(stored=row, queries=row),
        first_seen_ns=1,
    )


def file_of(name: str, number: int, content: ContentId) -> FileRecord:
    return FileRecord(
        path=FilePath(root=RootId(1), directory=b"", name=name.encode()),
        stat=FileStat(dev=1, ino=number, size_bytes=1000 if "big" in name else 100, mtime_ns=1, ctime_ns=1),
        stage=FileStage.INDEXED,
        content=content,
        first_seen_ns=1,
    )


def group_of(keeper: ContentId, *members: ContentId) -> Group:
    tied = [Member(content=m, relation=Relation.RE_ENCODED, similarity=0.97, reason="half the size") for m in members]
    return Group(id=keeper, keeper=keeper, keeper_reason="more pixels", members=tuple(tied))


MAKERS = {"engine": engine_reports, "library": library_reports}


@pytest.fixture(scope="module", params=MAKERS)
def stand(request, tmp_path_factory, pictures, run_engine) -> Iterator[Stand]:
    with MAKERS[request.param](tmp_path_factory.mktemp("reports"), pictures, run_engine) as stand:
        yield stand


def written(stand: Stand, report, form: ReportFormat) -> bytes:
    pieces = list(stand.reports.render(report, form))
    assert {type(piece) for piece in pieces} <= {bytes}
    return b"".join(pieces)


def test_every_group_is_told_with_its_files_those_that_free_the_most_first(stand):
    report = stand.reports.draft(DUPLICATE_RELATIONS)
    told = [[os.path.basename(f.path) for f in (group.keep, *group.duplicates)] for group in report.groups]  # noqa: PTH119
    assert [sorted(names) for names in told] == [
        [b"big copy.jpg", b"big.jpg", b"small.jpg"],
        [b"pair copy.png", b"pair.png"],
    ]
    assert [names[0] for names in told] == [b"big.jpg", b"pair.png"]
    for group in report.groups:
        assert group.keep.relation is None
        assert {file.relation for file in group.duplicates} <= DUPLICATE_RELATIONS
        assert group.frees_bytes == sum(file.frees_bytes for file in group.duplicates) > 0
        assert all(file.path == stand.photos + b"/" + file.file.relative() for file in group.duplicates)
        assert all(file.reason for file in (group.keep, *group.duplicates))


def test_the_totals_are_those_of_the_groups(stand):
    report = stand.reports.draft(DUPLICATE_RELATIONS)
    assert (report.total_images, report.total_contents) == (6, 4)
    assert (report.duplicate_groups, report.total_duplicates) == (2, 3)
    assert report.frees_bytes == sum(group.frees_bytes for group in report.groups)
    for share in report.shares:
        files = [f for group in report.groups for f in group.duplicates if f.relation is share.relation]
        assert (share.files, share.frees_bytes) == (len(files), sum(f.frees_bytes for f in files))
    assert (report.problems, report.pending) == (0, 0)
    assert report.roots == (stand.photos,)
    assert report.keep_policy
    assert report.relations == tuple(sorted(DUPLICATE_RELATIONS, key=lambda relation: relation.rank))


def test_only_the_relations_that_are_asked_for_count(stand):
    report = stand.reports.draft(frozenset({Relation.RE_ENCODED}))
    assert report.relations == (Relation.RE_ENCODED,)
    [group] = report.groups
    assert [(file.path.endswith(b"small.jpg"), file.relation) for file in group.duplicates] == [
        (True, Relation.RE_ENCODED)
    ]
    assert [*stand.reports.draft(frozenset({Relation.EDITED})).groups] == []


def test_json_is_the_report_s_message(stand):
    report = stand.reports.draft(DUPLICATE_RELATIONS)
    assert msgspec.json.decode(written(stand, report, "json"), type=ReportMessage) == report_message(report)


def test_csv_has_a_line_for_each_file(stand):
    report = stand.reports.draft(DUPLICATE_RELATIONS)
    header, *lines = csv.reader(io.StringIO(written(stand, report, "csv").decode("utf-8-sig")))
    assert len(header) == len(set(header))
    assert {len(line) for line in lines} == {len(header)}
    paths = [os.fsdecode(f.path) for group in report.groups for f in (group.keep, *group.duplicates)]
    assert sorted(cell for line in lines for cell in line if cell in paths) == sorted(paths)


def test_html_is_one_page_that_shows_the_pictures_and_loads_nothing(stand):
    report = stand.reports.draft(DUPLICATE_RELATIONS)
    page = written(stand, report, "html").decode()
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert page.count("data:image/jpeg;base64,") >= report.duplicate_groups
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert all(os.fsdecode(group.keep.file.name) in page for group in report.groups)


@pytest.mark.parametrize("form", get_args(ReportFormat))
def test_a_report_without_groups_can_be_written_too(stand, form):
    report = stand.reports.draft(frozenset())
    assert [*report.groups] == []
    assert written(stand, report, form)


@pytest.mark.parametrize("form", get_args(ReportFormat))
def test_a_report_is_written_as_it_was_drafted_as_often_as_asked(stand, form):
    report = stand.reports.draft(SAME_BYTES)
    first = written(stand, report, form)
    stand.reports.draft(DUPLICATE_RELATIONS)
    assert written(stand, report, form) == first


def test_threads_draft_and_write_beside_each_other(stand):
    def ask(relations: frozenset[Relation]) -> int:
        report = stand.reports.draft(relations)
        for form in get_args(ReportFormat):
            assert written(stand, report, form)
        return report.total_duplicates

    asked = [DUPLICATE_RELATIONS, frozenset({Relation.RE_ENCODED}), frozenset()] * 4
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, asked)) == [3, 1, 0] * 4
