"""Which names are looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.ignore_rules import IgnoreRules, may_be_picture, suffix_of

BUILT_IN = IgnoreRules()


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "#recycle", "#snapshot", ".snapshots", ".zfs", ".Trash-1000", ".stversions", ".stfolder"),
        *("a.jpg.part", "x.partial", "y.crdownload", ".~lock.photo.jpg#", "._IMG_1.jpg", ".DS_Store", "Thumbs.db"),
        *(".dedupd-quarantine", "lost+found", ".syncthing.IMG_1.jpg.tmp"),
    ],
)
def test_leavings_of_other_programs_are_ignored(name):
    assert BUILT_IN.is_ignored(b"", name.encode())
    assert BUILT_IN.is_ignored(b"2024/may", name.encode())


@pytest.mark.parametrize("name", [b"a.jpg", b"eaDir", b"part", b"Trash", b".hidden.jpg", b"\xff\xfe.jpg", b"x.parts"])
def test_plain_names_are_not_ignored(name):
    assert not BUILT_IN.is_ignored(b"", name)


def test_anything_below_an_ignored_directory_is_ignored():
    assert BUILT_IN.is_path_ignored(b"2024/@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_M.jpg")
    assert not BUILT_IN.is_path_ignored(b"2024/may/IMG_1.jpg")
    assert not BUILT_IN.is_path_ignored(b"")


def test_a_glob_without_slash_matches_at_any_depth():
    rules = IgnoreRules([b"draft-*", b"*-web.jpg", b"a*z", b"private/", b"IMG_[!0-9]?.jpg"])
    assert rules.is_ignored(b"", b"a-web.jpg")
    assert rules.is_ignored(b"", b"abcz")
    assert not rules.is_ignored(b"", b"abc")
    assert rules.is_ignored(b"a/b", b"draft-1.jpg")
    assert rules.is_ignored(b"", b"private")
    assert rules.is_ignored(b"x", b"IMG_A1.jpg")
    assert not rules.is_ignored(b"x", b"IMG_11.jpg")
    assert not rules.is_ignored(b"", b"Draft-1.jpg")


def test_a_glob_with_slash_is_anchored_at_the_root_and_its_star_stays_in_one_component():
    rules = IgnoreRules([b"export/*.jpg", b"/top", b"**/cache/**"])
    assert rules.is_ignored(b"export", b"a.jpg")
    assert not rules.is_ignored(b"export/web", b"a.jpg")
    assert not rules.is_ignored(b"old/export", b"a.jpg")
    assert rules.is_ignored(b"", b"top")
    assert not rules.is_ignored(b"a", b"top")
    assert rules.is_ignored(b"a/b/cache/c", b"d.jpg")
    assert not rules.is_ignored(b"a/b", b"cache.jpg")


def test_signs_of_regular_expressions_in_a_glob_mean_themselves():
    rules = IgnoreRules([b"a.b+(c)*", b"[x", b"\xff?.jpg", b"[]^]"])
    assert rules.is_ignored(b"", b"a.b+(c)d")
    assert not rules.is_ignored(b"", b"aXb+(c)d")
    assert rules.is_ignored(b"", b"[x")
    assert rules.is_ignored(b"", b"\xff\xfe.jpg")
    assert rules.is_ignored(b"", b"]")
    assert rules.is_ignored(b"", b"^")


@pytest.mark.parametrize("glob", [b"", b"/", b"//"])
def test_a_glob_that_names_nothing_is_refused(glob):
    with pytest.raises(ValueError, match="names nothing"):
        IgnoreRules([glob])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        (b"IMG_1.JPG", ".jpg"),
        (b"clip.mp4", ".mp4"),
        (b"archive.tar.gz", ".gz"),
        (b"README", ""),
        (b".nomedia", ".nomedia"),
        (b"Mrs. Smith at the beach", ""),
        (b"photo.jpg~", ""),
        (b"end.", ""),
        (b"x.\xff\xfe", ""),
    ],
)
def test_suffix_is_what_follows_the_last_dot_if_it_looks_like_one(name, suffix):
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    "name", [b"a.jpg", b"a.JPEG", b"a.HeIc", b"a.CR3", b"a.dng", b"a.raf", b"IMG_0001", b"photo.jpg~", b".hidden.png"]
)
def test_pictures_and_names_without_suffix_are_looked_at(name):
    assert may_be_picture(name)


@pytest.mark.parametrize("name", [b"a.mp4", b"a.xmp", b".bashrc", b"notes.txt", b".photo.jpg.Xa3f9Z"])
def test_other_suffixes_are_passed_over(name):
    assert not may_be_picture(name)


PARTS = [b"a", b"A", b".", b"_", b"jpg", b".jpg", b".JPEG", b".heic", b".Jpg", b"part", b"#", b"\xff", b"/"]
a_name = st.lists(st.sampled_from(PARTS[:-1]), min_size=1, max_size=4).map(b"".join)
a_glob = st.lists(st.sampled_from([*PARTS, b"*", b"**", b"?", b"[a-j]", b"[!a]", b"["]), min_size=1, max_size=4).map(
    b"".join
)


@given(st.lists(a_glob.filter(lambda glob: glob.strip(b"/")), max_size=3), st.lists(a_name, max_size=3))
def test_what_shows_at_a_glance_is_what_each_name_says(globs, names):
    rules = IgnoreRules(globs)
    if rules.are_plain_pictures(names):
        for name in names:
            assert may_be_picture(name)
            assert not rules.is_ignored(b"", name)
            assert not rules.is_ignored(b"a/A", name)


def test_the_names_that_cameras_give_show_at_a_glance_under_usual_rules():
    rules = IgnoreRules([b"*.tmp", b"Thumbs", b"cache/*.part", b"-web*"])
    assert rules.are_plain_pictures([b"IMG_0001.jpg", b"DSC00001.ARW", b"2024-05-01 12.00.00.jpeg", b"x.Heic"])
    for odd in (b"a.mp4", b"noextension", b"._a.jpg", b"-web.jpg"):
        assert not rules.are_plain_pictures([b"IMG_0001.jpg", odd])
    assert not IgnoreRules([b"*draft*"]).are_plain_pictures([b"IMG_0001.jpg"])
