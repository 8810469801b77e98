"""Stop every thread of a process but its first, by ptrace(2), until the process ends: `python stop_threads.py PID`."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # linux/ptrace.h
_WALL = 0x40000000  # threads too (linux/wait.h)


def main():
    pid = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    for tid in sorted(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()):
        if tid == pid:
            continue
        for request in (_SEIZE, _INTERRUPT):
            if libc.ptrace(request, tid, None, None) != 0:
                raise OSError(ctypes.get_errno(), f"ptrace of {tid}")
    os.write(1, b"stopped\n")
    with suppress(ChildProcessError):
        while True:  # a traced thread that ended is only gone once its tracer has seen it
            os.waitpid(-1, _WALL)


if __name__ == "__main__":
    main()
