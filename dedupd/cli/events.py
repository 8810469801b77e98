"""`dedupctl events`: what happened, and with --follow what happens."""

from __future__ import annotations

import argparse
import sys
from typing import assert_never

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, escaped, local_time
from dedupd.core.wording import bytes_text, count_text, percent_text
from dedupd.protocol.events import (
    CleanedReturnedEvent,
    CleanupFinishedEvent,
    DegradedEvent,
    DuplicateFoundEvent,
    EventMessage,
    FileSetAsideEvent,
    GapEvent,
    PauseChangedEvent,
    RootOnlineEvent,
    RootSuspectEvent,
    ScanFinishedEvent,
)


def run(args: argparse.Namespace, output: Output) -> int:
    """Print events, oldest first, one a line."""
    after = args.after if args.after is not None or args.follow else 0
    for event in client_of(args).events(after, follow=args.follow, on_lost=_say_lost):
        if output.is_json:
            output.json_line(event)
        else:
            output.line(event_line(event))
    return 0


def event_line(event: EventMessage) -> str:
    """One event in one line, escaped."""
    when = "" if isinstance(event, GapEvent) else local_time(event.at_ns)
    return escaped(f"{event.sequence:>8}  {when:<19}  {_story(event)}")


def _story(event: EventMessage) -> str:  # noqa: C901, PLR0911 - one for each kind
    match event:
        case DuplicateFoundEvent():
            first, *more = event.matches
            others = f" and {len(more)} more" if more else ""
            return f"{event.path}: {first.relation} ({percent_text(first.similarity)}) of {first.path}{others}"
        case FileSetAsideEvent():
            return f"{event.path}: not indexed, {event.code}: {event.detail}"
        case RootSuspectEvent():
            return f"{event.path}: not believed, {event.known_files:,} known files stay as they are. {event.reason}"
        case RootOnlineEvent():
            return f"{event.path}: online{', accepted' if event.was_accepted else ''}"
        case ScanFinishedEvent():
            return (
                f"{event.path}: scanned {event.files:,} files in {event.duration_s:.1f} s, "
                f"{event.added:,} new, {event.changed:,} changed, {event.missing:,} missing"
            )
        case DegradedEvent():
            return f"degraded, {event.what}: {event.message}"
        case CleanupFinishedEvent():
            return _cleanup_story(event)
        case CleanedReturnedEvent():
            there = "is still there" if event.is_kept_there else "is not there any more"
            return f"{event.path}: back, cleaned up on {event.cleaned_at[:10]}; {event.kept} {there}"
        case PauseChangedEvent():
            until = "" if event.until is None else f" until {event.until}"
            return f"the backlog is paused{until}" if event.is_paused else "the backlog goes on"
        case GapEvent():
            return f"events after {event.after} and before {event.oldest} are no longer kept: see `dedupctl report`"
        case _:
            assert_never(event)


def _cleanup_story(event: CleanupFinishedEvent) -> str:
    plan = f" {event.plan[:12]}" if event.plan else ""
    counts = (("in conflict", event.conflicts), ("failed", event.failed), ("not tried", event.skipped))
    left = "".join(f", {count:,} {words}" for words, count in counts if count)
    stopped = f"; stopped: {event.stopped}" if event.stopped else ""
    done = count_text(event.done, "file", "files")
    return f"{event.run}{plan}: {done} done ({bytes_text(event.size_bytes)}){left}{stopped}"


def _say_lost(trouble: str) -> None:
    print(f"dedupctl: {escaped(trouble)}; trying again", file=sys.stderr)
