"""What dedupctl understands: commands, options, help with examples. Imports nothing heavy; runs nothing."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from dedupd.protocol.names import DUPLICATE_RELATIONS

USAGE_ERROR = 64  # EX_USAGE; argparse's own 2 would say too little

_EXIT_CODES = """\
exit codes:
    0  done; find: all found; have: all there
    1  find: not found; have: some missing (no error)
   64  wrong usage, or the daemon refused the request
   65  a picture cannot be read
   66  not in the library, or no such file
   69  no daemon answers
   70  the daemon failed, or is too busy
   74  a file cannot be read or written
   77  no permission
  130  interrupted
"""

_RELATIONS = """\
relations, the closest first:
  same-bytes   equal byte for byte
  same-pixels  equal pixels, other metadata or container
  re-encoded   the same whole picture in another quality, size or format
  edited       cropped, rotated, mirrored, recoloured, captioned
"""


class _Parser(argparse.ArgumentParser):
    """argparse with the exit code of wrong usage, and help that keeps its line breaks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"dedupctl: {message}\n  {self.prog} --help has examples.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `module` in its result names the module under dedupd.cli whose `run` does it."""
    parser = _Parser(prog="dedupctl", description="Ask the dedupd daemon about your photos.", epilog=_EXIT_CODES)
    _add_common(parser, is_top=True)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    _add_answers(commands)
    _add_questions(commands)
    _add_control(commands)
    return parser


def _add_answers(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands that show what the daemon knows."""
    _command(commands, "status", "progress, roots, problems, warnings", "dedupctl status\ndedupctl status --json")
    report = _command(
        commands,
        "report",
        "all groups of duplicates, with what removing them would free",
        "dedupctl report\ndedupctl report --format html --out report.html\ndedupctl report --relation edited --json",
        notes=_RELATIONS,
    )
    report.add_argument("--format", choices=("table", "json", "csv", "html"), default="table", help="default: table")
    report.add_argument(
        "--out", metavar="FILE", help="write there instead of to standard output; replaced when complete"
    )
    _add_relation(report, "edited")
    groups = _command(
        commands,
        "groups",
        "groups of duplicates, those that free the most first",
        "dedupctl groups\ndedupctl groups --limit 500 --relation re-encoded",
        notes=_RELATIONS,
    )
    groups.add_argument("--limit", type=_count, default=50, metavar="N", help="how many (default: 50)")
    groups.add_argument("--after", type=_number, default=0, metavar="GROUP", help="go on after this group")
    _add_relation(groups, "edited")
    show = _command(commands, "show", "one group with all its files", "dedupctl show 4711", module="groups")
    show.add_argument("group", type=_number, metavar="GROUP", help="its number, or that of any content in it")
    _command(commands, "problems", "files that are not indexed, and why", "dedupctl problems\ndedupctl problems --json")
    events = _command(
        commands,
        "events",
        "what happened: duplicates found, roots gone, scans finished",
        "dedupctl events\ndedupctl events --follow\ndedupctl events --follow --after 1234 --json",
    )
    events.add_argument(
        "--follow", action="store_true", help="go on with new ones; resumes after a restart of the daemon"
    )
    events.add_argument(
        "--after",
        type=_number,
        metavar="N",
        help="only events after this sequence (default: all that are kept; with --follow: only new ones)",
    )
    _command(commands, "version", "versions of dedupctl and of the daemon", "dedupctl version")


def _add_questions(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands that ask about pictures."""
    find = _command(
        commands,
        "find",
        "which pictures of the library these are",
        "dedupctl find ~/Downloads/photo.jpg\ndedupctl find --pixels a.jpg b.png && echo 'both are there'",
        notes="exit code: 0 all found, 1 some not found, 2 and above an error.\nSimilar ones are shown, not counted.",
    )
    find.add_argument("images", nargs="+", metavar="IMAGE", help="inside or outside the library")
    find.add_argument("--pixels", action="store_true", help="only equal pixels count: same-bytes and same-pixels")
    have = _command(
        commands,
        "have",
        "is every photo of this card already in the library?",
        "dedupctl have /media/card/DCIM\ndedupctl have --relation same-bytes /media/card && echo 'safe to format'",
        notes="exit code: 0 all there, 1 some missing, 2 and above an error.\n"
        "A copy inside FOLDER itself does not count, nor one on a root that is offline.\n\n" + _RELATIONS,
    )
    have.add_argument("folders", nargs="+", metavar="FOLDER")
    _add_relation(have, "re-encoded")
    explain = _command(
        commands,
        "explain",
        "why two pictures are together, or not",
        "dedupctl explain a.jpg b.jpg\ndedupctl explain a.jpg b.jpg --image difference.png\n"
        "dedupctl explain content:17 content:23 --json",
        notes="A and B may lie outside the library too; then they are sent to the daemon, which keeps nothing of them.",
    )
    explain.add_argument("a", metavar="A", help="a picture's path, or content:NUMBER")
    explain.add_argument("b", metavar="B", help="a picture's path, or content:NUMBER")
    explain.add_argument(
        "--image", metavar="FILE", help="write a picture of both and what differs (.png, .jpg or .webp)"
    )
    explain.add_argument("--force", action="store_true", help="replace FILE if it is there")


def _add_control(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands that make the daemon do something. None of them touches a photo."""
    rescan = _command(
        commands,
        "rescan",
        "look at every file again",
        "dedupctl rescan\ndedupctl rescan --wait /photos",
        notes="ROOT is a path or a number as `dedupctl roots` shows it.",
    )
    rescan.add_argument("roots", nargs="*", metavar="ROOT", help="default: all")
    rescan.add_argument("--wait", action="store_true", help="until the scans have finished")
    roots = _command(
        commands,
        "roots",
        "the watched directories; accept or forget one",
        "dedupctl roots\ndedupctl roots accept /photos\ndedupctl roots forget 3",
        notes="accept: believe what a suspect root shows now; files that are gone will be marked missing.\n"
        "forget: drop what is known of a root that is no longer configured. No photo is touched.",
    )
    roots.add_argument("action", nargs="?", choices=("list", "accept", "forget"), default="list")
    roots.add_argument("root", nargs="?", metavar="ROOT", help="its path or number")


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    summary: str,
    examples: str,
    *,
    notes: str = "",
    module: str | None = None,
) -> _Parser:
    lines = "".join(f"  {line}\n" for line in examples.splitlines())
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ("" if summary.endswith("?") else "."),
        epilog=f"{notes.rstrip()}\n\nexamples:\n{lines}".lstrip(),
    )
    _add_common(parser, is_top=False)
    parser.set_defaults(module=module or name)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, is_top: bool) -> None:
    """Options that may stand before or after the command; the later one must not overwrite with its default."""
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if is_top else argparse.SUPPRESS,
        help="one JSON document (events: one object a line)",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=None if is_top else argparse.SUPPRESS,
        help="the daemon's socket (default: $DEDUPD_SOCKET, else where daemons usually listen)",
    )


def _add_relation(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--relation",
        choices=DUPLICATE_RELATIONS,
        default=default,
        help=f"the loosest that counts (default: {default})",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _count(text: str) -> int:
    number = _number(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
