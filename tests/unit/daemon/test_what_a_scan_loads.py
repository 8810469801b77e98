"""A quiet scan that cleans nothing up starts without what it does not use, and so do decode workers."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCAN = "dedupd.daemon.main, dedupd.daemon.one_shot"
WORKER = "dedupd.imaging.worker"


@pytest.mark.parametrize(
    ("loaded", "not_needed"),
    [
        (SCAN, ("apscheduler", "asyncio", "html.entities", "PIL", "rich", "starlette", "uvicorn")),
        (WORKER, ("asyncio", "dedupd.core.events", "dedupd.core.ports")),
    ],
)
def test_what_is_not_used_is_not_loaded(loaded: str, not_needed: tuple[str, ...]) -> None:
    program = f"import sys, {loaded}\nprint(*(name for name in {not_needed!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
