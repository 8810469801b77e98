"""A clean-up for tests that ask the API about one: plans by simple rules, acts by plain renames."""

import os
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from blake3 import blake3

from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.core.cleanup_plan import (
    EXACT_ONLY,
    WITH_FOLDER,
    Action,
    LeftAlone,
    Limits,
    Outcome,
    OutcomeKind,
    Plan,
    PlanItem,
    PlannedFile,
    PlannedRoot,
    PlanState,
    Quarantined,
    Role,
    RunEnd,
    RunKind,
    Spared,
    StoredPlan,
    Victim,
)
from dedupd.core.cleanup_ports import Expiry
from dedupd.core.errors import NotFoundError, RequestError, RetryError
from dedupd.core.ports import Groups, Library
from dedupd.core.records import DUPLICATE_RELATIONS, Relation, RootIdentity, RootState
from dedupd.core.verdicts import NotDuplicate, Pin, digest_pair

DAY_NS = 86_400 * 10**9
POLICIES = ("best", "oldest")
UNKNOWN_IDENTITY = RootIdentity(dev=1, fsid=0, ino=2, filesystem="ext4")


@dataclass
class PlainCleanup:
    """A whole `Cleanup`: the file that comes first in its group stays, whatever the policy.

    What goes is renamed into `base`, without journal or second look: for tests in which nobody pulls the plug. All it
    checks is that a file has the size and time that it had. Plans are kept in memory, verdicts and pins in the library.
    """

    library: Library
    groups: Groups
    base: Path
    now_ns: int
    limits: Limits = field(default_factory=lambda: Limits(min_age_s=0.0))
    before_each: Callable[[], None] = lambda: None  # called before a file is acted on
    fault: Exception | None = None  # raised by the next run after its first file

    def __post_init__(self):
        self._stored: dict[str, StoredPlan] = {}
        self._taken: dict[tuple[str, int, bytes], Quarantined] = {}
        self._sequence = 0
        self._run = threading.Lock()

    # ------------------------------------------------------------------------------------------------------ plans

    def draft(self, wish):
        policy = wish.policy or POLICIES[0]
        if policy not in POLICIES:
            raise NotFoundError(f"There is no policy {policy!r}: {', '.join(POLICIES)}.")
        relations = wish.relations or frozenset({Relation.SAME_BYTES, Relation.RE_ENCODED})
        action = wish.action or Action.QUARANTINE
        if action in EXACT_ONLY and wish.relations and wish.relations != {Relation.SAME_BYTES}:
            raise RequestError(f"Only files of equal bytes can become a {action}.")
        if (action in WITH_FOLDER) != bool(wish.folder):
            raise RequestError(f"{action} and a folder belong together.")
        if action in EXACT_ONLY:
            relations = frozenset({Relation.SAME_BYTES})
        with self.library.view() as view:
            roots = {root.id: root for root in view.roots()}
            for root in wish.roots or ():
                if root not in roots:
                    raise NotFoundError(f"There is no root {root}.")
        groups = self._chosen(wish.groups)
        plan = self._plan(wish, policy, action, relations, groups, roots)
        stored = StoredPlan(id=plan_id(encode_plan(plan)), plan=plan, state=PlanState.READY)
        self._stored[stored.id] = stored
        return self._fresh(stored)

    def plans(self):
        return [self._fresh(stored) for stored in reversed(self._stored.values())]

    def plan(self, plan):
        found = [stored for name, stored in self._stored.items() if name.startswith(plan)]
        if len(plan) < 8 or not found:
            raise NotFoundError(f"There is no plan {plan}. `dedupctl plans` lists them.")
        if len(found) > 1:
            raise RequestError(f"{plan} fits {len(found)} plans: say more of it.")
        return self._fresh(found[0])

    def _fresh(self, stored):
        is_late = stored.state is PlanState.READY and self.now_ns > stored.plan.expires_at_ns
        return replace(stored, state=PlanState.EXPIRED) if is_late else stored

    def _chosen(self, wanted):
        if wanted is None:
            return [*self.groups.all(DUPLICATE_RELATIONS)]
        found = [(number, self.groups.find(number) or self.groups.holding(number)) for number in sorted(wanted)]
        for number, group in found:
            if group is None:
                raise NotFoundError(f"There is no group {number}.")
        return [group for _, group in found]

    def _plan(self, wish, policy, action, relations, groups, roots):
        items, left_alone = [], []
        with self.library.view() as view:
            for group in groups:
                keeper, others = self._split(view, group)
                for file, relation, member in others:
                    why = self._spared(view, wish, relations, roots, file, relation, keeper)
                    if why is not None:
                        spared = LeftAlone(
                            path=file.path, group=group.id, why=why[0], detail=why[1], size_bytes=file.stat.size_bytes
                        )
                        left_alone.append(spared)
                        continue
                    items.append(_item(view, len(items) + 1, group, keeper, file, relation, member))
        if self.limits.files_per_run:
            cut = self.limits.files_per_run
            left_alone += [_over_limit(item) for item in items[cut:]]
            items = items[:cut]
        return Plan(
            created_at_ns=self.now_ns,
            expires_at_ns=self.now_ns + DAY_NS,
            policy=policy,
            keep=("keep the first",),
            relations=tuple(sorted(relations, key=lambda r: r.rank)),
            action=action,
            folder=wish.folder,
            limits=self.limits,
            roots=tuple(
                PlannedRoot(id=root.id, path=root.path, identity=root.identity or UNKNOWN_IDENTITY)
                for root in roots.values()
            ),
            items=tuple(items),
            left_alone=tuple(left_alone),
            groups_mark=self._mark(),
        )

    def _split(self, view, group):
        """The file that stays, and the others with their relation and member."""
        files = [(file, Relation.SAME_BYTES, None) for file in view.files_of(group.keeper)]
        for member in group.members:
            files += [(file, member.relation, member) for file in view.files_of(member.content)]
        files = [entry for entry in files if entry[0].missing_since_ns is None]
        pinned = {pin.path for pin in view.pins()}
        files.sort(key=lambda entry: entry[0].path not in pinned)
        return files[0][0], [(file, relation, member) for file, relation, member in files[1:]]

    def _spared(self, view, wish, relations, roots, file, relation, keeper):
        absolute = _absolute(roots, file.path)
        if file.path in {pin.path for pin in view.pins()}:
            return Spared.PINNED, "Somebody said to keep it."
        if self._is_rejected(view, file, keeper):
            return Spared.NO_PAIR, "Somebody said that it is no duplicate."
        if relation not in relations:
            return Spared.RELATION, f"It is {relation}, and the policy does not act on that."
        if wish.roots is not None and file.path.root not in wish.roots:
            return Spared.OUTSIDE, "Not in the roots asked for."
        if wish.folder_prefix and not absolute.startswith(wish.folder_prefix.rstrip(b"/") + b"/"):
            return Spared.OUTSIDE, "Not below the folder asked for."
        if (file.stat.dev, file.stat.ino) == (keeper.stat.dev, keeper.stat.ino):
            return Spared.HARD_LINK, "It shares its bytes with the kept file: nothing would be freed."
        min_age_s = self.limits.min_age_s if wish.min_age_s is None else wish.min_age_s
        if self.now_ns - file.first_seen_ns < min_age_s * 10**9:
            return Spared.YOUNG, f"It was first seen less than {min_age_s:.0f} s ago."
        return None

    def _is_rejected(self, view, file, keeper):
        one, other = (view.content(f.content).digest for f in (file, keeper))
        return one != other and view.verdict(*digest_pair(one, other)) is not None

    def _mark(self):
        with self.library.view() as view:
            said = [(verdict.a, verdict.b) for verdict in view.verdicts()]
        return blake3(repr(([*self.groups.all(DUPLICATE_RELATIONS)], sorted(said))).encode()).digest()

    # ------------------------------------------------------------------------------------------------------- runs

    def apply(self, plan, tell):
        stored = self.plan(plan)
        if stored.state is not PlanState.READY:
            raise RequestError(f"The plan {stored.id[:8]} is {stored.state}. `dedupctl plan` draws a new one up.")
        if stored.plan.groups_mark != self._mark():
            raise RequestError(f"The groups of plan {stored.id[:8]} have changed since. Draw it up again.")
        with self._one_run():
            self._refuse_doubted(stored.plan)
            self._stored[stored.id] = replace(stored, state=PlanState.APPLIED)
            roots = {root.id: root for root in stored.plan.roots}
            telling = _Telling(self, RunKind.APPLY, stored.id, tell)
            for item in stored.plan.items:
                for victim in item.victims:
                    self._take(stored, roots, item, victim, telling)
            return telling.end()

    def _refuse_doubted(self, plan):
        with self.library.view() as view:
            roots = view.roots()
        for root in roots:
            if root.state is not RootState.ONLINE and _touches(plan, root.id):
                raise RetryError(f"The root {os.fsdecode(root.path)} is {root.state}: nothing was touched.")

    def _take(self, stored, roots, item, victim, telling):
        self.before_each()
        path, kept = _absolute(roots, victim.file.path), _absolute(roots, item.keeper.path)
        planned = victim.file.stat
        facts = {"item": item.number, "path": path, "digest": victim.file.digest, "kept": kept}
        facts["size_bytes"] = planned.size_bytes
        try:
            now = os.lstat(path)
        except OSError as error:
            telling.tell(OutcomeKind.CONFLICT, now_at=path, detail=f"It is gone: {error.strerror}.", **facts)
            return
        if (now.st_size, now.st_mtime_ns) != (planned.size_bytes, planned.mtime_ns):
            telling.tell(OutcomeKind.CONFLICT, now_at=path, detail="It has changed since it was planned.", **facts)
            return
        place = self.base / stored.id[:16] / str(len(self._taken))
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(os.fsdecode(path)).rename(place)
        now_at = os.fsencode(place)
        self._taken[(stored.id, item.number, path)] = Quarantined(
            plan=stored.id,
            item=item.number,
            action=stored.plan.action,
            path=path,
            now_at=now_at,
            kept=kept,
            digest=victim.file.digest,
            size_bytes=planned.size_bytes,
            since_ns=self.now_ns,
            expires_at_ns=None if stored.plan.action in WITH_FOLDER | {Action.TRASH} else self.now_ns + 30 * DAY_NS,
            held="",
        )
        telling.tell(OutcomeKind.DONE, now_at=now_at, **facts)

    def undo(self, plan, items, tell):
        applied = [s for s in self._stored.values() if s.state in (PlanState.APPLIED, PlanState.UNDONE)]
        stored = self.plan(plan) if plan else applied[-1] if applied else None
        if stored is None or stored.state not in (PlanState.APPLIED, PlanState.UNDONE):
            raise NotFoundError("No such plan was applied. `dedupctl plans` lists them.")
        known = {item.number for item in stored.plan.items}
        if items is not None and items - known:
            raise NotFoundError(f"The plan has no item {min(items - known)}.")
        with self._one_run():
            telling = _Telling(self, RunKind.UNDO, stored.id, tell)
            for key in [key for key in reversed(self._taken) if key[0] == stored.id]:
                if items is None or key[1] in items:
                    self.before_each()
                    self._put_back(self._taken.pop(key), telling)
            if not any(key[0] == stored.id for key in self._taken):
                self._stored[stored.id] = replace(stored, state=PlanState.UNDONE)
            return telling.end()

    def _put_back(self, file, telling):
        target, detail, kind = file.path, "", OutcomeKind.DONE
        if os.path.lexists(target):
            stem, dot, suffix = target.rpartition(b".")
            target = stem + b" (restored 1)" + dot + suffix
            detail, kind = "Its name was taken meanwhile.", OutcomeKind.RESTORED_BESIDE
        Path(os.fsdecode(file.now_at)).rename(os.fsdecode(target))
        telling.tell(kind, now_at=target, detail=detail, **_facts(file))

    def quarantined(self):
        return list(self._taken.values())

    def expiry(self, wish):
        plan = self.plan(wish.plan).id if wish.plan else ""
        due = tuple(
            file
            for file in self._taken.values()
            if file.expires_at_ns is not None
            and (wish.is_now or file.expires_at_ns <= self.now_ns)
            and plan in ("", file.plan)
        )
        return Expiry(due=due, token=blake3(repr([(f.plan, f.now_at) for f in due]).encode()).hexdigest()[:8])

    def expire(self, wish, tell):
        expiry = self.expiry(wish)
        if wish.confirm != expiry.token:
            raise RequestError("The token is not that of what would be deleted now. Look again.")
        with self._one_run():
            telling = _Telling(self, RunKind.EXPIRE, self.plan(wish.plan).id if wish.plan else "", tell)
            for file in expiry.due:
                self.before_each()
                Path(os.fsdecode(file.now_at)).unlink()
                del self._taken[(file.plan, file.item, file.path)]
                telling.tell(OutcomeKind.DONE, now_at=b"", plan=file.plan, **_facts(file))
            return telling.end()

    @contextmanager
    def _one_run(self):
        if not self._run.acquire(blocking=False):
            raise RetryError("Another run is under way.")
        try:
            yield
        finally:
            self._run.release()

    # ------------------------------------------------------------------------------------------- what people said

    def reject(self, contents):
        with self.library.transaction() as txn:
            digests = [_content(txn, content).digest for content in sorted(contents)]
            said = [
                NotDuplicate(a=min(one, other), b=max(one, other), said_at_ns=self.now_ns)
                for place, one in enumerate(digests)
                for other in digests[place + 1 :]
            ]
            for verdict in said:
                txn.put_verdict(verdict)
        return said

    def withdraw(self, contents):
        with self.library.transaction() as txn:
            digests = {_content(txn, content).digest for content in contents}
            pairs = [(v.a, v.b) for v in txn.verdicts() if {v.a, v.b} <= digests]
            return sum(txn.remove_verdict(*pair) for pair in pairs)

    def rejected(self):
        with self.library.view() as view:
            return sorted(view.verdicts(), key=lambda verdict: -verdict.said_at_ns)

    def pin(self, file):
        with self.library.transaction() as txn:
            record = txn.file(file)
            if record is None or record.content is None:
                raise NotFoundError("That file is not indexed.")
            pin = Pin(digest=_content(txn, record.content).digest, path=file, said_at_ns=self.now_ns)
            txn.put_pin(pin)
        return pin

    def unpin(self, file):
        with self.library.transaction() as txn:
            found = [pin.digest for pin in txn.pins() if pin.path == file]
            return sum(txn.remove_pin(digest) for digest in found) > 0

    def pins(self):
        with self.library.view() as view:
            return sorted(view.pins(), key=lambda pin: -pin.said_at_ns)


