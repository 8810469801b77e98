"""What bytes are is said from the bytes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dedupd.core.records import ProblemCode
from dedupd.imaging.formats import ends_early, motion_bytes, sniff
from dedupd.imaging.limits import UnreadableImageError


def ftyp(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "fmt"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WEBP"),
        (ftyp(b"heic", b"mif1", b"heic"), "HEIF"),
        (ftyp(b"mif1", b"mif1", b"heic"), "HEIF"),
        (ftyp(b"mif1", b"mif1", b"avif"), "AVIF"),
        (ftyp(b"avif"), "AVIF"),
        (ftyp(b"crx ", b"crx ", b"isom"), "RAW"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW"),
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"IIRO\x08\0\0\0", "RAW"),
        (b"MM\0*\0\0\0\x08\0\0", "TIFF"),
    ],
)
def test_signatures(data: bytes, fmt: str) -> None:
    assert sniff(data) == fmt


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ProblemCode.EMPTY),
        (b"BM is how this letter begins, and it goes on and on", ProblemCode.NOT_AN_IMAGE),
        (ftyp(b"isom", b"mp42"), ProblemCode.NOT_AN_IMAGE),
        (b"RIFF\x10\0\0\0WAVEfmt ", ProblemCode.NOT_AN_IMAGE),
        (b"\0\0\0\x0cjP  \r\n\x87\n", ProblemCode.UNSUPPORTED),
        (b"P6\n640 480\n255\n", ProblemCode.UNSUPPORTED),
        (b"\0\0\1\0\1\0", ProblemCode.UNSUPPORTED),
    ],
)
def test_what_is_not_read_has_a_reason(data: bytes, code: ProblemCode) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        sniff(data)
    assert caught.value.code == code


@given(st.sampled_from([b"II*\0", b"MM\0*", b"BM", b"\0\0\0\x18ftyp", b"RIFF", b""]), st.binary(max_size=200))
def test_no_bytes_break_the_sniffing(start: bytes, rest: bytes) -> None:
    try:
        fmt = sniff(start + rest)
    except UnreadableImageError:
        return
    assert ends_early(start + rest, fmt) in {True, False}


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
def test_only_a_cut_container_ends_early(fmt: str) -> None:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 40).convert("RGB").save(
        out, fmt, **({"compression": "tiff_lzw"} if fmt == "TIFF" else {})
    )
    whole = out.getvalue()
    assert not ends_early(whole, fmt)
    assert ends_early(whole[: len(whole) // 2], fmt)


def box(kind: bytes, size: int, body: bytes) -> bytes:
    return size.to_bytes(4, "big") + kind + body


def test_the_video_of_a_motion_photo_is_counted_and_other_boxes_are_not() -> None:
    still = ftyp(b"heic") + box(b"mdat", 24, bytes(16))
    assert motion_bytes(still) == 0
    assert motion_bytes(still + box(b"mpvd", 108, bytes(100))) == 108
    assert motion_bytes(still + box(b"mpvd", 0, bytes(50))) == 58  # to the end of the file
    assert motion_bytes(still + box(b"mpvd", 1, (116).to_bytes(8, "big") + bytes(100))) == 116
    assert motion_bytes(still + box(b"mpvd", 1, b"\xff" * 8 + bytes(9))) == 25  # no more than there is
    assert motion_bytes(still + box(b"mpvd", 3, bytes(9))) <= 17
