"""`dedupctl roots`: the watched directories; accept what one shows, or forget one."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of, root_named
from dedupd.cli.printing import Output, escaped
from dedupd.cli.status import print_roots
from dedupd.core.errors import RequestError
from dedupd.core.wording import count_text


def run(args: argparse.Namespace, output: Output) -> int:
    """List, accept or forget."""
    client = client_of(args)
    if args.action == "list":
        roots = client.roots()
        if output.is_json:
            output.document(roots)
        elif roots.roots:
            print_roots(roots.roots, output)
        else:
            output.line("No roots. `dedupd run FOLDER` or the configuration names them.")
        return 0
    if args.root is None:
        raise RequestError(f"`dedupctl roots {args.action}` needs a ROOT.\n`dedupctl roots` lists them.")
    root = root_named(client, args.root)
    shown = escaped(root.path)
    if args.action == "accept":
        accepted = client.accept_root(root.id)
        if output.is_json:
            output.document(accepted)
        else:
            output.line(f"{shown} is {escaped(accepted.state)}; what it shows now is believed.")
        return 0
    forgotten = client.forget_root(root.id)
    if output.is_json:
        output.document(forgotten)
    else:
        output.line(
            f"{shown} is forgotten, {count_text(forgotten.files, 'file', 'files')} with it. No photo was touched."
        )
    return 0
