"""What is told of a plan covers every word that the daemon may use, and names settings that are there."""

import re

import pytest

from dedupd.cli.plan_text import DONE_WORDS, LEFT_ALONE
from dedupd.protocol.names import ACTIONS, SPARED
from dedupd.settings.schema import Cleanup, Policy


def test_every_reason_and_action_has_its_words():
    assert tuple(LEFT_ALONE) == SPARED
    assert tuple(DONE_WORDS) == ACTIONS
    assert all(meaning for meaning, _ in LEFT_ALONE.values())


@pytest.mark.parametrize("hint", [change for _, change in LEFT_ALONE.values()])
def test_a_setting_that_is_named_is_one(hint):
    assert set(re.findall(r"cleanup\.(\w+)", hint)) <= set(Cleanup.__struct_fields__)
    assert set(re.findall(r"(\w+)(?: = \S+)? (?:in|of) the policy", hint)) <= set(Policy.__struct_fields__)
