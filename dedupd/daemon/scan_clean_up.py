"""`dedupd scan --keep-policy … --apply`: the plan of a clean-up after a scan, printed, and done if that was asked for.

Draws up and acts by the same parts as the daemon. Without `--apply` it touches nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dedupd.core.cleanup_plan import Outcome, OutcomeKind, RunEnd, StoredPlan
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.records import RootId
from dedupd.core.wording import bytes_text, count_text, path_words
from dedupd.daemon.build import Engine
from dedupd.daemon.clean_up import make_clean_up

_SHOWN_ITEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCleanUp:
    """What a scan was asked to plan."""

    policy: str  # a preset or a configured policy
    min_age_s: float | None
    is_applied: bool


def clean_up_after_scan(
    engine: Engine, asked: ScanCleanUp, roots: frozenset[RootId], console: Console
) -> RunEnd | None:
    """Print the plan for what these roots hold, and apply it if that is asked for; how it ended then.

    Raises:
        DedupdError: the policy is not known, or the actor cannot act.
    """
    clean_up = make_clean_up(engine)
    try:
        stored = clean_up.cleanup.draft(PlanWish(policy=asked.policy, roots=roots, min_age_s=asked.min_age_s))
        _print_plan(console, stored, is_applied=asked.is_applied)
        if not asked.is_applied or not stored.plan.items:
            return None
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as bar:
            task = bar.add_task("setting aside", total=stored.plan.files)

            def tell(outcome: Outcome) -> None:
                bar.advance(task)
                if outcome.kind is not OutcomeKind.DONE:
                    bar.print(escape(f"  {outcome.kind.value}: {path_words(outcome.path)}: {outcome.detail}"))

            end = clean_up.cleanup.apply(stored.id, tell)
        _print_end(console, end)
        return end
    finally:
        clean_up.close()


def _print_plan(console: Console, stored: StoredPlan, *, is_applied: bool) -> None:
    plan = stored.plan
    console.print(f"\n[bold]Plan {stored.id[:8]}[/], policy {escape(plan.policy)}:", highlight=False)
    shown = sorted(plan.items[:_SHOWN_ITEMS], key=lambda item: item.keeper.path)
    for keeper, items in groupby(shown, key=lambda item: item.keeper.path):
        console.print(f"  keep {escape(path_words(keeper.relative()))}", highlight=False, soft_wrap=True)
        for item in items:
            for victim in item.victims:
                gone = escape(path_words(victim.file.path.relative()))
                line = f"    {item.relation.value:12} {gone}  [dim]kept: {escape(item.keep_reason)}[/]"
                console.print(line, highlight=False, soft_wrap=True)
    if len(plan.items) > _SHOWN_ITEMS:
        console.print(f"  [dim]… and {len(plan.items) - _SHOWN_ITEMS:,} more[/]", highlight=False)
    for why, count in Counter(left.why for left in plan.left_alone).most_common():
        console.print(f"  [dim]left alone: {count_text(count, 'file', 'files')}, {why.value}[/]", highlight=False)
    files = count_text(plan.files, "file", "files")
    if not plan.items:
        console.print("  Nothing would leave its place.", highlight=False)
    elif not is_applied:
        console.print(
            f"{files} would be set aside, {bytes_text(plan.frees_bytes)}. Nothing has been touched; --apply does it.",
            highlight=False,
        )


def _print_end(console: Console, end: RunEnd) -> None:
    done = f"[bold]{count_text(end.done, 'file', 'files')} set aside[/], {bytes_text(end.bytes_)}"
    others = [
        f"{count} {word}"
        for count, word in ((end.conflicts, "not as planned"), (end.failed, "failed"), (end.skipped, "skipped"))
        if count
    ]
    console.print(", ".join([done, *others]) + ".", highlight=False)
    if end.stopped:
        console.print(escape(end.stopped), highlight=False)
    if end.done:
        console.print(
            f"To take it back: `dedupd run` on this folder, then `dedupctl undo {end.plan[:8]}`.", highlight=False
        )
