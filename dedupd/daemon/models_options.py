"""The command line of `dedupd models`. Runs nothing; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
examples:
  dedupd models pull google/siglip2-base-patch16-naflex   fetch the main branch as it is now, and record its commit
  dedupd models pull facebook/dinov2-small --revision 0123456789abcdef0123456789abcdef01234567
  dedupd models list                                      what is there
  dedupd models check                                     compare every file with what was fetched
  dedupd models add ~/models/copies.torchscript.pt        trust a TorchScript file
"""


def add_models_commands(models: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """What stands behind `dedupd models`."""
    kinds = models.add_subparsers(dest="models_command", required=True, metavar="COMMAND")

    fetch = kinds.add_parser("pull", parents=[common], help="fetch a model from the hub and record its checksums")
    fetch.add_argument("name", metavar="NAME", help="OWNER/NAME on the hub")
    fetch.add_argument("--revision", metavar="COMMIT", help="40 hexadecimal digits, or a branch (default: main)")

    show = kinds.add_parser("list", parents=[common], help="show the models that were fetched")
    show.add_argument("--json", action="store_true", help="print them as JSON")

    check = kinds.add_parser("check", parents=[common], help="read every file again and compare its checksum")
    check.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")

    add = kinds.add_parser("add", parents=[common], help="record a TorchScript file that you trust; runs its code")
    add.add_argument("file", type=Path, metavar="FILE", help="the file; its record is written beside it")
    add.add_argument("--input-px", type=int, metavar="PX", help="both sides of its input (default: 288)")
    for parser in (fetch, show, check):
        parser.add_argument("--system", action="store_true", help="the service's models")
