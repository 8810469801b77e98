"""What the tests of clean-up share: real files and a real actor."""

import pytest
from fakes.cleanup_bench import Bench


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()
