"""`dedupctl keep`: pin files, so that they are kept whatever a policy says."""

from __future__ import annotations

import argparse

from msgspec import Struct

from dedupd.cli.asking import cleaning_client_of, file_name, named_in_library
from dedupd.cli.printing import Output, escaped, local_time
from dedupd.client.cleaning import CleaningClient
from dedupd.core.errors import RequestError
from dedupd.core.wording import count_text
from dedupd.protocol.cleanup import PinMessage, UnpinnedMessage


class KeepDocument(Struct, frozen=True, kw_only=True):
    """`dedupctl keep FILE … --json`."""

    pinned: tuple[PinMessage, ...]
    unpinned: tuple[UnpinnedMessage, ...]


def run(args: argparse.Namespace, output: Output) -> int:
    """List, pin, or unpin, one file after the other; the first that is refused ends it."""
    client = cleaning_client_of(args)
    if args.list:
        if args.files or args.remove:
            raise RequestError("--list shows all that is kept; it takes nothing else.")
        return _list(client, output)
    if not args.files:
        raise RequestError("Which file? Name one or more.\n`dedupctl keep --list` shows what is kept.")
    pinned: list[PinMessage] = []
    unpinned: list[UnpinnedMessage] = []
    for name in args.files:
        if args.remove:
            unpinned.append(named_in_library([name], file_name, lambda files: client.unpin(*files)))
        else:
            pinned.append(named_in_library([name], file_name, lambda files: client.pin(*files)))
        if not output.is_json:
            shown = unpinned[-1] if args.remove else pinned[-1]
            output.line(f"{escaped(shown.path)} {'is as any other file again' if args.remove else 'is kept'}.")
    if output.is_json:
        output.document(KeepDocument(pinned=tuple(pinned), unpinned=tuple(unpinned)))
    return 0


def _list(client: CleaningClient, output: Output) -> int:
    pins = client.pins()
    if output.is_json:
        output.document(pins)
        return 0
    rows = [[local_time(pin.said_at_ns), pin.path] for pin in pins.pins]
    if rows:
        output.table(["SAID", "PATH"], rows)
        output.line()
    output.line(f"{count_text(len(rows), 'file is', 'files are')} kept, whatever a policy says.")
    return 0
