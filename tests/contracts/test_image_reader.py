"""The contract of the `ImageReader` port, kept by the pool of worker processes.

The tests' own readers decode nothing and are whole in a part of the port only; the kits at the end say which.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import blake3
import numpy as np
import pytest
import skimage.data
from fakes.bench import PlayedReader
from fakes.bench import encoded as played
from fakes.image_reader import PICTURE, PrefixReader
from PIL import Image, ImageCms, ImageOps

from dedupd.core.errors import RetryError
from dedupd.core.illustration import Illustrated, SheetFormat, SheetWords
from dedupd.core.ports import (
    SMALL_SIDE_PX,
    DecodedImage,
    EvidenceSide,
    FullSide,
    ImageReader,
    Priority,
    ReadFile,
    ShownSide,
)
from dedupd.core.records import ContentId, Evidence, Problem, ProblemCode
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.limits import DecodeLimits
from dedupd.imaging.preview_segment import detached

SOON_S = 0.2
LIMIT_S = 30.0
ORIENTATION, RATING = 0x0112, 0x4746
# What a camera held that way stores: applying the orientation to it gives the upright picture back.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
PHOTO = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 400))


@pytest.fixture(scope="module")
def reader() -> Iterator[DecodePool]:
    pool = DecodePool(2)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def two_threads() -> Iterator[DecodePool]:
    """A worker as the one for what is urgent is."""
    pool = DecodePool(1, limits=DecodeLimits(threads=2))
    yield pool
    pool.close()


@pytest.fixture
def single() -> Iterator[DecodePool]:
    """A reader with one worker and little patience, for tests that stop or kill it."""
    pool = DecodePool(1, limits=DecodeLimits(job_s=1.0))
    yield pool
    pool.close()


def never_known(_: bytes) -> bool:
    return False


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    if fmt == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def written(folder: Path, data: bytes, name: str = "picture") -> bytes:
    path = folder / name
    path.write_bytes(data)
    return os.fsencode(path)


def read(reader: ImageReader, path: bytes, is_known: Callable[[bytes], bool] = never_known) -> ReadFile | Problem:
    return reader.read(path, is_known=is_known, priority=Priority.ARRIVAL).result(LIMIT_S)


def image_of(answer: ReadFile | Problem) -> DecodedImage:
    assert isinstance(answer, ReadFile), answer
    assert isinstance(answer.image, DecodedImage), answer.image
    return answer.image


def code_of(answer: ReadFile | Problem) -> ProblemCode:
    found = answer.image if isinstance(answer, ReadFile) else answer
    assert isinstance(found, Problem), found
    assert "\n" not in found.detail
    return found.code


def worker_is_up(pool: DecodePool, folder: Path) -> int:
    """Wait for the pool's only worker by using it; its process id."""
    read(pool, written(folder, b"nothing", "warm-up"))
    (pid,) = pool.worker_pids()
    return pid


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


# ------------------------------------------------------------------------------------------------- what is in a file


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "GIF"])
def test_the_same_picture_looks_the_same_in_every_format(reader: DecodePool, tmp_path: Path, fmt: str) -> None:
    options = {"quality": 92} if fmt in {"JPEG", "WEBP", "AVIF", "HEIF"} else {}
    data = encoded(PHOTO, fmt, **options)
    answer = read(reader, written(tmp_path, data, "misleading.txt"))
    image = image_of(answer)
    assert isinstance(answer, ReadFile)
    assert answer.digest == blake3.blake3(data).digest()
    assert answer.stat.size_bytes == len(data)
    assert (image.format, image.width_px, image.height_px) == (fmt, 512, 400)
    assert image.small.shape == (300, SMALL_SIDE_PX, 3)
    assert image.small.dtype == np.uint8
    expected = np.asarray(PHOTO.resize((384, 300), Image.Resampling.BICUBIC), dtype=float)
    assert np.abs(image.small - expected).mean() < (6 if fmt == "GIF" else 3)  # 256 colours, dithered
    preview = np.asarray(Image.open(io.BytesIO(image.preview)), dtype=float)
    assert np.abs(image.small - preview).mean() < 4
    assert (image.image_digest is not None) == (fmt == "JPEG")


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_all_eight_orientations_give_the_upright_picture(reader: DecodePool, tmp_path: Path, fmt: str) -> None:
    photo = PHOTO.resize((128, 100))
    expected = np.asarray(photo, dtype=float)
    for orientation, transpose in STORED_AS.items():
        stored = photo if transpose is None else photo.transpose(transpose)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options = {} if fmt in {"PNG", "TIFF"} else {"quality": 92}
        image = image_of(read(reader, written(tmp_path, encoded(stored, fmt, exif=exif.tobytes(), **options))))
        assert (image.width_px, image.height_px) == (128, 100), orientation
        assert np.abs(image.small - expected).mean() < 6, orientation


