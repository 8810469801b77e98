"""The embedder for vision models: worker processes over devices, the processor when no other device is left.

Owns one thread for each device, through it the device's worker, and what waits. Imports no torch; starts nothing until
there is work, and ends workers that have none for a while.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from dedupd.core.arrays import Vectors
from dedupd.core.errors import DegradedError, RetryError
from dedupd.core.ports import Descriptor, EmbedItem
from dedupd.embedding import device_wire as wire
from dedupd.embedding.device_process import DeviceProcess, DeviceWorkerError, ModelRefusedError
from dedupd.embedding.device_slot import DeviceSlot, DeviceSpeed, WorkerLimits
from dedupd.embedding.devices import CPU, Device, gpu_utilisation
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.workload import SUSPECT_DEATHS, Claim, Job, Place, Portion, Workload

_log = logging.getLogger(__name__)

DEFAULT_LIMITS = WorkerLimits()
_IN_FLIGHT = 2  # batches a device has: one is computed while the next is on its way
_FAILURES = 2  # in a row, then a device is left out: a worker that ended once is started again
_CLOSE_S = 2.5  # for threads to notice that their worker was killed, and to reap it
_UTILISATION_S = 5.0  # how long an answer of nvidia-smi is kept


class _NoRoomError(DeviceWorkerError):
    """Not one picture fits: the memory is somebody else's, no picture is to blame."""


