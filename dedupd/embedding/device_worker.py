"""The device worker: a child process that holds one model on one device, `python -m dedupd.embedding.device_worker FD`.

Takes batches of small pictures over one inherited socket and answers vectors. The only kind of process in which torch
and transformers are imported. Ends when the socket closes, and with its parent. Opens the model's files only.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import queue
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from dedupd.core.arrays import Pixels, Vectors
from dedupd.embedding import device_wire as wire
from dedupd.embedding.batch_size import Room
from dedupd.embedding.model_spec import OutOfDeviceMemoryError, RunningModel, load

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_OOM_SCORE_ADJ = 700  # the kernel takes it before the daemon, after a decoder
_NICE = 10  # added to the parent's niceness: nobody waits for these vectors
_AHEAD = 2  # batches read from the socket while one is computed
_GREY: Pixels = np.full((48, 64, 3), 128, dtype=np.uint8)
_Work = tuple[list[Pixels], Any]  # pictures, and what the model made ready of them; None: nothing


@runtime_checkable
class PreparingModel(RunningModel, Protocol):
    """A model whose work on the processor and on the device are apart: `run(prepare(x))` is `embed(x)`."""

    def prepare(self, pictures: Sequence[Pixels]) -> Any: ...
    def run(self, batch: Any) -> Vectors: ...


def main() -> None:
    """Serve batches until the pool closes the socket."""
    # The pool decides when a worker ends: Ctrl-C or a stop of the service's process group must not fail its batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    lock_down()
    with contextlib.suppress(EOFError, ConnectionError):
        setup = wire.receive(sock, wire.setup_decoder)
        try:
            model = _loaded(setup)
        except Exception as error:  # noqa: BLE001 - loaders, drivers and files raise anything; the pool tells it
            wire.send(sock, wire.Refused(f"{type(error).__name__}: {error}"))
            return
        wire.send(sock, wire.Ready(model_tag=model.tag, dim=model.dim, dtype=model.dtype, attention=model.attention))
        serve(sock, model)


def lock_down() -> None:
    """End with the parent, gain no rights, give way to others."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):  # Linux; elsewhere the closed socket ends it
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(_NICE)
    with contextlib.suppress(OSError):  # a container may forbid it; then the kernel's own choice has to do
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the user's pictures


def serve(sock: socket.socket, model: RunningModel) -> None:
    """Answer batches in order; the next one is read and prepared while one is computed. OSError ends it."""
    waiting: queue.Queue[_Work] = queue.Queue(_AHEAD)
    threading.Thread(target=_read_ahead, args=(sock, waiting, model), name="read-ahead", daemon=True).start()
    embedding = Embedding(model)
    while True:
        pictures, prepared = waiting.get()
        try:
            reply, vectors = embedding.answer(pictures, prepared)
        except BrokenDeviceError as error:
            wire.send(sock, wire.Refused(str(error)))
            return
        wire.send(sock, reply, [vectors])


class BrokenDeviceError(Exception):
    """The device fails on a plain grey picture too: no picture is to blame, and only a new process may help."""


