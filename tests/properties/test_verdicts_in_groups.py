"""Whatever is said, taken back, found and forgotten in any order: the groups are those made from scratch."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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
from dedupd.core.verdicts import NotDuplicate, Pin, digest_pair
from dedupd.pipeline.group_book import GroupBook
from dedupd.store import LmdbLibrary

ROOT = RootId(1)
SEEDS = st.integers(1, 6)  # of distinct bytes, whose content may get another number when it comes back
EVIDENCE = Evidence(
    method="none", similarity=1.0, geometry=None, residual_low=0.0, worst_region=0.0, motion_px=0.0, tone_change=0.0
)


def digest_of(seed: int) -> bytes:
    return seed.to_bytes(32, "big")


def path_of(seed: int, copy: int = 0) -> FilePath:
    return FilePath(root=ROOT, directory=b"", name=b"%d-%d.jpg" % (seed, copy))


class VerdictsAgainstScratch(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="dedupd-verdicts-"))
        self.library = LmdbLibrary(self.directory, map_bytes=1 << 24)
        with self.library.transaction() as txn:
            txn.put_root(
                RootRecord(
                    id=ROOT,
                    path=b"/photos",
                    identity=None,
                    state=RootState.ONLINE,
                    state_reason="",
                    last_full_scan_ns=None,
                    added_at_ns=0,
                )
            )
        self.book = GroupBook(self.library, settle_from=1)
        self.said: set[tuple[int, int]] = set()
        for seed in range(1, 5):
            self.come(seed)
        for one, other in [(1, 2), (2, 3), (1, 3), (3, 4)]:
            self.find(one, other, Relation.RE_ENCODED)

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.directory)

    def number(self, seed: int) -> ContentId | None:
        with self.library.view() as view:
            found = view.content_by_digest(digest_of(seed))
        return None if found is None else found.id

    @rule(seed=SEEDS)
    def come(self, seed: int) -> None:
        row = np.eye(1, 4, dtype=np.float32)
        new = NewContent(
            digest=digest_of(seed),
            size_bytes=100 + seed,
            image=DecodedImage(
                format="JPEG",
                width_px=400 + 100 * (seed * 7 % 5),
                height_px=300,
                image_digest=None,
                capture=Capture(),
                quality=Quality(sharpness=1.0, information=7.0),
                decoder="test",
                small=np.zeros((4, 4, 3), np.uint8),
                preview=b"",
            ),
            descriptor=Descriptor(stored=row, queries=row),
            first_seen_ns=seed,
        )
        with self.library.transaction() as txn:
            content = txn.add_content(new, ModelTag("m")).id
            txn.put_file(
                FileRecord(
                    path=path_of(seed),
                    stat=FileStat(dev=1, ino=seed, size_bytes=100 + seed, mtime_ns=1, ctime_ns=1),
                    stage=FileStage.INDEXED,
                    content=content,
                    first_seen_ns=1,
                )
            )

    @rule(seed=SEEDS)
    def go(self, seed: int) -> None:
        content = self.number(seed)
        if content is None:
            return
        with self.library.transaction() as txn:
            for file in txn.files_of(content):
                txn.remove_file(file.path)
            txn.remove_content(content)
        self.book.remove(content)

    @rule(seed=SEEDS, copies=st.integers(0, 2), is_missing=st.booleans(), is_link=st.booleans())
    def have_copies(self, seed: int, copies: int, is_missing: bool, is_link: bool) -> None:
        """Files come and go beside the one that is always known; `is_link`: of one inode."""
        content = self.number(seed)
        if content is None:
            return
        with self.library.transaction() as txn:
            first = txn.file(path_of(seed))
            txn.put_file(replace(first, missing_since_ns=1 if is_missing else None))
            for number in (1, 2):
                path = path_of(seed, number)
                stat = first.stat if is_link else replace(first.stat, ino=10 * seed + number)
                if number <= copies:
                    txn.put_file(replace(first, path=path, stat=stat, missing_since_ns=None))
                else:
                    txn.remove_file(path)

    @rule(seed=SEEDS, is_said=st.booleans())
    def pin(self, seed: int, is_said: bool) -> None:
        with self.library.transaction() as txn:
            if is_said:
                txn.put_pin(Pin(digest=digest_of(seed), path=path_of(seed), said_at_ns=1))
            else:
                txn.remove_pin(digest_of(seed))

    @rule(one=SEEDS, other=SEEDS, relation=st.sampled_from([Relation.RE_ENCODED, Relation.EDITED, Relation.SIMILAR]))
    def find(self, one: int, other: int, relation: Relation) -> None:
        pair = self.pair(one, other)
        if pair is None:
            return
        with self.library.transaction() as txn:
            if txn.edge(*pair) is not None:
                return  # nobody looks twice
            edge = Edge(
                a=pair[0],
                b=pair[1],
                relation=relation,
                similarity=0.5 + one / 20,
                reason="looked at",
                evidence=EVIDENCE,
                verifier="v",
                found_at_ns=1,
            )
            txn.put_edge(edge)
        self.book.add(edge)

    @rule(one=SEEDS, other=SEEDS, is_late=st.booleans())
    def reject(self, one: int, other: int, is_late: bool) -> None:
        """Also of contents that are not known now; `is_late`: the book hears of it after it was taken back."""
        if one == other:
            return
        a, b = digest_pair(digest_of(one), digest_of(other))
        with self.library.transaction() as txn:
            txn.put_verdict(NotDuplicate(a=a, b=b, said_at_ns=1))
        self.said.add((min(one, other), max(one, other)))
        if is_late:
            self.withdraw(one, other)
        self.hear(self.book.reject, one, other)

    @rule(one=SEEDS, other=SEEDS)
    def withdraw(self, one: int, other: int) -> None:
        if one == other:
            return
        with self.library.transaction() as txn:
            was_said = txn.remove_verdict(digest_of(one), digest_of(other))
        assert was_said == ((min(one, other), max(one, other)) in self.said)
        self.said.discard((min(one, other), max(one, other)))
        self.hear(self.book.withdraw, one, other)

    @rule(seeds=st.sets(SEEDS, min_size=2), is_said=st.booleans())
    def judge_a_whole_group(self, seeds: set[int], is_said: bool) -> None:
        both = list(combinations(sorted(seeds), 2))
        with self.library.transaction() as txn:
            for one, other in both:
                if is_said:
                    txn.put_verdict(NotDuplicate(a=digest_of(one), b=digest_of(other), said_at_ns=1))
                else:
                    txn.remove_verdict(digest_of(one), digest_of(other))
        self.said = self.said | set(both) if is_said else self.said - set(both)
        known = [pair for one, other in both if (pair := self.pair(one, other)) is not None]
        (self.book.reject if is_said else self.book.withdraw)(known)

    @rule()
    def settle(self) -> None:
        """What has changed goes back to where the rest is; it says the same, and can change again."""
        self.book.settle_if_due()

    def hear(self, tell, one: int, other: int) -> None:
        pair = self.pair(one, other)
        if pair is not None:
            tell([pair])

    def pair(self, one: int, other: int) -> tuple[ContentId, ContentId] | None:
        first, second = self.number(one), self.number(other)
        if first is None or second is None or first == second:
            return None
        return min(first, second), max(first, second)

    @invariant()
    def groups_are_those_from_scratch(self) -> None:
        fresh = GroupBook(self.library)
        fresh.load()
        for relations in (DUPLICATE_RELATIONS, frozenset({Relation.SAME_BYTES, Relation.RE_ENCODED})):
            kept_up, anew = self.book.all(relations), fresh.all(relations)
            assert [*kept_up] == [*anew]
            assert (len(kept_up), kept_up.shares) == (len(anew), anew.shares)
        for seed in range(1, 7):
            content = self.number(seed)
            if content is not None:
                assert self.book.ties(content) == fresh.ties(content)
                assert sorted(self.book.component(content)) == sorted(fresh.component(content))

    @invariant()
    def nobody_is_kept_for_one_that_it_was_said_to_be_no_duplicate_of(self) -> None:
        apart = {self.pair(one, other) for one, other in self.said}
        for group in self.book.all(DUPLICATE_RELATIONS):
            for member in group.members:
                pair = (min(group.keeper, member.content), max(group.keeper, member.content))
                assert pair not in apart


TestVerdictsAgainstScratch = VerdictsAgainstScratch.TestCase
TestVerdictsAgainstScratch.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
