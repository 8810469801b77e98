"""Device workers are real processes; what they need to find the tests' own models."""

from pathlib import Path

import pytest


@pytest.fixture
def child_path(monkeypatch):
    """Lets workers import `fakes`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
