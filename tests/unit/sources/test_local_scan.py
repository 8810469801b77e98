"""What LocalLister adds to the port's contract: permissions, walking, speed."""

import os
import tempfile
from pathlib import Path

import pytest
from fakes.nobody import without_privileges

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.records import ProblemCode, RootId, RootRecord, RootState
from dedupd.sources.local_scan import LocalLister

LISTER = LocalLister(IgnoreRules())


def a_root(path):
    return RootRecord(
        id=RootId(1),
        path=os.fsencode(path),
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=0,
    )


@pytest.fixture
def public():
    """A directory that everyone can reach, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_directory_that_may_not_be_read_is_incomplete(public):
    (public / "locked").mkdir()
    (public / "locked" / "a.jpg").write_bytes(b"x")
    (public / "locked").chmod(0)
    try:
        with without_privileges():
            listing = LISTER.listing(a_root(public), b"locked")
            assert LISTER.listing(a_root(public), b"").subdirectories == (b"locked",)
    finally:
        (public / "locked").chmod(0o755)
    assert not listing.is_complete
    assert "Permission denied" in listing.trouble


def test_files_that_cannot_be_stated_are_odd_not_gone(public):
    (public / "names-only").mkdir()
    (public / "names-only" / "a.jpg").write_bytes(b"x")
    (public / "names-only").chmod(0o444)
    try:
        with without_privileges():
            listing = LISTER.listing(a_root(public), b"names-only")
    finally:
        (public / "names-only").chmod(0o755)
    assert listing.odd[b"a.jpg"].code is ProblemCode.NO_PERMISSION


def test_a_root_without_permission_is_incomplete_and_says_so(public):
    (public / "root").mkdir(mode=0o700)
    (public / "root").chmod(0)
    try:
        with without_privileges():
            assert not LISTER.listing(a_root(public / "root"), b"").is_complete
            assert "Permission denied" in LISTER.identify(os.fsencode(public / "root"))
    finally:
        (public / "root").chmod(0o755)


def test_a_root_may_be_a_symlink_that_a_person_named(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert list(LISTER.listing(a_root(tmp_path / "link"), b"").files) == [b"a.jpg"]
    assert LISTER.identify(os.fsencode(tmp_path / "link")) == LISTER.identify(os.fsencode(tmp_path / "real"))


def test_walk_yields_each_directory_once(tmp_path):
    for name in ("a/b/c", "a/d", "e", "@eaDir/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path)
    directories = [listing.directory for listing in LISTER.walk(a_root(tmp_path))]
    assert directories[0] == b""
    assert sorted(directories) == [b"", b"a", b"a/b", b"a/b/c", b"a/d", b"e"]


def test_only_a_root_without_any_entry_is_empty(tmp_path):
    assert LISTER.is_empty(a_root(tmp_path))
    (tmp_path / ".DS_Store").touch()
    assert not LISTER.is_empty(a_root(tmp_path))
    assert not LISTER.is_empty(a_root(tmp_path / "missing"))