class DevicePool:
    """The `Embedder` port with a vision model. Callers bound what waits by the futures that they hold.

    A batch is cut into portions as the devices take them, each as much as it does fast; its descriptors come in order.
    A picture on which the model fails, or that ends workers wherever it goes, fails its batch with ValueError. If no
    device runs the model, batches fail with DegradedError, until one is tried again after `limits.retry_s`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        devices: Sequence[Device],
        *,
        batch_size: int = 0,
        limits: WorkerLimits = DEFAULT_LIMITS,
        on_trouble: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """A pool that starts workers when the first batch comes.

        Args:
            spec: the model.
            devices: where it runs, as `devices.choose_devices` says.
            batch_size: pictures at once; 0: found for each device.
            limits: what workers may take.
            on_trouble: told once in a person's words when a device is left out; from a thread of the pool.
            now: seconds of a clock that only goes forward.
        """
        self.model = spec.model
        self._spec = spec
        self._limits = limits
        self._on_trouble = on_trouble
        self._now = now
        self._changed = threading.Condition()  # guards the workload, the slots' plain fields and closing
        self._workload = Workload()
        self._closing = False
        self._busy: tuple[float, dict[str, float]] = (-math.inf, {})
        slots = [DeviceSlot(device, spec, limits, batch_size=batch_size, is_reserve=False) for device in devices]
        if all(device.is_gpu for device in devices):
            slots.append(DeviceSlot(CPU, spec, limits, batch_size=0, is_reserve=True))
        self._slots = slots
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"device-{slot.name}", daemon=True)
            for slot in slots
        ]
        for thread in self._threads:
            thread.start()

    def embed(self, batch: Sequence[EmbedItem]) -> Future[list[Descriptor]]:
        """See the port. RuntimeError after `close`; a batch with an item without pixels fails with ValueError."""
        pictures = [item.small for item in batch if item.small is not None]
        job = Job(pictures, [item.digest for item in batch], self.model.dim)
        cause = ""
        with self._changed:
            if self._closing:
                raise RuntimeError("the device pool is closed")
            is_complete = len(pictures) == len(batch)
            if is_complete and pictures and not (cause := self._no_device()):
                self._workload.add(job)
                self._changed.notify_all()
        if not is_complete:
            digest = next(item.digest for item in batch if item.small is None)
            job.give_up(ValueError(f"no pixels for content {digest.hex()[:16]}; decode it before embedding"))
        elif cause:
            job.give_up(self._degraded(cause))
        elif not pictures and job.begin():
            job.resolve()
        return job.future

    def speed(self) -> list[DeviceSpeed]:
        """How each device does; may take a second where nvidia-smi is asked."""
        busy = self._utilisation()
        with self._changed:
            return [slot.speed(self._now(), busy.get(slot.device.uuid)) for slot in self._slots]

    def worker_pids(self) -> dict[str, int]:
        """Process ids of the workers that run now, by device."""
        with self._changed:
            return {slot.name: pid for slot in self._slots if (pid := slot.pid) is not None}

    def close(self) -> None:
        """Kill the workers. Batches not begun are cancelled, those under way fail with RetryError."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for slot in self._slots:
            slot.stop()
        deadline = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            for slot in self._slots:
                while slot.in_flight:
                    self._workload.put_back(slot.in_flight.pop())
            dropped = self._workload.drop_all()
        for job in dropped:
            if not job.future.cancel():
                job.give_up(RetryError("the device pool was closed while it worked on this"))

    # ------------------------------------------------------------------------------------------ a device's thread

    def _serve(self, slot: DeviceSlot) -> None:
        """One thread's life: wait for work, have a worker, give it portions."""
        while self._has_work(slot):
            try:
                self._work(slot)
            except ModelRefusedError as error:
                self._lost(slot, str(error), is_final=True)
            except _NoRoomError as error:
                self._lost(slot, str(error), is_picture_suspect=False)
            except DeviceWorkerError as error:
                self._lost(slot, str(error))
            except Exception as error:  # noqa: BLE001 - the thread must outlive a fault of ours; it is told and logged
                _log.exception("device-thread device=%s", slot.name)
                self._lost(slot, f"{type(error).__name__}: {error}")
        slot.discard()

    def _has_work(self, slot: DeviceSlot) -> bool:
        """Wait until there is something for it; False when the pool closes. Ends a worker that waits for long."""
        while True:
            with self._changed:
                is_woken = self._changed.wait_for(
                    lambda: self._closing or self._workload.has_for(self._claim(slot)), self._patience_s(slot)
                )
                if self._closing:
                    return False
            if is_woken:
                return True
            if slot.pid is not None:
                _log.info("device-idle device=%s", slot.name)
                slot.discard()

    def _patience_s(self, slot: DeviceSlot) -> float | None:
        """How long it waits for news: until it may be tried again, or until its worker has idled enough."""
        if slot.out_until_s is not None and slot.out_until_s > self._now():
            return slot.out_until_s - self._now()
        return self._limits.idle_s if slot.pid is not None else None

    def _work(self, slot: DeviceSlot) -> None:
        """Give it portions, as many at once as overlap, until there are none."""
        is_new = not slot.is_ready
        worker = slot.worker()
        if is_new:
            _log.info("device-ready device=%s dtype=%s attention=%s", slot.name, worker.dtype, worker.attention)
        while True:
            with self._changed:
                portion = self._take(slot)
            if portion is not None:
                worker.send([place.picture for place in portion.places])
            elif slot.in_flight:
                self._receive(slot, worker)
            else:
                return

    def _take(self, slot: DeviceSlot) -> Portion | None:
        if self._closing or len(slot.in_flight) >= _IN_FLIGHT:
            return None
        portion = self._workload.take(self._claim(slot), self._fair_size(slot))
        if portion is not None:
            slot.in_flight.append(portion)
        return portion

    def _receive(self, slot: DeviceSlot, worker: DeviceProcess) -> None:
        reply, vectors = worker.receive()
        portion = slot.in_flight[0]
        if reply.pictures != len(portion.places) or reply.dim != self.model.dim:
            raise DeviceWorkerError("it answered another batch than it was given")
        if reply.no_room:
            raise _NoRoomError("its memory has no room for one picture, other programs hold it")
        with self._changed:
            was_left_out = slot.is_left_out
            slot.in_flight.popleft()
            slot.did(reply, self._now())
            finished = _answered(portion, reply, vectors)
            if was_left_out:
                self._changed.notify_all()
        if was_left_out:
            _log.info("device-back device=%s", slot.name)
        for job in finished:
            job.resolve()

    # ------------------------------------------------------------------------------------------------ under the lock

    def _claim(self, slot: DeviceSlot) -> Claim:
        """What it may take now."""
        others = [other for other in self._slots if other is not slot]
        is_waiting = slot.out_until_s is not None and slot.out_until_s > self._now()
        is_alone = all(other.is_left_out or other.is_reserve for other in others)
        is_last = not slot.device.is_gpu or all(other.is_left_out for other in others if not other.device.is_gpu)
        return Claim(
            device=slot.name,
            takes_fresh=not is_waiting and (is_alone or not slot.is_reserve),
            takes_suspects=not is_waiting and is_last,
            is_alone=is_alone,
        )

    def _fair_size(self, slot: DeviceSlot) -> int:
        """How many pictures it should take, so that all devices finish together; never more than its batch size."""
        ready = [other for other in self._slots if other.is_ready]
        rates = {other.name: other.meter.busy_rate() for other in ready}
        known = [rate for rate in rates.values() if rate > 0]
        usual = sum(known) / len(known) if known else 1.0
        share = (rates[slot.name] or usual) / sum(rate or usual for rate in rates.values())
        outstanding = self._workload.waiting + sum(other.pictures_in_flight() for other in ready)
        fair = math.ceil(outstanding * share) - slot.pictures_in_flight()
        return min(slot.pace.size, max(fair, 0 if slot.in_flight else 1))

    def _no_device(self) -> str:
        """Why nothing runs the model and nothing is to be tried yet; empty: something does, or is."""
        now_s = self._now()
        is_over = all(slot.out_until_s is not None and slot.out_until_s > now_s for slot in self._slots)
        return self._slots[-1].trouble if is_over else ""

    # ---------------------------------------------------------------------------------------------------- failures

    def _lost(self, slot: DeviceSlot, cause: str, *, is_final: bool = False, is_picture_suspect: bool = True) -> None:
        """Its worker ended: give back what it had, start again or leave it out, and say so."""
        slot.discard()
        news = ""
        dropped: list[Job] = []
        with self._changed:
            if self._closing:
                return
            place = self._give_back(slot, is_picture_suspect=is_picture_suspect)
            slot.failures += place is None
            _log.warning("device-worker-lost device=%s failures=%d cause=%s", slot.name, slot.failures, cause)
            if is_final or slot.failures >= _FAILURES:
                news = "" if slot.is_left_out else self._left_out_words(slot, cause)
                slot.out_until_s, slot.trouble = self._now() + self._limits.retry_s, cause
                dropped = self._workload.drop_all() if self._no_device() else []
            self._changed.notify_all()
        if place is not None and place.job.is_done:
            place.job.resolve()
        if news:
            self._on_trouble(news)
        for job in dropped:
            job.give_up(self._degraded(cause))

    def _give_back(self, slot: DeviceSlot, *, is_picture_suspect: bool) -> Place | None:
        """Put back what it had in flight. Returns the picture that is to blame, failed by this, if one is."""
        portions = list(slot.in_flight)
        slot.in_flight.clear()
        for portion in reversed(portions[1:]):
            self._workload.put_back(portion)
        if not portions:
            return None
        first = portions[0]
        if not is_picture_suspect:
            self._workload.put_back(first)
        elif self._claim(slot).takes_suspects and first.deaths + 1 >= SUSPECT_DEATHS:
            [place] = first.places
            place.job.failed(place.at, f"{first.deaths + 1} workers ended while they computed it")
            return place
        else:
            self._workload.died(first, slot.name)
        return None

    def _left_out_words(self, slot: DeviceSlot, cause: str) -> str:
        rest = [other for other in self._slots if other is not slot and not other.is_left_out]
        serving = [other for other in rest if not other.is_reserve] or rest
        goes_on = f"{', '.join(other.name for other in serving)} goes on" if serving else "no device is left for it"
        return (
            f"{slot.name} ({slot.device.title}) no longer runs the model {self._spec.name}: {cause}; {goes_on}, "
            f"it is tried again in {self._limits.retry_s / 60:.0f} minutes"
        )

    def _degraded(self, cause: str) -> DegradedError:
        return DegradedError(
            f"no device runs the model {self._spec.name}: {cause}; it is tried again in "
            f"{self._limits.retry_s / 60:.0f} minutes, and when dedupd starts"
        )

    def _utilisation(self) -> dict[str, float]:
        """How busy GPUs are, by uuid."""
        if not any(slot.device.uuid and slot.pid is not None for slot in self._slots):
            return {}
        asked_s, busy = self._busy
        if self._now() - asked_s > _UTILISATION_S:
            busy = gpu_utilisation()
            self._busy = (self._now(), busy)
        return busy


def _answered(portion: Portion, reply: wire.Embedded, vectors: Vectors) -> list[Job]:
    """Enter what came of a portion; returns the jobs that are done by it."""
    for number, (job, at) in enumerate(portion.places):
        if number in reply.failed:
            job.failed(at, reply.failed[number])
        else:
            job.embedded(at, vectors[number])
    return [job for job in dict.fromkeys(place.job for place in portion.places) if job.is_done]
