"""What every `SimilarPictures` promises: the nearest first, never the picture itself, and who said it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from fakes.bench import DIM, PlayedEmbedder, PlayedModel, played_small
from fakes.image_reader import decoded_image
from fakes.similar import LaidSimilar

from dedupd.core.errors import DegradedError, NotFoundError, RetryError, UnreadableImageError
from dedupd.core.generation import Generation
from dedupd.core.ports import Descriptor, EmbedItem, NewContent, ReadFile, SimilarPictures
from dedupd.core.records import ContentId, FileStat, ModelTag
from dedupd.index.exact_index import ExactIndex
from dedupd.pipeline.generation_book import FurtherModel, GenerationBook
from dedupd.pipeline.similar import SimilarFinder
from dedupd.store import LmdbLibrary

SCENES = ("beach@0", "beach@1", "beach-night", "wood")
STAT = FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=0, ctime_ns=0)


def read_of(scene: str, *, is_decoded: bool = True) -> ReadFile:
    image = replace(decoded_image(), small=played_small(scene)) if is_decoded else None
    return ReadFile(digest=scene.encode().ljust(32, b"\0"), stat=STAT, image=image)


def embedded(embedder: PlayedEmbedder | PlayedModel, scene: str) -> Descriptor:
    item = EmbedItem(digest=b"", path=None, small=played_small(scene))
    return embedder.embed([item]).result()[0]


@dataclass
class Kit:
    """Similar pictures of a library that holds SCENES, and which content is which."""

    similar: SimilarPictures
    contents: dict[str, ContentId]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[LmdbLibrary]:
    library = LmdbLibrary(tmp_path / "state", map_bytes=1 << 26)
    yield library
    library.close()


@pytest.fixture
def contents(library: LmdbLibrary) -> dict[str, ContentId]:
    found = {}
    embedder = PlayedEmbedder()
    with library.transaction() as txn:
        for scene in SCENES:
            read = read_of(scene)
            assert read.image is not None
            new = NewContent(
                digest=read.digest,
                size_bytes=1,
                image=decoded_image(),
                descriptor=embedded(embedder, scene),
                first_seen_ns=1,
            )
            found[scene] = txn.add_content(new, embedder.model.tag).id
            txn.mark_linked(found[scene])
    return found


@pytest.fixture
def book(library: LmdbLibrary, contents: dict[str, ContentId]) -> GenerationBook:
    """One model that has looked at everything, and one that has only begun."""
    ready, begun = PlayedModel("ready-1"), PlayedModel("begun-1")
    with library.transaction() as txn:
        txn.put_generation(
            Generation(tag=ready.model.tag, name="ready", dim=16, candidate_similarity=0.8, was_complete=True)
        )
        vectors = {content: embedded(ready, scene).stored for scene, content in contents.items()}
        txn.put_generation_vectors(ready.model.tag, vectors)
    further = [FurtherModel(name="begun", embedder=begun), FurtherModel(name="ready", embedder=ready)]
    book = GenerationBook(library=library, further=further, make_index=lambda _, dim: ExactIndex(dim))
    book.open()
    for shelf in book.shelves():
        shelf.load_some(library)
    return book


@pytest.fixture
def finder(library: LmdbLibrary, contents: dict[str, ContentId], book: GenerationBook) -> SimilarFinder:
    index = ExactIndex(DIM)
    with library.view() as view:
        for content, vectors in view.all_vectors():
            index.add([content], [vectors])
    return SimilarFinder(library=library, embedder=PlayedEmbedder(), index=index, book=book)


@pytest.fixture
def finder_kit(finder: SimilarFinder, contents: dict[str, ContentId]) -> Kit:
    return Kit(finder, contents)


@pytest.fixture
def laid_kit(library: LmdbLibrary, contents: dict[str, ContentId]) -> Kit:
    laid = LaidSimilar(library)
    laid.models = {"ready": ModelTag("ready-1"), "builtin": ModelTag("played-1")}
    laid.begun = {"begun"}
    return Kit(laid, contents)


@pytest.fixture(params=["finder_kit", "laid_kit"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return request.getfixturevalue(request.param)


def test_the_nearest_come_first_without_the_picture_itself_and_no_more_than_asked(kit: Kit) -> None:
    own = kit.contents["wood"]
    found = kit.similar.similar(own, limit=10)
    assert {n.content for n in found.neighbours} == set(kit.contents.values()) - {own}
    similarities = [n.similarity for n in found.neighbours]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= similarity <= 1.001 for similarity in similarities)
    assert kit.similar.similar(own, limit=2).neighbours == found.neighbours[:2]


def test_the_best_that_is_ready_answers_and_says_so(kit: Kit) -> None:
    found = kit.similar.similar(kit.contents["wood"], limit=1)
    assert (found.name, found.model) == ("ready", "ready-1")


def test_the_one_that_is_named_answers(kit: Kit) -> None:
    found = kit.similar.similar(kit.contents["wood"], limit=1, name="builtin")
    assert (found.name, found.model) == ("builtin", "played-1")
    with pytest.raises(NotFoundError, match="No model nobody"):
        kit.similar.similar(kit.contents["wood"], limit=1, name="nobody")
    with pytest.raises(RetryError, match="begun"):
        kit.similar.similar(kit.contents["wood"], limit=1, name="begun")


def test_a_picture_that_is_sent_is_looked_at_and_one_that_is_known_is_itself_left_out(kit: Kit) -> None:
    stranger = kit.similar.similar(read_of("sea"), limit=10)
    assert len(stranger.neighbours) == len(SCENES)
    known = kit.similar.similar(read_of("wood", is_decoded=False), limit=10)
    assert kit.contents["wood"] not in {n.content for n in known.neighbours}
    with pytest.raises(UnreadableImageError):
        kit.similar.similar(read_of("sea", is_decoded=False), limit=10)


def test_what_is_not_in_the_library_is_not_found(kit: Kit) -> None:
    with pytest.raises(NotFoundError, match="99"):
        kit.similar.similar(ContentId(99), limit=1)


# ------------------------------------------------------------------------------------------- with real neighbours


def test_neighbours_in_meaning_are_those_of_the_model_not_of_the_built_in_descriptor(finder_kit: Kit) -> None:
    asked, contents = finder_kit.contents["beach@0"], finder_kit.contents
    by_model = [n.content for n in finder_kit.similar.similar(asked, limit=2).neighbours]
    assert by_model == [contents["beach@1"], contents["beach-night"]]
    sent = [n.content for n in finder_kit.similar.similar(read_of("beach@2"), limit=3).neighbours]
    assert set(sent) == {contents["beach@0"], contents["beach@1"], contents["beach-night"]}


def test_where_no_device_runs_the_model_the_next_one_answers(
    finder: SimilarFinder, book: GenerationBook, contents: dict[str, ContentId]
) -> None:
    for shelf in book.shelves():
        assert shelf.further is not None
        shelf.further.embedder.error = DegradedError("no device runs it")  # type: ignore[attr-defined]  # a played one
    assert finder.similar(read_of("sea"), limit=1).name == "builtin"
    assert finder.similar(contents["wood"], limit=1).name == "ready", "what has vectors needs no device"
    with pytest.raises(RetryError, match="no device"):
        finder.similar(read_of("sea"), limit=1, name="ready")


def test_a_picture_that_the_model_has_no_vectors_of_is_answered_by_the_next(
    finder: SimilarFinder, library: LmdbLibrary, contents: dict[str, ContentId]
) -> None:
    new = NewContent(
        digest=read_of("sea").digest,
        size_bytes=1,
        image=decoded_image(),
        descriptor=Descriptor(stored=np.eye(1, DIM, dtype=np.float32), queries=np.eye(1, DIM, dtype=np.float32)),
        first_seen_ns=1,
    )
    with library.transaction() as txn:
        late = txn.add_content(new, ModelTag("played-1")).id
    assert finder.similar(late, limit=1).name == "builtin"
    with pytest.raises(RetryError, match="ready"):
        finder.similar(late, limit=1, name="ready")