class _Telling:
    """Counts what a run tells."""

    def __init__(self, cleanup, run, plan, tell):
        self._cleanup, self._run, self._plan, self._tell = cleanup, run, plan, tell
        self._kinds: list[OutcomeKind] = []
        self._done_bytes = 0

    def tell(self, kind, *, plan="", detail="", **facts):
        self._cleanup._sequence += 1
        self._kinds.append(kind)
        if kind in (OutcomeKind.DONE, OutcomeKind.RESTORED_BESIDE):
            self._done_bytes += facts["size_bytes"]
        outcome = Outcome(
            sequence=self._cleanup._sequence,
            at_ns=self._cleanup.now_ns,
            run=self._run,
            plan=plan or self._plan,
            kind=kind,
            detail=detail,
            **facts,
        )
        self._tell(outcome)
        fault, self._cleanup.fault = self._cleanup.fault, None
        if fault is not None:
            raise fault

    def end(self):
        count = self._kinds.count
        return RunEnd(
            run=self._run,
            plan=self._plan,
            done=count(OutcomeKind.DONE) + count(OutcomeKind.RESTORED_BESIDE),
            conflicts=count(OutcomeKind.CONFLICT),
            failed=count(OutcomeKind.FAILED) + count(OutcomeKind.STRANDED),
            skipped=count(OutcomeKind.SKIPPED),
            bytes_=self._done_bytes,
            stopped="",
        )


