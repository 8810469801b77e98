"""What became of each plan, as a real actor's journal tells it."""

import pytest

from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.core.cleanup_plan import PlanState
from dedupd.daemon import plan_states
from dedupd.daemon.plan_states import PlanStates


class CountedActor:
    """Answers from a real actor's journal, and counts how often it is asked."""

    def __init__(self, actor):
        self.actor = actor
        self.asked = 0

    def outcomes(self, after, limit):
        self.asked += 1
        return self.actor.outcomes(after, limit)


@pytest.fixture
def applied(bench):
    """Three plans that took a file each, and their actor."""
    actor, names = CountedActor(bench.actor()), []
    for name in ("one", "two", "three"):
        bench.write(name, name.encode())
        bench.write(f"{name} copy", name.encode())
        plan = bench.plan(bench.pair(1, name, f"{name} copy"))
        names.append(plan_id(encode_plan(plan)))
        actor.actor.apply(names[-1], plan, bench.told.append)
    return actor, names


def test_the_actor_is_asked_once_for_any_number_of_plans(applied):
    actor, names = applied
    assert PlanStates(actor).of([*names, "0" * 64]) == [PlanState.APPLIED] * 3 + [PlanState.READY]
    assert actor.asked == 1


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_all_outcomes_are_read_however_few_come_at_once(applied, monkeypatch, at_once):
    actor, names = applied
    monkeypatch.setattr(plan_states, "_AT_ONCE", at_once)
    states = PlanStates(actor)
    assert states.of(names) == [PlanState.APPLIED] * 3
    assert states.last_applied() == names[-1]


def test_a_plan_is_undone_once_all_that_it_took_is_back(bench, applied):
    actor, names = applied
    states = PlanStates(actor)
    assert states.of(names) == [PlanState.APPLIED] * 3
    actor.actor.undo(names[1], None, bench.told.append)
    assert states.of(names) == [PlanState.APPLIED, PlanState.UNDONE, PlanState.APPLIED]
