"""The `Cleanup` port of the running daemon: draws plans up from the library, has the actor do them, takes its news in.

Touches no photo itself. Owns the stored plans, and in memory what became of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from blake3 import blake3

from dedupd.cleanup.draft import draft_plan
from dedupd.cleanup.groups_mark import groups_mark
from dedupd.cleanup.plan_store import PlanStore
from dedupd.core.cleanup_limits import UsedToday
from dedupd.core.cleanup_plan import Outcome, Plan, PlanState, Quarantined, RunEnd, StoredPlan
from dedupd.core.cleanup_policy import CleanupPolicy, policy_named
from dedupd.core.cleanup_ports import Actor, ExpireWish, Expiry, PlanWish, Tell
from dedupd.core.errors import DedupdError, RequestError, RetryError
from dedupd.core.ports import Groups, Library
from dedupd.core.records import RootState
from dedupd.core.wording import path_words
from dedupd.daemon.clean_up_news import CleanUpNews
from dedupd.daemon.plan_states import PlanStates
from dedupd.daemon.said import Pairs, Said

_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS


class PartedGroups(Groups, Protocol):
    """Groups that can be parted and joined while they run."""

    def reject(self, pairs: Pairs) -> None:
        """Part pairs of which the store holds a verdict by now."""

    def withdraw(self, pairs: Pairs) -> None:
        """Join pairs again of which it holds none any more."""


class DaemonCleanup(Said):
    """See `core.cleanup_ports.Cleanup`; what people said of pictures is in `Said`."""

    def __init__(
        self,
        *,
        library: Library,
        groups: PartedGroups,
        actor: Actor,
        plans: PlanStore,
        news: CleanUpNews,
        policies: Callable[[], dict[str, CleanupPolicy]],
        keep_ns: Callable[[], int],
        plan_ns: Callable[[], int],
        now_ns: Callable[[], int],
    ) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            groups: the groups as they are now.
            actor: does what a plan says.
            plans: where plans are kept.
            news: takes in what the actor did.
            policies: the configured ones and the presets, as they are now.
            keep_ns: how long the quarantine keeps files.
            plan_ns: for how long a plan may be applied.
            now_ns: CLOCK_REALTIME.
        """
        super().__init__(library, part=groups.reject, join=groups.withdraw, now_ns=now_ns)
        self._groups = groups
        self._actor = actor
        self._plans = plans
        self._news = news
        self._policies = policies
        self._keep_ns = keep_ns
        self._plan_ns = plan_ns
        self._states = PlanStates(actor)

    # ---------------------------------------------------------------------------------------------------------- plans

    def draft(self, wish: PlanWish) -> StoredPlan:
        """Draw a plan up and store it; see the port."""
        policy = policy_named(self._policies(), wish.policy)
        now_ns = self._now_ns()
        files, bytes_ = self._actor.done_since(now_ns - _DAY_NS)
        with self._library.view() as view:
            plan = draft_plan(
                view,
                self._groups,
                policy,
                wish,
                pins={pin.digest: pin for pin in view.pins()},
                used_today=UsedToday(files=files, bytes_=bytes_),
                now_ns=now_ns,
                expires_at_ns=now_ns + self._plan_ns(),
            )
        return self._stored([(self._plans.put(plan), plan)])[0]

    def plans(self) -> list[StoredPlan]:
        """The plans that are kept, the newest first."""
        return self._stored(self._plans.all()[0])

    def plan(self, plan: str) -> StoredPlan:
        """One plan; see the port."""
        return self._stored([self._plans.get(plan)])[0]

    def _stored(self, named: Sequence[tuple[str, Plan]]) -> list[StoredPlan]:
        now_ns = self._now_ns()
        states = self._states.of([name for name, _ in named])
        return [
            StoredPlan(id=name, plan=plan, state=PlanState.EXPIRED if _is_too_old(plan, state, now_ns) else state)
            for (name, plan), state in zip(named, states, strict=True)
        ]

    # ----------------------------------------------------------------------------------------------------------- runs

    def apply(self, plan: str, tell: Tell) -> RunEnd:
        """Do a plan; see the port."""
        return self._apply(plan, tell, is_automatic=False)

    def _apply(self, plan: str, tell: Tell, *, is_automatic: bool) -> RunEnd:
        stored = self.plan(plan)
        self._must_be_ready(stored)
        self._must_be_current(stored)
        return self._run(lambda told: self._actor.apply(stored.id, stored.plan, told), tell, is_automatic=is_automatic)

    def undo(self, plan: str, items: frozenset[int] | None, tell: Tell) -> RunEnd:
        """Put back; see the port."""
        name = self._named(plan) if plan else self._states.last_applied()
        back = [
            entry
            for entry in self._actor.quarantined()
            if entry.plan == name and (items is None or entry.item in items)
        ]
        with self._news.expected_back(back):
            return self._run(lambda told: self._actor.undo(name, items, told), tell)

    def quarantined(self) -> list[Quarantined]:
        """What can still be put back, the oldest first."""
        return self._actor.quarantined()

    def expiry(self, wish: ExpireWish) -> Expiry:
        """What `expire` would delete; see the port."""
        return self._expiry(wish, self._now_ns())

    def expire(self, wish: ExpireWish, tell: Tell) -> RunEnd:
        """Delete for good; see the port."""
        now_ns = self._now_ns()
        if wish.confirm != self._expiry(wish, now_ns).token:
            raise RequestError(
                "What would be deleted is not what was confirmed. Nothing was touched; "
                "`dedupctl quarantine expire` shows it and the word that confirms it."
            )
        name = self._named(wish.plan) if wish.plan else None
        return self._run(lambda told: self._actor.expire(self._before_ns(wish, now_ns), name, told), tell)

    def clean_by_policy(self) -> None:
        """Do what policies with `auto` say: draw a plan up, and apply it where there is something in it."""
        for policy in self._policies().values():
            if not policy.is_automatic:
                continue
            stored = self.draft(PlanWish(policy=policy.name))
            if stored.plan.items:
                self._apply(stored.id, _tell_nobody, is_automatic=True)

    def expire_due(self) -> None:
        """Delete for good what has been in the quarantine for long enough."""
        wish = ExpireWish()
        now_ns = self._now_ns()
        if self._expiry(wish, now_ns).due:
            before_ns = self._before_ns(wish, now_ns)
            self._run(lambda told: self._actor.expire(before_ns, None, told), _tell_nobody, is_automatic=True)

    def forget_old_plans(self, days: float) -> None:
        """Drop plans that were drawn up long ago, but for those whose files can still be put back."""
        kept = frozenset(entry.plan for entry in self._actor.quarantined())
        self._plans.remove_older(days, self._now_ns(), kept)

    def _run(self, work: Callable[[Tell], RunEnd], tell: Tell, *, is_automatic: bool = False) -> RunEnd:
        """Have the actor work; whatever it did is taken in, even if it went away in the middle."""

        def told(outcome: Outcome) -> None:
            self._news.hear(outcome)
            tell(outcome)

        try:
            end = work(told)
        except DedupdError:
            with suppress(DedupdError):
                self._news.catch_up()
            raise
        self._news.finish(end, is_automatic=is_automatic)
        return end

    def _must_be_ready(self, stored: StoredPlan) -> None:
        shown = stored.id[:12]
        match stored.state:
            case PlanState.READY:
                return
            case PlanState.EXPIRED:
                raise RequestError(f"The plan {shown} is too old: the library may have changed. Draw it up again.")
            case _:
                raise RequestError(
                    f"The plan {shown} was applied before; each plan is applied once. Draw up a new one."
                )

    def _must_be_current(self, stored: StoredPlan) -> None:
        """Nothing may be done by what was known once.

        Raises:
            RetryError: a root is not online.
            RequestError: its groups have changed.
        """
        with self._library.view() as view:
            for planned in stored.plan.roots:
                root = view.root(planned.id)
                if root is None or not root.is_watched or root.path != planned.path:
                    raise RequestError(
                        f"{path_words(planned.path)} is no longer watched, so nothing was touched. Draw up a new plan."
                    )
                if root.state is not RootState.ONLINE:
                    raise RetryError(
                        f"{path_words(root.path)} is {root.state.value}, so nothing was touched: {root.state_reason}. "
                        "`dedupctl roots` says more."
                    )
            if groups_mark(view, self._groups, stored.plan.items) != stored.plan.groups_mark:
                raise RequestError(
                    f"The library has moved on since the plan {stored.id[:12]} was drawn up: a file or a group in it "
                    "changed. Nothing was touched. Draw it up again."
                )

    def _named(self, start: str) -> str:
        """The whole name of a plan whose files may still be put back, even where the plan itself is gone."""
        known = {entry.plan for entry in self._actor.quarantined() if entry.plan.startswith(start)}
        return known.pop() if len(known) == 1 else self._plans.get(start)[0]

    def _expiry(self, wish: ExpireWish, now_ns: int) -> Expiry:
        name = self._named(wish.plan) if wish.plan else ""
        before_ns = self._before_ns(wish, now_ns)
        due = tuple(
            entry
            for entry in self._actor.quarantined()
            if entry.expires_at_ns is not None and entry.since_ns < before_ns and name in ("", entry.plan)
        )
        return Expiry(due=due, token=_token(due))

    def _before_ns(self, wish: ExpireWish, now_ns: int) -> int:
        return now_ns + 1 if wish.is_now else now_ns - self._keep_ns()


def _token(due: Iterable[Quarantined]) -> str:
    """A word that stands for just these files."""
    mark = blake3()
    for entry in due:
        mark.update(f"{entry.plan} {entry.item} {entry.since_ns} ".encode() + entry.now_at + b"\0" + entry.digest)
    return mark.hexdigest()[:12]


def _tell_nobody(_outcome: Outcome) -> None:
    """Nobody waits for a run that the schedule started; its event tells how it ended."""


def _is_too_old(plan: Plan, state: PlanState, now_ns: int) -> bool:
    """Whether a plan that was not applied may no longer be."""
    return state is PlanState.READY and plan.expires_at_ns <= now_ns
