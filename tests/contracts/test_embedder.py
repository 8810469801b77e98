"""What every `Embedder` promises. A new one joins by adding its factory to EMBEDDERS.

The pipeline's played one describes scenes that it is told of instead of pixels, and owns no thread: of odd pixels,
failures and closing only the others are asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import device_models
from fakes.bench import PlayedEmbedder, PlayedModel
from skimage import data

from dedupd.core.arrays import Pixels
from dedupd.core.ports import Embedder, EmbedItem
from dedupd.embedding.device_pool import DevicePool
from dedupd.embedding.devices import Device
from dedupd.embedding.local_embedder import LocalEmbedder

Maker = Callable[[], Embedder]
DEADLINE_S = 60


def grid_pool() -> DevicePool:
    """Two device workers, of a model without torch that needs no files."""
    devices = [Device(kind="cuda", index=index) for index in (0, 1)]
    return DevicePool(device_models.spec_in(Path("/nonexistent")), devices, batch_size=2)


EMBEDDERS: dict[str, Maker] = {"local": LocalEmbedder, "devices": grid_pool}


@pytest.fixture(autouse=True)
def _workers_find_their_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


@pytest.fixture(params=[*sorted(EMBEDDERS), "played", "played model"])
def any_maker(request: pytest.FixtureRequest) -> Maker:
    return (EMBEDDERS | {"played": PlayedEmbedder, "played model": PlayedModel})[request.param]


@pytest.fixture
def any_embedder(any_maker: Maker) -> Iterator[Embedder]:
    made = any_maker()
    yield made
    made.close()


@pytest.fixture
def shown(any_embedder: Embedder) -> list[Pixels]:
    """Different pictures that it can describe."""
    return scenes() if isinstance(any_embedder, PlayedEmbedder | PlayedModel) else photos()


@pytest.fixture
def all_shown(any_embedder: Embedder, shown: list[Pixels]) -> list[Pixels]:
    """The same, with such as are hard to describe."""
    return shown if isinstance(any_embedder, PlayedEmbedder | PlayedModel) else shown + odd_pictures()


@pytest.fixture(params=sorted(EMBEDDERS))
def maker(request: pytest.FixtureRequest) -> Maker:
    return EMBEDDERS[request.param]


@pytest.fixture
def embedder(maker: Maker) -> Iterator[Embedder]:
    made = maker()
    yield made
    made.close()


def item(pixels: Pixels | None, name: bytes = b"x") -> EmbedItem:
    return EmbedItem(digest=name.ljust(32, b"\0"), path=None, small=pixels)


def photos() -> list[Pixels]:
    return [data.astronaut()[::2, ::2], data.chelsea()[::2, ::2], data.coffee()[::2, ::2], data.rocket()[::2, ::2]]


def scenes() -> list[Pixels]:
    """What the played reader makes of pictures of four scenes."""
    names = (b"beach", b"wood", b"town", b"sea@1")
    return [np.frombuffer(name.ljust(96, b"\0"), np.uint8).reshape(4, 8, 3) for name in names]


def odd_pictures() -> list[Pixels]:
    noise = np.random.default_rng(3).integers(0, 256, (384, 1, 3), dtype=np.uint8)
    shapes = [(1, 1), (2, 3), (5, 4), (1, 384), (7, 300)]
    flat = [np.full((*shape, 3), level, dtype=np.uint8) for shape in shapes for level in (0, 128, 255)]
    return [*flat, noise, noise.transpose(1, 0, 2), noise[:9]]


def test_vectors_are_float32_of_the_models_length_and_unit_length(any_embedder, all_shown):
    for descriptor in any_embedder.embed([item(p) for p in all_shown]).result(DEADLINE_S):
        for vectors, most in ((descriptor.stored, 4), (descriptor.queries, 48)):
            assert vectors.dtype == np.float32
            assert vectors.ndim == 2
            assert vectors.shape[1] == any_embedder.model.dim
            assert 1 <= len(vectors) <= most
            assert np.isfinite(vectors).all()
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_descriptors_come_in_the_order_of_the_items(any_embedder, shown):
    together = any_embedder.embed([item(p) for p in shown]).result(DEADLINE_S)
    for picture, descriptor in zip(shown, together, strict=True):
        alone = any_embedder.embed([item(picture)]).result(DEADLINE_S)[0]
        assert float((alone.stored[0] @ descriptor.stored.T).max()) > 0.999


def test_batch_size_does_not_change_a_single_bit(any_embedder, all_shown):
    together = any_embedder.embed([item(p) for p in all_shown]).result(DEADLINE_S)
    for picture, descriptor in zip(all_shown, together, strict=True):
        alone = any_embedder.embed([item(picture)]).result(DEADLINE_S)[0]
        assert alone.stored.tobytes() == descriptor.stored.tobytes()
        assert alone.queries.tobytes() == descriptor.queries.tobytes()


def test_a_second_embedder_gives_the_same_tag_and_vectors(any_maker, any_embedder, shown):
    other = any_maker()
    try:
        assert other.model == any_embedder.model
        first, second = (e.embed([item(shown[1])]).result(DEADLINE_S)[0] for e in (any_embedder, other))
        assert first.queries.tobytes() == second.queries.tobytes()
    finally:
        other.close()


def test_a_picture_finds_itself_above_the_candidate_threshold(any_embedder, all_shown):
    for descriptor in any_embedder.embed([item(p) for p in all_shown]).result(DEADLINE_S):
        assert float((descriptor.queries @ descriptor.stored.T).max()) > 0.999
        assert 0 < any_embedder.model.candidate_similarity < 1


def test_different_photos_are_not_candidates_of_each_other(any_embedder, shown):
    found = any_embedder.embed([item(p) for p in shown]).result(DEADLINE_S)
    for i, asked in enumerate(found):
        for stored in found[i + 1 :]:
            assert float((asked.queries @ stored.stored.T).max()) < any_embedder.model.candidate_similarity


def test_an_item_without_pixels_fails_through_the_future_and_names_the_content(embedder):
    failed = embedder.embed([item(None, b"\xab\xcd")])
    assert isinstance(failed.exception(DEADLINE_S), ValueError)
    assert "abcd" in str(failed.exception(DEADLINE_S))
    assert len(embedder.embed([item(data.chelsea())]).result(DEADLINE_S)) == 1


def test_an_empty_batch_gives_an_empty_list(any_embedder):
    assert any_embedder.embed([]).result(DEADLINE_S) == []


def test_batches_from_several_threads_do_not_mix(embedder):
    pictures = photos()
    expected = [d.stored.tobytes() for d in embedder.embed([item(p) for p in pictures]).result(DEADLINE_S)]
    got: dict[int, list[bytes]] = {}

    def ask(number: int) -> None:
        got[number] = [
            embedder.embed([item(pictures[number])]).result(DEADLINE_S)[0].stored.tobytes() for _ in range(5)
        ]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert got == {n: [expected[n]] * 5 for n in range(len(pictures))}


def test_close_leaves_no_thread_and_refuses_new_batches(maker):
    before = set(threading.enumerate())
    made = maker()
    assert len(made.embed([item(data.chelsea())]).result(DEADLINE_S)) == 1
    made.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(RuntimeError):
        made.embed([])
