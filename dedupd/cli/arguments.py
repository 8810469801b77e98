"""What every command's arguments have in common, and the kinds of arguments. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, NoReturn, TypeAlias

from dedupd.protocol.names import DUPLICATE_RELATIONS

USAGE_ERROR = 64  # EX_USAGE; argparse's own 2 would say too little

RELATION_NOTES = """\
relations, the closest first:
  same-bytes   equal byte for byte
  same-pixels  equal pixels, other metadata or container
  re-encoded   the same whole picture in another quality, size or format
  edited       cropped, rotated, mirrored, recoloured, captioned
"""


class Parser(argparse.ArgumentParser):
    """argparse with the exit code of wrong usage, and help that keeps its line breaks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"dedupctl: {message}\n  {self.prog} --help has examples.\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no public name for it


def add_command(
    commands: Commands,
    name: str,
    summary: str,
    examples: str,
    *,
    notes: str = "",
    module: str | None = None,
) -> Parser:
    """A command with the common options; `module` under dedupd.cli does it where that is not `name`."""
    lines = "".join(f"  {line}\n" for line in examples.splitlines())
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ("" if summary.endswith("?") else "."),
        epilog=f"{notes.rstrip()}\n\nexamples:\n{lines}".lstrip(),
    )
    add_common(parser, is_top=False)
    parser.set_defaults(module=module or name)
    return parser


def add_common(parser: argparse.ArgumentParser, *, is_top: bool) -> None:
    """Options that may stand before or after the command; the later one must not overwrite with its default."""
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if is_top else argparse.SUPPRESS,
        help="one JSON document (events and what acts on files: one object a line)",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=None if is_top else argparse.SUPPRESS,
        help="the daemon's socket (default: $DEDUPD_SOCKET, else where daemons usually listen)",
    )


def add_relation(parser: argparse.ArgumentParser, default: str) -> None:
    """The loosest relation that counts."""
    parser.add_argument(
        "--relation",
        choices=DUPLICATE_RELATIONS,
        default=default,
        help=f"the loosest that counts (default: {default})",
    )


def number(text: str) -> int:
    """An id, or another whole number from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def count(text: str) -> int:
    """A whole number from 1 on."""
    given = number(text)
    if given < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return given


def span_s(text: str) -> float:
    """A time span in seconds: 90s, 30m, 12h, 2d, 1w; 0 needs no unit."""
    match = _SPAN.fullmatch(text)
    if match is None or (not match[2] and float(match[1])):
        raise argparse.ArgumentTypeError(f"{text!r} is no time span: say 30m, 12h, 2d or 1w")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


_SPAN = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhdw]?)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
