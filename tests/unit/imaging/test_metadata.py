"""EXIF: what is there is read, what is hostile does no harm."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from dedupd.core.records import Capture
from dedupd.imaging.decode import decode
from dedupd.imaging.exif import read_tags
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.metadata import capture_of, clean_text, has_notes, xmp_rating


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "FUJIFILM"
    exif[ExifTags.Base.Model] = "X100V\0junk behind the end"
    exif[ExifTags.Base.Software] = "Digital Camera X100V Ver2.00"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2024:02:29 13:14:15"
    details[ExifTags.Base.SubsecTimeOriginal] = "07"
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 250)
    details[ExifTags.Base.FNumber] = IFDRational(28, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 640
    details[ExifTags.Base.BodySerialNumber] = "  12A00345 "
    details[ExifTags.Base.ImageUniqueID] = "a" * 32
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    return exif


EXPECTED = Capture(
    taken_at_ms=1_709_212_455_070,
    has_subseconds=True,
    make="FUJIFILM",
    model="X100V",
    serial="12A00345",
    exposure_s=1 / 250,
    f_number=2.8,
    iso=640,
    image_id="a" * 32,
    has_gps=True,
    software="Digital Camera X100V Ver2.00",
)


def test_what_the_camera_wrote_is_read_in_both_byte_orders() -> None:
    little, big = camera_exif(), camera_exif()
    little.endian, big.endian = "<", ">"
    assert capture_of(read_tags(little.tobytes())) == EXPECTED
    assert capture_of(read_tags(big.tobytes())) == EXPECTED
    assert capture_of(read_tags(big.tobytes().removeprefix(b"Exif\0\0"))) == EXPECTED


def test_a_tiff_files_own_directory_is_read() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "TIFF", exif=camera_exif().tobytes())
    assert capture_of(read_tags(out.getvalue())) == EXPECTED


def test_xmp_and_iptc_are_notes_and_nothing_else_is() -> None:
    xmp, jpeg, plain = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(xmp, "JPEG", xmp=b"<x:xmpmeta/>")
    Image.new("RGB", (8, 8)).save(plain, "JPEG", dpi=(72, 72), comment=b"made by a program")
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x0a" + b"\x1c\x02\x05\0\x05title"
    segment = b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc
    jpeg.write(plain.getvalue()[:2] + segment + plain.getvalue()[2:])
    assert [has_notes(Image.open(file).info) for file in (xmp, jpeg, plain)] == [True, True, False]
    assert not has_notes({"photoshop": b"\4\4", "xmp": None})


@pytest.mark.parametrize(("written", "stars"), [(0, None), (1, 1), (5, 5), (6, None), (99, None)])
def test_stars_in_exif_are_a_rating_and_none_are_none(written: int, stars: int | None) -> None:
    exif = Image.Exif()
    exif[0x4746] = written
    assert capture_of(read_tags(exif.tobytes())).rating == stars


@pytest.mark.parametrize(
    ("packet", "stars"),
    [
        (b'<rdf:Description xmp:Rating="4"/>', 4),
        (b"<rdf:Description xap:Rating='3'/>", 3),
        (b"<xmp:Rating>5</xmp:Rating>", 5),
        (b"<xmp:Rating>\n 2.0 \n</xmp:Rating>", 2),
        (b'<rdf:Description xmp:Rating="0"/>', None),
        (b'<rdf:Description xmp:Rating="-1"/>', None),  # rejected
        (b'<rdf:Description xmp:Rating="12"/>', None),
        (b'<rdf:Description MicrosoftPhoto:Rating="75"/>', None),  # per cent
        (b'<rdf:Description xmp:RatingPercent="4"/>', None),
    ],
)
def test_stars_in_xmp_are_a_rating(packet: bytes, stars: int | None) -> None:
    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG", xmp=packet)
    Image.new("RGB", (8, 8)).save(png, "PNG", pnginfo=xmp_chunk(packet))
    for file in (jpeg, png):
        assert xmp_rating(Image.open(file).info) == stars
        assert decode(file.getvalue(), DecodeLimits()).capture.rating == stars


def xmp_chunk(packet: bytes) -> PngInfo:
    chunk = PngInfo()
    chunk.add_itxt("XML:com.adobe.xmp", packet.decode())
    return chunk


def test_only_a_profile_that_is_not_srgb_is_one() -> None:
    srgb, lab = (ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes() for name in ("sRGB", "LAB"))
    for profile, is_own in ((b"", False), (srgb, False), (lab, True)):
        for fmt in ("JPEG", "PNG", "WEBP", "TIFF"):
            out = io.BytesIO()
            Image.new("RGB", (8, 8)).save(out, fmt, icc_profile=profile)
            assert decode(out.getvalue(), DecodeLimits()).capture.has_icc is is_own


def test_no_exif_says_nothing() -> None:
    assert capture_of(read_tags(b"")) == Capture()
    assert capture_of(read_tags(b"Exif\0\0II*\0")) == Capture()


def test_an_empty_gps_directory_is_no_place() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSVersionID] = b"\2\3\0\0"
    assert capture_of(read_tags(exif.tobytes())).has_gps is False


def test_senseless_values_say_nothing() -> None:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "0000:00:00 00:00:00"
    details[ExifTags.Base.ExposureTime] = IFDRational(7, 9)
    details[ExifTags.Base.FNumber] = IFDRational(0, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 0
    endless = exif.tobytes().replace(struct.pack("<II", 7, 9), struct.pack("<II", 7, 0))
    assert capture_of(read_tags(endless)) == Capture()


def test_text_loses_what_could_fool_a_terminal_or_a_page() -> None:
    assert clean_text(b"Evil\x1b[31m\r\nCam\x07era") == "Evil[31m Camera"
    assert clean_text("safe\u202egnp.exe") == "safegnp.exe"
    assert clean_text("x" * 10_000) == "x" * 64
    assert clean_text(b"\xff\xfe\xfd") == "\ufffd" * 3
    assert clean_text(b"\0\0\0") is None
    assert clean_text(12) is None


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=40))
def test_no_bytes_break_the_reading(noise: bytes, at: int, patch: bytes) -> None:
    block = camera_exif().tobytes()
    for hostile in (b"II*\0\x08\0\0\0" + noise, block[:at] + patch + block[at + len(patch) :], block[:at]):
        capture = capture_of(read_tags(hostile))
        texts = (capture.make, capture.model, capture.serial, capture.software, capture.image_id)
        assert all(text is None or (0 < len(text) <= 64 and "\n" not in text and "\x1b" not in text) for text in texts)
        assert capture.iso is None or capture.iso > 0
        assert capture.exposure_s is None or capture.exposure_s > 0
