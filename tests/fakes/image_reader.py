"""A reader for tests that ask the API about pictures: knows a picture by its first bytes and decodes nothing."""

import os
from concurrent.futures import Future

import numpy as np
from blake3 import blake3

from dedupd.core.ports import DecodedImage, Priority, ReadFile
from dedupd.core.records import Capture, FileStat, Problem, ProblemCode, Quality

PICTURE = b"PIC"  # what a picture's bytes begin with here
NOW_NS = 1_760_000_000_000_000_000


def decoded_image(size_px=64):
    """What the reader says of every picture."""
    return DecodedImage(
        format="JPEG",
        width_px=size_px,
        height_px=size_px // 2,
        image_digest=None,
        capture=Capture(taken_at_ms=1_714_564_800_250, make="Canon", model="Canon EOS R5"),
        quality=Quality(sharpness=10.0, information=5.0, jpeg_quality=90),
        decoder="test",
        small=np.zeros((8, 16, 3), np.uint8),
        preview=b"\xff\xd8 small \xff\xd9",
    )


class PrefixReader:
    """The `read_descriptor` part of `ImageReader`: bytes that begin with PICTURE are one.

    While `is_stuck`, it takes the descriptor and never answers.
    """

    def __init__(self):
        self.is_stuck = False

    def read_descriptor(self, fd: int, *, priority: Priority) -> "Future[ReadFile | Problem]":
        future: Future[ReadFile | Problem] = Future()
        if self.is_stuck:
            os.close(fd)
            return future
        with os.fdopen(fd, "rb") as file:
            file.seek(0)
            body = file.read()
            status = os.fstat(file.fileno())
        stat = FileStat(dev=status.st_dev, ino=status.st_ino, size_bytes=len(body), mtime_ns=0, ctime_ns=0)
        image = decoded_image()
        if not body.startswith(PICTURE):
            image = Problem(code=ProblemCode.NOT_AN_IMAGE, detail="no picture", at_ns=NOW_NS, retry_at_ns=None)
        future.set_result(ReadFile(digest=blake3(body).digest(), stat=stat, image=image))
        return future
