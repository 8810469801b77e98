"""A device's place in the pool: its worker's life, what is on it, how fast it is.

Only the slot's thread starts and ends the worker; `stop`, `speed` and the plain fields are for others under the pool's
lock. Hands out no work and decides nothing about failures.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass

from dedupd.embedding import device_wire as wire
from dedupd.embedding.batch_size import Pace
from dedupd.embedding.device_process import DeviceProcess, DeviceWorkerError, threads_beside_others
from dedupd.embedding.devices import Device
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.workload import Portion

_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What a device worker may take."""

    memory_fraction: float = 1.0  # of a CUDA device's memory
    threads: int = 0  # of the processor; 0: half of the cores
    start_s: float = 600.0  # loading: some gigabytes from the disk of a busy NAS
    batch_s: float = 300.0  # one batch: eight pictures of the largest networks take a minute of a slow processor
    idle_s: float = 300.0  # without work, then the worker ends and its memory is free
    retry_s: float = 600.0  # until a device that was left out is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpeed:
    """How a device does, for the status."""

    device: str  # "cuda:0", "cpu"
    title: str
    pictures_per_s: float  # over the last half minute, pauses included
    batch_size: int  # pictures
    dtype: str  # empty until the model was loaded once
    attention: str
    peak_memory_bytes: int  # what the worker took at most; 0 until it embedded something
    memory_bytes: int  # what the device has; 0: not known
    utilisation: float | None  # 0 … 1, how busy the device is with all that runs on it; None: nobody tells
    is_running: bool  # a worker is there
    is_left_out: bool
    trouble: str  # why it is left out


class Meter:
    """Pictures over the last half minute."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float, int]] = deque()  # when it was done, how long it took, pictures

    def count(self, pictures: int, seconds: float, now_s: float) -> None:
        """A batch was done."""
        self._recent.append((now_s, seconds, pictures))
        self._trim(now_s)

    def busy_rate(self) -> float:
        """Pictures a second of work, of what was counted last; 0: none yet."""
        seconds = sum(spent for _, spent, _ in self._recent)
        return sum(count for _, _, count in self._recent) / seconds if seconds > 0 else 0.0

    def rate(self, now_s: float) -> float:
        """Pictures a second over the last half minute, or since the first batch if that is less ago."""
        self._trim(now_s)
        if not self._recent or self._recent[-1][0] < now_s - _WINDOW_S:
            return 0.0
        done_s, spent_s, _ = self._recent[0]
        passed_s = max(min(_WINDOW_S, now_s - done_s + spent_s), 1e-3)
        return sum(count for _, _, count in self._recent) / passed_s

    def _trim(self, now_s: float) -> None:
        while len(self._recent) > 1 and self._recent[0][0] < now_s - _WINDOW_S:
            self._recent.popleft()


class DeviceSlot:
    """One device with the worker that may run on it."""

    def __init__(
        self, device: Device, spec: ModelSpec, limits: WorkerLimits, *, batch_size: int, is_reserve: bool
    ) -> None:
        self.device = device
        self.is_reserve = is_reserve  # the processor beside GPUs: serves when all of them are left out
        self.pace = Pace(device.kind, batch_size)
        self.meter = Meter()
        self.in_flight: deque[Portion] = deque()
        self.failures = 0  # in a row, without a batch done between
        self.out_until_s: float | None = None  # left out, and until when at least
        self.trouble = ""
        self.is_ready = False
        self._spec = spec
        self._limits = limits
        self._process: DeviceProcess | None = None
        self._dtype = self._attention = ""
        self._peak_bytes = 0
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """The device's."""
        return self.device.name

    @property
    def is_left_out(self) -> bool:
        """Whether it has failed, and has not served since."""
        return self.out_until_s is not None

    @property
    def pid(self) -> int | None:
        """Process id of its worker, if there is one."""
        process = self._process
        return None if process is None else process.pid

    def pictures_in_flight(self) -> int:
        """How many it has been given and has not answered."""
        return sum(len(portion.places) for portion in self.in_flight)

    def worker(self) -> DeviceProcess:
        """The worker with the model loaded, started if there is none; raises as DeviceProcess does."""
        if self._process is None:
            process = DeviceProcess(
                self.device, threads=self._limits.threads or threads_beside_others(), batch_s=self._limits.batch_s
            )
            self._process = process
            if self._stopped.is_set():
                raise DeviceWorkerError("the pool is closed")
            process.load(self._spec, memory_fraction=self._limits.memory_fraction, start_s=self._limits.start_s)
            self._dtype, self._attention = process.dtype, process.attention
            self.is_ready = True
        return self._process

    def discard(self) -> None:
        """End the worker, if there is one."""
        self.is_ready = False
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def stop(self) -> None:
        """Kill the worker now, and any that may still be starting."""
        self._stopped.set()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def did(self, reply: wire.Embedded, now_s: float) -> None:
        """A batch was answered."""
        self.failures, self.out_until_s, self.trouble = 0, None, ""
        self.pace.did(reply.pictures, reply.seconds, reply.limit)
        self.meter.count(reply.pictures, reply.seconds, now_s)
        self._peak_bytes = reply.peak_bytes

    def speed(self, now_s: float, utilisation: float | None) -> DeviceSpeed:
        """How it does."""
        return DeviceSpeed(
            device=self.name,
            title=self.device.title,
            pictures_per_s=self.meter.rate(now_s),
            batch_size=self.pace.size,
            dtype=self._dtype,
            attention=self._attention,
            peak_memory_bytes=self._peak_bytes,
            memory_bytes=self.device.memory_bytes,
            utilisation=utilisation,
            is_running=self._process is not None,
            is_left_out=self.is_left_out,
            trouble=self.trouble,
        )
