"""`dedupctl not-duplicate`: a person says that pictures are no duplicates, or takes it back."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import cleaning_client_of, named_in_library, picture_name
from dedupd.cli.printing import Output, escaped, local_time
from dedupd.core.errors import RequestError
from dedupd.core.wording import count_text
from dedupd.protocol.cleanup import NamedPictureMessage, VerdictsMessage, WithdrawnMessage


def run(args: argparse.Namespace, output: Output) -> int:
    """List, say, or withdraw."""
    client = cleaning_client_of(args)
    is_about_some = bool(args.pictures) or args.group is not None
    if args.list:
        if is_about_some or args.withdraw:
            raise RequestError("--list shows all that was said; it takes nothing else.")
        answer: VerdictsMessage | WithdrawnMessage = client.verdicts()
    elif not is_about_some:
        raise RequestError("Which pictures? Name two or more, or --group N.\n`dedupctl groups` lists the groups.")
    elif args.withdraw:
        answer = named_in_library(args.pictures, picture_name, lambda p: client.withdraw(p, group=args.group or 0))
    else:
        answer = named_in_library(args.pictures, picture_name, lambda p: client.reject(p, group=args.group or 0))
    if output.is_json:
        output.document(answer)
    elif isinstance(answer, WithdrawnMessage):
        output.line(f"{count_text(answer.verdicts, 'pair', 'pairs')} may be duplicates again.")
    elif args.list:
        _print_list(answer, output)
    else:
        output.line(f"{count_text(len(answer.verdicts), 'pair', 'pairs')} noted: no duplicates of each other.")
    return 0


def _print_list(answer: VerdictsMessage, output: Output) -> None:
    rows = [[local_time(verdict.said_at_ns), _shown(verdict.a), _shown(verdict.b)] for verdict in answer.verdicts]
    if rows:
        output.table(["SAID", "A", "B"], rows)
        output.line()
    output.line(f"{count_text(len(rows), 'pair', 'pairs')} that people said are no duplicates.")


def _shown(picture: NamedPictureMessage) -> str:
    """A picture by a file of it, else by what is known of it."""
    if picture.files:
        return picture.files[0].path
    return escaped(f"digest {picture.digest[:16]}" if picture.content is None else f"content:{picture.content}")
