"""Which generation serves, and which may go: a replaced one stays until all that is configured was complete."""

from dataclasses import replace

import pytest

from dedupd.core.generation import Generation, droppable, serving
from dedupd.core.records import ModelTag

A, B, C = (
    Generation(tag=ModelTag(tag), name=f"name of {tag}", dim=4, candidate_similarity=0.8) for tag in ("a", "b", "c")
)


def done(generation):
    return replace(generation, was_complete=True)


@pytest.mark.parametrize(
    ("stored", "configured", "serves", "goes"),
    [
        ([], [], "", ""),
        ([A], ["a"], "", ""),
        ([done(A)], ["a"], "a", ""),
        ([done(A)], [], "a", "a"),
        ([A], [], "", "a"),
        ([done(A), B], ["b"], "a", ""),
        ([done(A), done(B)], ["b"], "ba", "a"),
        ([A, B], ["b"], "", "a"),
        ([done(A), done(B), C], ["c", "b"], "ba", ""),
        ([done(A), done(B), done(C)], ["c", "b"], "cba", "a"),
        ([done(A)], ["b"], "a", ""),  # the new one has not even begun
        ([done(B), done(A)], ["a", "b"], "ab", ""),
    ],
)
def test_who_serves_and_who_goes(stored, configured, serves, goes):
    assert "".join(g.tag for g in serving(stored, configured)) == serves
    assert "".join(g.tag for g in droppable(stored, configured)) == goes
