"""What every `Matcher` promises: MAKERS lay down the same small library for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from blake3 import blake3
from fakes.image_reader import decoded_image
from fakes.matcher import LaidMatcher, half_the_size

from dedupd.core.errors import NotFoundError, UnreadableImageError
from dedupd.core.illustration import SheetFormat, SheetWords
from dedupd.core.ports import Descriptor, FoundMatch, Library, Matcher, NewContent, Priority, ReadFile, Upload
from dedupd.core.records import (
    ContentId,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Problem,
    ProblemCode,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.core.verdicts import NotDuplicate, digest_pair
from dedupd.store import LmdbLibrary

STAT = FileStat(dev=1, ino=1, size_bytes=9, mtime_ns=1, ctime_ns=1)
UNKNOWN = ContentId(2**40)


@dataclass
class Stand:
    """A library with a picture, a smaller copy of it, another picture, and one whose only file is missing."""

    matcher: Matcher
    library: Library
    picture: ContentId
    smaller: ContentId
    other: ContentId
    missing: ContentId
    asked_copy: ReadFile  # of the picture, its bytes not in the library
    asked_stranger: ReadFile  # like nothing in the library
    sent_copy: Upload  # the same as asked_copy, as bytes
    lossless: ReadFile | None = None  # the pixels of `other` in another container; None where no pixels are looked at
    lossless_pixels: Callable[[], bytes | None] = lambda: None


@contextmanager
def engine_matcher(base, pictures, run_engine) -> Iterator[Stand]:
    photos, asked = base / "photos", base / "asked"
    pictures.save(pictures.of(1), photos / "picture.jpg", quality=92)
    pictures.save(pictures.of(1).resize((240, 180)), photos / "smaller.jpg", quality=80)
    pictures.save(pictures.of(2), photos / "other.png")
    pictures.save(pictures.of(3), photos / "missing.jpg", quality=92)
    pictures.save(pictures.of(1).resize((320, 240)), asked / "copy.jpg", quality=85)
    pictures.save(pictures.of(9), asked / "stranger.jpg", quality=92)
    pictures.save(pictures.of(2), asked / "other.bmp")
    with run_engine(base / "state", [photos]) as engine, (asked / "copy.jpg").open("rb") as copy:
        with engine.library.view() as view:
            files = {os.fsdecode(file.path.name): file for file in view.files()}
        with engine.library.transaction() as txn:
            txn.put_file(replace(files["missing.jpg"], missing_since_ns=1))

        def read(name: str) -> ReadFile:
            path = os.fsencode(asked / name)
            return engine.reader.read(path, is_known=lambda _: False, priority=Priority.QUESTION).result(30)

        yield Stand(
            matcher=engine.matcher,
            library=engine.library,
            **{name.partition(".")[0]: file.content for name, file in files.items()},
            asked_copy=read("copy.jpg"),
            sent_copy=Upload(read=read("copy.jpg"), fd=copy.fileno()),
            asked_stranger=read("stranger.jpg"),
            lossless=read("other.bmp"),
            lossless_pixels=lambda: engine.reader.pixel_digest(
                os.fsencode(asked / "other.bmp"), priority=Priority.QUESTION
            ).result(30),
        )


@contextmanager
def laid_matcher(base, _pictures, _run_engine) -> Iterator[Stand]:
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    ids = {name: laid_down(library, name) for name in ("picture", "smaller", "other")}
    ids["missing"] = laid_down(library, "missing", missing_since_ns=1)
    with library.transaction() as txn:
        txn.put_edge(half_the_size(ids["picture"], ids["smaller"]))
    matcher = LaidMatcher(library)
    to_picture = answer(ids["picture"], Relation.RE_ENCODED)
    matcher.answers = {
        b"picture".ljust(32): [answer(ids["smaller"], Relation.RE_ENCODED)],
        b"copy".ljust(32): [
            answer(ids["other"], Relation.SIMILAR),
            answer(ids["smaller"], Relation.EDITED),
            to_picture,
        ],
    }
    copy = ReadFile(digest=b"copy".ljust(32), stat=STAT, image=decoded_image())
    yield Stand(
        matcher=matcher,
        library=library,
        **ids,
        asked_copy=copy,
        sent_copy=Upload(read=copy, fd=-1),
        asked_stranger=ReadFile(digest=b"stranger".ljust(32), stat=STAT, image=decoded_image()),
    )
    library.close()


def answer(content: ContentId, relation: Relation) -> FoundMatch:
    return FoundMatch(content=content, relation=relation, similarity=0.9, reason="as the test says")


def laid_down(library: LmdbLibrary, name: str, **changes: object) -> ContentId:
    row = np.eye(1, 4, dtype=np.float32)
    new = NewContent(
        digest=name.encode().ljust(32),
        size_bytes=9,
        image=decoded_image(),
        descriptor=Descriptor(stored=row, queries=row),
        first_seen_ns=1,
    )
    root = RootRecord(
        id=RootId(1),
        path=b"/photos",
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=1,
    )
    with library.transaction() as txn:
        txn.put_root(root)
        content = txn.add_content(new, ModelTag("test-1")).id
        path = FilePath(root=root.id, directory=b"", name=name.encode())
        file = FileRecord(path=path, stat=STAT, stage=FileStage.INDEXED, content=content, first_seen_ns=1)
        txn.put_file(replace(file, **changes))
    return content


MAKERS = {"engine": engine_matcher, "laid": laid_matcher}


@pytest.fixture(scope="module", params=MAKERS)
def stand(request, tmp_path_factory, pictures, run_engine) -> Iterator[Stand]:
    with MAKERS[request.param](tmp_path_factory.mktemp("matcher"), pictures, run_engine) as stand:
        yield stand


def never() -> bytes | None:
    raise AssertionError("all pixels were asked for where the digest tells")


def find(stand: Stand, read: ReadFile, pixel_digest=lambda: None) -> list[FoundMatch]:
    """Ask, and hold the answer to what holds for every answer."""
    found = stand.matcher.find(read, pixel_digest=pixel_digest)
    keys = [(match.relation.rank, -match.similarity) for match in found]
    assert keys == sorted(keys), "the closest relation first"
    assert len({match.content for match in found}) == len(found)
    for match in found:
        assert match.relation is not Relation.DIFFERENT
        assert 0.0 <= match.similarity <= 1.0
        assert match.reason
        assert match.content not in {0, stand.missing}, "only what a file holds that is there"
    return found


def known(stand: Stand, content: ContentId, image=None) -> ReadFile:
    """What reading a file of the library again gives."""
    with stand.library.view() as view:
        return ReadFile(digest=view.content(content).digest, stat=STAT, image=image)


@pytest.mark.parametrize(
    "image",
    [None, Problem(code=ProblemCode.DAMAGED, detail="the decoder refused it", at_ns=1, retry_at_ns=None)],
    ids=["not-decoded", "not-decodable"],
)
def test_known_bytes_are_found_by_their_digest_then_their_duplicates(stand, image):
    found = find(stand, known(stand, stand.picture, image), never)
    assert [(match.content, match.relation.is_duplicate) for match in found] == [
        (stand.picture, True),
        (stand.smaller, True),
    ]
    assert (found[0].relation, found[0].similarity) == (Relation.SAME_BYTES, 1.0)
    assert found[1].relation is not Relation.SAME_BYTES


def test_known_bytes_that_no_file_holds_any_more_are_not_found(stand):
    assert find(stand, known(stand, stand.missing), never) == []


def test_a_copy_that_the_library_does_not_hold_finds_what_it_is_a_copy_of(stand):
    found = find(stand, stand.asked_copy)
    assert stand.picture in {match.content for match in found if match.relation.is_duplicate}
    assert Relation.SAME_BYTES not in {match.relation for match in found}
    assert stand.other not in {match.content for match in found if match.relation.is_duplicate}


def test_a_stranger_finds_nothing(stand):
    assert find(stand, stand.asked_stranger) == []


@pytest.mark.parametrize("stand", ["engine"], indirect=True)  # laid answers look at no pixels
def test_equal_pixels_in_another_container_are_told_by_the_digest_of_all_pixels(stand):
    [match] = find(stand, stand.lossless, stand.lossless_pixels)
    assert (match.content, match.relation) == (stand.other, Relation.SAME_PIXELS)
    for without in (lambda: None, lambda: blake3(b"other pixels").digest()):
        [match] = find(stand, stand.lossless, without)
        assert (match.content, match.relation) == (stand.other, Relation.RE_ENCODED)


def test_bytes_that_are_neither_known_nor_decoded_are_refused(stand):
    problem = Problem(code=ProblemCode.TRUNCATED, detail="it ends too early", at_ns=1, retry_at_ns=None)
    for image in (None, problem):
        with pytest.raises(UnreadableImageError):
            find(stand, replace(stand.asked_stranger, image=image))


def test_a_verified_pair_is_explained_by_its_stored_edge_whatever_the_order(stand):
    with stand.library.view() as view:
        stored = view.edge(*sorted((stand.picture, stand.smaller)))
    assert stored is not None
    assert stand.matcher.explain(stand.picture, stand.smaller).edge == stored
    assert stand.matcher.explain(stand.smaller, stand.picture).edge == stored


def test_a_pair_is_told_in_the_order_in_which_it_was_asked(stand):
    there = stand.matcher.explain(stand.picture, stand.smaller)
    back = stand.matcher.explain(stand.smaller, stand.picture)
    assert (there.a.id, there.b.id) == (back.b.id, back.a.id) == (stand.picture, stand.smaller)
    assert there.evidence.geometry.scale == pytest.approx(0.5, rel=0.01)
    assert back.evidence.geometry.scale == pytest.approx(2.0, rel=0.01)
    assert there.figures.ssim > 0.9
    assert there.figures.agreeing <= there.figures.matches <= there.figures.keypoints_a


def test_a_pair_without_an_edge_is_explained_all_the_same(stand):
    for pair in ((stand.picture, stand.other), (stand.other, stand.picture)):
        edge = stand.matcher.explain(*pair).edge
        assert (edge.a, edge.b) == (min(pair), max(pair))
        assert edge.reason
        assert edge.verifier
        assert 0.0 <= edge.similarity <= 1.0


def test_what_a_person_said_to_be_no_duplicate_is_not_found_and_explained_as_such(stand):
    with stand.library.view() as view:
        picture = view.content(stand.picture)
    a, b = digest_pair(picture.digest, stand.asked_copy.digest)
    verdict = NotDuplicate(a=a, b=b, said_at_ns=1)
    before = find(stand, stand.asked_copy)
    assert stand.matcher.explain(stand.sent_copy, stand.picture).verdict is None
    with stand.library.transaction() as txn:
        txn.put_verdict(verdict)
    try:
        assert find(stand, stand.asked_copy) == [match for match in before if match.content != stand.picture] != before
        for pair in ((stand.sent_copy, stand.picture), (stand.picture, stand.sent_copy)):
            explained = stand.matcher.explain(*pair)
            assert explained.verdict == verdict
            assert explained.edge.relation.is_duplicate, "what was found of them is told all the same"
    finally:
        with stand.library.transaction() as txn:
            txn.remove_verdict(a, b)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_content_that_is_not_there_is_not_explained(stand, is_first):
    with pytest.raises(NotFoundError):
        stand.matcher.explain(*((UNKNOWN, stand.picture) if is_first else (stand.picture, UNKNOWN)))


def test_a_picture_that_the_library_does_not_hold_is_explained_on_either_side(stand):
    for pair in ((stand.sent_copy, stand.picture), (stand.picture, stand.sent_copy)):
        explained = stand.matcher.explain(*pair)
        assert [explained.a.id, explained.b.id] == [0 if side is stand.sent_copy else side for side in pair]
        assert explained.edge.relation.is_duplicate
        assert explained.evidence is not None
    assert stand.matcher.explain(stand.sent_copy, stand.sent_copy).edge.relation.is_duplicate


@pytest.mark.parametrize("form", SheetFormat)
def test_any_two_pictures_are_drawn_in_the_format_that_was_asked_for(stand, form):
    words = SheetWords(form=form, title="t", lines=("l",), name_a="a", name_b="b", about_a="", about_b="")
    for pair in ((stand.picture, stand.smaller), (stand.other, stand.sent_copy)):
        assert stand.matcher.draw(*pair, words)
    with pytest.raises(NotFoundError):
        stand.matcher.draw(stand.picture, UNKNOWN, words)


def test_questions_store_nothing(stand):
    def everything():
        with stand.library.view() as view:
            return view.counts(), view.sequence(), list(view.edges()), list(view.contents())

    before = everything()
    find(stand, stand.asked_copy)
    find(stand, known(stand, stand.picture))
    stand.matcher.explain(stand.picture, stand.other)
    assert everything() == before


def test_questions_from_several_threads_get_the_answers_that_they_get_alone(stand):
    questions = [stand.asked_copy, stand.asked_stranger, known(stand, stand.picture), known(stand, stand.other)]
    alone = [find(stand, question) for question in questions]
    with ThreadPoolExecutor(4) as threads:
        together = [threads.submit(find, stand, question) for question in questions * 3]
        assert [answer.result(60) for answer in together] == alone * 3
