"""How dedupctl says an error: on standard error, with its next step, and which exit code it has. Owns nothing."""

from __future__ import annotations

import sys

from dedupd.cli.printing import escaped
from dedupd.core.errors import DedupdError

FAILED = 70  # EX_SOFTWARE: 1 is "no" for find and have, so no error may look like it


def complain(error: DedupdError) -> int:
    """Say an error and its next step; returns the exit code that it stands for."""
    first, *steps = (str(error) or error.code).split("\n")
    print(f"dedupctl: {escaped(first)}", file=sys.stderr)
    for step in steps:
        print(f"  {escaped(step)}", file=sys.stderr)
    return error.exit_code if error.exit_code > 1 else FAILED
