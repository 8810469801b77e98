"""The entry point of dedupctl: arguments in, exit code out. Says errors on standard error, one way for all commands.

Commands are imported when they are called, so that `dedupctl --help` and completion stay fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from dedupd.cli.complaint import complain
from dedupd.cli.parser import build_parser
from dedupd.cli.printing import Output
from dedupd.core.errors import DedupdError

if TYPE_CHECKING:  # each command's module has this function
    import argparse
    from collections.abc import Callable

    Command = Callable[[argparse.Namespace, Output], int]

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(argv: list[str] | None = None) -> int:
    """Run one command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # TextIOWrapper unless replaced
    try:
        args = build_parser().parse_args(argv)
        output = Output(is_json=args.json)
        command: Command = import_module(f"dedupd.cli.{args.module}").run
        code = command(args, output)
        sys.stdout.flush()
    except DedupdError as error:
        return complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) left. Without this, Python complains once more while it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


if __name__ == "__main__":
    sys.exit(main())
