"""A peer as the runner knows it: the constants of its adapter. Runs nothing."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import adapters

NEAR, EXACT = "near-duplicates", "exact copies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One program that finds duplicates; `adapters` says what each field is."""

    key: str  # the adapter's name
    adapter: Path
    name: str
    about: str  # the first line of the adapter's docstring
    finds: str
    pip: tuple[str, ...]
    debian: tuple[str, ...]
    settings: tuple[str, ...]
    times: float | None
    call: str


def all_peers() -> dict[str, Peer]:
    """By key, in the order of their names."""
    return {info.name: _peer(info.name) for info in pkgutil.iter_modules(adapters.__path__)}


def _peer(key: str) -> Peer:
    module = importlib.import_module(f"{adapters.__name__}.{key}")
    assert module.FINDS in (NEAR, EXACT)
    return Peer(
        key=key,
        adapter=Path(str(module.__file__)),
        name=module.NAME,
        about=module.__doc__.partition("\n")[0],
        finds=module.FINDS,
        pip=tuple(module.PIP),
        debian=tuple(module.DEBIAN),
        settings=tuple(module.SETTINGS),
        times=module.TIMES,
        call=module.CALL,
    )