class Embedding:
    """Embeds batches, in smaller ones where they do not fit, one by one where the model fails on them."""

    def __init__(self, model: RunningModel) -> None:
        self._model = model
        self._room = Room()
        self._prepared: Any = None

    def answer(self, pictures: Sequence[Pixels], prepared: Any = None) -> tuple[wire.Embedded, Vectors]:
        """What the pool is told of a batch, with its vectors. `prepared` is the same, made ready by the model."""
        self._prepared = prepared
        vectors = np.zeros((len(pictures), self._model.dim), dtype=np.float32)
        failed: dict[int, str] = {}
        began_s = time.perf_counter()
        has_room = self._embed_all(pictures, vectors, failed)
        reply = wire.Embedded(
            pictures=len(pictures),
            dim=self._model.dim,
            seconds=time.perf_counter() - began_s,
            limit=self._room.limit,
            peak_bytes=_peak_bytes(self._model.device),
            failed=failed,
            no_room=not has_room,
        )
        return reply, vectors

    def _embed_all(self, pictures: Sequence[Pixels], vectors: Vectors, failed: dict[int, str]) -> bool:
        """Fill in what becomes of each picture; False as soon as not even one of them fits."""
        at = 0
        if self._room.limit is not None and len(pictures) > self._room.limit:
            self._prepared = None
        while at < len(pictures):
            part = pictures[at : at + (self._room.limit or len(pictures))]
            try:
                self._embed_part(part, at, vectors, failed)
            except OutOfDeviceMemoryError:
                if len(part) == 1:
                    return False
                self._room.failed(len(part))
            else:
                self._room.fitted(len(part))
                at += len(part)
        return True

    def _embed_part(self, part: Sequence[Pixels], at: int, vectors: Vectors, failed: dict[int, str]) -> None:
        """Embed some pictures at once, each alone if that fails; OutOfDeviceMemoryError if they do not fit."""
        try:
            found = self._run(part)
        except OutOfDeviceMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a network raises anything; it is told with the picture
            if len(part) > 1:
                for place, picture in enumerate(part, at):
                    self._embed_part([picture], place, vectors, failed)
                return
            self._probe()
            failed[at] = f"{type(error).__name__}: {error}"
            return
        for place, vector in enumerate(found, at):
            if np.isfinite(vector).all():
                vectors[place] = vector
            else:
                failed[place] = "the model gave no finite vector"

    def _run(self, part: Sequence[Pixels]) -> Vectors:
        """By what was prepared the first time, which is the whole batch, else from the pixels."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and isinstance(self._model, PreparingModel):
            return self._model.run(prepared)
        return self._model.embed(part)

    def _probe(self) -> None:
        """Raise BrokenDeviceError unless a plain picture can be embedded."""
        try:
            self._model.embed([_GREY])
        except OutOfDeviceMemoryError:
            raise
        except Exception as error:
            raise BrokenDeviceError(f"{type(error).__name__}: {error}") from error


def _loaded(setup: wire.Setup) -> RunningModel:
    if setup.memory_fraction < 1 and setup.device.startswith("cuda"):
        import torch  # noqa: PLC0415 - only where its GPU is bounded; a loader may do without

        torch.cuda.set_per_process_memory_fraction(setup.memory_fraction, 0)
    model = load(setup.spec, setup.device)
    if model.dim != setup.spec.dim or model.tag != setup.spec.tag:
        found, known = f"{model.tag} of {model.dim} dimensions", f"{setup.spec.tag} of {setup.spec.dim}"
        raise ValueError(f"the files at {setup.spec.folder} now hold {found}, not {known}; start dedupd again")
    try:
        model.embed([_GREY])  # a device that loads but does not compute shows itself here, not on somebody's picture
    except OutOfDeviceMemoryError as error:
        raise MemoryError(f"{setup.device} has no room for the model and one picture; free some of it") from error
    return model


def _read_ahead(sock: socket.socket, waiting: queue.Queue[_Work], model: RunningModel) -> None:
    """Read and prepare batches until the pool is gone, then end the process whatever it is at."""
    try:
        while True:
            batch = wire.receive(sock, wire.batch_decoder)
            pictures = wire.pictures_of(batch, wire.receive_bytes(sock, batch.raw_bytes))
            prepared = None
            if isinstance(model, PreparingModel):
                with contextlib.suppress(ValueError, MemoryError):  # found out again where it is told of a picture
                    prepared = model.prepare(pictures)
            waiting.put((pictures, prepared))
    except (EOFError, OSError, msgspec.DecodeError):
        os._exit(0)
    except Exception:
        logging.getLogger(__name__).exception("device-worker.read-ahead")
        os._exit(1)


def _peak_bytes(device: str) -> int:
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
