"""What each step of reading, describing and comparing a picture costs, in CPU milliseconds, one after the other.

    python -m benchmarks.stages FILE …

Runs the steps of a decode worker and of the embedder on these files in one process without threads, and prints the mean
of each as JSON. Says where a scan's time goes; how much it is, `throughput` measures from outside.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.common import REPOSITORY, Result

FILES, PAIRS = 60, 30
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as a worker has it, before numpy is loaded

_T = TypeVar("_T")


class Steps:
    """Adds up the CPU time of steps by name."""

    def __init__(self) -> None:
        self._spent_s: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()

    def take(self, name: str, work: Callable[[], _T]) -> _T:
        began_s = time.process_time()
        result = work()
        self._spent_s[name] += time.process_time() - began_s
        self._calls[name] += 1
        return result

    def mean_ms(self) -> Result:
        return {name: round(self._spent_s[name] / self._calls[name] * 1000, 3) for name in self._spent_s}


def measure(files: Sequence[Path]) -> Result:
    """CPU ms a picture, and a pair, of each step; on a sample of the files, in a process of its own."""
    sample = random.Random(0).sample(list(files), min(FILES, len(files)))
    command = [sys.executable, "-m", "benchmarks.stages", *map(str, sample)]
    environment = os.environ | ONE_THREAD
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
    return dict(json.loads(done.stdout))


def of_files(files: Sequence[Path]) -> Result:
    import cv2  # noqa: PLC0415 - as the rest, once the environment is set
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from dedupd.embedding.describe import describe  # noqa: PLC0415
    from dedupd.embedding.projection import load_projection  # noqa: PLC0415
    from dedupd.imaging import decode as decoding  # noqa: PLC0415
    from dedupd.imaging.digest import content_digest, image_data  # noqa: PLC0415
    from dedupd.imaging.evidence import compare_images, prepare  # noqa: PLC0415
    from dedupd.imaging.limits import DecodeLimits  # noqa: PLC0415
    from dedupd.imaging.picture import open_picture, prepare_decoders  # noqa: PLC0415
    from dedupd.imaging.quality import measure as measured_quality  # noqa: PLC0415

    cv2.setNumThreads(1)
    limits, projection = DecodeLimits(), load_projection()
    prepare_decoders(limits)
    decoding.decode(files[0].read_bytes(), limits)  # tables are made and caches filled before anything counts
    steps, sides = Steps(), []
    for path in files:
        data = steps.take("read the file", path.read_bytes)
        steps.take("content digest", lambda data=data: content_digest(data))
        picture = steps.take("open: headers, EXIF", lambda data=data: open_picture(data, limits))
        steps.take("image data digest", lambda data=data: image_data(data, orientation=1, icc_profile=None))
        size = decoding.small_size(*picture.image.size)
        steps.take("draft decode, scaled", lambda data=data, size=size: _decoded(data, size))
        whole = steps.take("all of decode", lambda data=data: decoding.decode(data, limits))
        steps.take("quality", lambda whole=whole: measured_quality(whole.small, None, None, whole.width_px))
        image = Image.fromarray(whole.small)
        steps.take("preview as JPEG", lambda image=image: decoding.encode_preview(image))
        steps.take("descriptor", lambda whole=whole: describe(whole.small, projection))
        pixels = np.ascontiguousarray(decoding.decode_preview(whole.preview))
        sides.append(prepare(pixels, whole.width_px, whole.height_px))
    pairs = random.Random(0).sample([(i, j) for i in range(len(sides)) for j in range(i)], min(PAIRS, len(sides)))
    for one, other in pairs:
        steps.take("pair, first look", lambda one=one, other=other: compare_images(sides[one], sides[other]))
        steps.take("pair, both prepared", lambda one=one, other=other: compare_images(sides[one], sides[other]))
    return steps.mean_ms()


def _decoded(data: bytes, size: tuple[int, int]) -> None:
    """The entropy decoding that nobody can leave out, and scaling."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, size)
        image.resize(size, Image.Resampling.BICUBIC)


if __name__ == "__main__":
    print(json.dumps(of_files([Path(name) for name in sys.argv[1:]])))
