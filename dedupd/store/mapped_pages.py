"""Gives back the pages of a file that this process maps: they leave its resident size, not the kernel's cache.

A scan touches every page of the store once, and they would count as the daemon's for ever. Source: madvise(2): for a
shared mapping of a file MADV_DONTNEED only drops the page table's entries, the next access finds the page again.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_MADV_DONTNEED = 4  # asm-generic/mman-common.h


def give_back_pages(file: Path) -> int:
    """Drop the process's pages of a file that it maps; returns how many mappings there were."""
    name = os.fsencode(file.resolve())
    try:
        lines = Path("/proc/self/maps").read_bytes().splitlines()
    except OSError:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    found = 0
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == name and fields[1].endswith(b"s"):
            begin, end = (int(bound, 16) for bound in fields[0].split(b"-"))
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)
            found += 1
    return found
