"""Where the trash is, by the freedesktop.org specification. The filesystems are told by the stand-in of the calls."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.places import Place, Places
from dedupd.cleanup.trash import Trash, remove_note, trash_for, trash_note

NOW_NS = 1_790_000_000 * 10**9


class TwoFilesystems(FileCalls):
    """Says that what lies below `disk` is on another filesystem than the rest."""

    def __init__(self, disk):
        self.disk = str(disk)

    def stat(self, fd):
        return SimpleNamespace(st_dev=2 if str(Path(f"/proc/self/fd/{fd}").readlink()).startswith(self.disk) else 1)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "disk/photos/2020").mkdir(parents=True)
    return tmp_path / "disk"


def found(disk, *, home=None, root="photos/2020"):
    return trash_for(bytes(disk / root), TwoFilesystems(disk), uid=1000, home=home or bytes(disk.parent / "home"))


def test_each_filesystem_has_its_own_trash_at_its_top(disk):
    assert found(disk) == Trash(base=bytes(disk), below=b".Trash-1000")
    assert found(disk, root="photos") == Trash(base=bytes(disk), below=b".Trash-1000")
    assert found(disk, home=b"/nowhere") == Trash(base=bytes(disk), below=b".Trash-1000")


def test_the_homes_trash_serves_its_filesystem(disk):
    (disk / "share").mkdir()
    assert found(disk, home=bytes(disk / "share")) == Trash(base=bytes(disk / "share"), below=b"Trash")


def test_a_shared_trash_is_used_only_if_nobody_can_have_laid_a_trap(disk):
    shared = disk / ".Trash"
    shared.mkdir()
    assert found(disk).below == b".Trash-1000", "no sticky bit"
    shared.chmod(0o1777)
    assert found(disk).below == b".Trash/1000"
    shared.rename(disk / "elsewhere")
    shared.symlink_to(disk / "elsewhere")
    assert found(disk).below == b".Trash-1000", "a symlink"


def test_the_top_of_everything_is_the_last(tmp_path):
    trash = trash_for(bytes(tmp_path), TwoFilesystems("/"), uid=7, home=b"")
    assert trash == Trash(base=b"/", below=b".Trash-7")


def test_a_note_names_the_path_as_the_specification_wants_it():
    top, home = Trash(base=b"/disk", below=b".Trash-1000"), Trash(base=b"/home/me/.local/share", below=b"Trash")
    path = b"/disk/photos/na\xc3\xafve #1.jpg"
    assert trash_note(path, top.note(b"x"), NOW_NS).splitlines()[1] == b"Path=photos/na%C3%AFve%20%231.jpg"
    assert trash_note(path, home.note(b"x"), NOW_NS).splitlines()[1] == b"Path=/disk/photos/na%C3%AFve%20%231.jpg"
    root = Trash(base=b"/", below=b".Trash-0")
    assert trash_note(path, root.note(b"x"), NOW_NS).splitlines()[1].startswith(b"Path=disk/photos/")


def test_only_our_own_note_is_removed(tmp_path):
    calls = FileCalls()
    note = Place(base=bytes(tmp_path), below=b"x.trashinfo")
    ours = trash_note(b"/photos/a.jpg", note, NOW_NS)
    for text, is_ours in ((ours, True), (b"", True), (ours[:20], True), (b"[Trash Info]\nPath=/other\n", False)):
        (tmp_path / "x.trashinfo").write_bytes(text)
        places = Places(calls)
        remove_note(calls, places, note, b"/photos/a.jpg")
        places.close()
        assert (tmp_path / "x.trashinfo").exists() is not is_ours
