"""What names say: which are a copy's, what belongs to a picture, and which folders a glob means."""

import pytest

from dedupd.core.bundle import DirectoryNames, bundle_of
from dedupd.core.cleanup_plan import Role
from dedupd.core.copy_name import is_copy_name
from dedupd.core.folder_globs import FolderGlobs


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1 (1).jpg", "IMG_1(12).jpg", "IMG_1 copy.jpg", "IMG_1_copy.jpg", "IMG_1 copy 2.jpg", "Copy of IMG_1.jpg",
        "Kopie von IMG_1.jpg", "IMG_1 - Kopie.jpg", "IMG_1 - Copia.jpg", "IMG_1 - copie.jpg", "IMG_1 — копия.jpg",
        "IMG_1 - Cópia.jpg", "IMG_1 - Co\u0301pia.jpg", "IMG_1のコピー.jpg", "IMG_1 副本.jpg", "IMG_1-edited.jpg",
        "IMG_1-bearbeitet.jpg", "IMG_1-modifié.jpg", "IMG_1-edited(1).jpg", "IMG_1~2.jpg",
        "IMG-20240101-WA0007.jpg", "WhatsApp Image 2024-01-01 at 10.00.00.jpeg", "Screenshot_2024.png",
    ],
)  # fmt: skip
def test_a_copys_name_is_known(name):
    assert is_copy_name(name.encode())


@pytest.mark.parametrize(
    "name",
    ["IMG_1.jpg", "copyright.jpg", "photocopy-shop.jpg", "Kopieren.jpg", "edited.jpg", "unedited.jpg", "(1) beach.jpg",
     "2024 (Rome) 5.jpg", "IMG-2024.jpg", "Kopiko.jpg"],
)  # fmt: skip
def test_a_plain_name_is_not_a_copys(name):
    assert not is_copy_name(name.encode())


def test_a_name_that_is_no_text_is_looked_at_all_the_same():
    assert is_copy_name(b"\xff\xfe (1).jpg")
    assert not is_copy_name(b"\xff\xfe.jpg")


def belonging(picture, *names):
    bundle = bundle_of(picture.encode(), DirectoryNames([picture.encode(), *(n.encode() for n in names)]))
    return {c.name.decode(): c.role for c in bundle.companions}, [n.decode() for n in bundle.others]


@pytest.mark.parametrize(
    ("picture", "name", "role"),
    [
        ("IMG_1.jpg", "IMG_1.xmp", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_1.jpg.xmp", Role.SIDECAR),
        ("IMG_1.JPG", "img_1.AAE", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_1.jpg.json", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json", Role.SIDECAR),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json", Role.SIDECAR),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json", Role.SIDECAR),
        ("a" * 50 + ".jpg", "a" * 46 + ".json", Role.SIDECAR),
        ("IMG_1.NEF", "IMG_1.NEF.pp3", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_1.CR2.xmp", None),
        ("IMG_1.jpg", "IMG_1.CR2", Role.RAW),
        ("IMG_1.HEIC", "IMG_1.dng", Role.RAW),
        ("IMG_1.CR2", "IMG_1.JPG", Role.RAW),
        ("IMG_1.HEIC", "IMG_1.MOV", Role.VIDEO),
        ("PXL_1.MP.jpg", "PXL_1.MP", Role.VIDEO),
        ("PXL_1.MP.jpg", "PXL_1.mp4", None),
        ("beach", "beach.xmp", Role.SIDECAR),
        ("IMG_1.jpg", "IMG_10.xmp", None),
        ("IMG_1.jpg", "IMG_1.txt", None),
        ("IMG_1.jpg", "IMG_1(2).xmp", None),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata(2).json", None),
        ("IMG_1(2).jpg", "IMG_1.jpg.json", None),
        ("IMG_1.png", "IMG_1.CR2", None),
    ],
)
def test_what_belongs_to_a_picture(picture, name, role):
    assert belonging(picture, name)[0] == ({} if role is None else {name: role})


def test_the_sidecars_of_a_raw_belong_to_its_jpeg_too():
    companions, others = belonging("IMG_1.jpg", "IMG_1.CR2", "IMG_1.CR2.xmp", "IMG_1.xmp", "IMG_1.mov")
    assert set(companions) == {"IMG_1.CR2", "IMG_1.CR2.xmp", "IMG_1.xmp", "IMG_1.mov"}
    assert others == []


def test_another_picture_of_the_stem_is_told_apart():
    companions, others = belonging("IMG_1.jpg", "IMG_1.png", "img_1.JPG", "IMG_1.xmp", "IMG_1.png.xmp")
    assert set(companions) == {"IMG_1.xmp"}
    assert others == ["IMG_1.png", "img_1.JPG"]


def test_a_sidecar_is_called_after_the_picture_that_it_is_carried_to():
    names = DirectoryNames([b"IMG_1.jpg", b"IMG_1.xmp", b"IMG_1.jpg.xmp", b"IMG_1.jpg.suppl.json"])
    beside = {c.name_beside(b"New.HEIC") for c in bundle_of(b"IMG_1.jpg", names).companions}
    assert beside == {b"New.xmp", b"New.HEIC.xmp", b"New.HEIC.supplemental-metadata.json"}
    assert names.has_any_case(b"img_1.XMP")
    assert not names.has_any_case(b"IMG_1.aae")


@pytest.mark.parametrize(
    ("glob", "path", "is_meant"),
    [
        ("/srv/photos/best", "/srv/photos/best/a.jpg", True),
        ("/srv/photos/best/", "/srv/photos/best/deep/a.jpg", True),
        ("/srv/photos/best", "/srv/photos/best2/a.jpg", False),
        ("/srv/photos/best", "/mnt/srv/photos/best/a.jpg", False),
        ("best", "/srv/photos/best/a.jpg", True),
        ("best", "/srv/photos/bestof/a.jpg", False),
        ("2019/best", "/srv/2019/best/a.jpg", True),
        ("/srv/*/best", "/srv/anna/best/a.jpg", True),
        ("/srv/*/best", "/srv/anna/x/best/a.jpg", False),
        ("/srv/**/best", "/srv/anna/x/best/a.jpg", True),
        ("**/best", "/srv/best/a.jpg", True),
        ("*.dng", "/srv/a.dng", True),
        ("[2019] Norway", "/srv/[2019] Norway/a.jpg", True),
        ("/srv/[ab]", "/srv/b/a.jpg", True),
    ],
)
def test_which_folders_a_glob_means(glob, path, is_meant):
    assert (path.encode() in FolderGlobs([glob.encode()])) is is_meant


def test_the_first_glob_that_fits_is_the_rank():
    folders = FolderGlobs([b"best", b"/srv"])
    assert [folders.rank(p) for p in (b"/srv/best/a", b"/srv/x/a", b"/mnt/a")] == [0, 1, 2]
    assert folders == FolderGlobs([b"best", b"/srv"]) != FolderGlobs([b"best"])
    assert len({folders, FolderGlobs([b"best", b"/srv"])}) == 1
    assert len(folders) == 2
    with pytest.raises(ValueError, match="names nothing"):
        FolderGlobs([b"/"])
