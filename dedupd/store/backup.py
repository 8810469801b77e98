"""Copies the store without what is free in it, as one moment shows it. Changes nothing; owns nothing."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from dedupd.store.environment import library_directory, opened_for_reading


def copy_closed_store(state_dir: Path, out: IO[bytes]) -> None:
    """Copy the LMDB file of a state directory whose lock the caller holds.

    Raises:
        StopError: there is no store.
        StoreDamagedError, StoreTooNewError: as `open_store`.
    """
    with opened_for_reading(library_directory(state_dir)) as (env, _tables):
        env.copyfd(out.fileno(), compact=True)
