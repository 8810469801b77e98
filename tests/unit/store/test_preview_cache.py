"""What the disk may do to a preview: it is gone then, never wrong."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from dedupd.core.records import ContentId
from dedupd.store import DiskPreviewCache

PREVIEW = bytes(range(256)) * 4


@pytest.fixture
def stored(tmp_path: Path) -> tuple[DiskPreviewCache, Path]:
    previews = DiskPreviewCache(tmp_path)
    previews.put(ContentId(0x1AB), PREVIEW)
    return previews, tmp_path / "ab" / "427.jpg"


@pytest.mark.parametrize("left", [0, 1, 19, 20, 500, 1043])
def test_a_torn_preview_is_not_served(stored: tuple[DiskPreviewCache, Path], left: int) -> None:
    previews, path = stored
    assert path.stat().st_size == 1044
    path.write_bytes(path.read_bytes()[:left])
    assert previews.get(ContentId(0x1AB)) is None


def test_a_preview_with_a_flipped_bit_is_not_served(stored: tuple[DiskPreviewCache, Path]) -> None:
    previews, path = stored
    whole = path.read_bytes()
    for at in (0, 700, 1023, 1024, 1043):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert previews.get(ContentId(0x1AB)) is None
    path.write_bytes(whole)
    assert previews.get(ContentId(0x1AB)) == PREVIEW


def test_the_preview_of_another_content_is_not_served(stored: tuple[DiskPreviewCache, Path]) -> None:
    previews, path = stored
    path.rename(path.with_name("683.jpg"))
    assert previews.get(ContentId(683)) is None


def test_what_a_killed_process_left_half_written_goes_at_the_next_start(
    stored: tuple[DiskPreviewCache, Path], tmp_path: Path
) -> None:
    (tmp_path / "unfinished" / "427-1").write_bytes(b"half")
    previews = DiskPreviewCache(tmp_path)
    assert not (tmp_path / "unfinished" / "427-1").exists()
    assert previews.get(ContentId(0x1AB)) == PREVIEW


def test_a_cache_that_cannot_be_written_stops_nobody_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in the way").write_bytes(b"")
    previews = DiskPreviewCache(tmp_path / "in the way")
    with caplog.at_level(logging.WARNING):
        previews.put(ContentId(1), PREVIEW)
        previews.put(ContentId(2), PREVIEW)
    assert previews.get(ContentId(1)) is None
    assert [record.getMessage().split()[0] for record in caplog.records] == ["preview-cache-write-failed"]


def test_a_cache_that_somebody_emptied_goes_on(stored: tuple[DiskPreviewCache, Path], tmp_path: Path) -> None:
    previews, _ = stored
    for below in tmp_path.iterdir():
        shutil.rmtree(below)
    assert previews.get(ContentId(0x1AB)) is None
    previews.put(ContentId(0x1AB), PREVIEW)
    assert previews.get(ContentId(0x1AB)) == PREVIEW


def test_an_unfinished_write_leaves_the_old_preview(stored: tuple[DiskPreviewCache, Path], tmp_path: Path) -> None:
    previews, _ = stored
    (tmp_path / "unfinished").rmdir()
    (tmp_path / "unfinished").write_bytes(b"")  # no place to write to
    previews.put(ContentId(0x1AB), b"new")
    assert previews.get(ContentId(0x1AB)) == PREVIEW
