"""Starts the process of a decode worker and hands it one end of a socket; it loads its libraries by itself.

Imports nothing but the standard library, so that workers can be on their way while their pool is still being loaded.
Owns nothing: the process belongs to who asked for it, and ends by itself when the other end of the socket closes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import NamedTuple

# Workers see nothing else of the environment: it may hold a password for an alert channel.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # each arena would take 64 MiB of the address space limit
    "PILLOW_BLOCKS_MAX": "8",  # keep Pillow's 16 MiB blocks: giving them back costs page faults on each picture
    "MALLOC_TRIM_THRESHOLD_": "67108864",  # the same for everything else, 64 MiB kept at most
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}


class Spawned(NamedTuple):
    """A worker that loads its libraries, or has done so and waits for its limits."""

    process: subprocess.Popen[bytes]
    sock: socket.socket  # the pool's end


def worker_count(asked: int) -> int:
    """How many workers a pool has: as many as asked for; for 0 one for each core that this process may use."""
    return asked or len(os.sched_getaffinity(0))


def spawn() -> Spawned:
    """Start one; returns at once. OSError where the machine has no process or no memory for it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _SET
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "dedupd.imaging.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal goes to the parent, which decides
            )
    except OSError:
        ours.close()
        raise
    return Spawned(process, ours)
