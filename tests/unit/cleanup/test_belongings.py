"""What belongs to a picture goes with it, is carried, or keeps it from going; nothing of it is ever dropped."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.photo_shelf import NO_LIMITS, PhotoShelf, going, left

from dedupd.cleanup.companions import Folders
from dedupd.core.cleanup_plan import Role
from dedupd.core.cleanup_policy import Companions
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_policy import keep_policy
from dedupd.core.verdicts import Pin


@pytest.fixture
def shelf(tmp_path):
    shelf = PhotoShelf(tmp_path, ("photos", "other"))
    yield shelf
    shelf.close()


def twins(shelf, *names, shown="jpeg"):
    """Copies of one picture; the first is kept."""
    for name in names:
        shelf.picture(name, shown)


def draft(shelf, **changes):
    return shelf.draft(**{"keep": keep_policy(["folders"], folders=[b"a"])} | changes)


def detail(plan, name):
    return next(one.detail for one in plan.left_alone if one.path.name == os.fsencode(name))


def test_a_sidecar_that_the_kept_picture_has_as_well_goes_along(shelf):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    for folder in "ab":
        shelf.write(f"{folder}/IMG_1.xmp", b"five stars")
    [item] = draft(shelf).items
    picture, sidecar = item.victims
    assert (picture.role, sidecar.role) == (Role.PICTURE, Role.SIDECAR)
    assert sidecar.file.path.relative() == b"b/IMG_1.xmp"
    assert sidecar.stays.path.relative() == b"a/IMG_1.xmp"
    assert sidecar.is_exact
    assert sidecar.file.digest == sidecar.stays.digest
    assert item.frees_bytes == len("jpeg") + len("five stars")


def test_a_sidecar_that_the_kept_picture_lacks_blocks(shelf):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    shelf.write("b/IMG_1.xmp", b"five stars")
    plan = draft(shelf)
    assert (plan.items, left(plan)) == ((), {"b/IMG_1.jpg": "companion"})
    assert detail(plan, "IMG_1.jpg") == "IMG_1.xmp belongs to it, and the kept picture has none"


def test_a_sidecar_of_other_bytes_blocks_also_where_it_could_be_carried(shelf):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    shelf.write("a/IMG_1.xmp", b"two stars.")
    shelf.write("b/IMG_1.xmp", b"five stars")
    for companions in Companions:
        plan = draft(shelf, companions=companions)
        assert (plan.items, left(plan)) == ((), {"b/IMG_1.jpg": "companion"})
        assert "the kept picture has another one" in detail(plan, "IMG_1.jpg")


def test_a_sidecar_is_carried_to_the_kept_pictures_name(shelf):
    twins(shelf, "a/Beach.jpg", "b/IMG_1.jpg")
    shelf.write("b/IMG_1.xmp", b"five stars")
    shelf.write("b/IMG_1.jpg.json", b"takeout")
    [item] = draft(shelf, companions=Companions.CARRY).items
    carried = {v.file.path.name: v for v in item.victims if v.role is Role.SIDECAR}
    assert carried[b"IMG_1.xmp"].carried_to.relative() == b"a/Beach.xmp"
    assert carried[b"IMG_1.jpg.json"].carried_to.relative() == b"a/Beach.jpg.json"
    assert all(victim.stays == item.keeper and not victim.is_exact for victim in carried.values())
    assert item.frees_bytes == len("jpeg"), "what is carried frees nothing"


def test_of_two_sidecars_one_is_carried_and_the_other_blocks(shelf):
    twins(shelf, "a/Beach.jpg", "b/IMG_1.jpg", "c/IMG_1.jpg")
    shelf.write("b/IMG_1.xmp", b"five stars")
    shelf.write("c/IMG_1.xmp", b"two stars")
    plan = draft(shelf, companions=Companions.CARRY)
    assert going(plan) == ["b/IMG_1.jpg", "b/IMG_1.xmp"]
    assert left(plan) == {"c/IMG_1.jpg": "companion"}
    assert "name beside the kept picture is taken" in detail(plan, "IMG_1.jpg")


def test_nothing_is_carried_over_a_file_that_is_there_in_whatever_case(shelf):
    twins(shelf, "a/Beach.jpg", "b/IMG_1.jpg")
    shelf.write("a/BEACH.AAE", b"apple")
    shelf.write("b/IMG_1.aae", b"orange")
    assert left(draft(shelf, companions=Companions.CARRY)) == {"b/IMG_1.jpg": "companion"}


def test_d13_the_halves_of_a_live_photo_go_together_or_not_at_all(shelf):
    twins(shelf, "a/IMG_1.HEIC", "b/IMG_1.HEIC", "c/IMG_1.HEIC", "d/IMG_1.HEIC")
    shelf.write("a/IMG_1.MOV", b"moving")
    shelf.write("b/IMG_1.mov", b"moving")
    shelf.write("c/IMG_1.MOV", b"other.")
    shelf.write("e/IMG_1.MOV", b"moving")  # of the same name, but not in the same folder
    plan = draft(shelf, companions=Companions.CARRY)
    assert going(plan) == ["b/IMG_1.HEIC", "b/IMG_1.mov", "d/IMG_1.HEIC"]
    assert left(plan) == {"c/IMG_1.HEIC": "companion"}


def test_d13_a_live_photo_does_not_go_in_favour_of_its_still_alone(shelf):
    twins(shelf, "a/IMG_1.HEIC", "b/IMG_1.HEIC")
    shelf.write("b/IMG_1.MOV", b"moving")
    for companions in Companions:
        assert left(draft(shelf, companions=companions)) == {"b/IMG_1.HEIC": "companion"}


def test_d14_a_raw_and_its_jpeg_are_no_duplicates_even_where_a_pair_says_so(shelf):
    raw = shelf.picture("a/IMG_1.CR2", "raw", fmt="RAW")
    jpeg = shelf.picture("b/IMG_1.jpg", "jpeg")
    shelf.pair(raw, jpeg)
    for keep in ("best", "smallest", "largest"):
        plan = shelf.draft(keep=keep_policy(keep))
        assert plan.items == ()
        assert set(left(plan).values()) == {"companion"}


def test_d14_copies_of_a_raw_with_its_jpeg_go_as_one(shelf):
    for folder in "ab":
        raw = shelf.picture(f"{folder}/IMG_1.CR2", "raw raw", fmt="RAW")
        jpeg = shelf.picture(f"{folder}/IMG_1.JPG", "jpeg")
        shelf.write(f"{folder}/IMG_1.xmp", b"of both")
    shelf.pair(raw, jpeg)
    plan = draft(shelf)
    assert going(plan) == ["b/IMG_1.CR2", "b/IMG_1.JPG", "b/IMG_1.xmp"]
    [item] = plan.items
    assert [victim.role for victim in item.victims] == [Role.PICTURE, Role.RAW, Role.SIDECAR]
    assert all(v.stays.path.relative().startswith(b"a/") and v.is_exact for v in item.victims)


def test_d14_a_jpeg_whose_raw_has_no_like_stays(shelf):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    shelf.picture("b/IMG_1.NEF", "raw", fmt="RAW")
    for companions in Companions:
        assert left(draft(shelf, companions=companions)) == {"b/IMG_1.jpg": "companion"}


def test_what_belongs_to_the_kept_picture_too_stays_where_it_is(shelf):
    png = shelf.picture("a/IMG_1.heic", "heic", fmt="HEIF", width=4000)
    jpeg = shelf.picture("a/IMG_1.jpg", "jpeg")
    shelf.pair(png, jpeg)
    shelf.write("a/IMG_1.xmp", b"of both")
    shelf.write("a/IMG_1.mov", b"moving")
    assert going(shelf.draft()) == ["a/IMG_1.jpg"]


def test_a_sidecar_of_another_picture_as_well_stays_and_a_video_of_it_blocks(shelf):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    shelf.picture("b/IMG_1.png", "another one", fmt="PNG")
    shelf.write("b/IMG_1.xmp", b"of both")
    assert going(draft(shelf)) == ["b/IMG_1.jpg"]
    shelf.write("b/IMG_1.mov", b"moving")
    plan = draft(shelf)
    assert left(plan) == {"b/IMG_1.jpg": "companion"}
    assert detail(plan, "IMG_1.jpg") == "IMG_1.mov belongs to IMG_1.png as well"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: (path.unlink(), path.mkdir()), "companion"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "companion"),
        (lambda path: path.write_bytes(b""), "companion"),
        (lambda path: (path.unlink(), path.hardlink_to(path.parent.parent / "a/IMG_1.xmp")), "hard-link"),
    ],
)
def test_a_companion_that_is_no_file_of_its_own_blocks(shelf, spoil, why):
    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    for folder in "ab":
        shelf.write(f"{folder}/IMG_1.xmp", b"five stars")
    spoil(shelf.where("b/IMG_1.xmp"))
    assert left(draft(shelf)) == {"b/IMG_1.jpg": why}


def test_a_companion_that_may_not_go_keeps_its_picture(shelf):
    for folder in "ab":
        shelf.picture(f"{folder}/IMG_1.jpg", "jpeg")
        raw = shelf.picture(f"{folder}/IMG_1.dng", "raw", fmt="RAW")
    assert left(draft(shelf, protected=FolderGlobs([b"*.dng"]))) == {
        "b/IMG_1.dng": "protected", "b/IMG_1.jpg": "protected",
    }  # fmt: skip
    with shelf.library.view() as view:
        pin = Pin(digest=view.content(raw).digest, path=shelf.path("b/IMG_1.dng"), said_at_ns=1)
    assert left(draft(shelf, pins=(pin,)))["b/IMG_1.jpg"] == "pinned"
    limits = replace(NO_LIMITS, min_age_s=60.0)
    assert set(left(draft(shelf, limits=limits)).values()) == {"too-young"}


def test_a_companion_with_another_name_elsewhere_keeps_its_picture(shelf):
    for folder in "ab":
        shelf.picture(f"{folder}/IMG_1.jpg", "a jpeg")
        shelf.picture(f"{folder}/IMG_1.dng", "raw", fmt="RAW")
    shelf.link("c/elsewhere.dng", "b/IMG_1.dng")
    plan = draft(shelf, protected=FolderGlobs([b"c"]))
    assert plan.items == ()
    assert left(plan) == {
        "b/IMG_1.jpg": "hard-link", "b/IMG_1.dng": "hard-link", "c/elsewhere.dng": "protected",
    }  # fmt: skip
    assert going(draft(shelf)) == ["b/IMG_1.dng", "b/IMG_1.jpg", "c/elsewhere.dng"], "with all its names it goes"


def test_the_device_of_a_folder_to_come_is_that_of_the_nearest_above_it():
    folders = Folders()
    assert folders.device(b"/proc/self/nowhere") == Path("/proc").stat().st_dev
    assert folders.device(b"") is None


def test_a_folder_that_cannot_be_listed_keeps_its_pictures(shelf):
    class Blind(Folders):
        def names(self, root, directory):
            return None if directory == b"b" else super().names(root, directory)

    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    plan = draft(shelf, folders=Blind())
    assert (plan.items, left(plan)) == ((), {"b/IMG_1.jpg": "unsettled"})
    assert "cannot be listed" in detail(plan, "IMG_1.jpg")


def test_a_companion_that_changes_while_it_is_read_keeps_its_picture(shelf):
    class Changing(Folders):
        def digest(self, root, directory, name, expected):
            shelf.write("b/IMG_1.xmp", b"longer than before")
            return super().digest(root, directory, name, expected)

    twins(shelf, "a/IMG_1.jpg", "b/IMG_1.jpg")
    shelf.write("a/IMG_1.xmp", b"note")
    shelf.write("b/IMG_1.xmp", b"note")
    plan = draft(shelf, folders=Changing())
    assert left(plan) == {"b/IMG_1.jpg": "companion"}
    assert "cannot be read, or changes" in detail(plan, "IMG_1.jpg")


def test_of_several_lists_of_names_the_oldest_are_read_again(tmp_path):
    root, folders = os.fsencode(tmp_path), Folders(names_kept=3)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}").touch()
    first = folders.names(root, b"a")
    assert folders.names(root, b"a") is first
    folders.names(root, b"b")
    assert folders.names(root, b"a") is not first


def test_folders_are_looked_at_without_following_a_symlink(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.xmp").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "b.xmp").symlink_to("a.xmp")
    root, folders = os.fsencode(tmp_path), Folders()
    assert folders.names(root, b"real").all == {b"a.xmp", b"b.xmp"}
    assert folders.names(root, b"link") is None
    assert folders.seen(root, b"link", b"a.xmp") is None
    seen = folders.seen(root, b"real", b"a.xmp")
    assert (seen.is_regular, seen.links, seen.stat.size_bytes) == (True, 1, 1)
    assert not folders.seen(root, b"real", b"b.xmp").is_regular
    assert folders.digest(root, b"real", b"a.xmp", seen.stat) is not None
    assert folders.digest(root, b"real", b"b.xmp", seen.stat) is None
    os.utime(tmp_path / "real" / "a.xmp", ns=(1, 1))
    assert folders.digest(root, b"real", b"a.xmp", seen.stat) is None
    assert folders.seen(root, b"real", b"bad\0name") is None
