"""What verified pairs show of each other weighs in the choice of the keeper: real store, real group book."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.image_reader import NOW_NS, decoded_image

from dedupd.core.ports import Descriptor, NewContent
from dedupd.core.records import (
    DUPLICATE_RELATIONS,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Geometry,
    ModelTag,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.pipeline.group_book import GroupBook
from dedupd.store import LmdbLibrary

EVIDENCE = Evidence(
    method="dense", similarity=0.99, geometry=None, residual_low=1.0, worst_region=0.0, motion_px=0.0, tone_change=0.0
)


@pytest.fixture
def library(tmp_path):
    library = LmdbLibrary(tmp_path / "state", map_bytes=64 * 1024 * 1024)
    with library.transaction() as txn:
        txn.put_root(
            RootRecord(
                id=txn.new_root_id(), path=b"/photos", identity=None, state=RootState.ONLINE, state_reason="",
                last_full_scan_ns=None, added_at_ns=NOW_NS,
            )
        )  # fmt: skip
    yield library
    library.close()


def add(txn, number):
    vectors = np.eye(1, 4, dtype=np.float32)
    content = txn.add_content(
        NewContent(
            digest=bytes([number]) * 32, size_bytes=1000, image=decoded_image(), first_seen_ns=NOW_NS,
            descriptor=Descriptor(stored=vectors, queries=vectors),
        ),
        ModelTag("test"),
    ).id  # fmt: skip
    txn.put_file(
        FileRecord(
            path=FilePath(root=RootId(1), directory=b"", name=b"%d.jpg" % number),
            stat=FileStat(dev=1, ino=number, size_bytes=1000, mtime_ns=1, ctime_ns=1),
            stage=FileStage.INDEXED, content=content, first_seen_ns=1,
        )
    )  # fmt: skip
    return content


def pair(a, b, *, overlap_of_a, overlap_of_b):
    geometry = Geometry(
        scale=1.0, rotation_deg=0.0, is_mirrored=False, overlap_of_a=overlap_of_a, overlap_of_b=overlap_of_b, inliers=99
    )
    return Edge(
        a=a, b=b, relation=Relation.EDITED, similarity=0.99, reason="one shows part of the other", verifier="test",
        found_at_ns=1, probability=0.99, evidence=replace(EVIDENCE, geometry=geometry),
    )  # fmt: skip


@pytest.mark.parametrize(("of_first", "of_second", "kept"), [(1.0, 0.81, 1), (0.81, 1.0, 0), (0.995, 1.0, 0)])
def test_of_two_pictures_that_are_equally_good_the_one_that_shows_more_is_kept(library, of_first, of_second, kept):
    with library.transaction() as txn:
        contents = [add(txn, number) for number in (1, 2)]
        txn.put_edge(pair(*contents, overlap_of_a=of_first, overlap_of_b=of_second))
    book = GroupBook(library)
    book.load()
    [group] = book.all(DUPLICATE_RELATIONS)
    assert group.keeper == contents[kept]
    assert ("cropped" in group.keeper_reason) == (min(of_first, of_second) < 0.98)
