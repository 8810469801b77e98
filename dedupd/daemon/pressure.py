"""What the kernel says of the machine's load, and the process's own place in the queues. Owns nothing.

Sources: https://docs.kernel.org/accounting/psi.html; ioprio_set(2), whose number glibc has no name for.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
from pathlib import Path

from dedupd.core.manners import MannersRules, Pressure, quiet_hours
from dedupd.core.shares import ShareRules
from dedupd.daemon.log import fields
from dedupd.settings.schema import Manners

_log = logging.getLogger(__name__)

_PRESSURE = Path("/proc/pressure")
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314}  # the system call's number
_THIS_PROCESS = 1, 0  # IOPRIO_WHO_PROCESS, the calling thread; threads and children that are made later inherit
_IDLE = 3 << 13  # IOPRIO_CLASS_IDLE


def pressure_now(directory: Path = _PRESSURE) -> Pressure:
    """How much the machine's other work, and ours, waits."""
    return Pressure(
        cpu=_some_avg10(directory / "cpu"),
        io=_some_avg10(directory / "io"),
        memory=_some_avg10(directory / "memory"),
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
    )


def rules_of(settings: Manners) -> MannersRules:
    """The rules that the configuration asks for."""
    return MannersRules(
        quiet=tuple(quiet_hours(text) for text in settings.quiet),
        quiet_arrivals=settings.quiet_arrivals,
        cpu_pressure=settings.max_cpu_pressure,
        io_pressure=settings.max_io_pressure,
        memory_pressure=settings.max_memory_pressure,
        load=settings.max_load,
    )


def share_rules_of(settings: Manners) -> ShareRules:
    """What the configuration lets the backlog take."""
    return ShareRules(cpu_percent=settings.cpu_share, read_bytes_per_s=settings.read_mb_per_s * 1e6)


def step_back(settings: Manners) -> None:
    """Take the place in the queues for CPU and disk that the configuration asks for; before any thread is made."""
    if settings.nice:
        os.nice(settings.nice)
    number = _IOPRIO_SET.get(platform.machine())
    if settings.idle_io and number is not None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(number, *_THIS_PROCESS, _IDLE) != 0:
            _log.warning("manners.idle-io %s", fields(error=os.strerror(ctypes.get_errno())))


def _some_avg10(path: Path) -> float | None:
    """The share in percent; None on a kernel without it."""
    try:
        words = path.read_text(encoding="ascii").split()
    except OSError:
        return None
    return next((float(word[6:]) for word in words if word.startswith("avg10=")), None)
