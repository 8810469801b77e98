"""`dedupctl plan` and `dedupctl plans`: what a clean-up would do. Neither touches a photo."""

from __future__ import annotations

import argparse
import os
import sys

from dedupd.cli.asking import absolute, cleaning_client_of, root_named, text_and_exact
from dedupd.cli.new_file import write_whole
from dedupd.cli.plan_text import print_plan
from dedupd.cli.printing import Output, escaped, local_time
from dedupd.client.cleaning import CleaningClient
from dedupd.core.errors import RequestError
from dedupd.core.wording import bytes_text
from dedupd.protocol.cleanup import PlansMessage
from dedupd.protocol.requests import PlanRequest

_WISHES = ("policy", "relation", "root", "below", "group", "action", "folder", "min_age")


def run(args: argparse.Namespace, output: Output) -> int:
    """Draw up or look up, and show."""
    client = cleaning_client_of(args)
    if args.command == "plans":
        _print_plans(client.plans(), output)
        return 0
    wishes = [wish for wish in _WISHES if getattr(args, wish) is not None]
    if args.show is not None and wishes:
        raise RequestError(f"--show shows a plan as it was drawn up; it takes no --{wishes[0].replace('_', '-')}.")
    plan = client.draft_plan(_request(args, client)) if args.show is None else client.plan(args.show)
    if args.csv is not None:
        write_whole(args.csv, [client.plan_csv(plan.id)])
        print(f"dedupctl: wrote {escaped(args.csv)}", file=sys.stderr)
    if output.is_json:
        output.document(plan)
    else:
        print_plan(plan, output, has_table=args.csv is None, lists_left_alone=args.left_alone)
    return 0


def _request(args: argparse.Namespace, client: CleaningClient) -> PlanRequest:
    below, below_b64 = _path(args.below)
    folder, folder_b64 = _path(args.folder)
    return PlanRequest(
        policy=args.policy or "",
        relations=None if args.relation is None else tuple(dict.fromkeys(args.relation)),
        roots=None if args.root is None else tuple(root_named(client, root).id for root in args.root),
        below=below,
        below_b64=below_b64,
        groups=None if args.group is None else tuple(args.group),
        action=args.action,
        folder=folder,
        folder_b64=folder_b64,
        min_age_s=args.min_age,
    )


def _path(name: str | None) -> tuple[str, str]:
    """A folder as a person wrote it, absolute."""
    return ("", "") if name is None else text_and_exact(os.fsencode(absolute(name)))


def _print_plans(answer: PlansMessage, output: Output) -> None:
    if output.is_json:
        output.document(answer)
        return
    rows = [
        [
            plan.id[:8],
            plan.state,
            local_time(plan.created_at_ns),
            plan.policy,
            plan.action,
            f"{plan.files:,}",
            bytes_text(plan.frees_bytes),
            f"{plan.left_alone:,}",
        ]
        for plan in answer.plans
    ]
    if not rows:
        output.line("No plans. `dedupctl plan` draws one up; it touches nothing.")
        return
    output.table(
        ["PLAN", "STATE", "DRAWN UP", "POLICY", "ACTION", "FILES", "FREES", "LEFT ALONE"], rows, right=(5, 6, 7)
    )