def test_what_only_this_file_carries_is_told(reader: DecodePool, tmp_path: Path) -> None:
    """A rating, a colour profile and an appended video: clean-up must not take the only copy that has them."""
    exif = Image.Exif()
    exif[RATING] = 5
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    still = encoded(PHOTO, "JPEG", quality=90)
    rich = encoded(PHOTO, "JPEG", quality=90, exif=exif.tobytes(), icc_profile=lab)
    video = b"\0\0\0\x18ftypmp42" + bytes(5000)
    told = [
        (image.capture.rating, image.capture.has_icc, image.trailing_bytes)
        for data in (still, rich, still + video)
        for image in [image_of(read(reader, written(tmp_path, data)))]
    ]
    assert told == [(None, False, 0), (5, True, 0), (None, False, len(video))]


def test_a_small_picture_is_not_enlarged(reader: DecodePool, tmp_path: Path) -> None:
    tiny = PHOTO.crop((100, 100, 130, 120))
    image = image_of(read(reader, written(tmp_path, encoded(tiny, "PNG"))))
    assert np.array_equal(image.small, np.asarray(tiny))


def test_pixel_digest_sees_through_the_container_but_not_through_a_changed_pixel(
    reader: DecodePool, tmp_path: Path
) -> None:
    changed = PHOTO.copy()
    changed.putpixel((200, 300), (1, 2, 3))
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    files = {
        "png": encoded(PHOTO, "PNG"),
        "tiff": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
        "bmp": encoded(PHOTO, "BMP"),
        "webp": encoded(PHOTO, "WEBP", lossless=True),
        "turned": encoded(PHOTO.transpose(Image.Transpose.ROTATE_90), "PNG", exif=turned),
        "changed": encoded(changed, "PNG"),
        "grey": encoded(PHOTO.convert("L"), "PNG"),
    }
    digests = {
        name: reader.pixel_digest(written(tmp_path, data, name), priority=Priority.EVIDENCE).result(LIMIT_S)
        for name, data in files.items()
    }
    same = {digests.pop(name) for name in ("png", "tiff", "bmp", "webp", "turned")}
    assert len(same) == 1
    assert all(isinstance(digest, bytes) for digest in (*same, *digests.values()))
    assert len({*same, *digests.values()}) == 3


def test_compare_tells_a_copy_from_another_picture(reader: DecodePool, tmp_path: Path) -> None:
    other = Image.fromarray(skimage.data.coffee())
    contents = (encoded(PHOTO, "JPEG", quality=95), encoded(PHOTO, "JPEG", quality=60), encoded(other, "JPEG"))
    images = [image_of(read(reader, written(tmp_path, data))) for data in contents]
    sides = [
        EvidenceSide(content=ContentId(n + 1), preview=i.preview, width_px=i.width_px, height_px=i.height_px)
        for n, i in enumerate(images)
    ]
    copy, stranger = (reader.compare(sides[0], sides[n], priority=Priority.EVIDENCE).result(LIMIT_S) for n in (1, 2))
    assert isinstance(copy, Evidence)
    assert isinstance(stranger, Evidence)
    assert copy.similarity > 0.9 > stranger.similarity


def test_a_glance_tells_which_pairs_to_compare(reader: DecodePool, tmp_path: Path) -> None:
    pictures = (PHOTO, ImageOps.mirror(PHOTO), Image.fromarray(skimage.data.coffee()))
    previews = [image_of(read(reader, written(tmp_path, encoded(p, "JPEG")))).preview for p in pictures]
    pairs = [(0, 1), (0, 2), (1, 2), (2, 2)]
    before = reader.compared_total
    assert reader.glance(previews, pairs, priority=Priority.EVIDENCE).result(LIMIT_S) == (True, False, False, True)
    assert reader.compared_total == before + 2, "the others are counted when they are compared"
    assert reader.glance(previews, [], priority=Priority.EVIDENCE).result(LIMIT_S) == ()
    unmarked = [detached(preview) for preview in previews]
    assert reader.glance(unmarked, pairs, priority=Priority.EVIDENCE).result(LIMIT_S) == (True,) * 4


