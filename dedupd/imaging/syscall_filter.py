"""The system calls that a decode worker may still make, as a seccomp filter (seccomp(2), Linux 3.5 and later).

An allow-list: what is not on it fails with EPERM, which libraries take as "not here"; what only an intruder asks for
(another program, a socket, another process's memory) ends the worker at once. Decides nothing about files: those go by
what `landlock` and the limits leave. Installs itself in the calling process only, for good.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

# Each call's number on x86_64 (arch/x86/entry/syscalls/syscall_64.tbl) and on aarch64 (asm-generic/unistd.h).
_NUMBERS = {
    # Memory.
    "brk": (12, 214), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216),
    "madvise": (28, 233), "sysinfo": (99, 179), "membarrier": (324, 283),
    # Open descriptors: the socket and the file that came over it.
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "lseek": (8, 62),
    "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79), "fcntl": (72, 25), "poll": (7, None),
    "ppoll": (271, 73), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212),
    # Threads of its own, time, signals, its end.
    "clone": (56, 220), "clone3": (435, 435), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "gettid": (186, 178), "getpid": (39, 172),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "getrusage": (98, 165), "getrandom": (318, 278),
    "uname": (63, 160), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "tgkill": (234, 131), "prlimit64": (302, 261),
    "exit": (60, 93), "exit_group": (231, 94),
    "getcwd": (79, 17),  # Pillow asks where it saves to, even if it is to memory; it is / always
    # What no decoder asks for.
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "kill": (62, 129),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "open_by_handle_at": (304, 265), "keyctl": (250, 219),
    "add_key": (248, 217), "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    # Asked of this filter by its tests, and by `landlock`.
    "seccomp": (317, 277), "landlock_create_ruleset": (444, 444),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}  # column above; AUDIT_ARCH_… of linux/audit.h

_KILLED = (
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kill",
    "socket", "connect", "bind", "listen", "bpf", "io_uring_setup", "userfaultfd", "perf_event_open", "unshare",
    "setns", "mount", "open_by_handle_at", "keyctl", "add_key", "init_module", "finit_module", "kexec_load",
)  # fmt: skip
_ALLOWED = (
    "brk", "munmap", "mremap", "madvise", "sysinfo", "membarrier", "read", "write", "readv", "writev", "pread64",
    "lseek", "close", "fstat", "poll", "ppoll", "sendto", "recvfrom", "sendmsg", "recvmsg", "futex", "set_robust_list",
    "rseq", "sched_yield", "sched_getaffinity", "gettid", "getpid", "clock_gettime", "clock_getres", "clock_nanosleep",
    "nanosleep", "gettimeofday", "time", "getrusage", "getrandom", "uname", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group", "getcwd",
)  # fmt: skip

_PROT_EXEC, _CLONE_THREAD, _AT_EMPTY_PATH = 4, 0x0001_0000, 0x1000
_F_GETFD, _F_GETFL = 1, 3

_KILL, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000  # SECCOMP_RET_… of linux/seccomp.h; kills the process
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K …
_NUMBER_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16  # struct seccomp_data; the low half of an argument comes first
_X32_BIT = 0x4000_0000
_SET_MODE_FILTER, _ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value: struct sock_filter
_Fprog = struct.Struct("HP")


def system_call(name: str) -> int | None:
    """A call's number on this machine; None where it has none, or the machine is none of the two."""
    column = _MACHINES.get(platform.machine())
    return _NUMBERS[name][column[0]] if column else None


def decoding_filter(own_pid: int) -> list[Instruction] | None:
    """The filter for a worker with this process id; None on a machine whose numbers are not known here."""
    column = _MACHINES.get(platform.machine())
    if column is None:
        return None
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, column[1]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32_BIT),  # another table of numbers; on aarch64 no number is that high
        (_RETURN, 0, 0, _KILL),
    ]
    for name in _ALLOWED:
        program += _answered(name, _ALLOW)
    for name in ("mmap", "mprotect"):  # all code is there by now
        program += _where(name, 2, (_ANY_BIT, 0, 1, _PROT_EXEC), _ERRNO | errno.EPERM, _ALLOW)
    program += _where("clone", 0, (_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW, _KILL)  # a thread, never a process
    program += _answered("clone3", _ERRNO | errno.ENOSYS)  # its flags cannot be seen from here; libc falls back
    program += _where("newfstatat", 3, (_ANY_BIT, 0, 1, _AT_EMPTY_PATH), _ALLOW, _ERRNO | errno.EPERM)  # fstat
    program += _where("tgkill", 0, (_EQUAL, 0, 1, own_pid), _ALLOW, _KILL)  # abort()
    program += _where("prlimit64", 2, (_EQUAL, 0, 1, 0), _ALLOW, _ERRNO | errno.EPERM)  # asks, sets nothing
    for command in (_F_GETFD, _F_GETFL):
        program += _where("fcntl", 1, (_EQUAL, 0, 1, command), _ALLOW, None)
    for name in _KILLED:
        program += _answered(name, _KILL)
    return [*program, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def refusing_filter(names: Iterable[str]) -> list[Instruction]:
    """A filter under which these calls do not exist and all others do: what a kernel without them looks like."""
    program: list[Instruction] = [(_LOAD, 0, 0, _NUMBER_AT)]
    for name in names:
        program += _answered(name, _ERRNO | errno.ENOSYS)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def install(program: list[Instruction]) -> None:
    """Put every thread of this process under a filter, for good; NO_NEW_PRIVS must be set.

    Raises:
        OSError: the kernel has no filters, or does not let this process have one.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    held = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(_Fprog.pack(len(program), ctypes.addressof(held)), _Fprog.size)
    number = system_call("seccomp")
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _SET_MODE_FILTER, _ALL_THREADS, header) != 0:
        raise OSError(ctypes.get_errno() or errno.EPERM, "the kernel took no filter")


def _answered(name: str, answer: int) -> list[Instruction]:
    number = system_call(name)
    return [] if number is None else [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]


def _where(name: str, argument: int, test: Instruction, yes: int, no: int | None) -> list[Instruction]:
    """A rule on the low half of an argument; without a `no` the rules that follow are asked."""
    number = system_call(name)
    if number is None:
        return []
    otherwise = (_LOAD, 0, 0, _NUMBER_AT) if no is None else (_RETURN, 0, 0, no)
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _ARGS_AT + 8 * argument),
        test,
        (_RETURN, 0, 0, yes),
        otherwise,
    ]
