"""What every `PreviewCache` promises. Another one joins by a line in PREVIEW_CACHES."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dedupd.core.ports import PreviewCache
from dedupd.core.records import ContentId
from dedupd.store import DiskPreviewCache

MakeCache = Callable[[Path], PreviewCache]

PREVIEW_CACHES: dict[str, MakeCache] = {"disk": DiskPreviewCache}


@pytest.fixture(params=sorted(PREVIEW_CACHES))
def make_previews(request: pytest.FixtureRequest) -> MakeCache:
    return PREVIEW_CACHES[request.param]


@pytest.fixture
def previews(make_previews: MakeCache, tmp_path: Path) -> PreviewCache:
    return make_previews(tmp_path / "previews")


def test_what_was_never_put_is_not_there(previews: PreviewCache) -> None:
    assert previews.get(ContentId(1)) is None
    previews.remove(ContentId(1))


def test_previews_are_kept_replaced_and_removed(previews: PreviewCache) -> None:
    previews.put(ContentId(1), b"one")
    previews.put(ContentId(2), b"two")
    previews.put(ContentId(1), b"another")
    assert (previews.get(ContentId(1)), previews.get(ContentId(2))) == (b"another", b"two")
    previews.remove(ContentId(2))
    previews.remove(ContentId(2))
    assert (previews.get(ContentId(1)), previews.get(ContentId(2))) == (b"another", None)
    previews.put(ContentId(2), b"again")
    assert previews.get(ContentId(2)) == b"again"


@pytest.mark.parametrize("preview", [b"", b"\0", bytes(range(256)) * 400], ids=["empty", "one-byte", "100-kB"])
def test_any_bytes_come_back_as_they_were_put(previews: PreviewCache, preview: bytes) -> None:
    previews.put(ContentId(7), preview)
    assert previews.get(ContentId(7)) == preview


def test_contents_are_told_apart_over_the_whole_range_of_ids(previews: PreviewCache) -> None:
    contents = [ContentId(number) for number in (1, 255, 256, 257, 513, 2**32, 2**32 + 1, 2**48 - 1)]
    for content in contents:
        previews.put(content, b"%d" % content)
    assert [previews.get(content) for content in contents] == [b"%d" % content for content in contents]


def test_previews_outlive_the_process(make_previews: MakeCache, tmp_path: Path) -> None:
    make_previews(tmp_path / "previews").put(ContentId(1), b"one")
    assert make_previews(tmp_path / "previews").get(ContentId(1)) == b"one"


def test_threads_never_see_a_torn_or_a_wrong_preview(previews: PreviewCache) -> None:
    contents = [ContentId(number) for number in (1, 2, 257)]

    def change(thread: int) -> None:
        for turn in range(30):
            content = contents[(thread + turn) % len(contents)]
            if turn % 5 == 4:
                previews.remove(content)
            else:
                previews.put(content, b"%d|" % content + bytes([turn]) * (1000 * (turn + 1)))

    def look(_: int) -> None:
        for turn in range(200):
            content = contents[turn % len(contents)]
            preview = previews.get(content)
            if preview is not None:
                owner, _, pixels = preview.partition(b"|")
                assert owner == b"%d" % content
                assert pixels == pixels[:1] * (1000 * (pixels[0] + 1))

    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(work, thread) for thread in range(3) for work in (change, look)]
        for work in running:
            work.result(60)
