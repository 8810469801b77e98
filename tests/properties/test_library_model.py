"""The LMDB library against plain dicts: any sequence of changes, aborts and reopenings leaves both saying the same."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from dedupd.core import stat_key
from dedupd.core.events import Degraded
from dedupd.core.generation import Generation
from dedupd.core.ports import DecodedImage, Descriptor, NewContent
from dedupd.core.records import (
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootRecord,
    RootState,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone, digest_pair
from dedupd.store import LmdbLibrary, check

ROOTS = [RootId(1), RootId(2)]

paths = st.builds(
    FilePath,
    root=st.sampled_from(ROOTS),
    directory=st.sampled_from([b"", b"a/\xff"]),
    name=st.sampled_from([b"1", b"\xfe", b"n" * 381, b"n" * 382]),
)
stats = st.builds(
    FileStat,
    dev=st.integers(0, 2),
    ino=st.integers(0, 3),
    size_bytes=st.integers(0, 2**63),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    ctime_ns=st.integers(0, 2**62),
)
digests = st.integers(1, 4).map(lambda seed: seed.to_bytes(32, "big"))  # of contents, if those are there
missing = st.sampled_from([None, None, None, 1, 2**62])
problems = st.builds(
    Problem,
    code=st.sampled_from(ProblemCode),
    detail=st.text(max_size=10),
    at_ns=st.integers(0, 2**62),
    retry_at_ns=st.none() | st.integers(0, 2**62),
)


FURTHER = [ModelTag("f"), ModelTag("g")]


class Model:
    """What the library should hold."""

    def __init__(self) -> None:
        self.roots: dict[RootId, RootRecord] = {}
        self.files: dict[FilePath, FileRecord] = {}
        self.fingerprints: dict[tuple[RootId, bytes], bytes] = {}  # those asked for since a stat changed
        self.contents: dict[ContentId, ContentRecord] = {}
        self.descriptors: dict[ContentId, Descriptor] = {}
        self.edges: dict[tuple[ContentId, ContentId], Edge] = {}
        self.verdicts: dict[tuple[bytes, bytes], NotDuplicate] = {}
        self.pins: dict[bytes, Pin] = {}
        self.tombstones: dict[bytes, Tombstone] = {}
        self.generations: dict[ModelTag, bool] = {}  # whether it was complete
        self.generation_vectors: dict[tuple[ModelTag, ContentId], int] = {}  # the number that all their values are
        self.suggested: set[tuple[ContentId, ContentId]] = set()
        self.events: dict[int, int] = {}  # sequence → time
        self.log: dict[int, tuple[ContentId, bool]] = {}
        self.log_trimmed = 0
        self.sequence = 0

    def fingerprint(self, root: RootId, directory: bytes) -> bytes | None:
        there = [f for p, f in self.files.items() if (p.root, p.directory) == (root, directory)]
        stats = {f.path.name: stat_key.pack(f.stat) for f in there if f.missing_since_ns is None}
        return stat_key.fingerprint(stats) if stats else None

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence


class LibraryAgainstDicts(RuleBasedStateMachine):
    contents = Bundle("contents")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="dedupd-model-"))
        self.library = LmdbLibrary(self.directory)
        self.model = Model()
        for root in ROOTS:
            self.put_root(root)

    @initialize(target=contents)
    def begin_with_shared_contents(self) -> object:
        ids = [self.add_content_of(seed, b"i") for seed in (1, 2)]
        stat = FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=1, ctime_ns=1)
        for name, content in [(b"1", ids[0]), (b"\xfe", ids[0]), (b"n" * 381, ids[1])]:
            path = FilePath(root=ROOTS[0], directory=b"", name=name)
            self.put_indexed(path, stat, None, content, link=False)
        return multiple(*ids)

    def teardown(self) -> None:
        self.library.close()
        report = check(self.directory)
        shutil.rmtree(self.directory)
        assert report.is_clean, report.findings

    def put_root(self, root: RootId) -> None:
        record = RootRecord(
            id=root,
            path=b"/%d" % root,
            identity=None,
            state=RootState.ONLINE,
            state_reason="",
            last_full_scan_ns=None,
            added_at_ns=0,
        )
        with self.library.transaction() as txn:
            txn.put_root(record)
        self.model.roots[root] = record

    @rule(root=st.sampled_from(ROOTS))
    def remove_root(self, root: RootId) -> None:
        with self.library.transaction() as txn:
            removed = txn.remove_root(root)
        gone = [path for path in self.model.files if path.root == root]
        assert removed == len(gone)
        for path in gone:
            del self.model.files[path]
        del self.model.roots[root]
        self.put_root(root)

    @rule(target=contents, seed=st.integers(1, 20), image=st.none() | st.sampled_from([b"i", b"ii", b"j" * 32]))
    def add_content(self, seed: int, image: bytes | None) -> ContentId:
        return self.add_content_of(seed, image)

    def add_content_of(self, seed: int, image: bytes | None) -> ContentId:
        digest = seed.to_bytes(32, "big")
        random = np.random.default_rng(seed)
        descriptor = Descriptor(  # halves of small integers are exact in half precision
            stored=random.integers(-8, 8, (1 + seed % 4, 4)).astype(np.float32) / 8,
            queries=random.integers(-8, 8, (1 + seed % 32, 4)).astype(np.float32) / 8,
        )
        new = NewContent(
            digest=digest,
            size_bytes=seed,
            image=DecodedImage(
                format="PNG",
                width_px=1,
                height_px=1,
                image_digest=image,
                capture=Capture(),
                quality=Quality(sharpness=0.0, information=0.0),
                decoder="d",
                small=np.zeros((1, 1, 3), np.uint8),
                preview=b"",
            ),
            descriptor=descriptor,
            first_seen_ns=1,
        )
        known = [c for c in self.model.contents.values() if c.digest == digest]
        with self.library.transaction() as txn:
            content = txn.add_content(new, ModelTag("m"))
        if known:
            assert content == known[0]
            return content.id
        assert content.id not in self.model.contents
        self.model.contents[content.id] = content
        self.model.descriptors[content.id] = descriptor
        return content.id

    @rule(path=paths, stat=stats, gone=missing, problem=problems, aside=st.booleans())
    def put_unindexed(self, path: FilePath, stat: FileStat, gone: int | None, problem: Problem, aside: bool) -> None:
        self.put_file(
            FileRecord(
                path=path,
                stat=stat,
                stage=FileStage.SET_ASIDE if aside else FileStage.PENDING,
                content=None,
                first_seen_ns=7,
                missing_since_ns=gone,
                problem=problem if aside else None,
            )
        )

    @rule(path=paths, stat=stats, gone=missing, content=contents, link=st.booleans())
    def put_indexed(self, path: FilePath, stat: FileStat, gone: int | None, content: ContentId, link: bool) -> None:
        if content not in self.model.contents:
            return
        self.put_file(
            FileRecord(
                path=path,
                stat=stat,
                stage=FileStage.INDEXED,
                content=content,
                first_seen_ns=7,
                missing_since_ns=gone,
                link_of_same_inode=link,
            )
        )

    def put_file(self, file: FileRecord) -> None:
        with self.library.transaction() as txn:
            txn.put_file(file)
        self.model.files[file.path] = file

    @rule(path=paths)
    def remove_file(self, path: FilePath) -> None:
        with self.library.transaction() as txn:
            txn.remove_file(path)
        self.model.files.pop(path, None)

    @rule(root=st.sampled_from(ROOTS), directory=st.sampled_from([b"", b"a/\xff"]))
    def keep_fingerprint(self, root: RootId, directory: bytes) -> None:
        with self.library.transaction() as txn:
            txn.keep_fingerprint(root, directory)
        found = self.model.fingerprint(root, directory)
        if found is not None:
            self.model.fingerprints[root, directory] = found

    @rule(content=contents)
    def mark_linked(self, content: ContentId) -> None:
        known = self.model.contents.get(content)
        if known is None:
            return
        with self.library.transaction() as txn:
            txn.mark_linked(content)
        if known.stage is ContentStage.DESCRIBED:
            self.model.contents[content] = replace(known, stage=ContentStage.LINKED)
            self.model.log[self.model.next_sequence()] = (content, False)

    @rule(content=contents, image=st.none() | st.sampled_from([b"i", b"ii"]), pixels=st.binary(max_size=3))
    def put_content(self, content: ContentId, image: bytes | None, pixels: bytes) -> None:
        if content not in self.model.contents:
            return
        changed = replace(self.model.contents[content], image_digest=image, pixel_digest=pixels)
        with self.library.transaction() as txn:
            txn.put_content(changed)
        self.model.contents[content] = changed

    @rule(content=consumes(contents))
    def remove_content(self, content: ContentId) -> None:
        model = self.model
        if any(file.content == content for file in model.files.values()):
            return
        with self.library.transaction() as txn:
            edges = txn.remove_content(content)
        assert {(e.a, e.b) for e in edges} == {pair for pair in model.edges if content in pair}
        for edge in edges:
            assert model.edges.pop((edge.a, edge.b)) == edge
        for tag in FURTHER:
            model.generation_vectors.pop((tag, content), None)
        if model.contents.pop(content, None):
            model.log[model.next_sequence()] = (content, True)

    @rule(one=contents, other=contents, relation=st.sampled_from(Relation), similarity=st.floats(0, 1))
    def put_edge(self, one: ContentId, other: ContentId, relation: Relation, similarity: float) -> None:
        a, b = min(one, other), max(one, other)
        if a == b or not {a, b} <= set(self.model.contents):
            return
        evidence = Evidence(
            method="none",
            similarity=similarity,
            geometry=None,
            residual_low=0.0,
            worst_region=0.0,
            motion_px=0.0,
            tone_change=0.0,
        )
        edge = Edge(
            a=a,
            b=b,
            relation=relation,
            similarity=similarity,
            reason="r",
            evidence=evidence,
            verifier="v",
            found_at_ns=1,
        )
        with self.library.transaction() as txn:
            txn.put_edge(edge)
        self.model.edges[(a, b)] = edge

    @rule(tag=st.sampled_from(FURTHER), was_complete=st.booleans())
    def put_generation(self, tag: ModelTag, was_complete: bool) -> None:
        generation = Generation(
            tag=tag, name=f"name of {tag}", dim=3, candidate_similarity=0.5, was_complete=was_complete
        )
        with self.library.transaction() as txn:
            txn.put_generation(generation)
        self.model.generations[tag] = was_complete

    @rule(tag=st.sampled_from(FURTHER), some=st.sets(contents, max_size=4), value=st.integers(0, 8))
    def put_generation_vectors(self, tag: ModelTag, some: set[ContentId], value: int) -> None:
        if tag not in self.model.generations:
            return
        vectors = {content: np.full((1 + value % 4, 3), value / 8, np.float32) for content in some}
        with self.library.transaction() as txn:
            stored = txn.put_generation_vectors(tag, vectors)
        assert stored == some & set(self.model.contents)
        self.model.generation_vectors.update({(tag, content): value for content in stored})

    @rule(tag=st.sampled_from(FURTHER), limit=st.integers(0, 3))
    def drop_generation(self, tag: ModelTag, limit: int) -> None:
        held = sorted(content for of, content in self.model.generation_vectors if of == tag)
        with self.library.transaction() as txn:
            is_gone = txn.drop_generation(tag, limit)
        assert is_gone == (len(held) <= limit or tag not in self.model.generations)
        for content in held[:limit]:
            del self.model.generation_vectors[tag, content]
        if is_gone:
            self.model.generations.pop(tag, None)

    @rule(one=contents, other=contents, is_removal=st.booleans())
    def suggest_a_pair(self, one: ContentId, other: ContentId, is_removal: bool) -> None:
        if one == other:
            return
        pair = (min(one, other), max(one, other))
        with self.library.transaction() as txn:
            if is_removal:
                txn.remove_suggested([pair])
                self.model.suggested.discard(pair)
            else:
                is_new = pair not in self.model.suggested and pair not in self.model.edges
                assert txn.suggest_pairs([pair]) == is_new
                self.model.suggested |= {pair} - set(self.model.edges)

    @rule(one=digests, other=digests, at_ns=st.integers(0, 2**62), is_said=st.booleans())
    def say_of_a_pair(self, one: bytes, other: bytes, at_ns: int, is_said: bool) -> None:
        if one == other:
            return
        a, b = digest_pair(one, other)
        verdict = NotDuplicate(a=a, b=b, said_at_ns=at_ns)
        with self.library.transaction() as txn:
            if is_said:
                txn.put_verdict(verdict)
                self.model.verdicts[a, b] = verdict
            else:
                assert txn.remove_verdict(one, other) == (self.model.verdicts.pop((a, b), None) is not None)

    @rule(digest=digests, path=paths, at_ns=st.integers(0, 2**62), is_said=st.booleans())
    def say_of_one(self, digest: bytes, path: FilePath, at_ns: int, is_said: bool) -> None:
        pin = Pin(digest=digest, path=path, said_at_ns=at_ns)
        tombstone = Tombstone(digest=digest, cleaned_at_ns=at_ns, plan="p", path=path.name, kept=b"/k")
        with self.library.transaction() as txn:
            if is_said:
                txn.put_pin(pin)
                txn.put_tombstone(tombstone)
                self.model.pins[digest], self.model.tombstones[digest] = pin, tombstone
            else:
                assert txn.remove_pin(digest) == (self.model.pins.pop(digest, None) is not None)
                assert txn.remove_tombstone(digest) == (self.model.tombstones.pop(digest, None) is not None)

    @rule(at_ns=st.integers(0, 2**62))
    def append(self, at_ns: int) -> None:
        with self.library.transaction() as txn:
            sequence = txn.append(Degraded(what="index", message="m"), at_ns)
        assert sequence == self.model.next_sequence()
        self.model.events[sequence] = at_ns

    @rule(keep=st.integers(0, 4))
    def trim_events(self, keep: int) -> None:
        gone = sorted(self.model.events)[: max(0, len(self.model.events) - keep)]
        with self.library.transaction() as txn:
            assert txn.trim_events(keep) == len(gone)
        for sequence in gone:
            del self.model.events[sequence]

    @rule(before=st.integers(0, 40))
    def trim_vector_log(self, before: int) -> None:
        gone = [sequence for sequence in self.model.log if sequence < before]
        with self.library.transaction() as txn:
            assert txn.trim_vector_log(Sequence(before)) == len(gone)
        for sequence in gone:
            self.model.log_trimmed = max(self.model.log_trimmed, sequence)
            del self.model.log[sequence]

    @rule(path=paths, root=st.sampled_from(ROOTS))
    def abort_much(self, path: FilePath, root: RootId) -> None:
        def change_and_fail() -> None:
            with self.library.transaction() as txn:
                txn.remove_file(path)
                txn.append(Degraded(what="index", message="never told"), 1)
                txn.trim_events(0)
                txn.remove_root(root)
                raise KeyError

        try:
            change_and_fail()
        except KeyError:
            return
        raise AssertionError

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = LmdbLibrary(self.directory)
        assert self.library.was_closed_cleanly

    @invariant()
    def both_say_the_same(self) -> None:
        model = self.model
        files = model.files.values()
        with self.library.view() as view:
            assert {f.path: f for f in view.files()} == model.files
            there = [f for f in files if f.missing_since_ns is None]
            pending = {f.path for f in there if f.stage is FileStage.PENDING}
            aside = {f.path for f in there if f.stage is FileStage.SET_ASIDE}
            absent = {f.path for f in files if f.missing_since_ns is not None}
            assert {f.path for f in view.pending_files(1000)} == pending
            assert {f.path for f in view.problems()} == aside
            assert {f.path for f in view.missing_files()} == absent
            for root in ROOTS:
                inside = [f for f in files if f.path.root == root]
                assert {f.path for f in view.files(root)} == {f.path for f in inside}
                assert set(view.directories(root)) == {f.path.directory for f in inside}
                for directory in {f.path.directory for f in inside}:
                    assert view.packed_stats_in(root, directory) == {
                        f.path.name: stat_key.pack(f.stat)
                        for f in inside
                        if f.path.directory == directory and f.missing_since_ns is None
                    }
            for place, kept in list(model.fingerprints.items()):
                if model.fingerprint(*place) != kept:
                    del model.fingerprints[place]  # and it stays away, though the stats may become the same again
            for root in ROOTS:
                for directory in (b"", b"a/\xff"):
                    assert view.fingerprint(root, directory) == model.fingerprints.get((root, directory))
            for dev, ino in {(f.stat.dev, f.stat.ino) for f in files}:
                at = sorted(f.path for f in files if (f.stat.dev, f.stat.ino) == (dev, ino))
                assert view.files_at_inode(dev, ino) == at

            assert {c.id: c for c in view.contents()} == model.contents
            holders = Counter(f.content for f in there if f.content is not None)
            assert list(view.shared_contents()) == sorted(c for c, count in holders.items() if count > 1)
            for content in model.contents.values():
                assert view.content_by_digest(content.digest) == content
                mine = [f for f in files if f.content == content.id]
                order = sorted(mine, key=lambda f: (f.missing_since_ns is not None, f.path))
                assert view.files_of(content.id) == order
                stored = view.stored_vectors(content.id)
                assert stored is not None
                np.testing.assert_array_equal(stored, model.descriptors[content.id].stored)
                if content.image_digest is not None:
                    alike = [c.id for c in model.contents.values() if c.image_digest == content.image_digest]
                    assert view.contents_with_image_digest(content.image_digest) == sorted(alike)
            waiting = sorted(c.id for c in model.contents.values() if c.stage is ContentStage.DESCRIBED)
            unlinked = view.unlinked_contents(1000)
            assert [content for content, _ in unlinked] == waiting
            for content_id, descriptor in unlinked:
                np.testing.assert_array_equal(descriptor.queries, model.descriptors[content_id].queries)
            assert [content for content, _ in view.all_vectors()] == sorted(set(model.contents) - set(waiting))

            assert {(e.a, e.b): e for e in view.edges()} == model.edges
            assert view.verdicts() == [verdict for _, verdict in sorted(model.verdicts.items())]
            assert view.pins() == [pin for _, pin in sorted(model.pins.items())]
            assert list(view.tombstones()) == [tombstone for _, tombstone in sorted(model.tombstones.items())]
            assert [(e.sequence, e.at_ns) for e in view.events(Sequence(0), 1000)] == sorted(model.events.items())
            assert view.oldest_event() == min(model.events, default=model.sequence + 1)
            assert view.sequence() == model.sequence
            if model.log_trimmed:
                assert view.vector_changes(Sequence(model.log_trimmed - 1)) is None
            changes = view.vector_changes(Sequence(model.log_trimmed))
            assert changes is not None
            assert [(c.sequence, (c.content, c.is_removal)) for c in changes] == sorted(model.log.items())

            assert {generation.tag for generation in view.generations()} == set(model.generations)
            for generation in view.generations():
                tag = generation.tag
                held = {content: value for (of, content), value in model.generation_vectors.items() if of == tag}
                assert (generation.was_complete, generation.contents) == (model.generations[tag], len(held))
                found = dict(view.all_generation_vectors(tag, ContentId(0)))
                assert {content: float(rows[0, 0]) * 8 for content, rows in found.items()} == held
                assert [len(rows) for rows in found.values()] == [1 + held[content] % 4 for content in found]
            for tag in FURTHER:
                linked = sorted(set(model.contents) - set(waiting))
                ahead = [content for content in linked if not waiting or content < waiting[0]]
                lacking = [content for content in ahead if (tag, content) not in model.generation_vectors]
                assert list(view.contents_without(tag, ContentId(0))) == lacking
            assert set(view.suggested_pairs(1000)) == model.suggested

            counts = view.counts()
            assert counts.pairs_suggested == len(model.suggested)
            assert counts.files == len(model.files)
            assert (counts.files_pending, counts.files_set_aside, counts.files_missing) == (
                len(pending),
                len(aside),
                len(absent),
            )
            assert (counts.contents, counts.contents_unlinked) == (len(model.contents), len(waiting))
            assert (counts.edges, counts.events) == (len(model.edges), len(model.events))


TestLibraryAgainstDicts = LibraryAgainstDicts.TestCase
TestLibraryAgainstDicts.settings = settings(max_examples=30, stateful_step_count=50, deadline=None)
