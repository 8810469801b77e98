"""How dedupctl prints: escaped text, aligned or rich tables, JSON. Owns only what is known of standard output.

A file name is the enemy's text: nothing that it holds may move the cursor, colour, or fake a line.
"""

from __future__ import annotations

import base64
import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from msgspec import UnsetType

_NS_PER_S = 1_000_000_000
_LONGEST_S = 2**40  # time.localtime takes no more everywhere; later times are shown in seconds


class HasPath(Protocol):
    """A message that names a file."""

    @property
    def path(self) -> str: ...
    @property
    def path_b64(self) -> str | UnsetType: ...


def escaped(text: str) -> str:
    r"""Text that is safe on a terminal: what is not printable (controls, bidirectional marks) appears as \x1b."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def raw_path(message: HasPath) -> bytes:
    """The exact path of a message."""
    if isinstance(message.path_b64, str):
        return base64.b64decode(message.path_b64)
    return message.path.encode()


def duration_text(seconds: float) -> str:
    """A time span for a person: 40 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def local_time(time_ns: int) -> str:
    """A moment in the person's time zone: 2026-11-20 13:28:47."""
    seconds = time_ns // _NS_PER_S
    if abs(seconds) > _LONGEST_S:
        return f"{seconds} s"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


class Output:
    """Standard output: JSON, tables for a person, or plain aligned text for a pipe."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.is_person = sys.stdout.isatty() and not is_json

    def document(self, message: Any) -> None:
        """One JSON document, indented."""
        import msgspec  # noqa: PLC0415 - not needed for --help

        print(json_text(msgspec.json.format(msgspec.json.encode(message), indent=2)))

    def json_line(self, message: Any) -> None:
        """One JSON object on a line, at once."""
        import msgspec  # noqa: PLC0415 - not needed for --help

        print(json_text(msgspec.json.encode(message)), flush=True)

    def line(self, text: str = "") -> None:
        """One line; the caller escapes what is not its own words. At once, so that a follower sees it."""
        print(text, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
        """Rows under headings; cells are escaped here. `right` names the columns of numbers."""
        cells = [[escaped(cell) for cell in row] for row in rows]
        if self.is_person:
            _rich_table(columns, cells, right)
        else:
            _plain_table(columns, cells, right)


def json_text(document: bytes) -> str:
    """JSON with what a terminal might obey (controls beyond ASCII, bidirectional marks) as escapes; the same value."""
    return _UNSAFE_IN_JSON.sub(_json_escape, document.decode())


# DEL and C1 controls; every other character that is not printable is found by asking, as the set is scattered.
_UNSAFE_IN_JSON = re.compile(r"[^\x00-\x7e]")


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    lines = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(padded).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console  # noqa: PLC0415 - 45 ms, only for a person
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415 - Text, not str: a name must not be read as markup

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)
