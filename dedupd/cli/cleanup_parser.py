"""What dedupctl understands about clean-up: plan, apply, undo, the quarantine, what people say. Runs nothing."""

from __future__ import annotations

from dedupd.cli.arguments import RELATION_NOTES, Commands, add_command, count, number, span_s
from dedupd.protocol.names import ACTIONS, DUPLICATE_RELATIONS

_ACTIONS = """\
actions; none of them deletes:
  quarantine  set aside in its root; deleted for good only when the quarantine expires (the default)
  hardlink    replaced by a hard link of the kept file, itself set aside; equal bytes only
  reflink     shares its blocks with the kept file, where the file system can; equal bytes only
  move        moved into --folder, under its path below the root
  sort        as move into FOLDER/duplicates, the kept ones into FOLDER/best
  trash       moved into the desktop's trash of its file system
"""
_PLAN = "PLAN is the plan's id, or its first 8 digits and more."
_ENDS = "exit code: 0 all done, 1 not all (it says what and why), 2 and above an error."


def add_cleanup(commands: Commands) -> None:
    """Commands that free space. Only apply, undo and `quarantine expire --confirm` touch a photo."""
    _add_plan(commands)
    add_command(commands, "plans", "the plans that were drawn up, the newest first", "dedupctl plans", module="plan")
    apply = add_command(
        commands,
        "apply",
        "do a plan; `dedupctl undo` takes it back",
        "dedupctl apply 3f9a1c2b\ndedupctl apply 3f9a1c2b --json",
        notes=f"{_PLAN} What is not as it was when the plan was drawn up is left as it is.\n{_ENDS}",
    )
    apply.add_argument("plan", metavar="PLAN")
    undo = add_command(
        commands,
        "undo",
        "put back what a plan took",
        "dedupctl undo 3f9a1c2b\ndedupctl undo 3f9a1c2b --item 3 4\ndedupctl undo --last",
        notes=f"{_PLAN} A file whose name was taken meanwhile is put back beside it.\n{_ENDS}",
    )
    undo.add_argument("plan", nargs="?", metavar="PLAN")
    undo.add_argument("--last", action="store_true", help="the plan that was applied last")
    undo.add_argument("--item", nargs="+", action="extend", type=count, metavar="N", help="only these of its items")
    _add_quarantine(commands)
    _add_words(commands)


def _add_plan(commands: Commands) -> None:
    plan = add_command(
        commands,
        "plan",
        "draw up what a clean-up would do; touches nothing",
        "dedupctl plan\ndedupctl plan --relation same-bytes same-pixels --root /photos --min-age 2d\n"
        "dedupctl plan --action move --folder /photos/duplicates --csv plan.csv\ndedupctl plan --show 3f9a1c2b",
        notes=f"Without options, all is as the default policy has it.\n\n{_ACTIONS}\n{RELATION_NOTES}",
    )
    plan.add_argument("--policy", metavar="NAME", help="a policy of the configuration, or best, lexi, newest, …")
    plan.add_argument(
        "--relation",
        nargs="+",
        action="extend",
        choices=DUPLICATE_RELATIONS,
        help="just these relations (default: the policy's)",
    )
    plan.add_argument("--root", nargs="+", action="extend", metavar="ROOT", help="only files in these roots go")
    plan.add_argument("--below", metavar="FOLDER", help="only files below this folder go")
    plan.add_argument("--group", nargs="+", action="extend", type=number, metavar="N", help="only these groups")
    plan.add_argument("--action", choices=ACTIONS, help="what is done with the files (default: the policy's)")
    plan.add_argument("--folder", metavar="FOLDER", help="where move and sort put them")
    plan.add_argument("--min-age", type=span_s, metavar="SPAN", help="leave younger files alone: 30m, 12h, 2d, 1w")
    plan.add_argument("--show", metavar="PLAN", help="show a plan that was drawn up before")
    plan.add_argument("--csv", metavar="FILE", help="write all of it there; replaced when complete")
    plan.add_argument("--left-alone", action="store_true", help="also list each file that is left alone, and why")


def _add_quarantine(commands: Commands) -> None:
    quarantine = add_command(
        commands,
        "quarantine",
        "what was set aside; delete for good what is due",
        "dedupctl quarantine list\ndedupctl quarantine expire\ndedupctl quarantine expire --confirm TOKEN\n"
        "dedupctl quarantine expire 3f9a1c2b --now",
        notes="expire: without --confirm only shows what would be deleted, and the token that confirms just that.\n"
        f"What was deleted cannot be put back. {_PLAN}\n{_ENDS}",
    )
    quarantine.add_argument("action", nargs="?", choices=("list", "expire"), default="list")
    quarantine.add_argument("plan", nargs="?", metavar="PLAN", default="", help="only what this plan took")
    quarantine.add_argument("--now", action="store_true", help="expire: also what is not due yet")
    quarantine.add_argument("--confirm", metavar="TOKEN", help="expire: delete for good what was shown with TOKEN")


def _add_words(commands: Commands) -> None:
    """Commands that tell the daemon what a person knows better."""
    reject = add_command(
        commands,
        "not-duplicate",
        "say that pictures are no duplicates of each other",
        "dedupctl not-duplicate a.jpg b.jpg\ndedupctl not-duplicate content:17 content:23\n"
        "dedupctl not-duplicate --group 4711\ndedupctl not-duplicate --list\n"
        "dedupctl not-duplicate --withdraw a.jpg b.jpg",
        notes="It is kept by what the files hold: it outlives renames, rescans and other models.",
        module="not_duplicate",
    )
    reject.add_argument("pictures", nargs="*", metavar="PICTURE", help="paths, or content:NUMBER; two or more")
    reject.add_argument("--group", type=number, metavar="N", help="all pictures of this group")
    reject.add_argument("--list", action="store_true", help="what was said so far")
    reject.add_argument("--withdraw", action="store_true", help="take it back")
    keep = add_command(
        commands,
        "keep",
        "keep files, whatever a policy says",
        "dedupctl keep /photos/best.jpg\ndedupctl keep --list\ndedupctl keep --remove /photos/best.jpg",
        notes="A pinned file is the kept one of its group, and no plan takes it.",
    )
    keep.add_argument("files", nargs="*", metavar="PATH")
    keep.add_argument("--list", action="store_true", help="what is kept so")
    keep.add_argument("--remove", action="store_true", help="no longer")
