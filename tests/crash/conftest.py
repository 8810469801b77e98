"""What the tests of this folder share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from fakes.power import MEMORY


@pytest.fixture
def fast_dir():
    """A folder without a disk behind it: what a kill leaves is the same there, and syncs cost nothing."""
    folder = Path(tempfile.mkdtemp(prefix="dedupd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)
