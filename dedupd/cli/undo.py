"""`dedupctl undo`: put back what a plan took."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import cleaning_client_of
from dedupd.cli.printing import Output
from dedupd.cli.running import exit_code, follow
from dedupd.core.errors import RequestError


def run(args: argparse.Namespace, output: Output) -> int:
    """Undo and say what came of it; 0 all put back, 1 not all."""
    if (args.plan is None) != args.last:
        raise RequestError("Which plan? Name it, or say --last.\n`dedupctl plans` lists them.")
    end = follow(cleaning_client_of(args).undo(args.plan or "", args.item), output, done_word="put back", total=None)
    return exit_code(end)
