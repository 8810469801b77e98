"""Damaged pictures through a real, confined decode worker: whatever they are, there is an answer, and all stays whole.

The decoders are C in another process, so nothing here follows their coverage; the mutations know where formats keep
their sizes, offsets and chunks instead. Seeds are small pictures of every format that is read.
"""

import io
import os
import random
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
from fakes.raw_files import dng
from PIL import Image

from dedupd.core.ports import SMALL_SIDE_PX, DecodedImage, Priority, ReadFile
from dedupd.core.records import DIGEST_BYTES, Problem, ProblemCode
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.limits import MIB, DecodeLimits

LIMITS = DecodeLimits(job_s=5.0, max_jpeg_pixels=20_000_000, max_pixels=5_000_000, address_space_bytes=1536 * MIB)
_MOST_FINDINGS = 10  # then there is enough to look at
_NO_ANSWER_S = 120.0  # two attempts, two starts of a worker, on a busy machine; longer is a hang
_ODD_SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_SIGNS = (  # where a format keeps what its decoder believes
    *(b"\xff" + bytes([sign]) for sign in (0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE)),
    *(b"IHDR", b"PLTE", b"IDAT", b"iCCP", b"eXIf", b"acTL"),
    *(b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ICCP", b"EXIF"),
    *(b"meta", b"iloc", b"iinf", b"iprp", b"ispe", b"hvcC", b"av1C", b"ipma", b"iref", b"mdat", b"grid"),
    *(b"II*\0", b"MM\0*", b"Exif", b"\x21\xf9", b"\x2c"),
)


def seeds() -> dict[str, bytes]:
    """A picture of every format, in the ways that take different paths through its decoder."""
    pillow_heif.register_heif_opener()
    ramp = np.add.outer(np.arange(48), np.arange(64)) * 2
    photo = Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], axis=-1).astype(np.uint8))
    clear = photo.convert("RGBA")
    clear.putalpha(128)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    frames = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    sensor = np.full((120, 160), 4000, np.uint16)
    return {
        "jpeg": _encoded(photo, "JPEG", exif=exif),
        "jpeg-progressive": _encoded(photo, "JPEG", progressive=True, restart_marker_rows=1),
        "jpeg-grey": _encoded(photo.convert("L"), "JPEG"),
        "jpeg-cmyk": _encoded(photo.convert("CMYK"), "JPEG"),
        "png": _encoded(photo, "PNG", exif=exif),
        "png-palette": _encoded(photo.quantize(16), "PNG", transparency=0),
        "png-deep": _encoded(Image.fromarray((ramp * 100).astype(np.uint16)), "PNG"),
        "png-clear": _encoded(clear, "PNG"),
        "webp": _encoded(photo, "WEBP", exif=exif),
        "webp-lossless": _encoded(clear, "WEBP", lossless=True),
        "webp-animated": _encoded(photo, "WEBP", **frames),
        "tiff": _encoded(photo, "TIFF"),
        "tiff-lzw": _encoded(photo, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": _encoded(photo, "TIFF", compression="jpeg"),
        "tiff-deflate": _encoded(photo.convert("1"), "TIFF", compression="tiff_adobe_deflate"),
        "gif-animated": _encoded(photo, "GIF", **frames),
        "bmp": _encoded(photo, "BMP"),
        "heif": _encoded(photo, "HEIF", exif=exif),
        "avif": _encoded(photo, "AVIF"),
        "raw": dng(sensor),
    }


def mutated_picture(seed: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to six changes of a picture; now and then a piece of another one in it."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        at = _place(data, rng)
        match rng.randrange(8):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(_ODD_SIZES))
            case 2:
                data[at : at + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(_ODD_SIZES) & 0xFFFF)
            case 3:
                for place in (at + step for step in range(rng.randint(2, 64))):
                    data[place : place + 1] = bytes([rng.randrange(256)])
            case 4:
                del data[at : at + rng.choice((1, 4, 12, 100))]
            case 5:
                data[at:at] = data[at : at + rng.choice((4, 12, 100, 1000))] * rng.choice((1, 1, 2, 50))
            case 6:
                begin = rng.randrange(len(other))
                data[at:at] = other[begin : begin + rng.choice((12, 100, 1000))]
            case _:
                del data[rng.randint(len(data) // 4, len(data)) :]
    return bytes(data)


class Reading:
    """A pool with one confined worker that is given pictures, and the judge of its answers."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()  # how they ended
        self.most_bytes = 0  # address space of a worker, at most
        self._pool = DecodePool(1, limits=LIMITS)
        self._seeds = seeds()

    def close(self) -> None:
        self._pool.close()

    def check(self, data: bytes) -> None:
        """Have bytes read; AssertionError for an answer that is none, a limit passed, or a pool that is not whole."""
        code = self._judged(self._read(data))
        self.codes[code] += 1
        self._look_at_worker()
        if code in {ProblemCode.DECODER_DIED, ProblemCode.TIMEOUT} or self.codes.total() % 20 == 0:
            self.check_whole()

    def check_whole(self) -> None:
        """After all that, a sound picture is read as ever."""
        assert self._judged(self._read(self._seeds["jpeg"])) == "read"

    def _read(self, data: bytes) -> object:
        fd = os.memfd_create("picture", os.MFD_CLOEXEC)
        os.write(fd, data)
        return self._pool.read_descriptor(fd, priority=Priority.BACKLOG).result(_NO_ANSWER_S)

    def _judged(self, answer: object) -> str:
        found = answer
        if isinstance(answer, ReadFile):
            assert len(answer.digest) == DIGEST_BYTES
            found = answer.image
        if isinstance(found, Problem):
            assert found.code in ProblemCode, found
            assert found.detail, found
            assert found.detail.isprintable(), found
            return found.code
        assert isinstance(found, DecodedImage), found
        assert 0 < found.width_px * found.height_px <= LIMITS.max_jpeg_pixels, found
        assert found.small.dtype == np.uint8
        assert found.small.ndim == 3
        assert 0 < max(found.small.shape[:2]) <= SMALL_SIDE_PX
        assert found.preview.startswith(b"\xff\xd8"), found
        return "read"

    def _look_at_worker(self) -> None:
        for pid in self._pool.worker_pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue  # it has just been replaced
            peak = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmPeak:")]
            self.most_bytes = max([self.most_bytes, *peak])
            assert self.most_bytes <= LIMITS.address_space_bytes


def fuzz(seconds: float, findings: Path, say: Callable[[str], None]) -> int:
    """Mutate and read for so long, each time otherwise; returns how many findings there were.

    Args:
        seconds: of wall clock.
        findings: what the names of the files begin with that keep a finding's input, a folder and a prefix.
        say: takes a line of what goes on.
    """
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    pictures = list(seeds().items())
    reading, found, until_s = Reading(), 0, time.monotonic() + seconds
    say(f"mutations of seed {seed}")
    ends: Counter[str] = Counter()
    most_bytes = 0
    while time.monotonic() < until_s and found < _MOST_FINDINGS:
        name, picture = rng.choice(pictures)
        data = mutated_picture(picture, rng.choice(pictures)[1], rng)
        try:
            reading.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            found += 1
            place = Path(f"{findings}{name}-{seed}-{found}")
            place.write_bytes(data)
            say(f"{place}: {type(error).__name__}: {str(error)[:500]}")
            ends, most_bytes = ends + reading.codes, max(most_bytes, reading.most_bytes)
            reading.close()
            reading = Reading()
    reading.close()
    ends, most_bytes = ends + reading.codes, max(most_bytes, reading.most_bytes)
    how = ", ".join(f"{count} {code}" for code, count in ends.most_common())
    say(f"{ends.total()} pictures: {how}; at most {most_bytes // MIB} MiB mapped")
    return found


def _place(data: bytearray, rng: random.Random) -> int:
    """An offset: near one of a format's signs, in the head, or anywhere."""
    if rng.random() < 0.5:
        sign = rng.choice(_SIGNS)
        at = data.find(sign, rng.randrange(len(data) or 1))
        if at >= 0:
            return min(len(data), max(0, at + rng.randint(-4, 16)))
    return rng.randint(0, min(len(data), 200) if rng.random() < 0.5 else len(data))


def _encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()
