"""What dedupctl understands: commands, options, help with examples. Imports nothing heavy; runs nothing."""

from __future__ import annotations

import argparse

from dedupd.cli.arguments import (
    RELATION_NOTES,
    Commands,
    Parser,
    add_command,
    add_common,
    add_relation,
    count,
    number,
    span_s,
)
from dedupd.cli.cleanup_parser import add_cleanup
from dedupd.protocol.names import PROBLEM_CODES

_EXIT_CODES = """\
exit codes:
    0  done; find: all found; have: all there
    1  find: not found; have: some missing; apply, undo, quarantine expire: not all was done (no error)
   64  wrong usage, or the daemon refused the request (a plan has expired, the groups have changed, a wrong token)
   65  a picture cannot be read
   66  not in the library, no such file, no such plan
   69  no daemon answers
   70  the daemon failed, or is too busy
   74  a file cannot be read or written
   77  no permission (who may change something: root, the user who runs dedupd, cleanup.admins)
  130  interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `module` in its result names the module under dedupd.cli whose `run` does it."""
    parser = Parser(
        prog="dedupctl",
        description="Ask the dedupd daemon about your photos, and free space by plan.",
        epilog=_EXIT_CODES,
    )
    add_common(parser, is_top=True)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    _add_answers(commands)
    _add_questions(commands)
    _add_control(commands)
    add_cleanup(commands)
    return parser


def _add_answers(commands: Commands) -> None:
    """Commands that show what the daemon knows."""
    add_command(commands, "status", "progress, roots, problems, warnings", "dedupctl status\ndedupctl status --json")
    report = add_command(
        commands,
        "report",
        "all groups of duplicates, with what removing them would free",
        "dedupctl report\ndedupctl report --format html --out report.html\ndedupctl report --relation edited --json",
        notes=RELATION_NOTES,
    )
    report.add_argument("--format", choices=("table", "json", "csv", "html"), default="table", help="default: table")
    report.add_argument(
        "--out", metavar="FILE", help="write there instead of to standard output; replaced when complete"
    )
    add_relation(report, "edited")
    groups = add_command(
        commands,
        "groups",
        "groups of duplicates, those that free the most first",
        "dedupctl groups\ndedupctl groups --limit 500 --relation re-encoded",
        notes=RELATION_NOTES,
    )
    groups.add_argument("--limit", type=count, default=50, metavar="N", help="how many (default: 50)")
    groups.add_argument("--after", type=number, default=0, metavar="GROUP", help="go on after this group")
    add_relation(groups, "edited")
    show = add_command(commands, "show", "one group with all its files", "dedupctl show 4711", module="groups")
    show.add_argument("group", type=number, metavar="GROUP", help="its number, or that of any content in it")
    problems = add_command(
        commands,
        "problems",
        "files that are not indexed, why, and what helps",
        "dedupctl problems\ndedupctl problems --code no-permission\ndedupctl problems --json",
    )
    problems.add_argument("--code", choices=PROBLEM_CODES, metavar="CODE", help="only those of this kind")
    events = add_command(
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
        type=number,
        metavar="N",
        help="only events after this sequence (default: all that are kept; with --follow: only new ones)",
    )
    add_command(commands, "version", "versions of dedupctl and of the daemon", "dedupctl version")


def _add_questions(commands: Commands) -> None:
    """Commands that ask about pictures."""
    find = add_command(
        commands,
        "find",
        "which pictures of the library these are",
        "dedupctl find ~/Downloads/photo.jpg\ndedupctl find --pixels a.jpg b.png && echo 'both are there'",
        notes="exit code: 0 all found, 1 some not found, 2 and above an error.\nSimilar ones are shown, not counted.",
    )
    find.add_argument("images", nargs="+", metavar="IMAGE", help="inside or outside the library")
    find.add_argument("--pixels", action="store_true", help="only equal pixels count: same-bytes and same-pixels")
    similar = add_command(
        commands,
        "similar",
        "other pictures of this: near in meaning, if a vision model is in use",
        "dedupctl similar ~/Downloads/photo.jpg\ndedupctl similar content:17 --limit 50 --json",
        notes="Says which model answered. What is near is no duplicate by that, and never cleaned up; those that are\n"
        "duplicates are marked.",
    )
    similar.add_argument("image", metavar="IMAGE", help="a picture inside or outside the library, or content:NUMBER")
    similar.add_argument("--limit", type=count, default=20, metavar="N", help="how many (default: 20)")
    similar.add_argument(
        "--model", default="", metavar="NAME", help="only this one, or builtin (default: the first that is ready)"
    )
    have = add_command(
        commands,
        "have",
        "is every photo of this card already in the library?",
        "dedupctl have /media/card/DCIM\ndedupctl have --relation same-bytes /media/card && echo 'safe to format'",
        notes="exit code: 0 all there, 1 some missing, 2 and above an error.\n"
        "A copy inside FOLDER itself does not count, nor one on a root that is offline.\n\n" + RELATION_NOTES,
    )
    have.add_argument("folders", nargs="+", metavar="FOLDER")
    add_relation(have, "re-encoded")
    explain = add_command(
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


def _add_control(commands: Commands) -> None:
    """Commands that make the daemon do something. None of them touches a photo."""
    rescan = add_command(
        commands,
        "rescan",
        "look at every file again",
        "dedupctl rescan\ndedupctl rescan --wait /photos",
        notes="ROOT is a path or a number as `dedupctl roots` shows it.",
    )
    rescan.add_argument("roots", nargs="*", metavar="ROOT", help="default: all")
    rescan.add_argument("--wait", action="store_true", help="until the scans have finished")
    add_command(
        commands,
        "doctor",
        "what stands in the daemon's way: limits, disks, rights, clock, devices",
        "dedupctl doctor",
        notes="Ends with 1 if something does not work. `dedupd doctor` looks at the same without a daemon.",
    )
    pause = add_command(
        commands,
        "pause",
        "hold up the backlog for a time, or until `dedupctl resume`",
        "dedupctl pause 2h\ndedupctl pause",
        notes="What arrives, questions and clean-ups go on. A pause survives a restart of the daemon until it is over.",
    )
    pause.add_argument("time", nargs="?", metavar="TIME", type=span_s, help="90s, 30m, 2h, 1d; default: no end")
    add_command(commands, "resume", "end a pause", "dedupctl resume", module="pause")
    roots = add_command(
        commands,
        "roots",
        "the watched directories; accept or forget one",
        "dedupctl roots\ndedupctl roots accept /photos\ndedupctl roots forget 3",
        notes="accept: believe what a suspect root shows now; files that are gone will be marked missing.\n"
        "forget: drop what is known of a root that is no longer configured. No photo is touched.",
    )
    roots.add_argument("action", nargs="?", choices=("list", "accept", "forget"), default="list")
    roots.add_argument("root", nargs="?", metavar="ROOT", help="its path or number")
