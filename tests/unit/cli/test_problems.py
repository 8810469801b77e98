"""What `dedupctl problems` says: the kinds with their remedies, and when a file is tried again."""

import pytest

from dedupd.cli.problems import WHAT_HELPS, _next_try, _summary
from dedupd.protocol.names import PROBLEM_CODES
from dedupd.protocol.status import ProblemMessage


def problem(code):
    return ProblemMessage(path="/a", root=1, code=code, detail="d", at="", attempts=1, retry_at=None)


def test_every_kind_says_what_helps():
    assert set(WHAT_HELPS) == set(PROBLEM_CODES)


def test_kinds_are_counted_the_most_frequent_first():
    lines = list(_summary([problem("empty"), *[problem("damaged")] * 2_000]))
    assert lines[1] == "2,001 files are not indexed:"
    assert lines[2].startswith("   2,000 damaged: ")
    assert lines[3].startswith("       1 empty: ")


@pytest.mark.parametrize(
    ("retry_at", "said"),
    [
        (None, "when it changes"),
        ("1970-01-01T00:01:41.000000Z", "now"),
        ("1970-01-01T00:02:30.250000Z", "in 50 s"),
        ("1970-01-01T03:21:40.000000Z", "in 3 h 20 min"),
    ],
)
def test_a_next_try_is_said_as_a_time_from_now(retry_at, said):
    assert _next_try(retry_at, 101.0 if said == "now" else 100.0) == said