def test_compare_answers_a_broken_preview_with_a_problem(reader: DecodePool) -> None:
    side = EvidenceSide(content=None, preview=b"\xff\xd8\xff\xe0 nothing", width_px=10, height_px=10)
    answer = reader.compare(side, side, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(answer, Problem)
    assert answer.code == ProblemCode.DAMAGED


# --------------------------------------------------------------------------------------------------- showing a pair

WORDS = SheetWords(
    form=SheetFormat.PNG, title="edited", lines=("why",), name_a="a.jpg", name_b="b.jpg", about_a="", about_b=""
)


def shown(
    reader: ImageReader, path: bytes, source: bytes | int | None = None, digest: bytes | None = None
) -> ShownSide:
    answer = read(reader, path)
    image = image_of(answer)
    assert isinstance(answer, ReadFile)
    side = EvidenceSide(content=None, preview=image.preview, width_px=image.width_px, height_px=image.height_px)
    return ShownSide(side=side, source=source, digest=answer.digest if digest is None else digest)


def illustrated(reader: ImageReader, a: ShownSide, b: ShownSide, words: SheetWords | None = None) -> Illustrated:
    answer = reader.illustrate(a, b, words, priority=Priority.QUESTION).result(LIMIT_S)
    assert isinstance(answer, Illustrated), answer
    return answer


def test_a_pair_is_illustrated_by_the_evidence_that_comparing_finds(reader: DecodePool, tmp_path: Path) -> None:
    paths = [written(tmp_path, encoded(PHOTO, "JPEG", quality=quality), str(quality)) for quality in (95, 60)]
    a, b = (shown(reader, path) for path in paths)
    answer = illustrated(reader, a, b)
    assert answer.evidence == reader.compare(a.side, b.side, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert answer.figures is not None
    assert answer.figures.ssim > 0.9
    assert answer.sheet is None


@pytest.mark.parametrize("form", SheetFormat)
def test_a_sheet_is_a_picture_in_the_format_that_was_asked_for(
    reader: DecodePool, tmp_path: Path, form: SheetFormat
) -> None:
    a = shown(reader, written(tmp_path, encoded(PHOTO, "JPEG"), "a"))
    b = shown(reader, written(tmp_path, encoded(Image.fromarray(skimage.data.coffee()), "JPEG"), "b"))
    for pair in ((a, a), (a, b)):  # alike, and not
        sheet = illustrated(reader, *pair, replace(WORDS, form=form)).sheet
        assert sheet is not None
        image = Image.open(io.BytesIO(sheet))
        image.load()
        assert image.format == form.upper()
        assert 800 <= image.width <= 1600


def test_a_sheet_is_drawn_from_the_file_unless_it_holds_another_picture_by_now(
    reader: DecodePool, tmp_path: Path
) -> None:
    path = written(tmp_path, encoded(Image.fromarray(skimage.data.astronaut()).resize((1200, 1200)), "JPEG"))
    sheets = [
        illustrated(reader, side, side, WORDS).sheet
        for side in (
            shown(reader, path),
            shown(reader, path, source=path),
            shown(reader, path, source=path, digest=b"0" * 32),
            shown(reader, path, source=os.fsencode(tmp_path / "gone.jpg")),
        )
    ]
    from_preview, from_file, from_changed, from_gone = sheets
    assert from_file != from_preview
    assert from_changed == from_gone == from_preview


def test_a_sheet_from_uploads_closes_their_descriptors(reader: DecodePool, tmp_path: Path) -> None:
    data = encoded(PHOTO, "JPEG")
    path = written(tmp_path, data)
    descriptors = [os.open(path, os.O_RDONLY) for _ in range(2)]
    a, b = (shown(reader, path, source=fd) for fd in descriptors)
    assert illustrated(reader, a, b, WORDS).sheet
    deadline = time.monotonic() + LIMIT_S
    while any(map(is_open, descriptors)):  # the answer is given before the pool lets go
        assert time.monotonic() < deadline


def test_a_sheet_of_a_broken_preview_is_a_problem(reader: DecodePool) -> None:
    side = EvidenceSide(content=None, preview=b"\xff\xd8\xff\xe0 nothing", width_px=10, height_px=10)
    broken = ShownSide(side=side, source=None, digest=b"0" * 32)
    answer = reader.illustrate(broken, broken, WORDS, priority=Priority.QUESTION).result(LIMIT_S)
    assert isinstance(answer, Problem)
    assert answer.code == ProblemCode.DAMAGED


# ------------------------------------------------------------------------------------------------ reading it only once


def test_a_known_digest_is_not_decoded(reader: DecodePool, tmp_path: Path) -> None:
    data = encoded(PHOTO, "JPEG")
    asked: list[bytes] = []
    decoded_before = reader.decoded_total
    answer = read(reader, written(tmp_path, data), lambda digest: asked.append(digest) is None)
    assert isinstance(answer, ReadFile)
    assert answer.image is None
    assert asked == [answer.digest] == [blake3.blake3(data).digest()]
    assert reader.decoded_total == decoded_before


def test_an_upload_is_read_from_its_start_and_its_descriptor_closed(reader: DecodePool) -> None:
    fd = os.memfd_create("upload")
    os.write(fd, encoded(PHOTO, "PNG"))
    image = image_of(reader.read_descriptor(fd, priority=Priority.QUESTION).result(LIMIT_S))
    assert (image.width_px, image.height_px) == (512, 400)
    deadline = time.monotonic() + LIMIT_S
    while is_open(fd):  # the answer is given before the pool lets go
        assert time.monotonic() < deadline


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_file_that_changes_while_it_is_read_is_not_believed(reader: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    os.truncate(path, 200_000_000)  # takes long enough to read that a change falls into it
    stop = threading.Event()

    def touch() -> None:
        moment = 1_000_000_000
        while not stop.is_set():
            moment += 1
            os.utime(path, ns=(moment, moment))

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        answer = read(reader, path)
    finally:
        stop.set()
        toucher.join()
    assert isinstance(answer, Problem)
    assert answer.code == ProblemCode.CHANGING
    image_of(read(reader, path))


def test_an_error_of_the_callers_callback_is_the_callers(reader: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))

    def broken(_: bytes) -> bool:
        raise KeyError("the store is gone")

    with pytest.raises(KeyError, match="the store is gone"):
        read(reader, path, broken)
    image_of(read(reader, path))


# -------------------------------------------------------------------------------------------------- what is no picture


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF"])
def test_half_a_picture_is_truncated_and_never_filled_with_grey(reader: DecodePool, tmp_path: Path, fmt: str) -> None:
    data = encoded(PHOTO, fmt)
    assert code_of(read(reader, written(tmp_path, data[: len(data) // 2]))) == ProblemCode.TRUNCATED


def test_a_jpeg_without_its_last_two_bytes_is_truncated(reader: DecodePool, tmp_path: Path) -> None:
    for options in ({}, {"progressive": True}):
        data = encoded(PHOTO, "JPEG", **options)
        assert code_of(read(reader, written(tmp_path, data[:-2]))) == ProblemCode.TRUNCATED


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ProblemCode.EMPTY),
        (b"Dear diary, today I took no photo.", ProblemCode.NOT_AN_IMAGE),
        (b"\0" * 5000, ProblemCode.NOT_AN_IMAGE),
        (b"8BPS\0\1" + bytes(100), ProblemCode.UNSUPPORTED),
        (b"\xff\xd8\xff\xe0\0\x10" + b"\x55" * 5000, ProblemCode.DAMAGED),
        (png_header(60_000, 60_000), ProblemCode.TOO_MANY_PIXELS),
        (png_header(0, 5), ProblemCode.DAMAGED),
    ],
    ids=["empty", "text", "zeros", "photoshop", "garbage", "bomb", "no-pixels"],
)
def test_every_bad_content_has_its_reason(reader: DecodePool, tmp_path: Path, data: bytes, code: ProblemCode) -> None:
    assert code_of(read(reader, written(tmp_path, data, "holiday.jpg"))) == code


def test_a_jpeg_that_claims_four_gigapixels_is_refused_before_decoding(reader: DecodePool, tmp_path: Path) -> None:
    data = bytearray(encoded(PHOTO, "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    assert code_of(read(reader, written(tmp_path, bytes(data)))) == ProblemCode.TOO_MANY_PIXELS


def test_limits_are_arguments(tmp_path: Path) -> None:
    pool = DecodePool(1, limits=DecodeLimits(max_file_bytes=1_000_000, max_pixels=200_000, max_jpeg_pixels=300_000))
    try:
        assert code_of(read(pool, written(tmp_path, bytes(1_000_001)))) == ProblemCode.TOO_LARGE
        assert code_of(read(pool, written(tmp_path, encoded(PHOTO, "GIF")))) == ProblemCode.TOO_MANY_PIXELS
        image_of(read(pool, written(tmp_path, encoded(PHOTO, "JPEG"))))
    finally:
        pool.close()


def test_what_is_no_regular_file_is_not_opened(reader: DecodePool, tmp_path: Path) -> None:
    (tmp_path / "directory.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(written(tmp_path, encoded(PHOTO, "JPEG")).decode())
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.jpg"))
        odd = [tmp_path / f"{kind}.jpg" for kind in ("directory", "pipe", "link", "socket")]
        for path in (*odd, Path("/dev/null")):
            answer = read(reader, os.fsencode(path))
            assert code_of(answer) == ProblemCode.NOT_REGULAR
            assert isinstance(answer, Problem)
            assert path.name not in answer.detail


def test_a_pipe_as_an_upload_is_refused(reader: DecodePool) -> None:
    reading, writing = os.pipe()
    try:
        answer = reader.read_descriptor(reading, priority=Priority.QUESTION).result(LIMIT_S)
        assert code_of(answer) == ProblemCode.NOT_REGULAR
    finally:
        os.close(writing)


def test_a_file_that_vanished_says_so(reader: DecodePool, tmp_path: Path) -> None:
    answer = read(reader, os.fsencode(tmp_path / "gone.jpg"))
    assert isinstance(answer, Problem)
    assert (answer.code, "vanished" in answer.detail) == (ProblemCode.IO_ERROR, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(reader: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    Path(os.fsdecode(path)).chmod(0)
    assert code_of(read(reader, path)) == ProblemCode.NO_PERMISSION


# ---------------------------------------------------------------------------------------------------- life and death


def test_a_worker_that_is_killed_is_replaced_and_its_job_done(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    killed: list[int] = []

    def kill_once(_: bytes) -> bool:
        if not killed:
            killed.extend(single.worker_pids())
            os.kill(killed[0], signal.SIGKILL)
        return False

    image_of(read(single, path, kill_once))
    assert single.died_total == 1
    assert single.worker_pids() != killed


def test_a_file_that_kills_twice_is_set_aside_and_the_next_one_read(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))

    def kill(_: bytes) -> bool:
        os.kill(single.worker_pids()[0], signal.SIGKILL)
        return False

    answer = read(single, path, kill)
    assert code_of(answer) == ProblemCode.DECODER_DIED
    assert isinstance(answer, ReadFile)  # the bytes were digested: the problem is the content's
    assert single.died_total == 2
    image_of(read(single, path))


def test_an_idle_worker_that_dies_costs_no_attempt(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    os.kill(worker_is_up(single, tmp_path), signal.SIGKILL)
    deadline = time.monotonic() + LIMIT_S
    while single.worker_pids():
        assert time.monotonic() < deadline
    image_of(read(single, path))
    assert single.died_total == 0


def test_a_worker_that_takes_too_long_is_killed(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))

    def stop(_: bytes) -> bool:
        os.kill(single.worker_pids()[0], signal.SIGSTOP)
        return False

    assert code_of(read(single, path, stop)) == ProblemCode.TIMEOUT
    assert single.timeout_total == 1
    image_of(read(single, path))


def test_ctrl_c_and_terminate_leave_the_workers_to_the_parent(single: DecodePool, tmp_path: Path) -> None:
    pid = worker_is_up(single, tmp_path)
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    image_of(read(single, written(tmp_path, encoded(PHOTO, "JPEG"))))
    assert single.worker_pids() == [pid]


def test_a_worker_is_replaced_after_its_share_of_jobs(tmp_path: Path) -> None:
    pool = DecodePool(1, limits=DecodeLimits(jobs_per_worker=2))
    try:
        path = written(tmp_path, encoded(PHOTO, "JPEG"))
        pids = []
        for _ in range(4):
            image_of(read(pool, path))
            pids += pool.worker_pids()
        assert len(set(pids)) == 2
        assert pool.died_total == 0
    finally:
        pool.close()


def test_urgent_work_goes_first_and_equal_work_in_order(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    go = threading.Event()
    order: list[str] = []

    def ask(name: str, priority: Priority) -> Future[ReadFile | Problem]:
        def note(_: bytes) -> bool:
            order.append(name)
            return True

        return single.read(path, is_known=note, priority=priority)

    blocked = threading.Event()

    def block(_: bytes) -> bool:
        blocked.set()
        return go.wait(LIMIT_S)

    single.read(path, is_known=block, priority=Priority.BACKLOG)
    assert blocked.wait(LIMIT_S)
    futures = [
        ask("for a model", Priority.BACKGROUND),
        ask("old photo 1", Priority.BACKLOG),
        ask("old pair", Priority.EVIDENCE),
        ask("arrival 1", Priority.ARRIVAL),
        ask("old photo 2", Priority.BACKLOG),
        ask("question", Priority.QUESTION),
        ask("arrival 2", Priority.ARRIVAL),
        ask("pair of an arrival", Priority.ARRIVAL_EVIDENCE),
        ask("old photo 3", Priority.BACKLOG),
    ]
    go.set()
    for future in futures:
        future.result(LIMIT_S)
    urgent = ["question", "pair of an arrival", "arrival 1", "arrival 2"]
    assert order == [*urgent, "old pair", "old photo 1", "old photo 2", "old photo 3", "for a model"]


def test_what_is_urgent_has_a_worker_of_its_own_that_no_backlog_gets(tmp_path: Path) -> None:
    path, go = written(tmp_path, encoded(PHOTO, "JPEG")), threading.Event()
    taken = [threading.Event() for _ in range(2)]

    def blocking(begun: threading.Event) -> Callable[[bytes], bool]:
        def is_known(_: bytes) -> bool:
            begun.set()
            return go.wait(LIMIT_S)

        return is_known

    with closing(DecodePool(1, has_urgent=True, starts_warm=False)) as pool:
        old = [pool.read(path, is_known=blocking(begun), priority=Priority.BACKLOG) for begun in taken]
        assert taken[0].wait(LIMIT_S)
        usual = pool.worker_pids()
        new = pool.read(path, is_known=never_known, priority=Priority.ARRIVAL).result(LIMIT_S)
        assert isinstance(new, ReadFile)
        [urgent] = set(pool.worker_pids()) - set(usual)
        assert not taken[1].is_set()
        assert os.getpriority(os.PRIO_PROCESS, urgent) == os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, usual[0]) > os.getpriority(os.PRIO_PROCESS, urgent)
        go.set()
        assert all(isinstance(future.result(LIMIT_S), ReadFile) for future in old)


def test_two_workers_leave_the_backlog_alone_while_one_works_on_what_is_urgent(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    holds = [threading.Event() for _ in range(4)]
    taken = [threading.Event() for _ in range(4)]

    def ask(number: int, priority: Priority) -> Future[ReadFile | Problem]:
        def is_known(_: bytes) -> bool:
            taken[number].set()
            return holds[number].wait(LIMIT_S)

        return pool.read(path, is_known=is_known, priority=priority)

    with closing(DecodePool(3, has_urgent=True)) as pool:
        pool.expect()
        deadline = time.monotonic() + LIMIT_S
        while len(pool.worker_pids()) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        urgent = ask(0, Priority.ARRIVAL)
        assert taken[0].wait(LIMIT_S)
        old = [ask(number, Priority.BACKLOG) for number in (1, 2)]
        assert taken[1].wait(LIMIT_S)
        time.sleep(SOON_S)
        assert not taken[2].is_set()
        also_new = ask(3, Priority.ARRIVAL)  # others help with what has arrived
        assert taken[3].wait(LIMIT_S)
        holds[3].set()
        assert isinstance(also_new.result(LIMIT_S), ReadFile)
        holds[0].set()
        assert isinstance(urgent.result(LIMIT_S), ReadFile)
        assert taken[2].wait(LIMIT_S)
        for hold in holds:
            hold.set()
        assert all(isinstance(future.result(LIMIT_S), ReadFile) for future in old)


def test_a_worker_for_what_is_urgent_alone_does_not_keep_others_from_being_started(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    with closing(DecodePool(1, has_urgent=True, starts_warm=False)) as pool:
        pool.expect()
        for priority in (Priority.ARRIVAL, Priority.BACKLOG, Priority.QUESTION, Priority.BACKGROUND):
            answer = pool.read(path, is_known=never_known, priority=priority).result(LIMIT_S)
            assert isinstance(answer, ReadFile)
        assert len(pool.worker_pids()) == 2


def test_close_cancels_what_waits_and_does_not_wait_for_a_stuck_worker(tmp_path: Path) -> None:
    pool = DecodePool(1)
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    pid = worker_is_up(pool, tmp_path)
    os.kill(pid, signal.SIGSTOP)
    stuck = pool.read(path, is_known=never_known, priority=Priority.QUESTION)
    upload = os.memfd_create("upload")
    waiting = [pool.read(path, is_known=never_known, priority=Priority.BACKLOG) for _ in range(5)]
    waiting.append(pool.read_descriptor(upload, priority=Priority.BACKLOG))
    deadline = time.monotonic() + LIMIT_S
    while not stuck.running():
        assert time.monotonic() < deadline
    pool.close()  # the stopped worker would never answer
    assert all(future.cancelled() for future in waiting)
    assert not is_open(upload)
    with pytest.raises(RetryError):
        stuck.result(LIMIT_S)
    assert pool.worker_pids() == []
    assert pool.read(path, is_known=never_known, priority=Priority.QUESTION).cancelled()


def test_a_caller_may_cancel_what_waits(single: DecodePool, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(PHOTO, "JPEG"))
    go, blocked = threading.Event(), threading.Event()

    def block(_: bytes) -> bool:
        blocked.set()
        return go.wait(LIMIT_S)

    single.read(path, is_known=block, priority=Priority.QUESTION)
    assert blocked.wait(LIMIT_S)
    upload = os.memfd_create("upload")
    waiting = single.read_descriptor(upload, priority=Priority.QUESTION)
    assert waiting.cancel()
    go.set()
    image_of(read(single, path))
    assert not is_open(upload)


# ------------------------------------------------------------------------------------------- the readers of our tests


@dataclass
class Kit:
    """A reader with bytes that it takes for a picture, for the same picture again, for another, and for none."""

    reader: ImageReader
    picture: bytes
    again: bytes
    other: bytes
    text: bytes = b"Dear diary, today I took no photo."


@pytest.fixture
def pool_kit(reader: DecodePool) -> Kit:
    return kit_of(reader)


@pytest.fixture
def threads_kit(two_threads: DecodePool) -> Kit:
    return kit_of(two_threads)


def kit_of(reader: DecodePool) -> Kit:
    other = Image.fromarray(skimage.data.coffee())
    return Kit(reader, encoded(PHOTO, "JPEG", quality=95), encoded(PHOTO, "JPEG", quality=60), encoded(other, "JPEG"))


@pytest.fixture
def played_kit() -> Kit:
    """The pipeline's reader: `read`, `glance`, `compare` and `compare_fully`."""
    return Kit(PlayedReader(), played("beach"), played("beach", "again"), played("wood"))


@pytest.fixture
def prefix_kit() -> Kit:
    """The API's reader: `read_descriptor`."""
    return Kit(PrefixReader(), PICTURE + b" one", PICTURE + b" again", PICTURE + b" other")


@pytest.fixture(params=["pool_kit", "threads_kit", "played_kit"])
def file_kit(request: pytest.FixtureRequest) -> Kit:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["pool_kit", "prefix_kit"])
def upload_kit(request: pytest.FixtureRequest) -> Kit:
    return request.getfixturevalue(request.param)


def assert_whole(answer: ReadFile | Problem, data: bytes) -> None:
    image = image_of(answer)
    assert isinstance(answer, ReadFile)
    assert answer.digest == blake3.blake3(data).digest()
    assert answer.stat.size_bytes == len(data)
    assert image.format
    assert image.decoder
    assert image.preview
    assert image.small.dtype == np.uint8
    assert image.small.ndim == 3
    assert max(image.small.shape[:2]) <= SMALL_SIDE_PX
    assert min(image.width_px, image.height_px) >= 1


def test_every_reader_of_files_tells_digest_stat_and_image(file_kit: Kit, tmp_path: Path) -> None:
    path = written(tmp_path, file_kit.picture)
    answer = read(file_kit.reader, path)
    assert_whole(answer, file_kit.picture)
    assert isinstance(answer, ReadFile)
    facts = os.lstat(path)
    assert (answer.stat.dev, answer.stat.ino) == (facts.st_dev, facts.st_ino)
    assert (answer.stat.mtime_ns, answer.stat.ctime_ns) == (facts.st_mtime_ns, facts.st_ctime_ns)


def test_every_reader_of_files_asks_for_the_digest_and_leaves_out_a_known_image(file_kit: Kit, tmp_path: Path) -> None:
    asked: list[bytes] = []
    answer = read(file_kit.reader, written(tmp_path, file_kit.picture), lambda digest: asked.append(digest) is None)
    assert isinstance(answer, ReadFile)
    assert answer.image is None
    assert asked == [answer.digest]


def test_every_reader_of_files_says_what_is_wrong_with_one(file_kit: Kit, tmp_path: Path) -> None:
    assert code_of(read(file_kit.reader, written(tmp_path, b""))) == ProblemCode.EMPTY
    answer = read(file_kit.reader, written(tmp_path, file_kit.text))
    assert code_of(answer) == ProblemCode.NOT_AN_IMAGE
    assert isinstance(answer, ReadFile), "the bytes were digested: the problem is the content's"
    assert code_of(read(file_kit.reader, os.fsencode(tmp_path / "gone.jpg"))) == ProblemCode.IO_ERROR


def test_every_reader_of_files_tells_a_copy_from_another_picture(file_kit: Kit, tmp_path: Path) -> None:
    images = [
        image_of(read(file_kit.reader, written(tmp_path, data)))
        for data in (file_kit.picture, file_kit.again, file_kit.other)
    ]
    sides = [EvidenceSide(content=None, preview=i.preview, width_px=i.width_px, height_px=i.height_px) for i in images]
    copy, stranger = (
        file_kit.reader.compare(sides[0], side, priority=Priority.EVIDENCE).result(LIMIT_S) for side in sides[1:]
    )
    assert isinstance(copy, Evidence)
    assert isinstance(stranger, Evidence)
    assert copy.geometry is not None
    assert copy.similarity > 0.85 > stranger.similarity


def test_every_reader_of_files_says_at_a_glance_that_a_copy_may_be_one(file_kit: Kit, tmp_path: Path) -> None:
    previews = [
        image_of(read(file_kit.reader, written(tmp_path, data))).preview
        for data in (file_kit.picture, file_kit.again, file_kit.other)
    ]
    answers = file_kit.reader.glance(previews, [(0, 1), (2, 0)], priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(answers, tuple)
    assert len(answers) == 2
    assert answers[0]


def test_every_reader_of_files_decodes_the_preview_that_it_made(file_kit: Kit, tmp_path: Path) -> None:
    image = image_of(read(file_kit.reader, written(tmp_path, file_kit.picture)))
    small = file_kit.reader.decode_preview(image.preview, priority=Priority.BACKGROUND).result(LIMIT_S)
    assert isinstance(small, np.ndarray)
    assert (small.shape, small.dtype) == (image.small.shape, np.uint8)
    assert np.abs(small.astype(int) - image.small).mean() < 5, "levels; a JPEG of good quality loses little"
    broken = file_kit.reader.decode_preview(b"\xff\xd8\xff\xe0 nothing", priority=Priority.BACKGROUND).result(LIMIT_S)
    assert code_of(broken) == ProblemCode.DAMAGED


def full_side(reader: ImageReader, path: bytes, source: bytes | int | None = None) -> FullSide:
    answer = read(reader, path)
    assert isinstance(answer, ReadFile)
    image = image_of(answer)
    side = EvidenceSide(content=None, preview=image.preview, width_px=image.width_px, height_px=image.height_px)
    return FullSide(side=side, source=path if source is None else source, digest=answer.digest)


def threads_of(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def small_evidence(reader: ImageReader, a: FullSide, b: FullSide) -> Evidence:
    evidence = reader.compare(a.side, b.side, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(evidence, Evidence)
    return evidence


def test_every_reader_of_files_adds_what_full_pictures_show(file_kit: Kit, tmp_path: Path) -> None:
    reader = file_kit.reader
    a = full_side(reader, written(tmp_path, file_kit.picture, "a"))
    b = full_side(reader, written(tmp_path, file_kit.again, "b"))
    evidence = small_evidence(reader, a, b)
    found = reader.compare_fully(a, b, evidence, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(found, Evidence)
    assert found.fine_px > 0
    assert (found.method, found.geometry, found.similarity) == (evidence.method, evidence.geometry, evidence.similarity)


def test_two_full_pictures_are_decoded_at_once_and_seen_as_one_after_the_other(
    reader: DecodePool, two_threads: DecodePool, tmp_path: Path
) -> None:
    datas = encoded(PHOTO, "JPEG", quality=95), encoded(PHOTO, "JPEG", quality=60)
    a, b = (full_side(reader, written(tmp_path, data, name)) for data, name in zip(datas, "ab", strict=True))
    evidence = small_evidence(reader, a, b)
    found = [each.compare_fully(a, b, evidence, priority=Priority.EVIDENCE) for each in (reader, two_threads)]
    assert found[0].result(LIMIT_S) == found[1].result(LIMIT_S)
    assert [threads_of(each) for each in two_threads.worker_pids()] == [2]
    assert all(threads_of(each) == 1 for each in reader.worker_pids())


@pytest.mark.parametrize("which", [0, 1])
def test_every_reader_of_files_looks_at_no_file_that_holds_other_bytes_by_now(
    file_kit: Kit, tmp_path: Path, which: int
) -> None:
    reader = file_kit.reader
    paths = [written(tmp_path, file_kit.picture, "a"), written(tmp_path, file_kit.again, "b")]
    a, b = (full_side(reader, path) for path in paths)
    evidence = small_evidence(reader, a, b)
    written(tmp_path, file_kit.other, "ab"[which])
    found = reader.compare_fully(a, b, evidence, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(found, Problem)
    assert found.code == ProblemCode.CHANGING
    Path(os.fsdecode(paths[which])).unlink()
    found = reader.compare_fully(a, b, evidence, priority=Priority.EVIDENCE).result(LIMIT_S)
    assert isinstance(found, Problem)
    assert found.code == ProblemCode.IO_ERROR


def test_full_pictures_are_compared_from_descriptors_which_are_closed(reader: DecodePool, tmp_path: Path) -> None:
    datas = encoded(PHOTO, "JPEG", quality=95), encoded(PHOTO, "PNG")
    fds = [os.memfd_create("upload") for _ in datas]
    for fd, data in zip(fds, datas, strict=True):
        os.write(fd, data)
    a, b = (full_side(reader, written(tmp_path, data), fd) for data, fd in zip(datas, fds, strict=True))
    evidence = small_evidence(reader, a, b)
    found = reader.compare_fully(a, b, evidence, priority=Priority.QUESTION).result(LIMIT_S)
    assert isinstance(found, Evidence)
    assert found.fine_px == 400
    broken = replace(b, source=os.memfd_create("nothing"))
    again = replace(a, source=os.memfd_create("upload"))
    os.write(again.source, datas[0])
    found = reader.compare_fully(again, broken, evidence, priority=Priority.QUESTION).result(LIMIT_S)
    assert isinstance(found, Problem)
    assert found.code == ProblemCode.EMPTY
    deadline = time.monotonic() + LIMIT_S
    for fd in (*fds, again.source, broken.source):
        while is_open(fd):  # the answer is given before the pool lets go
            assert time.monotonic() < deadline


def test_every_reader_of_uploads_reads_from_the_start_and_closes(upload_kit: Kit) -> None:
    fd = os.memfd_create("upload")
    os.write(fd, upload_kit.picture)
    assert_whole(upload_kit.reader.read_descriptor(fd, priority=Priority.QUESTION).result(LIMIT_S), upload_kit.picture)
    deadline = time.monotonic() + LIMIT_S
    while is_open(fd):  # the answer is given before the pool lets go
        assert time.monotonic() < deadline


def test_every_reader_of_uploads_says_that_one_is_no_picture(upload_kit: Kit) -> None:
    fd = os.memfd_create("upload")
    os.write(fd, upload_kit.text)
    answer = upload_kit.reader.read_descriptor(fd, priority=Priority.QUESTION).result(LIMIT_S)
    assert code_of(answer) == ProblemCode.NOT_AN_IMAGE
    assert isinstance(answer, ReadFile)
    assert answer.digest == blake3.blake3(upload_kit.text).digest()
