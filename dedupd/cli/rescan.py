"""`dedupctl rescan`: look at every file again."""

from __future__ import annotations

import argparse
import time

from dedupd.cli.asking import client_of, root_named
from dedupd.cli.documents import RescanDocument
from dedupd.cli.printing import Output, escaped
from dedupd.client import Client
from dedupd.core.errors import DegradedError
from dedupd.core.wording import count_text
from dedupd.protocol.events import GapEvent, RootSuspectEvent, ScanFinishedEvent

_LOOK_EVERY_S = 0.5


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask for the scan and, with --wait, wait for its end."""
    client = client_of(args)
    chosen = [root_named(client, name).id for name in args.roots] or None
    asked = client.rescan(chosen)
    finished: list[int] = []
    if args.wait:
        finished = _wait(client, set(asked.roots), asked.sequence, output)
    if output.is_json:
        output.document(RescanDocument(roots=asked.roots, finished=tuple(sorted(finished))))
    elif not args.wait:
        output.line(
            f"{count_text(len(asked.roots), 'root', 'roots')} will be scanned; `dedupctl status` shows how far."
        )
    return 0


def _wait(client: Client, waiting: set[int], sequence: int, output: Output) -> list[int]:
    """Until each root's scan has ended. DegradedError for a root that cannot be scanned."""
    finished: list[int] = []
    while True:
        for event in client.events(sequence, follow=False):
            sequence = event.sequence
            if isinstance(event, ScanFinishedEvent) and event.root in waiting:
                waiting.discard(event.root)
                finished.append(event.root)
                if not output.is_json:
                    output.line(
                        f"{escaped(event.path)}: {count_text(event.files, 'file', 'files')}, {event.added:,} new, "
                        f"{event.changed:,} changed, {event.missing:,} missing"
                    )
            elif isinstance(event, RootSuspectEvent) and event.root in waiting:
                raise DegradedError(
                    f"{escaped(event.path)} is suspect: {event.reason}\n`dedupctl status` says what to do."
                )
            elif isinstance(event, GapEvent):
                raise DegradedError(
                    "The events of the scan are no longer kept.\n`dedupctl status` shows how far it is."
                )
        if not waiting:
            return finished
        for root in client.roots().roots:
            if root.id in waiting and root.state != "online" and not root.is_scanning:
                raise DegradedError(f"{escaped(root.path)} is {root.state}: {root.state_reason}")
        time.sleep(_LOOK_EVERY_S)
