"""Hostile picture files, made here: name → bytes. Each costs a careless reader its memory, its time or its life."""

import io
import struct
import zlib
from functools import cache

from PIL import Image


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, rows, *, depth=8, colour=2, extra=b""):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


@cache
def _zeros(size):
    """`size` zero bytes, deflated, without ever holding them."""
    squeeze = zlib.compressobj(1)
    parts = [squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, squeeze.compress(bytes(size & 0xFFFFF)), squeeze.flush()])


def _saved(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def _tiff(entries, order="<"):
    """A TIFF of one directory at 8: (tag, type, count, value) each."""
    body = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


def box(kind, body):
    return struct.pack(">I", 8 + len(body)) + kind + body


def nested_boxes(kind, depth):
    """An ISO file whose boxes lie in each other."""
    body = b""
    for _ in range(depth):
        body = box(kind, b"\0\0\0\0" + body)
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + body


def _heif(width, height):
    """A HEIF whose `ispe` promises a size and whose data are none."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "HEIF")
    data = out.getvalue()
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def _jpeg_with(marker, payload, times=1):
    data = _saved(Image.new("RGB", (64, 64), "red"), "JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload
    return data[:2] + segment * times + data[2:]


def bombs():
    """All of them; about 9 MB."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    small = Image.effect_noise((64, 64), 60).convert("RGB")
    jpeg, gif = _saved(small, "JPEG"), _saved(small, "GIF")
    frames = [Image.effect_noise((300, 300), 60) for _ in range(40)]
    size = jpeg.index(b"\xff\xc0") + 5
    cyclic = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x8769, 4, 1, 8, 8)  # EXIF in its own directory, and next
    lzw = _saved(Image.new("L", (9000, 9000)), "TIFF", compression="tiff_lzw")
    named = {
        "png-huge-header.png": png(60_000, 60_000, zlib.compress(bytes(1000))),
        "png-over-limit.png": png(13_000, 13_000, _zeros(39_001 * 13_000)),
        "png-just-under-limit.png": png(9_900, 9_900, _zeros(29_701 * 9_900)),
        "png-16-bit.png": png(4_000, 4_000, _zeros(24_001 * 4_000), depth=16),
        "png-zero.png": png(0, 0, b""),
        "png-endless-rows.png": png(64, 64, _zeros(1 << 28)),
        "png-text-bomb.png": png(64, 64, _zeros(193 * 64), extra=_chunk(b"zTXt", b"a\0\0" + _zeros(1 << 28))),
        "png-icc-bomb.png": png(64, 64, _zeros(193 * 64), extra=_chunk(b"iCCP", b"a\0\0" + _zeros(1 << 28))),
        "png-chunks.png": png(64, 64, _zeros(193 * 64), extra=_chunk(b"tEXt", b"a\0b") * 50_000),
        "tiff-huge-header.tif": _tiff([(256, 4, 1, 60_000), (257, 4, 1, 60_000), (259, 3, 1, 1)]),
        "tiff-count.tif": _tiff([(256, 4, 1, 64), (257, 4, 1, 64), (273, 4, 0x7FFF_FFFF, 8), (279, 4, 0xFFFF_FFFF, 8)]),
        "tiff-cyclic.tif": struct.pack("<2sHIH", b"II", 42, 8, 1) + struct.pack("<HHII", 256, 4, 1, 64) + b"\x08\0\0\0",
        "tiff-lzw.tif": lzw,
        "tiff-lzw-cut.tif": lzw[: len(lzw) // 2],
        "gif-huge.gif": gif[:6] + b"\xff\xff\xff\xff" + gif[10:],
        "gif-animated.gif": _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=10),
        "webp-animated.webp": _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:10], duration=10),
        "webp-huge.webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff" * 6,
        "jpeg-huge.jpg": jpeg[:size] + b"\xff\xff\xff\xff" + jpeg[size + 4 :],
        "jpeg-cut.jpg": jpeg[: len(jpeg) // 2],
        "jpeg-segments.jpg": _jpeg_with(0xE1, b"Exif\0\0" + cyclic + bytes(60_000), times=40),
        "jpeg-exif-cyclic.jpg": _jpeg_with(0xE1, b"Exif\0\0" + cyclic),
        "jpeg-xmp.jpg": _jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a>" * 20_000),
        "jpeg-icc.jpg": _saved(small, "JPEG", icc_profile=bytes(4_000_000)),
        "jpeg-cmyk.jpg": _saved(small.convert("CMYK"), "JPEG"),
        "bmp-huge.bmp": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**31 - 1, 2**31 - 1, 1, 24, 0) + bytes(20),
        "bmp-rle.bmp": b"BM" + bytes(8) + struct.pack("<IIiiHHI", 54, 40, 60_000, 60_000, 1, 8, 1) + bytes(2000),
        "heif-huge.heic": _heif(2**31 - 1, 2**31 - 1),
        "heif-large.heic": _heif(30_000, 30_000),
        "heif-nested.heic": nested_boxes(b"meta", 20_000),
        "heif-nested-iprp.heic": nested_boxes(b"iprp", 200),
        "avif-cut.avif": _saved(small, "AVIF")[:300],
        "raw-nothing.cr2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(4000),
        "raw-counts.dng": _tiff([(50706, 1, 4, 1), (256, 4, 1, 1 << 30), (257, 4, 1, 1 << 30), (273, 4, 1 << 31, 8)]),
        "empty.jpg": b"",
        "zeros.jpg": bytes(100_000),
        "polyglot.jpg": jpeg + png(60_000, 60_000, b"") + b"PK\x03\x04" + gif,
        "png-in-name-only.png": jpeg,
    }
    return {**named, "jpeg-20-mb-tail.jpg": jpeg + bytes(1 << 20) * 2}
