"""`dedupctl quarantine`: what was set aside, and its end. The only command that can have files deleted for good.

Without --confirm it shows what would be deleted and the token that stands for just that.
"""

from __future__ import annotations

import argparse
import sys

from dedupd.cli.asking import cleaning_client_of
from dedupd.cli.printing import Output, escaped, local_time
from dedupd.cli.running import exit_code, follow
from dedupd.client.cleaning import CleaningClient
from dedupd.core.errors import RequestError
from dedupd.core.wording import bytes_text, count_text
from dedupd.protocol.cleanup import ExpiryMessage, QuarantinedMessage


def run(args: argparse.Namespace, output: Output) -> int:
    """List, show what is due, or delete it."""
    client = cleaning_client_of(args)
    if args.action == "list":
        if args.plan or args.now or args.confirm is not None:
            raise RequestError("`dedupctl quarantine list` takes no PLAN, --now or --confirm.\nThose are for expire.")
        return _list(client, output)
    if args.confirm is None:
        return _show(args, client, output)
    if args.now and sys.stdin.isatty():
        _ask_for_the_number(client.expiry(args.plan, now=True), args.confirm)
    run = client.expire(args.confirm, args.plan, now=args.now)
    return exit_code(follow(run, output, done_word="deleted for good", total=None))


def _list(client: CleaningClient, output: Output) -> int:
    quarantine = client.quarantine()
    if output.is_json:
        output.document(quarantine)
        return 0
    if quarantine.files:
        _table(quarantine.files, output)
        output.line()
    files = count_text(len(quarantine.files), "file", "files")
    output.line(f"{files} can be put back, {bytes_text(quarantine.size_bytes)}. dedupctl undo PLAN does it.")
    return 0


def _show(args: argparse.Namespace, client: CleaningClient, output: Output) -> int:
    expiry = client.expiry(args.plan, now=args.now)
    if output.is_json:
        output.document(expiry)
        return 0
    if not expiry.due:
        output.line("Nothing is due." + ("" if args.now else " --now shows what is not due yet, too."))
        return 0
    _table(expiry.due, output)
    output.line()
    files = count_text(len(expiry.due), "file", "files")
    output.line(f"{files} would be deleted for good, {bytes_text(expiry.size_bytes)}. Nothing has been touched.")
    plan = f" {args.plan}" if args.plan else ""
    now = " --now" if args.now else ""
    output.line(f"Next: dedupctl quarantine expire{escaped(plan)}{now} --confirm {escaped(expiry.token)}")
    return 0


def _table(files: tuple[QuarantinedMessage, ...], output: Output) -> None:
    rows = [
        [
            file.plan[:8],
            str(file.item),
            file.action,
            bytes_text(file.size_bytes),
            local_time(file.since_ns)[:10],
            "never" if file.expires_at_ns is None else local_time(file.expires_at_ns)[:10],
            file.path,
            file.held,
        ]
        for file in files
    ]
    output.table(["PLAN", "ITEM", "ACTION", "SIZE", "SINCE", "EXPIRES", "WAS AT", "HELD"], rows, right=(1, 3))


def _ask_for_the_number(expiry: ExpiryMessage, token: str) -> None:
    """The second confirmation of --now: who types the number of files has read it."""
    if expiry.token != token:
        raise RequestError("The token is not that of what would be deleted now.\nLook again without --confirm.")
    files = count_text(len(expiry.due), "file", "files")
    print(f"{files} will be deleted for good, {bytes_text(expiry.size_bytes)}, before their time.", file=sys.stderr)
    print("Type the number of files to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().replace(",", "") != str(len(expiry.due)):
        raise RequestError("That is not the number.\nNothing has been deleted.")
