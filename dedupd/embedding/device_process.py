"""One device worker as the pool sees it: started, told what to load, given batches, killed.

Owns the child process and the pool's end of its socket. One thread sends and receives; `kill` may come from any thread.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from dedupd.core.arrays import Pixels, Vectors
from dedupd.embedding import device_wire as wire
from dedupd.embedding.devices import Device, child_environment, name_in_child
from dedupd.embedding.model_spec import OFFLINE, ModelSpec

_REAP_S = 2.0  # a killed process that hangs in its driver is left to the next reaping

_SET = {
    **OFFLINE,
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin beside the decode workers make batches up to 180 times slower
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",  # batches of many sizes leave no holes
}


class DeviceWorkerError(Exception):
    """The worker ended, said nothing in time, or said what no worker says; it must be killed."""


class ModelRefusedError(Exception):
    """The worker says that it cannot load the model; starting it again would not help."""


class DeviceProcess:
    """A worker, running from its construction on; ready for batches once `load` returned."""

    def __init__(self, device: Device, *, threads: int, batch_s: float) -> None:
        """Start it.

        Args:
            device: where it computes.
            threads: of the processor that it computes with.
            batch_s: how long a batch may take.

        Raises:
            DeviceWorkerError: no process could be started.
        """
        self.dtype = self.attention = ""  # known once the model is loaded
        self._device = device
        self._batch_s = batch_s
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        bounds = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "dedupd.embedding.device_worker", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=child_environment(device) | _SET | bounds,
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C in a terminal goes to the parent, which decides
                )
        except OSError as error:
            self._sock.close()
            raise DeviceWorkerError(f"no process could be started: {error}") from error

    def load(self, spec: ModelSpec, *, memory_fraction: float, start_s: float) -> None:
        """Have it load a model, within `start_s`, in a share of its GPU's memory (0 … 1).

        Raises:
            DeviceWorkerError: it ended, or took too long.
            ModelRefusedError: it says why it cannot.
        """
        setup = wire.Setup(spec=spec, device=name_in_child(self._device), memory_fraction=memory_fraction)
        try:
            self._sock.settimeout(start_s)
            wire.send(self._sock, setup)
            reply = wire.receive(self._sock, wire.reply_decoder)
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise DeviceWorkerError(f"it did not start: {self._cause(error)}") from error
        match reply:
            case wire.Ready():
                self.dtype, self.attention = reply.dtype, reply.attention
            case wire.Refused(reason):
                raise ModelRefusedError(reason)
            case wire.Embedded():
                raise DeviceWorkerError("it answered before it was asked")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, pictures: Sequence[Pixels]) -> None:
        """Give it a batch; DeviceWorkerError when it is gone."""
        batch = wire.Batch([(picture.shape[0], picture.shape[1]) for picture in pictures])
        try:
            self._sock.settimeout(self._batch_s)
            wire.send(self._sock, batch, pictures)
        except OSError as error:
            raise DeviceWorkerError(self._cause(error)) from error

    def receive(self) -> tuple[wire.Embedded, Vectors]:
        """The answer to the oldest batch that has none yet; DeviceWorkerError when it is gone or takes too long."""
        try:
            self._sock.settimeout(self._batch_s)
            reply = wire.receive(self._sock, wire.reply_decoder)
            match reply:
                case wire.Refused(reason):
                    raise DeviceWorkerError(reason)
                case wire.Ready():
                    raise DeviceWorkerError("it answered what it was not asked")
            return reply, wire.vectors_of(reply, wire.receive_bytes(self._sock, reply.raw_bytes))
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise DeviceWorkerError(self._cause(error)) from error

    def kill(self) -> None:
        """End the process now; whoever waits for it gets DeviceWorkerError."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process, reap it and close the socket; only by the thread that asks."""
        self._sock.close()
        self._process.kill()
        try:
            self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            return

    def _cause(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"it said nothing for {self._sock.gettimeout():g} s"
        try:
            code = self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            return str(error) or type(error).__name__
        return f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"


def threads_beside_others() -> int:
    """How many threads a model on the processor gets: half of the cores, the rest belongs to decoding and to people."""
    return max(1, len(os.sched_getaffinity(0)) // 2)
