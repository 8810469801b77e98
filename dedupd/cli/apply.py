"""`dedupctl apply`: do a plan."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import cleaning_client_of
from dedupd.cli.plan_text import DONE_WORDS
from dedupd.cli.printing import Output, escaped
from dedupd.cli.running import exit_code, follow


def run(args: argparse.Namespace, output: Output) -> int:
    """Apply and say what came of it; 0 all done, 1 not all."""
    client = cleaning_client_of(args)
    plan = client.plan(args.plan)  # by its whole id from here on: what was shown is what is done
    word = DONE_WORDS.get(plan.action, "done")
    end = follow(client.apply_plan(plan.id), output, done_word=word, total=plan.files)
    if not output.is_json and end.done:
        output.line(f"To take it back: dedupctl undo {escaped(plan.id[:8])}")
    return exit_code(end)
