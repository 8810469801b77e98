"""Follows a run (apply, undo, expire) to its end: a bar for a person, lines for a pipe, JSON. Owns only the bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dedupd.cli.printing import Output, escaped
from dedupd.client.cleaning import Run
from dedupd.core.wording import bytes_text, count_text
from dedupd.protocol.cleanup import OutcomeMessage, RunEndMessage

Show = Callable[[OutcomeMessage], None]

_GOES_ON = (
    "dedupctl: the daemon goes on with it.\n  `dedupctl plans` and `dedupctl quarantine list` show what came of it."
)
_AS_PLANNED = "done"


def follow(run: Run, output: Output, *, done_word: str, total: int | None) -> RunEndMessage:
    """Show a run as it happens and then what was not done; returns how it ended.

    Args:
        run: what the client gave.
        output: where to.
        done_word: what happens to a file, as "set aside".
        total: how many files it is about; None: not known.
    """
    troubles: list[OutcomeMessage] = []
    end: RunEndMessage | None = None
    try:
        with _shown(output, done_word, total) as show:
            for message in run:
                if output.is_json:
                    output.json_line(message)
                if isinstance(message, RunEndMessage):
                    end = message
                    continue
                show(message)
                if message.result != _AS_PLANNED or message.detail:
                    troubles.append(message)
    except KeyboardInterrupt:
        print(_GOES_ON, file=sys.stderr)
        raise
    assert end is not None, "the client ends a run with its end or raises"
    if not output.is_json:
        _print_end(end, troubles, output, done_word)
    return end


def exit_code(end: RunEndMessage) -> int:
    """0 all done, 1 not all."""
    return int(not end.is_whole)


def _print_end(end: RunEndMessage, troubles: list[OutcomeMessage], output: Output, done_word: str) -> None:
    for message in troubles:
        output.line(f"{escaped(message.result)}: {escaped(message.path)}")
        if message.detail:
            output.line(f"  {escaped(message.detail)}")
        if message.result in ("restored-beside", "stranded") and message.now_at is not None:
            output.line(f"  it is at {escaped(message.now_at.path)}")
    parts = [f"{count_text(end.done, 'file', 'files')} {done_word}, {bytes_text(end.size_bytes)}"]
    if end.conflicts:
        parts.append(f"{count_text(end.conflicts, 'conflict', 'conflicts')} (not as planned, so left as they are)")
    if end.failed:
        parts.append(f"{end.failed:,} failed")
    if end.skipped:
        parts.append(f"{end.skipped:,} not tried")
    output.line("; ".join(parts) + ".")
    if end.stopped:
        output.line(f"It ended early: {escaped(end.stopped)}")


@contextmanager
def _shown(output: Output, done_word: str, total: int | None) -> Iterator[Show]:
    if output.is_json:
        yield lambda _message: None
    elif not (output.is_person and sys.stderr.isatty()):
        yield lambda message: output.line(_line(message, done_word))
    else:
        from rich.console import Console  # noqa: PLC0415 - only for a person
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(done_word, total=total)
            yield lambda _message: bar.advance(task)


def _line(message: OutcomeMessage, done_word: str) -> str:
    word = done_word if message.result == _AS_PLANNED else message.result
    has_moved = message.now_at is not None and message.now_at.path != message.path
    to = f" → {message.now_at.path}" if has_moved and message.now_at is not None else ""
    return escaped(f"{word}: {message.path}{to}")
