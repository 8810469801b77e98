"""What a worker may spend on one picture; values only, the worker and the pool enforce them."""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.core.records import ProblemCode

MIB = 1024 * 1024
RENDER_SIDE_PX = 800  # long side of a picture decoded for people; one panel of a sheet is no larger


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """Bounds for one file and for one worker process."""

    max_file_bytes: int = 512 * MIB  # read into memory as a whole; the largest medium-format RAW is about 250 MiB
    max_jpeg_pixels: int = 300_000_000  # DCT scaling decodes a 64th of them
    max_pixels: int = 100_000_000  # other formats are decoded whole: 400 MB as RGBA
    job_s: float = 20.0  # wall clock for one job before its worker is killed
    address_space_bytes: int = 2048 * MIB  # RLIMIT_AS; libraries take 0.5 GiB of it before the first picture
    open_files: int = 32  # RLIMIT_NOFILE; importing a decoder opens two or three at a time
    nice: int = 10  # added to the parent's niceness
    threads: int = 1  # 2: two full pictures are decoded at once
    is_confined: bool = True  # False only to measure what confinement costs
    jobs_per_worker: int = 1000  # then a fresh process, against leaks in decoders; a start costs 0.4 s of CPU


class UnreadableImageError(Exception):
    """A picture that cannot be used, and why; travels inside the worker only, the pool answers with a Problem."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
