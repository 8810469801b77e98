"""Writes the shell completions: `python -m dedupd.cli.completions DIRECTORY`. Needs shtab; for developers only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from dedupd.cli.parser import build_parser

FILES = {"bash": "dedupctl.bash", "zsh": "_dedupctl"}
_PATHS = {
    "IMAGE": "FILE",
    "FILE": "FILE",
    "PATH": "FILE",
    "A": "FILE",
    "B": "FILE",
    "FOLDER": "DIRECTORY",
    "ROOT": "DIRECTORY",
    "PICTURE": "FILE",
}


def completion(shell: str) -> str:
    """The completion script of a shell ("bash" or "zsh")."""
    import shtab  # noqa: PLC0415 - a development dependency

    parser = build_parser()
    _mark_paths(parser, {"FILE": shtab.FILE, "DIRECTORY": shtab.DIRECTORY})
    script: str = shtab.complete(parser, shell)
    return script.rstrip("\n") + "\n"


def _mark_paths(parser: argparse.ArgumentParser, kinds: dict[str, Any]) -> None:
    """Tell shtab which arguments are paths: it looks at `complete` on each action."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to walk a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                _mark_paths(command, kinds)
        elif isinstance(action.metavar, str) and action.metavar in _PATHS:
            setattr(action, "complete", kinds[_PATHS[action.metavar]])  # noqa: B010 - shtab's protocol, unknown to mypy


def main(argv: list[str]) -> int:
    """Write both scripts into a directory."""
    directory = Path(argv[0] if argv else "contrib/completions")
    directory.mkdir(parents=True, exist_ok=True)
    for shell, name in FILES.items():
        (directory / name).write_text(completion(shell), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
