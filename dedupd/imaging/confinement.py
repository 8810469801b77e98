"""Takes from a decode worker what decoding does not need: every file by name, and most system calls.

For the calling process and for good; what is open stays open. Says what the kernel does not have instead of failing:
the worker is a process of its own with limits in any case. Limits are set by `worker`, calls chosen by
`syscall_filter`.
"""

from __future__ import annotations

import ctypes
import os

from dedupd.imaging.syscall_filter import decoding_filter, install

# Landlock (landlock(7)) has the same numbers on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_CREATE_RULESET_VERSION = 1
# By ABI: the rights on files, on TCP ports and the scopes that it knows (linux/landlock.h). All are taken.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many, from the lowest bit on
_PORT_RIGHTS = {4: 2}
_SCOPES = {6: 2}


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; an older kernel takes a longer one if what it does not know is zero."""

    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def confine() -> tuple[str, ...]:
    """Confine this process; all code that it will run must be loaded, NO_NEW_PRIVS must be set.

    Returns:
        what could not be had, one line each for a person; empty where the kernel has both.
    """
    missing = []
    try:
        _give_up_files()
    except OSError as error:
        missing.append(f"Landlock: {error.strerror}")
    try:
        program = decoding_filter(os.getpid())
        if program is None:
            missing.append("system call filter: not written for this kind of machine")
        else:
            install(program)
    except OSError as error:
        missing.append(f"system call filter: {error.strerror}")
    return tuple(missing)


def _give_up_files() -> None:
    """Deny every access to a file by its name, every port and every other process that the kernel can deny."""
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    if abi < 1:
        raise _last_error()
    ruleset = _Ruleset(_known(_FILE_RIGHTS, abi), _known(_PORT_RIGHTS, abi), _known(_SCOPES, abi))
    fd = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0)
    if fd < 0:
        raise _last_error()
    try:
        if libc.syscall(_RESTRICT_SELF, fd, 0) != 0:
            raise _last_error()
    finally:
        os.close(fd)


def _known(rights: dict[int, int], abi: int) -> int:
    """All bits that a kernel with this ABI knows."""
    return (1 << max((count for since, count in rights.items() if since <= abi), default=0)) - 1


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"the kernel has none, or does not allow it ({os.strerror(number)})")
