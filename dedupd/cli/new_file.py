"""Writes a file that a person asked for, whole or not at all.

Owns the temporary file while it writes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from dedupd.cli.asking import FileTroubleError, told_by_name
from dedupd.cli.printing import escaped

_THERE = "{}: is there already.\n--force replaces it."


def refuse_existing(path: Path, *, is_forced: bool) -> None:
    """FileTroubleError when something is there already, or no file could be made there."""
    if not is_forced and os.path.lexists(path):
        raise FileTroubleError(_THERE.format(escaped(str(path))))
    if not path.parent.is_dir():
        raise FileTroubleError(f"{escaped(str(path.parent))}: is no folder.")


def write_new(path: Path, content: bytes, *, is_forced: bool) -> None:
    """Write a file; nothing is left of it when that fails. Refuses what `refuse_existing` refuses.

    Raises:
        FileTroubleError: it is there already, or the file system refused.
        AccessError: no permission.
    """
    with told_by_name(str(path)):
        try:
            file = path.open("xb")  # even if it appeared since we looked
        except FileExistsError:
            if not is_forced:
                raise FileTroubleError(_THERE.format(escaped(str(path)))) from None
            _replace(path, content)
            return
        with file:
            try:
                file.write(content)
            except OSError:
                path.unlink(missing_ok=True)
                raise


def write_whole(name: str, pieces: Iterable[bytes]) -> None:
    """Write beside the file, then put it in its place: a broken one never replaces a good one.

    A link is followed; what is no regular file (/dev/stdout, a pipe) is written to as it is.
    """
    with told_by_name(name):
        target = Path(name).resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as special:
                special.writelines(pieces)
            return
        temporary = target.with_name(f".dedupctl.{os.getpid()}")
        try:
            with temporary.open("xb") as file:  # the umask decides who may read it
                file.writelines(pieces)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".dedupctl.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