def _facts(file):
    return {
        "item": file.item,
        "path": file.path,
        "digest": file.digest,
        "kept": file.kept,
        "size_bytes": file.size_bytes,
    }


def _item(view, number, group, keeper, file, relation, member):
    planned = _planned(view, file)
    stays = _planned(view, keeper)
    victim = Victim(file=planned, role=Role.PICTURE, stays=stays, is_exact=relation is Relation.SAME_BYTES)
    return PlanItem(
        number=number,
        group=group.id,
        relation=relation,
        similarity=1.0 if member is None else member.similarity,
        probability=1.0 if member is None else member.probability,
        reason="equal bytes" if member is None else member.reason,
        keep_reason=group.keeper_reason,
        keeper=stays,
        victims=(victim,),
        frees_bytes=file.stat.size_bytes,
    )


def _over_limit(item):
    file = item.victims[0].file
    return LeftAlone(
        path=file.path,
        group=item.group,
        why=Spared.FILES_PER_RUN,
        detail="The run's limit of files is reached.",
        size_bytes=file.stat.size_bytes,
    )


def _planned(view, file):
    return PlannedFile(path=file.path, stat=file.stat, digest=view.content(file.content).digest)


def _touches(plan, root):
    return any(victim.file.path.root == root for item in plan.items for victim in item.victims)


def _absolute(roots, path):
    return roots[path.root].path.rstrip(b"/") + b"/" + path.relative()


def _content(view, content):
    record = view.content(content)
    if record is None:
        raise NotFoundError(f"There is no content {content}.")
    return record
