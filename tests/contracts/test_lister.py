"""What every `Lister` promises. Another one joins by a line in LISTERS."""

import os
import socket
from pathlib import Path

import pytest
from fakes.bench import VeiledLister

from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.ports import Lister
from dedupd.core.records import ProblemCode, RootId, RootIdentity, RootRecord, RootState
from dedupd.core.stat_key import unpack
from dedupd.sources.local_scan import LocalLister

LISTERS = {
    "local": lambda globs: LocalLister(IgnoreRules(globs)),
    "local in Python": lambda globs: LocalLister(IgnoreRules(globs), is_compiled=False),
    "veiled": VeiledLister,  # the pipeline's, with nothing veiled
}


@pytest.fixture(params=LISTERS)
def lister(request) -> Lister:
    return LISTERS[request.param]([b"private"])


@pytest.fixture
def root(tmp_path) -> RootRecord:
    path = tmp_path / "root"
    path.mkdir()
    return a_root(path)


def a_root(path) -> RootRecord:
    return RootRecord(
        id=RootId(1),
        path=os.fsencode(path),
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=0,
    )


def below(root, name) -> Path:
    return Path(os.fsdecode(root.path)) / os.fsdecode(name)


def write(root, name, content=b"x") -> Path:
    path = below(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_pictures_come_with_the_facts_of_lstat(lister, root):
    path = write(root, b"a.JPG", b"12345")
    listing = lister.listing(root, b"")
    facts = os.lstat(path)
    stat = unpack(listing.files[b"a.JPG"])
    assert (stat.dev, stat.ino, stat.size_bytes) == (facts.st_dev, facts.st_ino, 5)
    assert (stat.mtime_ns, stat.ctime_ns) == (facts.st_mtime_ns, facts.st_ctime_ns)
    assert listing.is_complete
    assert listing.trouble == ""


def test_plainly_named_files_are_listed_the_same_among_others(lister, root):
    for number in range(20):
        write(root, b"IMG_%04d.jpg" % number, b"x" * number)
    alone = lister.listing(root, b"")
    assert len(alone.files) == 20
    write(root, b"notes.txt")
    write(root, b"below/a.jpg")
    among_others = lister.listing(root, b"")
    assert among_others.files == alone.files
    below(root, b"IMG_0007.jpg").unlink()
    below(root, b"IMG_0007.jpg").symlink_to("IMG_0006.jpg")
    below(root, b"IMG_0008.jpg").unlink()
    os.mkfifo(below(root, b"IMG_0008.jpg"))
    odd = lister.listing(root, b"")
    assert odd.files == {name: facts for name, facts in alone.files.items() if name[6:8] not in (b"07", b"08")}
    assert odd.others == {".txt": 1, "symlink": 1}
    assert list(odd.odd) == [b"IMG_0008.jpg"]


def test_names_that_are_no_text_survive(lister, root):
    write(root, b"\xff\xfe/caf\xe9.jpg")
    assert lister.listing(root, b"").subdirectories == (b"\xff\xfe",)
    assert list(lister.listing(root, b"\xff\xfe").files) == [b"caf\xe9.jpg"]


def test_what_is_no_picture_is_counted_by_suffix(lister, root):
    for name in (b"a.mp4", b"b.MP4", b"c.txt", b"noextension"):
        write(root, name)
    listing = lister.listing(root, b"")
    assert listing.others == {".mp4": 2, ".txt": 1}
    assert list(listing.files) == [b"noextension"]


def test_subdirectories_are_named_but_not_listed(lister, root):
    write(root, b"2024/may/a.jpg")
    listing = lister.listing(root, b"")
    assert listing.subdirectories == (b"2024",)
    assert not listing.files
    assert list(lister.listing(root, b"2024/may").files) == [b"a.jpg"]


def test_a_directory_with_a_picture_s_name_is_a_directory(lister, root):
    write(root, b"odd.jpg/a.jpg")
    assert lister.listing(root, b"").subdirectories == (b"odd.jpg",)


def test_ignored_names_are_neither_listed_nor_counted(lister, root):
    for name in (b"@eaDir/a.jpg", b"private/a.jpg", b"a.jpg.part", b"._a.jpg", b".DS_Store"):
        write(root, name)
    listing = lister.listing(root, b"")
    assert (listing.files, listing.subdirectories, listing.others) == ({}, (), {})


def test_an_ignored_directory_lists_as_empty(lister, root):
    write(root, b"private/deep/a.jpg")
    listing = lister.listing(root, b"private/deep")
    assert listing.is_complete
    assert not listing.files


def test_symlinks_are_counted_and_never_followed(lister, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"x")
    below(root, b"link").symlink_to(outside)
    below(root, b"link.jpg").symlink_to(outside / "secret.jpg")
    listing = lister.listing(root, b"")
    assert listing.others == {"symlink": 2}
    assert (listing.files, listing.subdirectories, listing.odd) == ({}, (), {})
    for through_link in (b"link", b"link/deeper"):
        assert not lister.listing(root, through_link).files


def test_pipes_and_sockets_with_a_picture_s_name_are_odd(lister, root, monkeypatch):
    os.mkfifo(below(root, b"pipe.jpg"))
    os.mkfifo(below(root, b"pipe.log"))
    monkeypatch.chdir(below(root, b""))  # a socket's path has a short limit
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket.jpg")
        listing = lister.listing(root, b"")
    assert {name: problem.code for name, problem in listing.odd.items()} == {
        b"pipe.jpg": ProblemCode.NOT_REGULAR,
        b"socket.jpg": ProblemCode.NOT_REGULAR,
    }
    assert listing.others == {"special": 1}


def test_a_directory_that_went_lists_as_complete_and_empty(lister, root):
    write(root, b"file")
    for gone in (b"gone", b"gone/deeper", b"file", b"file/deeper"):
        listing = lister.listing(root, gone)
        assert listing.is_complete
        assert not listing.files


def test_a_root_that_is_not_there_lists_as_incomplete(lister, tmp_path):
    for directory in (b"", b"2024"):
        listing = lister.listing(a_root(tmp_path / "missing"), directory)
        assert not listing.is_complete
        assert listing.trouble


def test_another_filesystem_is_not_descended_into_and_its_listing_is_incomplete(lister):
    root = a_root("/")
    above = lister.listing(root, b"")
    assert b"proc" not in above.subdirectories
    assert above.others["mount point"] >= 1, "it is counted, not passed over in silence"
    listing = lister.listing(root, b"proc")
    assert not listing.is_complete
    assert "another filesystem" in listing.trouble


def test_identify_tells_directories_apart(lister, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    identity = lister.identify(root.path)
    assert isinstance(identity, RootIdentity)
    assert identity == lister.identify(root.path)
    assert identity.ino == below(root, b"").stat().st_ino
    assert identity.filesystem not in ("", "unknown")
    assert identity != lister.identify(os.fsencode(other))


def test_identify_says_why_it_cannot(lister, root, tmp_path):
    assert lister.identify(os.fsencode(tmp_path / "missing")) == "the directory is not there"
    assert lister.identify(os.fsencode(write(root, b"a.jpg"))) == "the directory is not there"


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open(lister, root):
    write(root, b"a/b/c.jpg")
    before = open_descriptors()
    for directory in (b"", b"a/b", b"a/gone", b"@eaDir"):
        lister.listing(root, directory)
    lister.identify(root.path)
    assert open_descriptors() == before
