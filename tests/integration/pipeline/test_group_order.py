"""Pages of groups: each costs what is on it, and who goes through them sees every group that stays as it is once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dedupd.core.ports import DecodedImage, Descriptor, NewContent
from dedupd.core.records import (
    DUPLICATE_RELATIONS,
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
from dedupd.core.verdicts import NotDuplicate
from dedupd.pipeline.group_book import GroupBook
from dedupd.pipeline.group_order import GroupOrder
from dedupd.store import LmdbLibrary

ROOT = RootId(1)
PAIRS = 40
EVIDENCE = Evidence(
    method="none", similarity=1.0, geometry=None, residual_low=0.0, worst_region=0.0, motion_px=0.0, tone_change=0.0
)


class CountingLibrary:
    """A real library that counts which contents are looked up in it, and fails where it is told to."""

    def __init__(self, library: LmdbLibrary) -> None:
        self.library = library
        self.looked_at: list[ContentId] = []
        self.views_that_fail = 0

    @contextmanager
    def view(self):
        if self.views_that_fail:
            self.views_that_fail -= 1
            raise OSError("the disk is away")
        with self.library.view() as view:
            yield CountingView(view, self.looked_at)

    def transaction(self):
        return self.library.transaction()

    def on_changed_contents(self, listener):
        self.library.on_changed_contents(listener)


class CountingView:
    def __init__(self, view, looked_at):
        self._view = view
        self._looked_at = looked_at

    def content(self, content):
        self._looked_at.append(content)
        return self._view.content(content)

    def __getattr__(self, name):
        return getattr(self._view, name)


class Shelf:
    """PAIRS groups of two; the one with the smallest numbers frees the most."""

    def __init__(self, library: LmdbLibrary) -> None:
        self.library = CountingLibrary(library)
        with library.transaction() as txn:
            txn.put_root(
                RootRecord(
                    id=ROOT,
                    path=b"/photos",
                    identity=None,
                    state=RootState.ONLINE,
                    state_reason="",
                    last_full_scan_ns=None,
                    added_at_ns=1,
                )
            )
            self.ids = [self._pair(txn, number) for number in range(PAIRS)]
        self.book = GroupBook(self.library)
        self.book.load()

    def _pair(self, txn, number: int) -> ContentId:
        size = 10_000 - 100 * number
        best, copy = (self._content(txn, 2 * number + which, size, 800 - which) for which in (0, 1))
        txn.put_edge(pair_of(best, copy))
        return best

    def _content(self, txn, seed: int, size: int, width: int) -> ContentId:
        row = np.eye(1, 4, dtype=np.float32)
        new = NewContent(
            digest=(seed + 1).to_bytes(32, "big"),
            size_bytes=size,
            image=DecodedImage(
                format="JPEG",
                width_px=width,
                height_px=600,
                image_digest=None,
                capture=Capture(),
                quality=Quality(sharpness=1.0, information=7.0),
                decoder="test",
                small=np.zeros((4, 4, 3), np.uint8),
                preview=b"",
            ),
            descriptor=Descriptor(stored=row, queries=row),
            first_seen_ns=1,
        )
        content = txn.add_content(new, ModelTag("test-1")).id
        txn.put_file(file_of(content, size))
        return content

    def add_copy(self, content: ContentId) -> None:
        """One more file of a content: its group frees more."""
        with self.library.transaction() as txn:
            [first] = txn.files_of(content)
            path = replace(first.path, name=b"again-" + first.path.name)
            txn.put_file(replace(first, path=path, stat=replace(first.stat, ino=first.stat.ino + 100_000)))

    def lose(self, content: ContentId) -> None:
        """Its file goes missing, and with it its group."""
        with self.library.transaction() as txn:
            for file in txn.files_of(content):
                txn.put_file(replace(file, missing_since_ns=5))

    def page(self, after: ContentId | None, limit: int = 10):
        page = self.book.all(DUPLICATE_RELATIONS).page(after, limit)
        assert page is not None
        return [group.id for group in page.groups], page.next

    def looked_at(self, question) -> int:
        """How many contents a question looks up."""
        self.library.looked_at.clear()
        question()
        return len(set(self.library.looked_at))


def file_of(content: ContentId, size: int) -> FileRecord:
    return FileRecord(
        path=FilePath(root=ROOT, directory=b"", name=b"%d.jpg" % content),
        stat=FileStat(dev=1, ino=content, size_bytes=size, mtime_ns=1, ctime_ns=1),
        stage=FileStage.INDEXED,
        content=content,
        first_seen_ns=1,
    )


def pair_of(a: ContentId, b: ContentId) -> Edge:
    return Edge(
        a=a,
        b=b,
        relation=Relation.RE_ENCODED,
        similarity=0.98,
        reason="looked at",
        evidence=EVIDENCE,
        verifier="test",
        found_at_ns=1,
    )


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    library = LmdbLibrary(tmp_path / "state", map_bytes=1 << 26)
    yield Shelf(library)
    library.close()


def test_a_page_looks_at_what_is_on_it_alone(shelf):
    assert shelf.looked_at(lambda: shelf.page(None)) == 2 * PAIRS, "the first question sees all"
    assert shelf.looked_at(lambda: shelf.page(None)) == 2 * 10
    assert shelf.looked_at(lambda: shelf.page(shelf.ids[9], 5)) == 2 * 5
    assert shelf.looked_at(lambda: len(shelf.book.all(DUPLICATE_RELATIONS))) == 0


def test_after_a_change_only_what_it_touches_is_looked_at_again(shelf):
    shelf.page(None)
    shelf.add_copy(shelf.ids[-1])
    assert shelf.looked_at(lambda: shelf.page(None, 1)) == 2, "it is the first now"
    with shelf.library.transaction() as txn:
        txn.put_edge(pair_of(shelf.ids[3], shelf.ids[4]))
    shelf.book.add(pair_of(shelf.ids[3], shelf.ids[4]))
    assert shelf.looked_at(lambda: len(shelf.book.all(DUPLICATE_RELATIONS))) == 4
    assert shelf.looked_at(lambda: len(shelf.book.all(DUPLICATE_RELATIONS))) == 0


def test_who_asks_between_a_commit_and_the_book_s_hearing_of_it_leaves_nothing_stale(shelf):
    first, second = shelf.ids[3], shelf.ids[4]

    def asked() -> int:
        return len(shelf.book.all(DUPLICATE_RELATIONS))

    with shelf.library.transaction() as txn:
        txn.put_edge(pair_of(first, second))
    assert asked() == PAIRS
    shelf.book.add(pair_of(first, second))
    assert asked() == PAIRS - 1, "one of the four is only related to the others' keeper"
    with shelf.library.transaction() as txn:
        digests = sorted(txn.content(content).digest for content in (first, second))
        txn.put_verdict(NotDuplicate(a=digests[0], b=digests[1], said_at_ns=1))
    asked()
    shelf.book.reject([(first, second)])
    assert [group.id for group in shelf.book.all(DUPLICATE_RELATIONS)] == shelf.ids
    with shelf.library.transaction() as txn:
        for file in txn.files_of(first):
            txn.remove_file(file.path)
        txn.remove_content(first)
    asked()
    shelf.book.remove(first)
    assert first not in [group.id for group in shelf.book.all(DUPLICATE_RELATIONS)]
    assert asked() == PAIRS - 1


def test_a_walk_goes_on_from_its_place_when_the_group_there_moves_or_goes(shelf):
    first, after = shelf.page(None)
    assert (first, after) == (shelf.ids[:10], shelf.ids[9])
    shelf.add_copy(shelf.ids[9])  # twice as much: it is the first now
    shelf.lose(shelf.ids[8] + 1)
    second, after = shelf.page(after)
    assert second == shelf.ids[10:20]
    shelf.lose(after + 1)  # it is no group any more
    third, _ = shelf.page(after)
    assert third == shelf.ids[20:30]
    assert shelf.page(None)[0] == [shelf.ids[9], *shelf.ids[:8], shelf.ids[10]]


def test_a_place_of_no_page_and_no_group_is_refused(shelf):
    assert shelf.book.all(DUPLICATE_RELATIONS).page(ContentId(shelf.ids[5] + 1), 10) is None
    shelf.lose(shelf.ids[5])
    assert shelf.book.all(DUPLICATE_RELATIONS).page(shelf.ids[5], 10) is None


def test_going_through_all_leaves_out_what_went_and_shows_the_rest_as_it_is_by_then(shelf):
    listing = shelf.book.all(DUPLICATE_RELATIONS)
    shelf.lose(shelf.ids[2])
    shelf.add_copy(shelf.ids[-1])
    assert [group.id for group in listing] == [number for number in shelf.ids if number != shelf.ids[2]]
    assert len(listing) == PAIRS, "it counts those of its moment"
    assert next(group.id for group in shelf.book.all(DUPLICATE_RELATIONS)) == shelf.ids[-1]


def test_after_very_many_changes_all_is_looked_at_again(shelf):
    order = GroupOrder(
        shelf.library, component=shelf.book.component, components=shelf.book.all_components, ties=shelf.book.ties
    )
    assert len(order.listing(DUPLICATE_RELATIONS)) == PAIRS
    shelf.lose(shelf.ids[0])
    order.mark(range(1_000_000, 1_030_000))
    assert shelf.looked_at(lambda: order.listing(DUPLICATE_RELATIONS)) == 2 * PAIRS
    assert len(order.listing(DUPLICATE_RELATIONS)) == PAIRS - 1


def test_an_order_that_could_not_be_made_is_made_by_the_next_question(shelf):
    shelf.page(None)
    shelf.lose(shelf.ids[0])
    shelf.library.views_that_fail = 1
    with pytest.raises(OSError, match="away"):
        shelf.page(None)
    assert shelf.page(None)[0] == shelf.ids[1:11]


def test_two_names_of_one_inode_free_its_bytes_once(shelf):
    with shelf.library.transaction() as txn:
        [first] = txn.files_of(shelf.ids[-1])
        txn.put_file(replace(first, path=replace(first.path, name=b"link.jpg")))
    assert shelf.page(None)[0][0] == shelf.ids[0]
    shares = {share.relation: share for share in shelf.book.all(DUPLICATE_RELATIONS).shares}
    assert (shares[Relation.SAME_BYTES].files, shares[Relation.SAME_BYTES].frees_bytes) == (1, 0)
