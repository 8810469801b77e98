"""Skips that say loudly what was not tested, and that are failures where everything must be tested (CI)."""

import os

import pytest


def not_tested(what):
    """Skip the test at hand; fail where DEDUPD_SKIP_NOTHING is set."""
    if os.environ.get("DEDUPD_SKIP_NOTHING"):
        pytest.fail(f"NOT TESTED: {what}")
    pytest.skip(f"NOT TESTED: {what}")


def not_possible(what):
    """Skip the test at hand where the kernel or the container does not allow it, which no package can mend."""
    pytest.skip(f"NOT TESTED: {what}")
