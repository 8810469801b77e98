"""What became of each plan, as the actor's outcomes tell it. Owns a memory of them, read once when first asked."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from dedupd.core.cleanup_plan import Outcome, OutcomeKind, PlanState, RunKind
from dedupd.core.cleanup_ports import Actor

_AT_ONCE = 4096
_BACK = frozenset({OutcomeKind.DONE, OutcomeKind.RESTORED_BESIDE})


class PlanStates:
    """Thread-safe."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._lock = threading.Lock()
        self._seen = 0  # sequence of the last outcome
        self._gone: dict[str, set[tuple[int, bytes]]] = {}  # plan → files that it took and that are not back
        self._last: str | None = None
        self._undone: set[str] = set()  # plans of which something was put back

    def of(self, plans: Sequence[str]) -> list[PlanState]:
        """READY, APPLIED or UNDONE for each; whether it is too old is another question. Asks the actor once."""
        with self._lock:
            self._read_on()
            return [self._state(plan) for plan in plans]

    def last_applied(self) -> str | None:
        """The plan that took something last; None when none ever did."""
        with self._lock:
            self._read_on()
            return self._last

    def _state(self, plan: str) -> PlanState:
        if plan not in self._gone:
            return PlanState.READY
        return PlanState.UNDONE if plan in self._undone and not self._gone[plan] else PlanState.APPLIED

    def _read_on(self) -> None:
        while True:
            outcomes = self._actor.outcomes(self._seen, _AT_ONCE)
            self._take(outcomes)
            if len(outcomes) < _AT_ONCE:
                break

    def _take(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._seen = outcome.sequence
            match outcome.run:
                case RunKind.APPLY:
                    taken = self._gone.setdefault(outcome.plan, set())
                    if outcome.kind is OutcomeKind.DONE:
                        self._last = outcome.plan
                        taken.add((outcome.item, outcome.path))
                case RunKind.UNDO if outcome.kind in _BACK:
                    self._gone.get(outcome.plan, set()).discard((outcome.item, outcome.path))
                    self._undone.add(outcome.plan)
                case _:
                    pass
