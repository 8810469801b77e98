"""`dedupctl pause` and `dedupctl resume`: hold up work that nobody waits for, and let it go on."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, escaped


def run(args: argparse.Namespace, output: Output) -> int:
    """Pause or resume, and say what holds the backlog up now."""
    client = client_of(args)
    answer = client.pause(args.time) if args.command == "pause" else client.resume()
    if output.is_json:
        output.document(answer)
    elif answer.hold is None:
        output.line("The backlog goes on.")
    else:
        until = "" if answer.hold.until is None else f" until {escaped(answer.hold.until)}"
        output.line(f"The backlog waits: {escaped(answer.hold.words)}{until}.")
    return 0
